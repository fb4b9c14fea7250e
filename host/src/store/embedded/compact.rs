//! Compaction: a store file is written anew with its present content.

use super::engine::{self, Purpose};
use super::fault::{Fault, Result};
use super::file::{Contents, StoreFile};
use super::migrate;
use super::overlay::Overlay;
use super::replacement::{Replacement, cannot_make, remove_left_over};
use super::store::EmbeddedStore;
use super::tables::ReadTables;
use crate::error::{self, Error};
use redb::backends::InMemoryBackend;
use redb::{ReadableDatabase, StorageBackend};
use serde::Serialize;
use std::io;
use std::path::Path;

/// The sizes of a store file before and after its compaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Compacted {
    /// The size before, in bytes.
    pub bytes_before: u64,
    /// The size after, in bytes.
    pub bytes_after: u64,
}

impl EmbeddedStore {
    /// Rewrites a store file. Replaced or removed text, and what an interrupted import left, is not in it afterwards.
    ///
    /// The new file is made beside the old one and needs room for all content. It is synchronised, gets the old one's owner and permissions,
    /// and takes its place in one step. A process that is killed leaves the old file or the new one, complete. A partial new file is removed
    /// when the old one is opened for writing next. No other process can have the store open meanwhile. `progress` gets the number of copied
    /// rows and of all rows, after each row.
    ///
    /// The disk blocks of the old file are then those of a removed file: the file system's.
    ///
    /// # Errors
    ///
    /// `unavailable` if another process has the file open, which the message names, or if the disk is full; `invalid-argument` if there is no
    /// such file, if it is no store, or if it has a second name (a hard link), by which the old content would stay; `access-denied` if the
    /// new file may not be made; `corrupt` if the old file is damaged. The old file stays as it is. One exception is `unavailable` because the
    /// folder cannot be synchronised: the new file is in its place then, but a loss of power may bring back the old one.
    pub async fn compact(path: impl AsRef<Path>, progress: impl FnMut(u64, u64) + Send + 'static) -> error::Result<Compacted> {
        let path = path.as_ref().to_owned();
        let compacting = tokio::task::spawn_blocking(move || compact(&path, progress).map_err(Fault::into_error));
        compacting.await.unwrap_or_else(|defect| {
            // The database does not expect a file that somebody else changed.
            Err(Error::of_task("a compaction", &defect, Error::Corrupt(String::from("the store file is damaged"))))
        })
    }
}

fn compact(path: &Path, progress: impl FnMut(u64, u64)) -> Result<Compacted> {
    let (old_file, contents) = StoreFile::open_to_replace(path)?;
    let target = path.canonicalize().map_err(io_fault)?;
    let metadata = old_file.metadata().map_err(io_fault)?;
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::nlink(&metadata) > 1 {
        let why = format!("the store file {} has a second name, by which its old content would stay", path.display());
        return Err(Error::InvalidArgument(why).into());
    }
    // The old file is not changed, whatever has to be repaired or removed in it.
    let old = match contents {
        Contents::Database { .. } => engine::open(Overlay::above(old_file.clone()).map_err(io_fault)?, Purpose::Copy)?,
        Contents::Nothing => engine::open(InMemoryBackend::new(), Purpose::Copy)?,
    };
    remove_left_over(&target);
    let replacement = Replacement::begin(&target).map_err(|error| cannot_make(&target, &error))?;
    replacement.file.belong_like(&metadata).map_err(|error| cannot_make(&target, &error))?;
    let mut new = engine::open(Filling(replacement.file.clone()), Purpose::Write)?;
    ReadTables::new(old.begin_read()?).copy_to(&new, progress)?;
    migrate::for_writing(&new)?;
    new.compact()?;
    new.close()?;
    // This synchronises all of it.
    replacement.file.set_ready().map_err(io_fault)?;
    let bytes_after = replacement.file.size().map_err(io_fault)?;
    replacement.finish().map_err(io_fault)?;
    Ok(Compacted { bytes_before: metadata.len(), bytes_after })
}

/// A new file while it is filled. It is synchronised once, when it is complete.
#[derive(Debug)]
struct Filling(StoreFile);

impl StorageBackend for Filling {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

fn io_fault(error: io::Error) -> Fault {
    Fault::Storage(redb::Error::Io(error))
}
