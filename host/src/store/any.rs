//! A store by its URL.

mod inspect;
mod transfer;

use crate::error::{Error, Result};
use crate::limits::Limits;
#[cfg(feature = "embedded")]
use crate::store::embedded::EmbeddedStore;
#[cfg(feature = "embedded")]
use crate::store::embedded::compact::Compacted;
#[cfg(feature = "mongodb")]
use crate::store::mongo::{ArchivedAgent, MongoStore, Undone};
#[cfg(feature = "mongodb")]
use crate::store::read_only::ReadOnly;
use crate::store::{Store, StoreOptions};
#[cfg(feature = "embedded")]
use redb::backends::InMemoryBackend;
use std::fmt;
#[cfg(feature = "embedded")]
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// Where a store is: `mongodb://…`, `mongodb+srv://…`, `file:PATH` or `memory:`.
///
/// ```
/// # use session_repository::StoreUrl;
/// assert_eq!("file:sessions.store".parse(), Ok(StoreUrl::File("sessions.store".into())));
/// assert!("http://localhost".parse::<StoreUrl>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreUrl {
    /// A MongoDB connection string.
    #[cfg(feature = "mongodb")]
    Mongo(String),
    /// A file, by its path as it is: nothing in it is decoded. `file:///tmp/x` is `/tmp/x`, too.
    #[cfg(feature = "embedded")]
    File(PathBuf),
    /// Memory of this process, gone when it ends.
    #[cfg(feature = "embedded")]
    Memory,
}

impl FromStr for StoreUrl {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self> {
        // The URL may hold a password, so no message repeats it.
        let invalid = |message: &str| Err(Error::InvalidArgument(message.to_owned()));
        if url.starts_with("mongodb://") || url.starts_with("mongodb+srv://") {
            #[cfg(feature = "mongodb")]
            return Ok(Self::Mongo(url.to_owned()));
            #[cfg(not(feature = "mongodb"))]
            return invalid("this build has no store for MongoDB: its feature `mongodb` is off");
        }
        let path = url.strip_prefix("file:");
        if path.is_none() && url != "memory:" {
            return invalid("a store is file:PATH, memory: or a MongoDB connection string");
        }
        #[cfg(feature = "embedded")]
        return Self::embedded(path);
        #[cfg(not(feature = "embedded"))]
        return invalid("this build has no store for files and memory: its feature `embedded` is off");
    }
}

impl StoreUrl {
    /// A file by its path, or memory.
    #[cfg(feature = "embedded")]
    fn embedded(path: Option<&str>) -> Result<Self> {
        let invalid = |message: &str| Err(Error::InvalidArgument(message.to_owned()));
        let Some(path) = path else { return Ok(Self::Memory) };
        let path = match path.strip_prefix("//") {
            Some(local) if local.starts_with('/') => local,
            Some(_) => return invalid("a file store is file:PATH; it cannot be on another host"),
            None => path,
        };
        if path.is_empty() || path.contains('\0') || path.contains("://") {
            return invalid("a file store is file:PATH, and its path is empty, holds a NUL or is a URL itself");
        }
        Ok(Self::File(PathBuf::from(path)))
    }

    /// The database of a store here with these options: the one that they name, else the connection string's, else `database_name`. The
    /// server's own databases (`admin`, `config`, `local`) are none for sessions.
    pub fn database(&self, options: &StoreOptions) -> String {
        let named = match (self, &options.database) {
            #[cfg(feature = "mongodb")]
            (Self::Mongo(uri), None) => MongoStore::database_of(uri),
            _ => None,
        };
        named.unwrap_or_else(|| options.database_name().to_owned())
    }

    /// The default limits, with the timeouts of the connection string: `call_deadline` is the shorter one of `socketTimeoutMS` and
    /// `timeoutMS`, if there is one that is not 0.
    ///
    /// A repository with these limits answers `timeout` then. A write that is under way is finished before any later call on its session
    /// begins.
    ///
    /// ```
    /// # use session_repository::StoreUrl;
    /// # use std::time::Duration;
    /// let url: StoreUrl = "mongodb://localhost/?socketTimeoutMS=500".parse()?;
    /// assert_eq!(url.limits().call_deadline, Duration::from_millis(500));
    /// # Ok::<(), session_repository::Error>(())
    /// ```
    pub fn limits(&self) -> Limits {
        let limits = Limits::default();
        let deadline = match self {
            #[cfg(feature = "mongodb")]
            Self::Mongo(uri) => MongoStore::call_deadline_of(uri),
            #[cfg(feature = "embedded")]
            Self::File(_) | Self::Memory => None,
        };
        Limits { call_deadline: deadline.unwrap_or(limits.call_deadline), ..limits }
    }
}

/// Without the connection string, which may hold a password.
impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "mongodb")]
            Self::Mongo(_) => f.write_str("Mongo(…)"),
            #[cfg(feature = "embedded")]
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            #[cfg(feature = "embedded")]
            Self::Memory => f.write_str("Memory"),
        }
    }
}

/// One of the stores of this crate.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AnyStore {
    /// In MongoDB.
    #[cfg(feature = "mongodb")]
    Mongo(MongoStore),
    /// In MongoDB, for reading only.
    #[cfg(feature = "mongodb")]
    ReadOnlyMongo(ReadOnly<MongoStore>),
    /// In a file or in memory.
    #[cfg(feature = "embedded")]
    Embedded(EmbeddedStore),
}

impl AnyStore {
    /// Opens the store that a URL names. A repository on it keeps to the timeouts of the URL with [`StoreUrl::limits`].
    ///
    /// # Errors
    ///
    /// Those of [`MongoStore::connect`] and [`EmbeddedStore::open`].
    pub async fn open(url: &StoreUrl, options: StoreOptions) -> Result<Self> {
        Ok(match url {
            #[cfg(feature = "mongodb")]
            StoreUrl::Mongo(uri) => Self::Mongo(MongoStore::open(uri, options).await?),
            #[cfg(feature = "embedded")]
            StoreUrl::File(path) => Self::Embedded(EmbeddedStore::open(path, options).await?),
            #[cfg(feature = "embedded")]
            StoreUrl::Memory => Self::Embedded(EmbeddedStore::in_memory(options).await?),
        })
    }

    /// Opens the store that a URL names for reading only: nothing is made, and writes are refused as `access-denied`. In memory it is empty.
    ///
    /// # Errors
    ///
    /// Those of [`MongoStore::connect_read_only`] and [`EmbeddedStore::open_read_only`].
    pub async fn open_read_only(url: &StoreUrl, options: StoreOptions) -> Result<Self> {
        Ok(match url {
            #[cfg(feature = "mongodb")]
            StoreUrl::Mongo(uri) => Self::ReadOnlyMongo(MongoStore::open_read_only(uri, options).await?),
            #[cfg(feature = "embedded")]
            StoreUrl::File(path) => Self::Embedded(EmbeddedStore::open_read_only(path, options).await?),
            #[cfg(feature = "embedded")]
            StoreUrl::Memory => Self::Embedded(EmbeddedStore::on_backend_read_only(InMemoryBackend::new(), options).await?),
        })
    }

    /// Rewrites the file that a URL names: see [`EmbeddedStore::compact`].
    ///
    /// # Errors
    ///
    /// `invalid-argument` for any other store, and those of [`EmbeddedStore::compact`].
    #[cfg(feature = "embedded")]
    pub async fn compact(url: &StoreUrl, progress: impl FnMut(u64, u64) + Send + 'static) -> Result<Compacted> {
        let refused = |why: &str| Err(Error::InvalidArgument(why.to_owned()));
        match url {
            StoreUrl::File(path) => EmbeddedStore::compact(path, progress).await,
            #[cfg(feature = "mongodb")]
            StoreUrl::Mongo(_) => refused("only a file is compacted here; in MongoDB compaction is the server's matter"),
            StoreUrl::Memory => refused("only a file is compacted; memory keeps nothing"),
        }
    }

    /// The ids of a session's agents, in the order in which they are stored; none if there is no such session. Ids that other programs
    /// stored need not obey the rules of [`Repository`](crate::Repository).
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn agent_ids(&self, session_id: &str) -> Result<Option<Vec<String>>> {
        match self {
            #[cfg(feature = "mongodb")]
            Self::Mongo(store) => store.agent_ids(session_id).await,
            #[cfg(feature = "mongodb")]
            Self::ReadOnlyMongo(store) => store.inner().agent_ids(session_id).await,
            #[cfg(feature = "embedded")]
            Self::Embedded(store) => store.agent_ids(session_id).await,
        }
    }

    /// How many sessions there are; of a large collection in MongoDB it may be about so many.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn count_sessions(&self) -> Result<u64> {
        match self {
            #[cfg(feature = "mongodb")]
            Self::Mongo(store) => store.count_sessions().await,
            #[cfg(feature = "mongodb")]
            Self::ReadOnlyMongo(store) => store.inner().count_sessions().await,
            #[cfg(feature = "embedded")]
            Self::Embedded(store) => store.count_sessions().await,
        }
    }

    /// Where the messages of each agent of a session lie; none if there is no such session.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for a store that has no archive, and those of [`MongoStore::archive_status`].
    #[cfg(feature = "mongodb")]
    pub async fn archive_status(&self, session_id: &str) -> Result<Option<Vec<ArchivedAgent>>> {
        match self {
            #[cfg(feature = "mongodb")]
            Self::ReadOnlyMongo(store) => store.inner().archive_status(session_id).await,
            store => store.archiving()?.archive_status(session_id).await,
        }
    }

    /// Moves messages of a session to the archive now; tells how many, none if there is no such session.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for a store that has no archive, and those of [`MongoStore::archive_run`].
    #[cfg(feature = "mongodb")]
    pub async fn archive_run(&self, session_id: &str) -> Result<Option<u64>> {
        self.archiving()?.archive_run(session_id).await
    }

    /// Folds the archive of a session back into one document, and removes its orphans; none if there is no such session and no block of one.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for a store that has no archive, and those of [`MongoStore::archive_undo`].
    #[cfg(feature = "mongodb")]
    pub async fn archive_undo(&self, session_id: &str) -> Result<Option<Undone>> {
        self.archiving()?.archive_undo(session_id).await
    }

    #[cfg(feature = "mongodb")]
    fn archiving(&self) -> Result<&MongoStore> {
        match self {
            #[cfg(feature = "mongodb")]
            Self::Mongo(store) => Ok(store),
            #[cfg(feature = "mongodb")]
            Self::ReadOnlyMongo(_) => Err(Error::read_only()),
            #[cfg(feature = "embedded")]
            Self::Embedded(_) => {
                let why = "only MongoDB needs an archive: in this store a history has no size limit as it is";
                Err(Error::InvalidArgument(String::from(why)))
            }
        }
    }

    /// The store as a repository takes it.
    pub fn into_store(self) -> Arc<dyn Store> {
        match self {
            #[cfg(feature = "mongodb")]
            Self::Mongo(store) => Arc::new(store),
            #[cfg(feature = "mongodb")]
            Self::ReadOnlyMongo(store) => Arc::new(store),
            #[cfg(feature = "embedded")]
            Self::Embedded(store) => Arc::new(store),
        }
    }
}
