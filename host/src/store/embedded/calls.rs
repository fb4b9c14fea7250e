//! The calls of a store: each hands its arguments to the thread that writes, or to one that reads.

use super::change::Change;
use super::fault;
use super::store::EmbeddedStore;
use super::tables::WriteTables;
use super::write::Fields;
use crate::error::{Error, Result};
use crate::store::overdue::Overdue;
use crate::store::schema::build;
use crate::store::schema::json::{parse_object, parse_value};
use crate::store::{AgentRef, Appended, NewMessages, Page, Replacement, Store, Write};
use crate::types::{Agent, Feedback, Json, Message, Session};
use async_trait::async_trait;

impl EmbeddedStore {
    /// Decides a write and stores its change.
    async fn change(&self, decide: impl FnOnce(&WriteTables<'_>) -> fault::Result<Change> + Send + 'static) -> Result<()> {
        self.change_telling(move |tables| Ok(((), decide(tables)?))).await
    }

    /// Decides a write that has an answer of its own, and stores its change.
    async fn change_telling<R: Send + 'static>(
        &self,
        decide: impl FnOnce(&WriteTables<'_>) -> fault::Result<(R, Change)> + Send + 'static,
    ) -> Result<R> {
        let work = move |tables: &mut WriteTables<'_>| {
            let (answer, change) = decide(tables)?;
            tables.apply(change)?;
            Ok(answer)
        };
        self.engine.write(work).await
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn insert_session(&self, session: Session) -> Result<()> {
        let (collection, session_id) = (self.collection, session.session_id.clone());
        let document = build::session(session);
        self.change(move |tables| tables.insert_session(collection, &session_id, document)).await
    }

    async fn find_session(&self, session_id: &str) -> Result<Option<Session>> {
        let (collection, session_id) = (self.collection, session_id.to_owned());
        self.engine.read(move |tables| tables.find_session(collection, &session_id)).await
    }

    async fn insert_agent(&self, session_id: &str, agent: Agent, write: Write) -> Result<()> {
        let agent = Agent { created_at: write.at, updated_at: write.at, ..agent };
        let document = build::agent(&agent)?;
        build::bounded(&document)?;
        let (collection, agent) = (self.collection, AgentRef { session: session_id.to_owned(), agent: agent.agent_id });
        self.change(move |tables| tables.insert_agent(collection, &agent, document, write)).await
    }

    async fn find_agent(&self, agent: &AgentRef) -> Result<Option<Agent>> {
        let (collection, agent) = (self.collection, agent.clone());
        self.engine.read(move |tables| tables.find_agent(collection, &agent)).await
    }

    async fn replace_agent(&self, agent: &AgentRef, data: Replacement, write: Write) -> Result<()> {
        let document = build::agent_data(&agent.agent, parse_object(&data.fields)?);
        let fields = Fields { document, keep: data.keep };
        let (collection, agent) = (self.collection, agent.clone());
        self.change(move |tables| tables.replace_agent(collection, &agent, fields, write)).await
    }

    async fn append_message(&self, agent: &AgentRef, message: Message, omit: &[String], write: Write) -> Result<Appended> {
        let message = Message { created_at: write.at, updated_at: write.at, ..message };
        let stored = build::bounded(&build::message(&message)?)?;
        let id = message.message_id;
        let (collection, agent, omit) = (self.collection, agent.clone(), omit.to_vec());
        self.change_telling(move |tables| tables.append_message(collection, &agent, (id, stored), &omit, write)).await
    }

    async fn append_messages(&self, agent: &AgentRef, messages: NewMessages, write: Write) -> Result<i64> {
        if messages.bodies.is_empty() {
            return Err(Error::InvalidArgument(String::from("messages: must not be empty")));
        }
        let bodies = messages.bodies.iter().map(parse_object).collect::<Result<_>>()?;
        let key = messages.key;
        let (collection, agent) = (self.collection, agent.clone());
        self.change_telling(move |tables| tables.append_messages(collection, &agent, bodies, key, write)).await
    }

    async fn find_message(&self, agent: &AgentRef, message_id: i64, omit: &[String]) -> Result<Option<Message>> {
        let (collection, agent, omit) = (self.collection, agent.clone(), omit.to_vec());
        self.engine.read(move |tables| tables.find_message(collection, &agent, message_id, &omit)).await
    }

    async fn replace_message(&self, agent: &AgentRef, message_id: i64, body: Replacement, write: Write) -> Result<()> {
        let document = build::message_fields(message_id, parse_object(&body.fields)?);
        let fields = Fields { document, keep: body.keep };
        let (collection, agent) = (self.collection, agent.clone());
        self.change(move |tables| tables.replace_message(collection, &agent, message_id, fields, write)).await
    }

    async fn list_messages(&self, agent: &AgentRef, page: Page, omit: &[String]) -> Result<Vec<Message>> {
        let (collection, agent, omit) = (self.collection, agent.clone(), omit.to_vec());
        self.engine.read(move |tables| tables.list_messages(collection, &agent, page, &omit)).await
    }

    async fn set_metadata(&self, session_id: &str, fields: Vec<(String, Json)>, write: Write) -> Result<()> {
        let values = fields.iter().map(|(path, value)| Ok((path.clone(), parse_value(value)?))).collect::<Result<_>>()?;
        let (collection, session_id) = (self.collection, session_id.to_owned());
        self.change(move |tables| tables.set_metadata(collection, &session_id, fields, values, write)).await
    }

    async fn get_metadata(&self, session_id: &str) -> Result<Option<Json>> {
        let (collection, session_id) = (self.collection, session_id.to_owned());
        self.engine.read(move |tables| tables.get_metadata(collection, &session_id)).await
    }

    async fn unset_metadata(&self, session_id: &str, paths: Vec<String>, write: Write) -> Result<()> {
        let (collection, session_id) = (self.collection, session_id.to_owned());
        self.change(move |tables| tables.unset_metadata(collection, &session_id, &paths, write)).await
    }

    async fn append_feedback(&self, session_id: &str, feedback: Feedback, write: Write) -> Result<()> {
        let entry = build::bounded(&build::feedback(&Feedback { created_at: write.at, ..feedback })?)?;
        let (collection, session_id) = (self.collection, session_id.to_owned());
        self.change(move |tables| tables.append_feedback(collection, &session_id, entry, write)).await
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
