//! The storage's contract as a trait: the functions of `wit/storage.wit`, which has their promises.

use crate::error::Result;
use crate::object::Object;
use crate::types::{Agent, AppendKey, Appended, Feedback, Field, Message, Page, Replacement, Session, Write};

/// A storage.
#[allow(missing_docs, reason = "the functions are those of the WIT package, which has the docs")]
pub trait Storage {
    fn insert_session(&mut self, session: Session) -> Result<()>;
    fn find_session(&self, session_id: &str) -> Result<Option<Session>>;
    fn insert_agent(&mut self, session_id: &str, agent: Agent, expected: Option<u64>) -> Result<()>;
    fn find_agent(&self, session_id: &str, agent_id: &str) -> Result<Option<Agent>>;
    fn replace_agent(&mut self, session_id: &str, agent_id: &str, data: Replacement, write: Write) -> Result<()>;
    fn append_message(
        &mut self,
        session_id: &str,
        agent_id: &str,
        message: Message,
        omit: &[String],
        expected: Option<u64>,
    ) -> Result<Appended>;
    fn append_messages(
        &mut self,
        session_id: &str,
        agent_id: &str,
        bodies: Vec<Object>,
        key: Option<AppendKey>,
        write: Write,
    ) -> Result<i64>;
    fn find_message(&self, session_id: &str, agent_id: &str, message_id: i64, omit: &[String]) -> Result<Option<Message>>;
    fn replace_message(&mut self, session_id: &str, agent_id: &str, message_id: i64, body: Replacement, write: Write) -> Result<()>;
    fn list_messages(&self, session_id: &str, agent_id: &str, page: Page, omit: &[String]) -> Result<Vec<Message>>;
    fn set_metadata(&mut self, session_id: &str, fields: &[Field], write: Write) -> Result<()>;
    fn get_metadata(&self, session_id: &str) -> Result<Option<Object>>;
    fn unset_metadata(&mut self, session_id: &str, paths: &[String], write: Write) -> Result<()>;
    fn append_feedback(&mut self, session_id: &str, feedback: Feedback, expected: Option<u64>) -> Result<()>;
    fn list_feedback(&self, session_id: &str) -> Result<Vec<Feedback>>;
}
