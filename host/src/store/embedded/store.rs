//! The handle of a store, and how it is opened.

use super::engine::Engine;
use super::fault::Fault;
use super::file::StoreFile;
use super::numbers::CollectionNo;
use super::replacement::remove_left_over;
use crate::error::{Error, Result};
use crate::store::StoreOptions;
use crate::store::overdue::Overdue;
use redb::StorageBackend;
use redb::backends::InMemoryBackend;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Sessions in one file, or in memory.
///
/// A write is durable when it is acknowledged: it has been written and synchronised to the disk (`fsync`). Writes that come at the same
/// time share that cost. Each message is stored by itself, so a write or a page costs the same in a session of ten messages and of a
/// million; a session has no size limit. One message, one agent and the metadata of a session may take 16 MiB each, as in MongoDB.
///
/// One process at a time has a file open for writing, or any number have it open for reading. After a crash it opens as it was after the
/// last acknowledged write; a large file is read through for that, by each reader until a writer has opened it once.
#[derive(Debug, Clone)]
pub struct EmbeddedStore {
    pub(super) engine: Arc<Engine>,
    /// The number of the collection that it has open.
    pub(super) collection: CollectionNo,
    pub(super) overdue: Overdue,
}

impl EmbeddedStore {
    /// Opens a store file, and makes it if there is none; its folder must be there. A file of an older format is brought to the newest one,
    /// which older versions refuse.
    ///
    /// # Errors
    ///
    /// `unavailable` if another process has the file open, which the message names; `invalid-argument` for bad options, a file of another
    /// format or of a newer version of it, which is left as it is; `access-denied` if it may not be read and written; `corrupt` if it is
    /// damaged.
    pub async fn open(path: impl AsRef<Path>, options: StoreOptions) -> Result<Self> {
        let path: PathBuf = path.as_ref().to_owned();
        let engine = move || {
            let file = StoreFile::open(&path)?;
            remove_left_over(&path);
            Engine::on_file(file)
        };
        Self::start(options, engine).await
    }

    /// Opens a store file for reading only. Any number of readers share a file; a writer has it for itself.
    ///
    /// Neither the file nor its folder is written or synchronised. After a crash the file is repaired in memory, for which it is read through
    /// each time, until a writer opens it. Writes are refused as `access-denied`.
    ///
    /// # Errors
    ///
    /// `invalid-argument` if there is no such file, and for bad options, a file of another format or of a newer version of it; `unavailable`
    /// if another process has it open for writing, which the message names; `access-denied` if it may not be read; `corrupt` if it is damaged.
    pub async fn open_read_only(path: impl AsRef<Path>, options: StoreOptions) -> Result<Self> {
        let path: PathBuf = path.as_ref().to_owned();
        Self::start_reading(options, move || Engine::reading_file(StoreFile::open_read_only(&path)?)).await
    }

    /// Opens a store on storage of the caller's for reading only, as [`open_read_only`](Self::open_read_only) does a file: the storage is not
    /// written, synchronised or resized. Empty storage is a store without sessions.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for bad options, `corrupt` if what the storage holds is no store or is damaged.
    pub async fn on_backend_read_only(backend: impl StorageBackend, options: StoreOptions) -> Result<Self> {
        Self::start_reading(options, move || Engine::reading_backend(backend)).await
    }

    /// Makes a store in memory, which is gone when it is closed.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for bad options.
    pub async fn in_memory(options: StoreOptions) -> Result<Self> {
        Self::on_backend(InMemoryBackend::new(), options).await
    }

    /// Opens or makes a store on storage of the caller's: block devices, encryption, tests that lose power. It is the caller who makes
    /// sure that nobody else writes to it. After a failed read or write such a store stays closed; one on a file opens itself again.
    /// Empty storage whose first opening is cut off by a loss of power has to be emptied again.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for bad options, `corrupt` if what the storage holds is no store or is damaged.
    pub async fn on_backend(backend: impl StorageBackend, options: StoreOptions) -> Result<Self> {
        Self::start(options, move || Engine::on_backend(backend)).await
    }

    /// The same file, another place for sessions: for tenants that have a collection of their own. Both stores share the file, and the
    /// [`close`](crate::Store::close) of one closes it for both.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for bad options.
    pub async fn with_options(&self, options: StoreOptions) -> Result<Self> {
        options.check()?;
        let name = collection_name(&options);
        let collection = if self.engine.is_read_only() {
            self.engine.read(move |tables| tables.collection(&name)).await?
        } else {
            self.engine.write(move |tables| tables.collection(&name)).await?
        };
        Ok(Self { engine: Arc::clone(&self.engine), collection, overdue: Overdue::default() })
    }

    async fn start(options: StoreOptions, engine: impl FnOnce() -> Result<Engine, Fault> + Send + 'static) -> Result<Self> {
        options.check()?;
        let engine = opened(engine).await?;
        let name = collection_name(&options);
        let collection = engine.write(move |tables| tables.collection(&name)).await?;
        Ok(Self { engine: Arc::new(engine), collection, overdue: Overdue::default() })
    }

    async fn start_reading(options: StoreOptions, engine: impl FnOnce() -> Result<Engine, Fault> + Send + 'static) -> Result<Self> {
        options.check()?;
        let engine = opened(engine).await?;
        let name = collection_name(&options);
        let collection = engine.read(move |tables| tables.collection(&name)).await?;
        Ok(Self { engine: Arc::new(engine), collection, overdue: Overdue::default() })
    }

    /// The ids of a session's agents, in the order in which they were created; none if there is no such session.
    ///
    /// # Errors
    ///
    /// Those that any call can end in.
    pub async fn agent_ids(&self, session_id: &str) -> Result<Option<Vec<String>>> {
        let (collection, session_id) = (self.collection, session_id.to_owned());
        self.engine.read(move |tables| tables.agent_ids(collection, &session_id)).await
    }
}

/// Starts an engine on a thread that may block.
async fn opened(engine: impl FnOnce() -> Result<Engine, Fault> + Send + 'static) -> Result<Engine> {
    let opening = tokio::task::spawn_blocking(move || engine().map_err(Fault::into_error));
    opening.await.unwrap_or_else(|defect| {
        // The database does not expect a file that somebody else changed.
        Err(Error::of_task("opening the store", &defect, Error::Corrupt(String::from("the store file is damaged"))))
    })
}

/// The name of a collection; that of the database before it has no dot.
pub(super) fn collection_name(options: &StoreOptions) -> String {
    format!("{}.{}", options.database_name(), options.collection)
}
