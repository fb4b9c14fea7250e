//! The calls of a store, each put together from the parts of this module.

use super::answer::{self, Look};
use super::conditions::checked_size;
use super::error::Failure;
use super::expressions::{AgentPath, is_object, on};
use super::store::MongoStore;
use super::updates;
use super::write::SessionUpdate;
use crate::error::{Entity, Error, Result};
use crate::store::schema::json::{date, parse_object, parse_value};
use crate::store::schema::{build, path, read};
use crate::store::{AgentRef, Appended, NewMessages, Overdue, Page, Replacement, Store, Write};
use crate::types::{Agent, Feedback, Json, Message, Session};
use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};
use std::time::Duration;

/// How long an owned client may take to finish what it has under way before it is shut down at once.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

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
        let path = AgentPath::new(session_id, &agent.agent_id);
        let stored = build::agent(&Agent { created_at: write.at, updated_at: write.at, ..agent })?;
        let adds = checked_size(&stored)?;
        let mut set = Document::new();
        set.insert(path.agent(), stored);
        let update = doc! { "$set": set, "$max": { "updated_at": date(write.at) }, "$inc": { "revision": 1_i64 } };
        let update = SessionUpdate {
            path: Some(&path),
            condition: on(path.agent(), doc! { "$exists": false }),
            adds,
            is_append: true,
            judge: Look::require_no_agent,
            ..SessionUpdate::of(session_id, update, write.expected)
        };
        let mut state = self.sessions.turn(session_id).await;
        self.update_session(&mut state, update).await.map_err(Failure::into_error)
    }

    async fn find_agent(&self, agent: &AgentRef) -> Result<Option<Agent>> {
        let path = AgentPath::of(agent);
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
        let path = AgentPath::of(agent);
        let fields = build::agent_data(agent_id, parse_object(&data.fields)?);
        let adds = checked_size(&fields)?;
        let update = updates::replace_agent(&path, fields, build::text(write.at)?, write.at, &data.keep);
        let update = SessionUpdate {
            path: Some(&path),
            condition: on(path.agent(), is_object()),
            adds,
            judge: Look::require_agent,
            ..SessionUpdate::of(session_id, update, write.expected)
        };
        let mut state = self.sessions.turn(session_id).await;
        self.update_session(&mut state, update).await.map_err(Failure::into_error)
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
        let update = SessionUpdate { adds, ..SessionUpdate::of(session_id, update, write.expected) };
        let mut state = self.sessions.turn(session_id).await;
        match self.update_session(&mut state, update).await {
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
        self.update_session(&mut state, SessionUpdate::of(session_id, update, write.expected)).await.map_err(Failure::into_error)
    }

    async fn append_feedback(&self, session_id: &str, feedback: Feedback, write: Write) -> Result<()> {
        let entry = build::feedback(&Feedback { created_at: write.at, ..feedback })?;
        let adds = checked_size(&entry)?;
        let update = doc! {
            "$push": { "feedbacks": { "$each": [entry] } },
            "$max": { "updated_at": date(write.at) },
            "$inc": { "revision": 1_i64 },
        };
        let update = SessionUpdate { adds, is_append: true, ..SessionUpdate::of(session_id, update, write.expected) };
        let mut state = self.sessions.turn(session_id).await;
        self.update_session(&mut state, update).await.map_err(Failure::into_error)
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
