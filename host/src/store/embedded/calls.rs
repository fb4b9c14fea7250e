//! The calls of a store: each hands its arguments to the thread that writes, or to one that reads.

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
        let work = move |tables: &mut WriteTables<'_>| tables.insert_agent(collection, &session_id, &agent.agent_id, document, write);
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
        let work = move |tables: &mut WriteTables<'_>| tables.append_feedback(collection, &session_id, entry.as_bytes(), write);
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
