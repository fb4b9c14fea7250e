//! The file that takes the place of another one, in one step.

use super::file::{StoreFile, sync_folder};
use crate::error::Error;
use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What the name of the new file has behind that of the old one.
const SUFFIX: &str = ".session-repo-compacting";

/// A new store file beside the one whose place it takes. Unless it does, it is removed.
#[derive(Debug)]
pub(super) struct Replacement<'a> {
    pub(super) file: StoreFile,
    path: PathBuf,
    target: &'a Path,
    is_in_place: bool,
}

impl<'a> Replacement<'a> {
    /// Makes the new file. The caller has the old one locked.
    pub(super) fn begin(target: &'a Path) -> io::Result<Self> {
        let path = beside(target);
        Ok(Self { file: StoreFile::make(&path)?, path, target, is_in_place: false })
    }

    /// Puts the new file, which must be complete and synchronised, in the place of the old one. One of the two is always there.
    pub(super) fn finish(mut self) -> io::Result<()> {
        fs::rename(&self.path, self.target)?;
        self.is_in_place = true;
        sync_folder(self.target)
    }
}

impl Drop for Replacement<'_> {
    fn drop(&mut self) {
        if !self.is_in_place {
            // If this fails, the next writer removes it.
            fs::remove_file(&self.path).ok();
        }
    }
}

/// The path of the new file.
fn beside(target: &Path) -> PathBuf {
    let mut path = OsString::from(target);
    path.push(SUFFIX);
    PathBuf::from(path)
}

/// Removes the partial new file of a compaction that was killed. The caller has the old file locked. A file of another program stays.
pub(super) fn remove_left_over(target: &Path) {
    // The new file is beside the old one, not beside a link to it.
    let Ok(target) = target.canonicalize() else { return };
    let path = beside(&target);
    if StoreFile::is_one(&path)
        && let Err(error) = fs::remove_file(&path)
    {
        tracing::warn!(%error, path = %path.display(), "what a compaction left over cannot be removed");
    }
}

/// The error for a new file that cannot be made.
pub(super) fn cannot_make(target: &Path, error: &io::Error) -> Error {
    let path = beside(target).display().to_string();
    match error.kind() {
        ErrorKind::AlreadyExists => {
            Error::InvalidArgument(format!("{path} is in the way: the new file would have that name until it is complete"))
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Error::AccessDenied(format!("the file {path} may not be made")),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::Unavailable(String::from("the store's disk is full")),
        _ => Error::Unavailable(format!("the file {path} cannot be made: {error}")),
    }
}
