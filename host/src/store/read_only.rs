//! A store that refuses writes.

use crate::error::{Error, Result};
use crate::store::overdue::Overdue;
use crate::store::{AgentRef, Appended, NewMessages, Page, Replacement, Store, Write};
use crate::types::{Agent, Feedback, Json, Message, Session};
use async_trait::async_trait;

/// A store for reading only: every write is refused as `access-denied`, before it reaches the store behind.
#[derive(Debug, Clone)]
pub struct ReadOnly<S>(S);

impl<S> ReadOnly<S> {
    /// A store for reading only from one that can do more.
    pub fn new(store: S) -> Self {
        Self(store)
    }

    /// The store behind, for what else it can be asked.
    #[cfg(feature = "mongodb")]
    pub(crate) fn inner(&self) -> &S {
        &self.0
    }
}

#[async_trait]
impl<S: Store> Store for ReadOnly<S> {
    async fn insert_session(&self, _: Session) -> Result<()> {
        Err(Error::read_only())
    }

    async fn find_session(&self, session_id: &str) -> Result<Option<Session>> {
        self.0.find_session(session_id).await
    }

    async fn insert_agent(&self, _: &str, _: Agent, _: Write) -> Result<()> {
        Err(Error::read_only())
    }

    async fn find_agent(&self, agent: &AgentRef) -> Result<Option<Agent>> {
        self.0.find_agent(agent).await
    }

    async fn replace_agent(&self, _: &AgentRef, _: Replacement, _: Write) -> Result<()> {
        Err(Error::read_only())
    }

    async fn append_message(&self, _: &AgentRef, _: Message, _: &[String], _: Write) -> Result<Appended> {
        Err(Error::read_only())
    }

    async fn append_messages(&self, _: &AgentRef, _: NewMessages, _: Write) -> Result<i64> {
        Err(Error::read_only())
    }

    async fn find_message(&self, agent: &AgentRef, message_id: i64, omit: &[String]) -> Result<Option<Message>> {
        self.0.find_message(agent, message_id, omit).await
    }

    async fn replace_message(&self, _: &AgentRef, _: i64, _: Replacement, _: Write) -> Result<()> {
        Err(Error::read_only())
    }

    async fn list_messages(&self, agent: &AgentRef, page: Page, omit: &[String]) -> Result<Vec<Message>> {
        self.0.list_messages(agent, page, omit).await
    }

    async fn set_metadata(&self, _: &str, _: Vec<(String, Json)>, _: Write) -> Result<()> {
        Err(Error::read_only())
    }

    async fn get_metadata(&self, session_id: &str) -> Result<Option<Json>> {
        self.0.get_metadata(session_id).await
    }

    async fn unset_metadata(&self, _: &str, _: Vec<String>, _: Write) -> Result<()> {
        Err(Error::read_only())
    }

    async fn append_feedback(&self, _: &str, _: Feedback, _: Write) -> Result<()> {
        Err(Error::read_only())
    }

    async fn list_feedback(&self, session_id: &str, max_bytes: usize) -> Result<Vec<Feedback>> {
        self.0.list_feedback(session_id, max_bytes).await
    }

    fn overdue(&self) -> Overdue {
        self.0.overdue()
    }

    async fn close(&self) {
        self.0.close().await;
    }
}
