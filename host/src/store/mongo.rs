//! Sessions in MongoDB, in the schema of the reference: one document for each session, written by one atomic command for each call.
//!
//! Every command on it addresses `_id` by equality, so the collection shards on it. What is too much for one document lies in the
//! collection of the [`archive`]; every command on that one addresses `session_id` by equality.

mod agents;
mod answer;
mod append;
mod archive;
mod connect;
mod damage;
mod error;
mod expressions;
mod history;
mod index;
mod inspect;
mod known;
mod lookup;
mod questions;
mod replace;
mod transfer;
mod updates;
mod upkeep;
mod write;

pub use archive::manage::{ArchivedAgent, Undone};

use crate::error::{Entity, Error, Result};
use crate::store::overdue::Overdue;
use crate::store::schema::build;
use crate::store::schema::json::{date, parse_object, parse_value};
use crate::store::schema::{path, read};
use crate::store::{AgentRef, Appended, NewMessages, Page, Replacement, Store, StoreOptions, Write};
use crate::types::{Agent, Feedback, Json, Message, Session};
use archive::memory::Memory;
use async_trait::async_trait;
use error::Failure;
use expressions::{AgentPath, is_object, on};
use known::Sessions;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::{Acknowledgment, CollectionOptions, ReadPreference, SelectionCriteria, WriteConcern};
use mongodb::{Client, Collection, Database};
use questions::Question;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;
use upkeep::Upkeep;
use write::{ATTEMPTS, checked_size, contended, make_way};

/// How long an owned client may take to finish what it has under way before it is shut down at once.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

/// Sessions in a MongoDB collection.
///
/// Documents have the schema of the Python `MongoDBSessionRepository`, so both can work on one collection. Writes are acknowledged by a
/// majority unless the connection string says otherwise. Needs MongoDB 6.0 or newer.
///
/// One session is one document, exactly as the reference has it, until the messages of an agent outgrow
/// [`StoreOptions::archive_after`]. Then the oldest ones move, in blocks, to documents of a second collection, `<collection>.archive`, and
/// no call tells the difference; programs that read the documents themselves see the recent messages. Without an archive, and for what else
/// is in a session, the document's limit of 16 MiB holds: a write that would exceed it is refused as `too-large`, and all else goes on.
#[derive(Clone)]
pub struct MongoStore {
    collection: Collection<RawDocumentBuf>,
    /// Where the oldest messages of long histories are.
    archive: Collection<RawDocumentBuf>,
    /// How much of an agent's messages stays in the session's document, in bytes.
    archive_after: Option<u64>,
    /// Whether the archive's index is there.
    archive_index: Arc<OnceCell<()>>,
    /// What updates ask for on which two documents depend: the collection's write concern, by a majority.
    majority: WriteConcern,
    memory: Arc<Memory>,
    sessions: Arc<Sessions>,
    upkeep: Arc<Upkeep>,
    overdue: Overdue,
    /// The client, if it was made here and is to be shut down here.
    owned: Option<Client>,
}

impl fmt::Debug for MongoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No client in it: its options hold credentials.
        f.debug_struct("MongoStore")
            .field("collection", &self.collection.namespace().to_string())
            .field("owns_client", &self.owned.is_some())
            .finish_non_exhaustive()
    }
}

/// Reads that a write or an archive stands on are of the primary's state.
fn primary() -> SelectionCriteria {
    SelectionCriteria::ReadPreference(ReadPreference::Primary)
}

impl MongoStore {
    /// A store on a session collection; its archive is beside it.
    fn new(database: &Database, collection: Collection<RawDocumentBuf>, options: &StoreOptions, owned: Option<Client>) -> Self {
        let mut majority = collection.write_concern().cloned().unwrap_or_default();
        majority.w = Some(Acknowledgment::Majority);
        let beside = CollectionOptions::builder().write_concern(majority.clone()).selection_criteria(primary()).build();
        let archive = database.collection_with_options(&format!("{}.archive", collection.name()), beside);
        Self {
            collection,
            archive,
            archive_after: options.archive_after,
            archive_index: Arc::default(),
            majority,
            memory: Arc::default(),
            sessions: Arc::default(),
            upkeep: Arc::default(),
            overdue: Overdue::default(),
            owned,
        }
    }

    /// The one document that an aggregation yields, if any.
    async fn aggregate(&self, pipeline: Vec<Document>) -> Result<Option<RawDocumentBuf>> {
        let failed = |error| Failure::of(error).into_error();
        let mut cursor = self.collection.aggregate(pipeline).with_type::<RawDocumentBuf>().await.map_err(failed)?;
        if cursor.advance().await.map_err(failed)? { Ok(Some(cursor.current().to_owned())) } else { Ok(None) }
    }

    /// Finds fields of a session.
    async fn find(&self, session_id: &str, projection: Document, from: Option<SelectionCriteria>) -> Result<Option<RawDocumentBuf>> {
        let find = self.collection.find_one(doc! { "_id": session_id }).projection(projection);
        let find = match from {
            Some(from) => find.selection_criteria(from),
            None => find,
        };
        find.await.map_err(|error| Failure::of(error).into_error())
    }

    /// Checks that the session is there, at the revision that a write which changes nothing expects.
    async fn require_session(&self, session_id: &str, expected: Option<u64>) -> Result<()> {
        let look = self.look(session_id, None, &Question::default()).await?;
        self.settle(session_id, &look, expected, 0).await
    }
}

#[async_trait]
impl Store for MongoStore {
    async fn insert_session(&self, session: Session) -> Result<()> {
        let id = session.session_id.clone();
        match self.collection.insert_one(build::serialized(&build::session(session))?).await.map_err(Failure::of) {
            Ok(_) => {
                // Another program may have removed one.
                self.sessions.forget(&id).await;
                Ok(())
            }
            Err(Failure::DuplicateKey) => Err(Error::AlreadyExists(Entity::Session)),
            Err(failure) => Err(failure.into_error()),
        }
    }

    async fn find_session(&self, session_id: &str) -> Result<Option<Session>> {
        let fields = doc! { "_id": 0, "session_type": 1, "created_at": 1, "updated_at": 1, "revision": 1 };
        self.find(session_id, fields, None).await?.map(|found| read::session(session_id, &found)).transpose()
    }

    async fn insert_agent(&self, session_id: &str, agent: Agent, write: Write) -> Result<()> {
        let path = AgentPath::new(&agent.agent_id);
        let stored = build::agent(&agent)?;
        let adds = checked_size(&stored)?;
        let mut set = Document::new();
        set.insert(path.agent(), stored);
        let update = doc! { "$set": set, "$max": { "updated_at": date(write.at) }, "$inc": { "revision": 1_i64 } };
        let mut state = self.sessions.turn(session_id).await;
        for attempt in 0..ATTEMPTS {
            make_way(attempt).await;
            let mut filter = write::session(session_id, write.expected);
            filter.extend(on(path.agent(), doc! { "$exists": false }));
            filter.insert("$expr", write::has_room(adds));
            match self.update(filter, update.clone()).await {
                Ok(true) => {
                    state.wrote(adds);
                    return Ok(());
                }
                Ok(false) => {
                    let look = self.look(session_id, Some(&path), &Question { grows: true, ..Question::default() }).await?;
                    if look.agent {
                        return Err(Error::AlreadyExists(Entity::Agent));
                    }
                    self.settle(session_id, &look, write.expected, adds).await?;
                }
                Err(failure) => self.relieve(failure, session_id, adds).await.map_err(Failure::into_error)?,
            }
        }
        Err(contended())
    }

    async fn find_agent(&self, agent: &AgentRef) -> Result<Option<Agent>> {
        let path = AgentPath::new(&agent.agent);
        let mut fields = doc! { "_id": 0, "created_at": 1, "updated_at": 1, "kind": { "$type": format!("${}", path.agent()) } };
        for field in ["agent_data", "created_at", "updated_at"] {
            fields.insert(path.field(field), 1);
        }
        match self.find(&agent.session, fields, None).await? {
            Some(found) => answer::agent(&agent.agent, &found),
            None => Ok(None),
        }
    }

    async fn replace_agent(&self, agent: &AgentRef, data: Replacement, write: Write) -> Result<()> {
        let AgentRef { session: session_id, agent: agent_id } = agent;
        let path = AgentPath::new(agent_id);
        let fields = build::agent_data(agent_id, parse_object(&data.fields)?);
        let adds = checked_size(&fields)?;
        let update = updates::replace_agent(&path, fields, build::text(write.at)?, write.at, &data.keep);
        let mut state = self.sessions.turn(session_id).await;
        for attempt in 0..ATTEMPTS {
            make_way(attempt).await;
            let mut filter = write::session(session_id, write.expected);
            filter.extend(on(path.agent(), is_object()));
            match self.update(filter, update.clone()).await {
                Ok(true) => {
                    state.wrote(adds);
                    return Ok(());
                }
                Ok(false) => {
                    let look = self.look(session_id, Some(&path), &Question::default()).await?;
                    look.require_agent()?;
                    self.settle(session_id, &look, write.expected, 0).await?;
                }
                Err(failure) => self.relieve(failure, session_id, adds).await.map_err(Failure::into_error)?,
            }
        }
        Err(contended())
    }

    async fn append_message(&self, agent: &AgentRef, message: Message, omit: &[String], write: Write) -> Result<Appended> {
        self.append_one(agent, message, omit, write).await
    }

    async fn append_messages(&self, agent: &AgentRef, messages: NewMessages, write: Write) -> Result<i64> {
        self.append_next(agent, messages, write).await
    }

    async fn find_message(&self, agent: &AgentRef, message_id: i64, omit: &[String]) -> Result<Option<Message>> {
        self.find_one(agent, message_id, omit).await
    }

    async fn replace_message(&self, agent: &AgentRef, message_id: i64, body: Replacement, write: Write) -> Result<()> {
        self.replace(agent, message_id, body, write).await
    }

    async fn list_messages(&self, agent: &AgentRef, page: Page, omit: &[String]) -> Result<Vec<Message>> {
        if page.limit == Some(0) {
            return Ok(Vec::new());
        }
        self.list_page(agent, page, omit).await
    }

    async fn set_metadata(&self, session_id: &str, fields: Vec<(String, Json)>, write: Write) -> Result<()> {
        if fields.is_empty() {
            return self.require_session(session_id, write.expected).await;
        }
        let mut set = Document::new();
        for (path, value) in &fields {
            set.insert(format!("metadata.{path}"), parse_value(value)?);
        }
        let adds = checked_size(&set)?;
        let update = doc! { "$set": set, "$max": { "updated_at": date(write.at) }, "$inc": { "revision": 1_i64 } };
        let mut state = self.sessions.turn(session_id).await;
        match self.update_session(&mut state, session_id, update, write.expected, adds, false).await {
            Err(Failure::Refused) => {
                let metadata = self.find(session_id, doc! { "_id": 0, "metadata": 1, "revision": 1 }, None).await?;
                // Metadata that is no object, or a revision that is none, is not the path's fault.
                if let Some(found) = metadata {
                    read::revision(read::member(&found, "revision")?)?;
                    answer::require_metadata_object(&found)?;
                }
                Err(path::unfit(&fields))
            }
            done => done.map_err(Failure::into_error),
        }
    }

    async fn get_metadata(&self, session_id: &str) -> Result<Option<Json>> {
        self.find(session_id, doc! { "_id": 0, "metadata": 1 }, None).await?.map(|found| read::metadata(&found)).transpose()
    }

    async fn unset_metadata(&self, session_id: &str, paths: Vec<String>, write: Write) -> Result<()> {
        if paths.is_empty() {
            return self.require_session(session_id, write.expected).await;
        }
        let unset: Document = paths.into_iter().map(|path| (format!("metadata.{path}"), Bson::from(""))).collect();
        let update = doc! { "$unset": unset, "$max": { "updated_at": date(write.at) }, "$inc": { "revision": 1_i64 } };
        let mut state = self.sessions.turn(session_id).await;
        self.update_session(&mut state, session_id, update, write.expected, 0, false).await.map_err(Failure::into_error)
    }

    async fn append_feedback(&self, session_id: &str, feedback: Feedback, write: Write) -> Result<()> {
        let entry = build::feedback(&feedback)?;
        let adds = checked_size(&entry)?;
        let update = doc! {
            "$push": { "feedbacks": { "$each": [entry] } },
            "$max": { "updated_at": date(write.at) },
            "$inc": { "revision": 1_i64 },
        };
        let mut state = self.sessions.turn(session_id).await;
        self.update_session(&mut state, session_id, update, write.expected, adds, true).await.map_err(Failure::into_error)
    }

    async fn list_feedback(&self, session_id: &str, _: usize) -> Result<Vec<Feedback>> {
        match self.find(session_id, doc! { "_id": 0, "feedbacks": 1, "created_at": 1, "updated_at": 1 }, None).await? {
            Some(found) => answer::feedback(&found),
            None => Ok(Vec::new()),
        }
    }

    fn overdue(&self) -> Overdue {
        self.overdue.clone()
    }

    async fn close(&self) {
        self.upkeep.end().await;
        if let Some(client) = &self.owned
            && tokio::time::timeout(SHUTDOWN_PATIENCE, client.clone().shutdown()).await.is_err()
        {
            tracing::warn!("MongoDB operations were still under way at shutdown");
            // A connection in use of which nothing comes any more would hold this up, too.
            tokio::time::timeout(SHUTDOWN_PATIENCE, client.clone().shutdown().immediate(true)).await.ok();
        }
    }
}
