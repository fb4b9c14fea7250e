//! Sessions in MongoDB, in the schema of the reference: one document for each session, written by one atomic command for each call.
//!
//! Every command addresses `_id` by equality, so the collection shards on it.

mod agents;
mod answer;
mod connect;
mod error;
mod index;
mod inspect;
mod pipeline;
mod transfer;

use crate::error::{Entity, Error, Result};
use crate::store::schema::build::{self, MAX_DOCUMENT};
use crate::store::schema::json::{date, integer, parse_object, parse_value};
use crate::store::schema::{path, read};
use crate::store::{Appended, Page, Replacement, Store};
use crate::types::{Agent, Feedback, Json, Message, Session, Timestamp};
use async_trait::async_trait;
use error::Failure;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::{ReadPreference, SelectionCriteria, UpdateModifications};
use mongodb::{Client, Collection};
use pipeline::AgentPath;
use std::fmt;
use std::time::Duration;

/// How often a write that found nothing to write to, for no reason that could be found afterwards, is tried again. Another writer has to
/// slip in between the write and the look each time for this to run out.
const ATTEMPTS: usize = 5;

/// How long an owned client may take to finish what it has under way before it is shut down at once.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

/// Sessions in a MongoDB collection.
///
/// Documents have the schema of the Python `MongoDBSessionRepository`, so both can work on one collection. Writes are acknowledged by a
/// majority unless the connection string says otherwise. Needs MongoDB 6.0 or newer.
///
/// One session is one document and cannot outgrow 16 MiB; a write that would make it larger is refused as `too-large`.
#[derive(Clone)]
pub struct MongoStore {
    collection: Collection<RawDocumentBuf>,
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

/// An update of an agent or its messages.
struct Write<'a> {
    /// The message that it is about, if it is about one.
    message_id: Option<i64>,
    /// Fields that stay away when a message in its way is read.
    omit: &'a [String],
    /// What must hold of the session beside its id.
    condition: Document,
    update: UpdateModifications,
    /// What it may add to the session, in bytes.
    adds: u64,
}

/// What a look at a session tells about a write that matched nothing.
struct Diagnosis {
    /// Whether the agent is there; a thing in its place that is no agent is `corrupt`.
    agent: bool,
    message: Option<Message>,
}

impl MongoStore {
    /// Applies an update to the session if `filter` matches it; tells whether it did.
    async fn update(&self, filter: Document, update: impl Into<UpdateModifications>) -> Result<bool, Failure> {
        let updated = self.collection.update_one(filter, update).await.map_err(Failure::of)?;
        Ok(updated.matched_count > 0)
    }

    /// Applies an update that needs no more than the session.
    async fn update_session(&self, session_id: &str, update: Document, adds: u64) -> Result<()> {
        match self.update(doc! { "_id": session_id }, update).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::NotFound(Entity::Session)),
            Err(failure) => Err(self.explain(failure, session_id, adds).await),
        }
    }

    /// Applies a write to an agent or its messages. Where it matches nothing, `settle` judges by a look at the session: an error, or the
    /// message that stands in the way, or nothing, when the write could go through now and is tried again.
    async fn write(
        &self,
        session_id: &str,
        path: &AgentPath,
        write: Write<'_>,
        settle: fn(Result<Diagnosis>) -> Result<Option<Message>>,
    ) -> Result<Option<Message>> {
        let Write { message_id, omit, condition, update, adds } = write;
        let mut filter = doc! { "_id": session_id };
        filter.extend(condition);
        for _ in 0..ATTEMPTS {
            match self.update(filter.clone(), update.clone()).await {
                Ok(true) => return Ok(None),
                Ok(false) => {
                    let found = self.diagnose(session_id, path, message_id, omit).await;
                    if let Some(message) = settle(found)? {
                        return Ok(Some(message));
                    }
                }
                Err(failure) => return Err(self.explain(failure, session_id, adds).await),
            }
        }
        Err(Error::Unavailable(String::from("the session changed at each attempt to write to it")))
    }

    /// Looks, on the primary, why a write matched nothing; a session or agent that is not there is the answer already.
    async fn diagnose(&self, session_id: &str, path: &AgentPath, message_id: Option<i64>, omit: &[String]) -> Result<Diagnosis> {
        let pipeline = pipeline::diagnose(session_id, path, message_id, omit);
        let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
        let found = self.aggregate(pipeline, Some(primary)).await?.ok_or(Error::NotFound(Entity::Session))?;
        let diagnosis = answer::diagnosis(&found)?;
        if diagnosis.agent { Ok(diagnosis) } else { Err(Error::NotFound(Entity::Agent)) }
    }

    /// The error for the caller; of a session that would outgrow the server's limit it says by how much.
    async fn explain(&self, failure: Failure, session_id: &str, adds: u64) -> Error {
        match failure {
            Failure::TooLarge => {
                let pipeline =
                    vec![doc! { "$match": { "_id": session_id } }, doc! { "$project": { "_id": 0, "size": { "$bsonSize": "$$ROOT" } } }];
                let stored = match self.aggregate(pipeline, None).await {
                    Ok(Some(found)) => answer::size(&found),
                    _ => 0,
                };
                Error::TooLarge { size: (stored + adds).max(MAX_DOCUMENT + 1), limit: MAX_DOCUMENT }
            }
            other => other.into_error(),
        }
    }

    /// The one document that an aggregation yields, if any.
    async fn aggregate(&self, pipeline: Vec<Document>, from: Option<SelectionCriteria>) -> Result<Option<RawDocumentBuf>> {
        let aggregate = self.collection.aggregate(pipeline).with_type::<RawDocumentBuf>();
        let aggregate = match from {
            Some(from) => aggregate.selection_criteria(from),
            None => aggregate,
        };
        let mut cursor = aggregate.await.map_err(|error| Failure::of(error).into_error())?;
        if cursor.advance().await.map_err(|error| Failure::of(error).into_error())? {
            return Ok(Some(cursor.current().to_owned()));
        }
        Ok(None)
    }

    /// Finds fields of a session.
    async fn find(&self, session_id: &str, projection: Document) -> Result<Option<RawDocumentBuf>> {
        let found = self.collection.find_one(doc! { "_id": session_id }).projection(projection).await;
        found.map_err(|error| Failure::of(error).into_error())
    }

    async fn require_session(&self, session_id: &str) -> Result<()> {
        match self.find(session_id, doc! { "_id": 1 }).await? {
            Some(_) => Ok(()),
            None => Err(Error::NotFound(Entity::Session)),
        }
    }
}

/// A condition on a field; the type alone would also match an array that holds an object.
fn is_object() -> Document {
    doc! { "$type": "object", "$not": { "$type": "array" } }
}

/// A condition on one field.
fn on(field: impl Into<String>, condition: Document) -> Document {
    Document::from_iter([(field.into(), Bson::from(condition))])
}

/// The size of a document as BSON, in bytes, if the server can take it at all.
fn checked_size(document: &Document) -> Result<u64> {
    Ok(build::bounded(document)?.as_bytes().len() as u64)
}

#[async_trait]
impl Store for MongoStore {
    async fn insert_session(&self, session: Session) -> Result<()> {
        match self.collection.insert_one(build::serialized(&build::session(session))?).await.map_err(Failure::of) {
            Ok(_) => Ok(()),
            Err(Failure::DuplicateKey) => Err(Error::AlreadyExists(Entity::Session)),
            Err(failure) => Err(failure.into_error()),
        }
    }

    async fn find_session(&self, session_id: &str) -> Result<Option<Session>> {
        let fields = doc! { "_id": 0, "session_type": 1, "created_at": 1, "updated_at": 1 };
        self.find(session_id, fields).await?.map(|found| read::session(session_id, &found)).transpose()
    }

    async fn insert_agent(&self, session_id: &str, agent: Agent) -> Result<()> {
        let path = AgentPath::new(&agent.agent_id);
        let stored = build::agent(&agent)?;
        let adds = checked_size(&stored)?;
        let mut set = Document::new();
        set.insert(path.agent(), stored);
        let update = doc! { "$set": set, "$max": { "updated_at": date(agent.updated_at) } };
        let condition = on(path.agent(), doc! { "$exists": false });
        let write = Write { message_id: None, omit: &[], condition, update: update.into(), adds };
        self.write(session_id, &path, write, |found| match found {
            Ok(_) => Err(Error::AlreadyExists(Entity::Agent)),
            Err(Error::NotFound(Entity::Agent)) => Ok(None),
            Err(error) => Err(error),
        })
        .await
        .map(drop)
    }

    async fn find_agent(&self, session_id: &str, agent_id: &str) -> Result<Option<Agent>> {
        let path = AgentPath::new(agent_id);
        let mut fields = doc! { "_id": 0 };
        for field in ["agent_data", "created_at", "updated_at"] {
            fields.insert(path.field(field), 1);
        }
        match self.find(session_id, fields).await? {
            Some(found) => answer::agent(agent_id, &found),
            None => Ok(None),
        }
    }

    async fn replace_agent(&self, session_id: &str, agent_id: &str, data: Replacement) -> Result<()> {
        let path = AgentPath::new(agent_id);
        let fields = build::agent_data(agent_id, parse_object(&data.fields)?);
        let adds = checked_size(&fields)?;
        let update = pipeline::replace_agent(&path, fields, build::text(data.updated_at)?, data.updated_at, &data.keep);
        let condition = on(path.agent(), is_object());
        let write = Write { message_id: None, omit: &[], condition, update: update.into(), adds };
        self.write(session_id, &path, write, |found| found.map(|_| None)).await.map(drop)
    }

    async fn append_message(&self, session_id: &str, agent_id: &str, message: Message, omit: &[String]) -> Result<Appended> {
        let path = AgentPath::new(agent_id);
        let stored = build::message(&message)?;
        let adds = checked_size(&stored)?;
        let mut push = Document::new();
        // `$each`, because `$push` takes the members of a bare document for modifiers of its own.
        push.insert(path.field("messages"), doc! { "$each": [stored] });
        let mut latest = doc! { "updated_at": date(message.updated_at) };
        latest.insert(path.field("updated_at"), date(message.updated_at));
        let update = doc! { "$push": push, "$max": latest };
        let mut condition = on(path.agent(), is_object());
        condition.insert(path.field("messages.message_id"), doc! { "$ne": integer(message.message_id) });
        let write = Write { message_id: Some(message.message_id), omit, condition, update: update.into(), adds };
        let taken = self.write(session_id, &path, write, |found| found.map(|found| found.message)).await?;
        Ok(taken.map_or(Appended::New, Appended::Taken))
    }

    async fn find_message(&self, session_id: &str, agent_id: &str, message_id: i64, omit: &[String]) -> Result<Option<Message>> {
        let pipeline = pipeline::find_message(session_id, &AgentPath::new(agent_id), message_id, omit);
        match self.aggregate(pipeline, None).await? {
            Some(found) => answer::message(&found),
            None => Ok(None),
        }
    }

    async fn replace_message(&self, session_id: &str, agent_id: &str, message_id: i64, body: Replacement) -> Result<()> {
        let path = AgentPath::new(agent_id);
        let fields = build::message_fields(message_id, parse_object(&body.fields)?);
        let adds = checked_size(&fields)?;
        let update = pipeline::replace_message(&path, message_id, fields, body.updated_at, &body.keep);
        let condition = on(path.field("messages.message_id"), doc! { "$eq": integer(message_id) });
        let write = Write { message_id: Some(message_id), omit: &[], condition, update: update.into(), adds };
        self.write(session_id, &path, write, |found| match found?.message {
            Some(_) => Ok(None),
            None => Err(Error::NotFound(Entity::Message)),
        })
        .await
        .map(drop)
    }

    async fn list_messages(&self, session_id: &str, agent_id: &str, page: Page, omit: &[String]) -> Result<Vec<Message>> {
        let Page { offset, limit, .. } = page;
        if limit == Some(0) {
            return Ok(Vec::new());
        }
        let pipeline = pipeline::list_messages(session_id, &AgentPath::new(agent_id), offset, limit, omit);
        match self.aggregate(pipeline, None).await? {
            Some(found) => answer::page(&found),
            None => Ok(Vec::new()),
        }
    }

    async fn set_metadata(&self, session_id: &str, fields: Vec<(String, Json)>, updated_at: Timestamp) -> Result<()> {
        if fields.is_empty() {
            return self.require_session(session_id).await;
        }
        let mut set = Document::new();
        for (path, value) in &fields {
            set.insert(format!("metadata.{path}"), parse_value(value)?);
        }
        let adds = checked_size(&set)?;
        let update = doc! { "$set": set, "$max": { "updated_at": date(updated_at) } };
        match self.update(doc! { "_id": session_id }, update).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::NotFound(Entity::Session)),
            Err(Failure::Refused) => {
                let metadata = self.find(session_id, doc! { "_id": 0, "metadata": 1 }).await?;
                // Metadata that is no object is not the path's fault.
                if let Some(found) = metadata {
                    answer::require_metadata_object(&found)?;
                }
                Err(path::unfit(&fields))
            }
            Err(failure) => Err(self.explain(failure, session_id, adds).await),
        }
    }

    async fn get_metadata(&self, session_id: &str) -> Result<Option<Json>> {
        self.find(session_id, doc! { "_id": 0, "metadata": 1 }).await?.map(|found| read::metadata(&found)).transpose()
    }

    async fn unset_metadata(&self, session_id: &str, paths: Vec<String>, updated_at: Timestamp) -> Result<()> {
        if paths.is_empty() {
            return self.require_session(session_id).await;
        }
        let unset: Document = paths.into_iter().map(|path| (format!("metadata.{path}"), Bson::from(""))).collect();
        self.update_session(session_id, doc! { "$unset": unset, "$max": { "updated_at": date(updated_at) } }, 0).await
    }

    async fn append_feedback(&self, session_id: &str, feedback: Feedback) -> Result<()> {
        let entry = build::feedback(&feedback)?;
        let adds = checked_size(&entry)?;
        let update = doc! { "$push": { "feedbacks": { "$each": [entry] } }, "$max": { "updated_at": date(feedback.created_at) } };
        self.update_session(session_id, update, adds).await
    }

    async fn list_feedback(&self, session_id: &str, _: usize) -> Result<Vec<Feedback>> {
        match self.find(session_id, doc! { "_id": 0, "feedbacks": 1 }).await? {
            Some(found) => answer::feedback(&found),
            None => Ok(Vec::new()),
        }
    }

    async fn close(&self) {
        if let Some(client) = &self.owned
            && tokio::time::timeout(SHUTDOWN_PATIENCE, client.clone().shutdown()).await.is_err()
        {
            tracing::warn!("MongoDB operations were still under way at shutdown");
            client.clone().shutdown().immediate(true).await;
        }
    }
}
