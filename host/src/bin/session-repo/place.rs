//! Where the sessions are: the store that the command line names, or a file of the user's own.

use crate::args::StoreArgs;
use crate::failure::failed;
use crate::terminal::tell;
use anyhow::Context;
use etcetera::base_strategy::{BaseStrategy, choose_native_strategy};
use indicatif::ProgressBar;
use session_repository::{AnyStore, Compacted, Limits, MongoOptions, Report, Repository, RepositoryBuilder, Scope, StoreOptions, StoreUrl};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// How long a command waits for a file that another process holds: other commands hold it for less.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it looks meanwhile.
const LOOK: Duration = Duration::from_millis(20);

/// How long closing a store may take: it may move messages to an archive, and wait for writes whose callers were told `timeout`. The store
/// bounds both; this is for a server that is silent.
const CLOSING: Duration = Duration::from_secs(30);

/// A store to open.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    url: StoreUrl,
    options: StoreOptions,
    /// Whether nobody named it.
    is_default: bool,
    /// Whether the command line names it.
    is_named: bool,
    /// Flags that have an effect on writing to MongoDB only.
    for_writing: Vec<&'static str>,
}

impl Place {
    /// The place that the arguments name, or the default one.
    pub(crate) fn of(arguments: StoreArgs) -> session_repository::Result<Self> {
        let StoreArgs { store, database, collection, metadata_fields, archive_after, for_writing, is_named } = arguments;
        let mongo = MongoOptions::default().archive_after(archive_after.0);
        let mut options = StoreOptions::default().collection(collection).metadata_fields(metadata_fields).mongo(mongo);
        options.database = database;
        options.check()?;
        let is_default = store.is_none();
        let url = match store {
            Some(url) => url.parse().map_err(|error| session_repository::Error::InvalidArgument(format!("--store: {error}")))?,
            None => StoreUrl::File(default_file()?),
        };
        Ok(Self { url, options, is_default, is_named, for_writing })
    }

    /// Says where the sessions are, if nobody else has said it, and which flags have no effect there or with the command.
    pub(crate) fn announce(&self, is_reading: bool) {
        for flag in &self.for_writing {
            if !self.is_mongo() {
                tell(&format!("warning: {flag} has no effect: it is for MongoDB, and the sessions are in {}", self.medium()));
            } else if is_reading {
                tell(&format!("warning: {flag} has no effect: it is for commands that write"));
            }
        }
        if let (true, StoreUrl::File(path)) = (self.is_default, &self.url) {
            tell(&format!("no --store is named, so this works on file:{}", path.display()));
        }
    }

    /// Whether the command line names it.
    pub(crate) fn is_named(&self) -> bool {
        self.is_named
    }

    /// The same place, or memory where the command line names none.
    pub(crate) fn or_in_memory(&self) -> Self {
        let url = if self.is_named { self.url.clone() } else { StoreUrl::Memory };
        Self { url, ..self.clone() }
    }

    /// Opens the store for reading and writing.
    pub(crate) async fn open(&self) -> anyhow::Result<Opened> {
        self.try_open().await.map_err(|error| failed(&error)).context("cannot open the store")
    }

    /// Opens a store for reading only. Where its file would be made, there is an empty one instead, and that is said.
    pub(crate) async fn open_to_read(&self) -> anyhow::Result<Opened> {
        match self.missing_file() {
            Some(missing) => {
                tell(&missing);
                Self { url: StoreUrl::Memory, ..self.clone() }.open_existing().await
            }
            None => self.open_existing().await,
        }
    }

    /// Opens a store for reading only; a file has to be there.
    pub(crate) async fn open_existing(&self) -> anyhow::Result<Opened> {
        self.try_open_existing().await.map_err(|error| failed(&error)).context("cannot open the store")
    }

    /// Opens a store for reading only; the error is as the library has it.
    pub(crate) async fn try_open_existing(&self) -> session_repository::Result<Opened> {
        self.patiently(async || AnyStore::open_read_only(&self.url, self.options.clone()).await.map(|store| self.opened(store))).await
    }

    /// What is to be said of a file that is not there and would be made by a command that writes.
    fn missing_file(&self) -> Option<String> {
        let StoreUrl::File(path) = &self.url else { return None };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // The folder of the default file is made with it.
        let would_be_made = !path.exists() && (self.is_default || folder.is_dir());
        would_be_made.then(|| format!("there is no store file {} yet: nothing was ever stored there", path.display()))
    }

    /// Opens the store for reading and writing; the error is as the library has it.
    async fn try_open(&self) -> session_repository::Result<Opened> {
        if let (true, StoreUrl::File(path)) = (self.is_default, &self.url) {
            let cannot =
                |error| session_repository::Error::Unavailable(format!("the folder of {} cannot be made: {error}", path.display()));
            make_folder(path).map_err(cannot)?;
        }
        self.patiently(async || AnyStore::open(&self.url, self.options.clone()).await.map(|store| self.opened(store))).await
    }

    fn opened(&self, store: AnyStore) -> Opened {
        Opened { store, limits: self.url.limits() }
    }

    /// Looks at the store and changes nothing in it.
    pub(crate) async fn inspect(&self) -> session_repository::Result<Report> {
        self.patiently(async || AnyStore::inspect(&self.url, self.options.clone()).await).await
    }

    /// Looks at the store and mends what can be mended, unless that is to be told only.
    pub(crate) async fn repair(&self, dry_run: bool) -> session_repository::Result<Report> {
        self.patiently(async || AnyStore::repair(&self.url, self.options.clone(), dry_run).await).await
    }

    /// Rewrites the file.
    pub(crate) async fn compact(&self, bar: &ProgressBar) -> session_repository::Result<Compacted> {
        let compact = async || {
            let bar = bar.clone();
            let progress = move |copied, total| {
                bar.set_length(total);
                bar.set_position(copied);
            };
            AnyStore::compact(&self.url, progress).await
        };
        self.patiently(compact).await
    }

    /// Opens the store in some way; waits a little where another process holds the file.
    async fn patiently<T>(&self, open: impl AsyncFn() -> session_repository::Result<T>) -> session_repository::Result<T> {
        let begun = Instant::now();
        loop {
            match open().await {
                Err(session_repository::Error::Unavailable(why)) if self.is_file() && begun.elapsed() < PATIENCE => {
                    tracing::debug!(why, "waiting for the store");
                    tokio::time::sleep(LOOK).await;
                }
                opened => return opened,
            }
        }
    }

    /// What it is called, without credentials.
    pub(crate) fn name(&self) -> String {
        format!("{}, collection {}.{}", self.medium(), self.url.database(&self.options), self.options.collection)
    }

    /// What the collections are in, without credentials.
    pub(crate) fn medium(&self) -> String {
        match &self.url {
            StoreUrl::Mongo(_) => String::from("MongoDB"),
            StoreUrl::File(path) => format!("file:{}", path.display()),
            StoreUrl::Memory => String::from("memory:"),
            other => format!("{other:?}"),
        }
    }

    /// What changes when somebody writes to the file, if it is one.
    pub(crate) fn stamp(&self) -> Option<(SystemTime, u64)> {
        let StoreUrl::File(path) = &self.url else { return None };
        let file = std::fs::metadata(path).ok()?;
        Some((file.modified().ok()?, file.len()))
    }

    /// Whether it is a file, which a writer and readers cannot have open at the same time.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.url, StoreUrl::File(_))
    }

    /// Whether it is in MongoDB.
    pub(crate) fn is_mongo(&self) -> bool {
        matches!(self.url, StoreUrl::Mongo(_))
    }
}

/// Closes something, unless that takes too long: a server may be silent. What was acknowledged is stored by then.
pub(crate) async fn closed(close: impl Future<Output = ()>) {
    if tokio::time::timeout(CLOSING, close).await.is_err() {
        tracing::debug!("the store was not closed in time");
    }
}

/// An open store.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) store: AnyStore,
    limits: Limits,
}

impl Opened {
    /// Closes the store: where no repository was built on it, or to end what one has under way.
    pub(crate) async fn close(&self) {
        closed(self.store.clone().into_store().close()).await;
    }

    /// The repository on it; closing the repository closes the store.
    pub(crate) fn repository(&self) -> anyhow::Result<Repository> {
        self.builder().build().map_err(|error| failed(&error))
    }

    /// The same for what a scope allows.
    pub(crate) fn scoped(&self, scope: Scope) -> anyhow::Result<Repository> {
        // One instance, so that a plugin can make as many calls at once on any machine.
        self.builder().scope(scope).instances(1).build().map_err(|error| failed(&error))
    }

    pub(crate) fn builder(&self) -> RepositoryBuilder {
        Repository::builder_on(self.store.clone().into_store()).limits(self.limits)
    }
}

/// The store of those who name none: a file where the platform keeps the data of programs.
fn default_file() -> session_repository::Result<PathBuf> {
    match choose_native_strategy() {
        Ok(strategy) => Ok(strategy.data_dir().join("session-repository").join("sessions.store")),
        Err(_) => Err(session_repository::Error::InvalidArgument(String::from(
            "no store is named, and there is no home folder for one: pass --store or set SESSION_REPO_STORE",
        ))),
    }
}

fn make_folder(file: &Path) -> std::io::Result<()> {
    let Some(folder) = file.parent() else { return Ok(()) };
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
