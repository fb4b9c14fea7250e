//! The database, the one thread that writes to it, and the threads that read.
//!
//! All writes that wait while one transaction is made durable share the next one (group commit). An answer leaves only when the
//! transaction that it stands on is durable.
//!
//! A store that is open for reading only has no thread that writes, and its database stands on an [`Overlay`].

use super::fault::{Fault, Result, storage_error};
use super::file::{Contents, StoreFile};
use super::header::FORMAT;
use super::migrate;
use super::overlay::Overlay;
use super::tables::{FORMAT_KEY, ReadTables, WriteTables};
use crate::error::Error;
use redb::backends::InMemoryBackend;
use redb::{Builder, Database, ReadableDatabase, ReadableTable, StorageBackend};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{mpsc, oneshot, watch};

/// Memory for pages of the file, in bytes.
const CACHE: usize = 64 * 1024 * 1024;

/// Writes that share one transaction at most, so that none waits long for those that came after it.
const BATCH: usize = 1024;

/// Writes that may wait for the writing thread; more wait to get in.
const QUEUE: usize = 4096;

/// What the writing thread is to do.
trait Write: Send {
    /// Does the work, and takes back what it changed if it is refused. An error means that the transaction is broken.
    fn run(&mut self, tables: &mut WriteTables<'_>) -> Result<(), redb::Error>;

    /// Answers, once the transaction is durable or has failed.
    fn answer(self: Box<Self>, committed: Result<(), Error>);
}

struct Work<W, R> {
    work: Option<W>,
    result: Option<Result<R, Error>>,
    answer: oneshot::Sender<Result<R, Error>>,
}

impl<W, R> Write for Work<W, R>
where
    W: FnOnce(&mut WriteTables<'_>) -> Result<R> + Send,
    R: Send,
{
    fn run(&mut self, tables: &mut WriteTables<'_>) -> Result<(), redb::Error> {
        let Some(work) = self.work.take() else { return Ok(()) };
        self.result = Some(match work(tables) {
            Ok(result) => {
                tables.keep();
                Ok(result)
            }
            Err(Fault::Refused(error)) => {
                tables.take_back()?;
                Err(error)
            }
            Err(Fault::Storage(cause)) => return Err(cause),
        });
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), Error>) {
        let Self { result, answer, .. } = *self;
        let result = committed.and_then(|()| result.unwrap_or_else(|| Err(failed())));
        // Nobody may be listening any more; the write has happened all the same.
        drop(answer.send(result));
    }
}

fn failed() -> Error {
    Error::Internal(String::from("the store failed"))
}

fn not_open() -> Error {
    Error::Unavailable(String::from("the store is not open"))
}

/// What a database is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Write,
    Read,
    /// As for reading; all of it is verified.
    Verify,
    /// All of it is verified, and nothing is in it that writing would remove.
    Copy,
}

pub(super) fn open(backend: impl StorageBackend, purpose: Purpose) -> Result<Database> {
    let mut builder = Builder::new();
    let verify = matches!(purpose, Purpose::Verify | Purpose::Copy);
    builder.set_cache_size(CACHE).set_check_integrity_on_open(verify).set_repair_callback(|repair| {
        tracing::info!(progress = repair.progress(), "the store file was not closed; it is being checked");
    });
    let database = builder.create_with_backend(backend)?;
    match purpose {
        Purpose::Write => migrate::for_writing(&database)?,
        Purpose::Read | Purpose::Verify | Purpose::Copy => migrate::for_reading(&database)?,
    }
    // A new file, or one of an older version.
    let is_lacking = database.begin_read()?.list_tables()?.count() < WriteTables::COUNT;
    let transaction = database.begin_write()?;
    let mut tables = WriteTables::open(&transaction)?;
    if tables.numbers.get(FORMAT_KEY)?.is_none() {
        tables.numbers.insert(FORMAT_KEY, (FORMAT,))?;
    }
    // Readers do not see what they are parts of.
    if matches!(purpose, Purpose::Write | Purpose::Copy) {
        tables.remove_all_unfinished()?;
        tables.keep();
    }
    let changed = is_lacking || tables.changed;
    drop(tables);
    // Readers find all tables there.
    if changed {
        transaction.commit()?
    } else {
        transaction.abort()?
    }
    Ok(database)
}

/// A running database.
#[derive(Debug)]
pub(super) struct Engine {
    shared: Arc<Shared>,
    /// None if the store is open for reading only.
    writing: Option<Writing>,
}

/// The way to the writing thread.
#[derive(Debug)]
struct Writing {
    writes: RwLock<Option<mpsc::Sender<Box<dyn Write>>>>,
    /// Closed when the writing thread has ended.
    ended: watch::Receiver<()>,
}

#[derive(Debug)]
struct Shared {
    /// None when it is closed, and while it cannot be opened again after a failure.
    database: RwLock<Option<Database>>,
    /// The file behind it; a database in memory or on another backend has none, and cannot be opened again.
    file: Option<StoreFile>,
}

impl Engine {
    /// Starts on an open file.
    pub(super) fn on_file(file: StoreFile) -> Result<Self> {
        // Before the database can be in a format that older programs do not know.
        file.set_format().map_err(|error| Fault::Storage(redb::Error::Io(error)))?;
        let database = open(file.clone(), Purpose::Write)?;
        file.set_ready().map_err(|error| Fault::Storage(redb::Error::Io(error)))?;
        Self::start(database, Some(file))
    }

    /// Starts on a backend of the caller's.
    pub(super) fn on_backend(backend: impl StorageBackend) -> Result<Self> {
        Self::start(open(backend, Purpose::Write)?, None)
    }

    fn start(database: Database, file: Option<StoreFile>) -> Result<Self> {
        let shared = Arc::new(Shared { database: RwLock::new(Some(database)), file });
        let (writes, queue) = mpsc::channel(QUEUE);
        let (alive, ended) = watch::channel(());
        let thread_shared = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name(String::from("session-store")).spawn(move || {
            thread_shared.serve(queue);
            drop(alive);
        });
        thread.map_err(|error| Fault::Storage(redb::Error::Io(error)))?;
        Ok(Self { shared, writing: Some(Writing { writes: RwLock::new(Some(writes)), ended }) })
    }

    /// Starts on an open file for reading only.
    pub(super) fn reading_file((file, contents): (StoreFile, Contents)) -> Result<Self> {
        Self::reading_opened(file, contents, Purpose::Read)
    }

    /// Starts on an open file for reading only, if all of it is in order.
    pub(super) fn verified(file: StoreFile, contents: Contents) -> Result<Self> {
        Self::reading_opened(file, contents, Purpose::Verify)
    }

    fn reading_opened(file: StoreFile, contents: Contents, purpose: Purpose) -> Result<Self> {
        match contents {
            Contents::Database { .. } => Self::reading(file.clone(), purpose, Some(file)),
            Contents::Nothing => Self::reading(InMemoryBackend::new(), purpose, Some(file)),
        }
    }

    /// Starts on a backend of the caller's for reading only.
    pub(super) fn reading_backend(backend: impl StorageBackend) -> Result<Self> {
        Self::reading(backend, Purpose::Read, None)
    }

    fn reading(base: impl StorageBackend, purpose: Purpose, file: Option<StoreFile>) -> Result<Self> {
        let overlay = Overlay::above(base).map_err(|error| Fault::Storage(redb::Error::Io(error)))?;
        let database = RwLock::new(Some(open(overlay, purpose)?));
        Ok(Self { shared: Arc::new(Shared { database, file }), writing: None })
    }

    /// Has the writing thread do `work`, and returns when it is durable. Work that is refused changes nothing, whatever it did before.
    pub(super) async fn write<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut WriteTables<'_>) -> Result<R> + Send + 'static,
    ) -> Result<R, Error> {
        let Some(writing) = &self.writing else {
            return Err(if self.shared.is_closed() { not_open() } else { Error::read_only() });
        };
        let (answer, answered) = oneshot::channel();
        let write = Box::new(Work { work: Some(work), result: None, answer });
        let writes = writing.writes.read().unwrap_or_else(PoisonError::into_inner).clone();
        let sent = match writes {
            Some(writes) => writes.send(write).await.is_ok(),
            None => false,
        };
        if !sent {
            return Err(not_open());
        }
        answered.await.unwrap_or_else(|_| Err(failed()))
    }

    /// Has a thread that may block do `work` on the tables as they are now.
    pub(super) async fn read<R: Send + 'static>(&self, work: impl FnOnce(&ReadTables) -> Result<R> + Send + 'static) -> Result<R, Error> {
        let shared = Arc::clone(&self.shared);
        let reading = tokio::task::spawn_blocking(move || shared.read(work));
        reading.await.unwrap_or_else(|defect| {
            // The database does not expect a file that somebody else changed, and may panic on one.
            Err(Error::of_task("reading the store", &defect, Error::Corrupt(String::from("the store file is damaged"))))
        })
    }

    /// Does what was begun, then lets the file go.
    pub(super) async fn close(&self) {
        match &self.writing {
            Some(writing) => {
                drop(writing.writes.write().unwrap_or_else(PoisonError::into_inner).take());
                let mut ended = writing.ended.clone();
                while ended.changed().await.is_ok() {}
            }
            None => {
                let shared = Arc::clone(&self.shared);
                // Fails only where the database panics on a damaged file, which nobody uses any more.
                tokio::task::spawn_blocking(move || shared.close()).await.ok();
            }
        }
    }

    /// Whether it is open for reading only.
    pub(super) fn is_read_only(&self) -> bool {
        self.writing.is_none()
    }

    /// The size of the file in bytes, where there is one.
    pub(super) fn file_size(&self) -> Option<u64> {
        self.shared.file.as_ref().and_then(|file| file.size().ok())
    }
}

impl Shared {
    fn read<R>(&self, work: impl FnOnce(&ReadTables) -> Result<R>) -> Result<R, Error> {
        // Not held while reading, which may take long. Once the database is closed, what still reads from it gets an error.
        let begun = match &*self.database.read().unwrap_or_else(PoisonError::into_inner) {
            Some(database) => database.begin_read().map_err(Fault::from),
            None => Err(Fault::Refused(not_open())),
        };
        begun.and_then(|transaction| work(&ReadTables::new(transaction))).map_err(Fault::into_error)
    }

    /// Writes until nobody can ask for it any more, then closes the database.
    fn serve(&self, mut queue: mpsc::Receiver<Box<dyn Write>>) {
        while let Some(first) = queue.blocking_recv() {
            let mut batch = vec![first];
            // The database does not expect a file that somebody else changed, and may panic on one.
            let committed = catch_unwind(AssertUnwindSafe(|| self.commit(&mut batch, &mut queue)));
            let committed = committed.unwrap_or_else(|_| Err(redb::Error::Corrupted(String::from("the database panicked"))));
            let committed = committed.map_err(|cause| storage_error(&cause));
            if committed.is_err() {
                self.open_again();
            }
            for write in batch {
                write.answer(committed.clone());
            }
        }
        self.close();
    }

    fn close(&self) {
        drop(self.database.write().unwrap_or_else(PoisonError::into_inner).take());
        // Handles that are still there hold the file, but it is free.
        if let Some(file) = &self.file {
            file.release();
        }
    }

    fn is_closed(&self) -> bool {
        self.database.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Does a write, and all that come while it is being worked on, in one transaction, and makes it durable.
    fn commit(&self, batch: &mut Vec<Box<dyn Write>>, queue: &mut mpsc::Receiver<Box<dyn Write>>) -> Result<(), redb::Error> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let transaction = database.as_ref().ok_or(redb::Error::DatabaseClosed)?.begin_write()?;
        let mut tables = WriteTables::open(&transaction)?;
        while let Some(write) = batch.last_mut() {
            write.run(&mut tables)?;
            if batch.len() == BATCH {
                break;
            }
            let Ok(next) = queue.try_recv() else { break };
            batch.push(next);
        }
        let changed = tables.changed;
        drop(tables);
        if changed {
            transaction.commit()?
        } else {
            transaction.abort()?
        }
        Ok(())
    }

    /// After a failure the database takes nothing more until it is opened again, which also undoes what was not completed.
    fn open_again(&self) {
        let Some(file) = &self.file else { return };
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        *database = None;
        if file.is_doubtful() {
            tracing::error!("the store's disk failed to keep what was written; the store stays closed until it is opened anew");
            return;
        }
        match catch_unwind(AssertUnwindSafe(|| open(file.clone(), Purpose::Write))) {
            Ok(Ok(opened)) => *database = Some(opened),
            Ok(Err(fault)) => drop(fault.into_error()),
            Err(_) => tracing::error!("the store file cannot be opened again"),
        }
    }
}
