//! Compaction: a store file is written anew with what is in it now, and nothing of what was.

use super::EmbeddedStore;
use super::engine::{self, Purpose};
use super::fault::{Fault, Result};
use super::file::{Contents, StoreFile};
use super::overlay::Overlay;
use super::replacement::{Replacement, cannot_make, remove_left_over};
use super::tables::ReadTables;
use crate::error::{self, Error};
use redb::backends::InMemoryBackend;
use redb::{Database, Key, ReadOnlyTable, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition, Value};
use serde::Serialize;
use std::io;
use std::path::Path;

/// How much is copied in one transaction, in bytes of values.
const BATCH: usize = 64 * 1024 * 1024;

/// What became of a store file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Compacted {
    /// Its size before, in bytes.
    pub bytes_before: u64,
    /// Its size now, in bytes.
    pub bytes_after: u64,
}

impl EmbeddedStore {
    /// Rewrites a store file: what was replaced, deleted or cut off by a crash is not in it any more, and it is as small as it can be.
    ///
    /// The new file is made beside the old one, which needs as much room as there is content, is synchronised, and takes its place in one
    /// step with the old one's owner and permissions. A process that is killed leaves the old file or the new one, complete; the part of a
    /// new file that it may leave beside the old one is removed when that is opened for writing next. Nobody else can have the store open
    /// meanwhile. `progress` is told after each row how many are copied, and of how many.
    ///
    /// The blocks of the old file are the file system's then, as those of any file that is removed.
    ///
    /// # Errors
    ///
    /// The old file stays as it is. `unavailable` if another process has it open, which the message names, or if the disk is full;
    /// `invalid-argument` if there is no such file, if it is no store, or if it has a second name (a hard link), by which the old content
    /// would stay; `access-denied` if the new file may not be made; `corrupt` if the old file is damaged. If the new file is in its place, but
    /// the disk fails to keep its name, that is `unavailable`, too.
    pub async fn compact(path: impl AsRef<Path>, progress: impl FnMut(u64, u64) + Send + 'static) -> error::Result<Compacted> {
        let path = path.as_ref().to_owned();
        let compacting = tokio::task::spawn_blocking(move || compact(&path, progress).map_err(Fault::into_error));
        compacting.await.unwrap_or_else(|defect| {
            // The database does not expect a file that somebody else changed.
            tracing::error!(%defect, "a compaction ended without an answer");
            Err(Error::Corrupt(String::from("the store file is damaged")))
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
    new.compact()?;
    new.close()?;
    // This synchronises all of it.
    replacement.file.set_ready().map_err(io_fault)?;
    let bytes_after = replacement.file.size().map_err(io_fault)?;
    replacement.finish().map_err(io_fault)?;
    Ok(Compacted { bytes_before: metadata.len(), bytes_after })
}

/// A new file while it is filled. Only when it is complete has it to be on the disk.
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

/// Copies the rows of a table in the order of their keys.
pub(super) fn copy_table<K: Key, V: Value>(name: &str, from: &ReadOnlyTable<K, V>, to: &Database, mut copied: impl FnMut()) -> Result<()> {
    let mut rows = from.iter()?.peekable();
    while rows.peek().is_some() {
        let transaction = to.begin_write()?;
        let mut table = transaction.open_table(TableDefinition::<K, V>::new(name))?;
        let mut bytes = 0;
        for row in rows.by_ref() {
            let (key, value) = row?;
            bytes += V::as_bytes(&value.value()).as_ref().len();
            table.insert(key.value(), value.value())?;
            copied();
            if bytes > BATCH {
                break;
            }
        }
        drop(table);
        transaction.commit()?;
    }
    Ok(())
}
