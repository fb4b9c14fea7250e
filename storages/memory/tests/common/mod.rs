//! A storage with a session `s` and an agent `a`, and short forms of what calls bring.

#![allow(dead_code, reason = "each test program uses its part")]

use session_repository_storage::error::Result;
use session_repository_storage::object::Object;
pub(crate) use session_repository_storage::storage::Storage;
use session_repository_storage::types::{Agent, AppendKey, Feedback, Field, Message, Page, Replacement, Session, Write};
use session_repository_storage_memory::sessions::Sessions;

/// All of a list.
pub(crate) const ALL: Page = Page { offset: 0, limit: None };

pub(crate) fn object(text: &str) -> Result<Object> {
    Object::parse(text.to_owned())
}

pub(crate) fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

pub(crate) fn session(session_id: &str, at: i64) -> Session {
    Session { session_id: session_id.to_owned(), session_type: String::from("default"), created_at: at, updated_at: at, revision: 0 }
}

pub(crate) fn agent(agent_id: &str, data: &str, at: i64) -> Result<Agent> {
    Ok(Agent { agent_id: agent_id.to_owned(), data: object(data)?, created_at: at, updated_at: at })
}

pub(crate) fn message(message_id: i64, body: &str, at: i64) -> Result<Message> {
    Ok(Message { message_id, body: object(body)?, created_at: at, updated_at: at })
}

pub(crate) fn feedback(body: &str, at: i64) -> Result<Feedback> {
    Ok(Feedback { body: object(body)?, created_at: at })
}

pub(crate) fn replacement(fields: &str, keep: &[&str]) -> Result<Replacement> {
    Ok(Replacement { fields: object(fields)?, keep: texts(keep) })
}

pub(crate) fn key(key: &str, digest: &str) -> Option<AppendKey> {
    Some(AppendKey { key: key.to_owned(), digest: digest.to_owned() })
}

pub(crate) fn fields(fields: &[(&str, &str)]) -> Vec<Field> {
    fields.iter().map(|(path, value)| Field { path: (*path).to_owned(), value: (*value).to_owned() }).collect()
}

/// A write on any revision.
pub(crate) fn at(at: i64) -> Write {
    Write { at, expected: None }
}

/// A write on one revision.
pub(crate) fn expecting(at: i64, revision: u64) -> Write {
    Write { at, expected: Some(revision) }
}

/// A session `s` with an agent `a`, both of time 10, at revision 1.
pub(crate) fn with_agent() -> Result<Sessions> {
    let mut sessions = Sessions::default();
    sessions.insert_session(session("s", 10))?;
    sessions.insert_agent("s", agent("a", "{}", 10)?, None)?;
    Ok(sessions)
}

/// The revision of `s` and the times of its last write and of that of `a`.
pub(crate) fn state(sessions: &Sessions) -> Option<(u64, i64, i64)> {
    let session = sessions.find_session("s").ok()??;
    Some((session.revision, session.updated_at, sessions.find_agent("s", "a").ok()??.updated_at))
}

/// The ids and times of all messages of `a`, in their order.
pub(crate) fn listed(sessions: &Sessions) -> Result<Vec<(i64, i64)>> {
    Ok(sessions.list_messages("s", "a", ALL, &[])?.iter().map(|message| (message.message_id, message.created_at)).collect())
}
