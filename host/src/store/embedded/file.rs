//! The file: a header of our own, by which it is known, and the database behind it.
//!
//! One writer has the file locked for itself, or any number of readers share it.

use super::at::{read_at, write_at};
use super::header::{FORMAT, HEADER, Header, READY, STATE, heading};
use super::holder;
use crate::error::{Error, Result};
use redb::StorageBackend;
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Nothing is written, neither to the file nor to its folder.
    Read,
    /// The file is made if there is none.
    Write,
    /// Another file takes its place. Nothing is written to this one.
    Replace,
}

/// An open store file, locked until it is released or the last clone is dropped.
#[derive(Debug, Clone)]
pub(super) struct StoreFile {
    file: Arc<Locked>,
}

#[derive(Debug)]
struct Locked {
    file: File,
    /// Whether a synchronisation failed.
    doubtful: AtomicBool,
}

impl Locked {
    /// Without this a process that is being started at this moment, and so has the file open as well, would keep the lock for a while.
    fn unlock(&self) {
        // Fails only where it is not locked any more.
        self.file.unlock().ok();
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.unlock();
    }
}

impl StoreFile {
    /// Opens the file, makes it if there is none, and locks it. Leaves every file alone that is not a store file of a format known here.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let opened = Self::locked(path, Access::Write)?;
        if let Contents::Nothing = opened.contents(path)? {
            // The process that made it ended before anything was stored. Its name is in the folder for good before anything is.
            opened.begin().and_then(|()| sync_folder(path)).map_err(|error| cannot_open(path, Access::Write, &error))?;
        }
        Ok(opened)
    }

    /// Opens the file for reading, and locks it against writers. Tells whether a database is in it; if not, nothing was ever stored there.
    pub(super) fn open_read_only(path: &Path) -> Result<(Self, Contents)> {
        let opened = Self::locked(path, Access::Read)?;
        let contents = opened.contents(path)?;
        Ok((opened, contents))
    }

    /// Opens the file for reading, to put another one in its place, and locks it for that.
    pub(super) fn open_to_replace(path: &Path) -> Result<(Self, Contents)> {
        let opened = Self::locked(path, Access::Replace)?;
        let contents = opened.contents(path)?;
        Ok((opened, contents))
    }

    /// Makes a new file with a header and nothing behind it, and locks it. Its name need not survive a crash.
    pub(super) fn make(path: &Path) -> io::Result<Self> {
        let file = owners_alone().read(true).write(true).create_new(true).open(path)?;
        file.try_lock()?;
        let made = Self { file: Arc::new(Locked { file, doubtful: AtomicBool::new(false) }) };
        made.begin()?;
        Ok(made)
    }

    fn locked(path: &Path, access: Access) -> Result<Self> {
        let failed = |error: &io::Error| cannot_open(path, access, error);
        // Opening a pipe would wait for its other end.
        if path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
            return Err(foreign(path));
        }
        loop {
            let file = match access {
                Access::Read => File::open(path),
                Access::Write => open_or_make(path),
                Access::Replace => OpenOptions::new().read(true).write(true).open(path),
            };
            let file = file.map_err(|error| failed(&error))?;
            let locked = match access {
                Access::Read => file.try_lock_shared(),
                Access::Write | Access::Replace => file.try_lock(),
            };
            match locked {
                // Another file may have taken its place since it was opened.
                Ok(()) if !is_at(path, &file).map_err(|error| failed(&error))? => {}
                Ok(()) => return Ok(Self { file: Arc::new(Locked { file, doubtful: AtomicBool::new(false) }) }),
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::Unavailable(format!("the store file {} is {}", path.display(), holder::of(&file))));
                }
                Err(TryLockError::Error(error)) => return Err(failed(&error)),
            }
        }
    }

    /// Whether a path is that of a store file, complete or begun.
    pub(super) fn is_one(path: &Path) -> bool {
        // Not where a link leads to.
        let length = match path.symlink_metadata() {
            Ok(metadata) if metadata.is_file() => metadata.len(),
            _ => return false,
        };
        let mut header = Vec::new();
        let read = File::open(path).and_then(|file| file.take(HEADER).read_to_end(&mut header));
        read.is_ok() && matches!(Header::parse(&header, length), Header::Ready(_) | Header::Unfinished(_))
    }

    /// Whether a synchronisation failed. After that the system may show what was written and not have it on the disk, so nothing that
    /// stands on it can be acknowledged any more.
    pub(super) fn is_doubtful(&self) -> bool {
        self.file.doubtful.load(Ordering::Relaxed)
    }

    /// Lets other processes open it. Nobody may read or write it by this or a clone any more.
    pub(super) fn release(&self) {
        self.file.unlock();
    }

    /// What the header says of the file.
    fn contents(&self, path: &Path) -> Result<Contents> {
        let failed = |error: io::Error| cannot_open(path, Access::Read, &error);
        let length = self.size().map_err(failed)?;
        let mut header = vec![0; usize::try_from(length.min(HEADER)).unwrap_or_default()];
        read_at(&self.file.file, 0, &mut header).map_err(failed)?;
        match Header::parse(&header, length) {
            Header::Ready(format) => Ok(Contents::Database { format }),
            // It was complete but for that note. What is a database is never begun anew.
            Header::Unfinished(format) if self.holds_database().map_err(failed)? => Ok(Contents::Database { format }),
            Header::Unfinished(_) => Ok(Contents::Nothing),
            Header::Damaged => Err(Error::Corrupt(String::from("the store file is damaged"))),
            Header::Newer(format) => Err(Error::InvalidArgument(format!(
                "the store file {} has format {format}, which a newer version of this program wrote; this one reads formats up to {FORMAT}",
                path.display()
            ))),
            Header::Foreign => Err(foreign(path)),
        }
    }

    /// Whether a database begins behind the header.
    fn holds_database(&self) -> io::Result<bool> {
        const BEGINNING: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";
        if self.size()? < HEADER + BEGINNING.len() as u64 {
            return Ok(false);
        }
        let mut beginning = [0; BEGINNING.len()];
        read_at(&self.file.file, HEADER, &mut beginning)?;
        Ok(beginning == BEGINNING)
    }

    /// Makes an empty file of it that is known as ours from here on.
    fn begin(&self) -> io::Result<()> {
        self.file.file.set_len(0)?;
        let mut header = heading(FORMAT).into_bytes();
        header.resize(HEADER as usize, 0);
        write_at(&self.file.file, 0, &header)?;
        self.file.file.sync_all()
    }

    /// Writes the newest format into the header, so that older programs leave the file alone. The database is brought to it afterwards.
    pub(super) fn set_format(&self) -> io::Result<()> {
        let mut there = heading(FORMAT).into_bytes();
        read_at(&self.file.file, 0, &mut there)?;
        if there == heading(FORMAT).as_bytes() {
            return Ok(());
        }
        tracing::info!("the store file is brought to format {FORMAT}");
        write_at(&self.file.file, 0, heading(FORMAT).as_bytes())?;
        self.file.file.sync_all()
    }

    /// Notes that the database in it is complete. Before that, opening starts anew.
    pub(super) fn set_ready(&self) -> io::Result<()> {
        let mut state = [0];
        read_at(&self.file.file, STATE, &mut state)?;
        if state == [READY] {
            return Ok(());
        }
        write_at(&self.file.file, STATE, &[READY])?;
        self.file.file.sync_all()
    }

    /// What the system knows of it.
    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        self.file.file.metadata()
    }

    /// Gives it the owner and the permissions of another file.
    pub(super) fn belong_like(&self, other: &Metadata) -> io::Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, fchown};
            let own = self.metadata()?;
            if (own.uid(), own.gid()) != (other.uid(), other.gid()) {
                fchown(&self.file.file, Some(other.uid()), Some(other.gid()))?;
            }
        }
        self.file.file.set_permissions(other.permissions())
    }

    /// Its size in bytes.
    pub(super) fn size(&self) -> io::Result<u64> {
        Ok(self.file.file.metadata()?.len())
    }
}

/// What is in a store file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contents {
    /// A database in a format of the file's.
    Database { format: u64 },
    /// The file was being made when its process ended.
    Nothing,
}

/// Opens a file for writing, and makes it if there is none: its owner's alone, as conversations are.
pub(crate) fn open_or_make(path: &Path) -> io::Result<File> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => owners_alone().read(true).write(true).create(true).open(path),
        opened => opened,
    }
}

/// Options by which a new file is its owner's alone.
#[cfg(unix)]
fn owners_alone() -> OpenOptions {
    let mut options = OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The folders of a user are the user's own.
#[cfg(not(unix))]
fn owners_alone() -> OpenOptions {
    OpenOptions::new()
}

/// Whether a path leads to an open file. If not, that one was removed or replaced.
fn is_at(path: &Path, file: &File) -> io::Result<bool> {
    match same_file::Handle::from_path(path) {
        Ok(there) => Ok(there == same_file::Handle::from_file(file.try_clone()?)?),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder(path))?.sync_all()?;
    }
    Ok(())
}

/// The folder that a file is in.
fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The error for a file that the system does not open.
fn cannot_open(path: &Path, access: Access, error: &io::Error) -> Error {
    let name = path.display();
    match (error.kind(), access) {
        (ErrorKind::NotFound, Access::Read | Access::Replace) if folder(path).is_dir() => missing(path),
        (ErrorKind::NotFound | ErrorKind::NotADirectory, Access::Read | Access::Replace) => {
            Error::InvalidArgument(format!("there is no store file {name}: its folder does not exist"))
        }
        (ErrorKind::NotFound | ErrorKind::NotADirectory, Access::Write) => {
            Error::InvalidArgument(format!("the store file {name} cannot be made: its folder does not exist"))
        }
        (ErrorKind::IsADirectory, _) => Error::InvalidArgument(format!("{name} is a folder; a store is one file")),
        (ErrorKind::PermissionDenied, Access::Read) => Error::AccessDenied(format!("the store file {name} may not be opened for reading")),
        (ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem, _) => {
            Error::AccessDenied(format!("the store file {name} may not be opened for reading and writing"))
        }
        _ => Error::Unavailable(format!("the store file {name} cannot be opened: {error}")),
    }
}

/// The error for a file that is no store.
fn foreign(path: &Path) -> Error {
    Error::InvalidArgument(format!("{} is not a store file of this program", path.display()))
}

/// The error for a file that a reader does not find.
fn missing(path: &Path) -> Error {
    Error::InvalidArgument(format!("there is no store file {} yet: nothing was ever stored there", path.display()))
}

/// The part of the file behind the header.
impl StorageBackend for StoreFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.size()?.saturating_sub(HEADER))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        read_at(&self.file.file, HEADER + offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.file.set_len(HEADER + len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.file.sync_data().inspect_err(|_| self.file.doubtful.store(true, Ordering::Relaxed))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        write_at(&self.file.file, HEADER + offset, data)
    }
}
