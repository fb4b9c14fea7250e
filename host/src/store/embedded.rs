//! Sessions in one durable file, or in memory, with no server.

mod append;
mod at;
pub(crate) mod compact;
mod compare;
mod dump;
mod engine;
mod fault;
mod file;
mod holder;
mod inspect;
mod load;
mod order;
mod overlay;
mod read;
mod repair;
mod replacement;
mod runs;
mod tables;
mod tracked;
mod write;

use crate::error::{Error, Result};
use crate::store::overdue::Overdue;
use crate::store::schema::build;
use crate::store::schema::json::{parse_object, parse_value};
use crate::store::{AgentRef, Appended, NewMessages, Page, Replacement, Store, StoreOptions, Write};
use crate::types::{Agent, Feedback, Json, Message, Session};
use async_trait::async_trait;
use engine::Engine;
use fault::Fault;
use file::StoreFile;
use redb::StorageBackend;
use redb::backends::InMemoryBackend;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tables::Number;
use write::Fields;

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
    engine: Arc<Engine>,
    collection: Number,
    overdue: Overdue,
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
        Self::start(options, move || Engine::on_file(StoreFile::open(&path)?)).await
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
        tracing::error!(%defect, "opening the store ended without an answer");
        Err(Error::Corrupt(String::from("the store file is damaged")))
    })
}

/// The name of a collection; that of the database before it has no dot.
fn collection_name(options: &StoreOptions) -> String {
    format!("{}.{}", options.database(), options.collection)
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn insert_session(&self, session: Session) -> Result<()> {
        let (collection, session_id) = (self.collection, session.session_id.clone());
        let document = build::session(session);
        self.engine.write(move |tables| tables.insert_session(collection, &session_id, document)).await
    }

    async fn find_session(&self, session_id: &str) -> Result<Option<Session>> {
        let (collection, session_id) = (self.collection, session_id.to_owned());
        self.engine.read(move |tables| tables.find_session(collection, &session_id)).await
    }

    async fn insert_agent(&self, session_id: &str, agent: Agent, write: Write) -> Result<()> {
        let document = build::agent(&agent)?;
        build::bounded(&document)?;
        let (collection, session_id) = (self.collection, session_id.to_owned());
        let work =
            move |tables: &mut tables::WriteTables<'_>| tables.insert_agent(collection, &session_id, &agent.agent_id, document, write);
        self.engine.write(work).await
    }

    async fn find_agent(&self, agent: &AgentRef) -> Result<Option<Agent>> {
        let (collection, agent) = (self.collection, agent.clone());
        self.engine.read(move |tables| tables.find_agent(collection, &agent)).await
    }

    async fn replace_agent(&self, agent: &AgentRef, data: Replacement, write: Write) -> Result<()> {
        let document = build::agent_data(&agent.agent, parse_object(&data.fields)?);
        let fields = Fields { document, keep: data.keep };
        let (collection, agent) = (self.collection, agent.clone());
        self.engine.write(move |tables| tables.replace_agent(collection, &agent, fields, write)).await
    }

    async fn append_message(&self, agent: &AgentRef, message: Message, omit: &[String], write: Write) -> Result<Appended> {
        let stored = build::bounded(&build::message(&message)?)?;
        let id = message.message_id;
        let (collection, agent, omit) = (self.collection, agent.clone(), omit.to_vec());
        self.engine.write(move |tables| tables.append_message(collection, &agent, (id, &stored), &omit, write)).await
    }

    async fn append_messages(&self, agent: &AgentRef, messages: NewMessages, write: Write) -> Result<i64> {
        if messages.bodies.is_empty() {
            return Err(Error::InvalidArgument(String::from("messages: must not be empty")));
        }
        let bodies = messages.bodies.iter().map(parse_object).collect::<Result<_>>()?;
        let key = messages.key;
        let (collection, agent) = (self.collection, agent.clone());
        self.engine.write(move |tables| tables.append_messages(collection, &agent, bodies, key, write)).await
    }

    async fn find_message(&self, agent: &AgentRef, message_id: i64, omit: &[String]) -> Result<Option<Message>> {
        let (collection, agent, omit) = (self.collection, agent.clone(), omit.to_vec());
        self.engine.read(move |tables| tables.find_message(collection, &agent, message_id, &omit)).await
    }

    async fn replace_message(&self, agent: &AgentRef, message_id: i64, body: Replacement, write: Write) -> Result<()> {
        let document = build::message_fields(message_id, parse_object(&body.fields)?);
        let fields = Fields { document, keep: body.keep };
        let (collection, agent) = (self.collection, agent.clone());
        self.engine.write(move |tables| tables.replace_message(collection, &agent, message_id, fields, write)).await
    }

    async fn list_messages(&self, agent: &AgentRef, page: Page, omit: &[String]) -> Result<Vec<Message>> {
        let (collection, agent, omit) = (self.collection, agent.clone(), omit.to_vec());
        self.engine.read(move |tables| tables.list_messages(collection, &agent, page, &omit)).await
    }

    async fn set_metadata(&self, session_id: &str, fields: Vec<(String, Json)>, write: Write) -> Result<()> {
        let values = fields.iter().map(|(path, value)| Ok((path.clone(), parse_value(value)?))).collect::<Result<_>>()?;
        let (collection, session_id) = (self.collection, session_id.to_owned());
        self.engine.write(move |tables| tables.set_metadata(collection, &session_id, fields, values, write)).await
    }

    async fn get_metadata(&self, session_id: &str) -> Result<Option<Json>> {
        let (collection, session_id) = (self.collection, session_id.to_owned());
        self.engine.read(move |tables| tables.get_metadata(collection, &session_id)).await
    }

    async fn unset_metadata(&self, session_id: &str, paths: Vec<String>, write: Write) -> Result<()> {
        let (collection, session_id) = (self.collection, session_id.to_owned());
        self.engine.write(move |tables| tables.unset_metadata(collection, &session_id, &paths, write)).await
    }

    async fn append_feedback(&self, session_id: &str, feedback: Feedback, write: Write) -> Result<()> {
        let entry = build::bounded(&build::feedback(&feedback)?)?;
        let (collection, session_id) = (self.collection, session_id.to_owned());
        let work = move |tables: &mut tables::WriteTables<'_>| tables.append_feedback(collection, &session_id, entry.as_bytes(), write);
        self.engine.write(work).await
    }

    async fn list_feedback(&self, session_id: &str, max_bytes: usize) -> Result<Vec<Feedback>> {
        let (collection, session_id) = (self.collection, session_id.to_owned());
        self.engine.read(move |tables| tables.list_feedback(collection, &session_id, max_bytes)).await
    }

    fn overdue(&self) -> Overdue {
        self.overdue.clone()
    }

    async fn close(&self) {
        self.engine.close().await;
    }
}
