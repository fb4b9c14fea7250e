//! The seam between the host and whatever keeps the data.

#[cfg(any(feature = "embedded", feature = "mongodb"))]
pub(crate) mod any;
#[cfg(feature = "embedded")]
pub(crate) mod embedded;
#[cfg(feature = "mongodb")]
pub(crate) mod mongo;
mod options;
pub(crate) mod overdue;
pub(crate) mod read_only;
#[cfg(any(feature = "embedded", feature = "mongodb"))]
pub(crate) mod report;
#[cfg(any(feature = "embedded", feature = "mongodb"))]
#[cfg_attr(not(all(feature = "embedded", feature = "mongodb")), allow(dead_code, reason = "each store uses its part"))]
pub(crate) mod schema;
#[cfg(any(feature = "embedded", feature = "mongodb"))]
pub(crate) mod transfer;
pub(crate) mod weigh;

pub use options::{MongoOptions, StoreOptions};
pub use overdue::Overdue;

#[cfg(any(feature = "embedded", feature = "mongodb"))]
use crate::error::Error;
use crate::error::Result;
use crate::types::{Agent, Feedback, Json, Message, Session, Timestamp};
use async_trait::async_trait;

/// The agent that a call is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct AgentRef {
    /// The id of its session.
    pub session: String,
    /// Its id.
    pub agent: String,
}

impl AgentRef {
    /// The agent of a session, by their ids.
    pub fn new(session: impl Into<String>, agent: impl Into<String>) -> Self {
        Self { session: session.into(), agent: agent.into() }
    }
}

/// What a write is, apart from what it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Write {
    /// When it happens. A record that the write brings gets this time, whatever times it has.
    pub at: Timestamp,
    /// The revision that the session must be at; any, if none.
    pub expected: Option<u64>,
}

impl Write {
    /// A write at a time, whatever the session's revision is.
    pub fn at(at: Timestamp) -> Self {
        Self { at, expected: None }
    }

    /// The same for a session at a revision; at any, if none.
    #[must_use]
    pub fn expecting(self, expected: Option<u64>) -> Self {
        Self { expected, ..self }
    }
}

/// What became of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// The message was stored.
    New,
    /// The id is taken, by this message; nothing was changed.
    Taken(Message),
}

/// Messages that get their ids from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewMessages {
    /// The own fields of each, a JSON object; at least one.
    pub bodies: Vec<Json>,
    /// What the append is known by, if a retry is to append nothing.
    pub key: Option<AppendKey>,
}

impl NewMessages {
    /// Messages by their own fields, without a key.
    pub fn new(bodies: Vec<Json>) -> Self {
        Self { bodies, key: None }
    }

    /// The same messages with another [`key`](field@Self::key).
    #[must_use]
    pub fn key(self, key: impl Into<Option<AppendKey>>) -> Self {
        Self { key: key.into(), ..self }
    }
}

/// What an append is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppendKey {
    /// The caller's name for the append.
    pub key: String,
    /// A digest of the messages that it brings, at most 64 bytes. Equal contents have equal digests.
    pub digest: String,
}

impl AppendKey {
    /// A key, by the caller's name for the append and the digest of its messages.
    pub fn new(key: impl Into<String>, digest: impl Into<String>) -> Self {
        Self { key: key.into(), digest: digest.into() }
    }
}

/// Keyed appends that an agent remembers, at least: its last ones.
#[cfg(any(feature = "embedded", feature = "mongodb"))]
pub(crate) const REMEMBERED_APPENDS: usize = 256;

/// Why an append gets no ids.
#[cfg(any(feature = "embedded", feature = "mongodb"))]
pub(crate) fn no_next_id() -> Error {
    Error::InvalidArgument(format!("message_id: there is no next id, the highest of the agent's messages is too near to {}", i64::MAX))
}

/// New own fields for an agent or a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replacement {
    /// The own fields, a JSON object.
    pub fields: Json,
    /// Names of stored fields that stay; none of them is in `fields`.
    pub keep: Vec<String>,
}

impl Replacement {
    /// New own fields that replace all stored ones.
    pub fn new(fields: impl Into<Json>) -> Self {
        Self { fields: fields.into(), keep: Vec::new() }
    }

    /// The same fields with other names to [`keep`](field@Self::keep).
    #[must_use]
    pub fn keep(self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { keep: names.into_iter().map(Into::into).collect(), ..self }
    }
}

/// Which part of a list to read. The default is all of it:
///
/// ```
/// # use session_repository::Page;
/// let page = Page::default().offset(20).limit(10);
/// assert_eq!((page.offset, page.limit, page.max_bytes), (20, Some(10), usize::MAX));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// How many items to skip.
    pub offset: u64,
    /// How many to read at most; all, if none.
    pub limit: Option<u64>,
    /// How much the answer may have, in bytes of JSON and 64 for each item. A store need not read more than that to answer `too-large`.
    pub max_bytes: usize,
}

/// All of a list, however much it is.
impl Default for Page {
    fn default() -> Self {
        Self { offset: 0, limit: None, max_bytes: usize::MAX }
    }
}

impl Page {
    /// The same page from another [`offset`](field@Self::offset).
    #[must_use]
    pub fn offset(self, offset: u64) -> Self {
        Self { offset, ..self }
    }

    /// The same page with a [`limit`](field@Self::limit).
    #[must_use]
    pub fn limit(self, limit: u64) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// The same page with another [`max_bytes`](field@Self::max_bytes).
    #[must_use]
    pub fn max_bytes(self, max_bytes: usize) -> Self {
        Self { max_bytes, ..self }
    }
}

/// A store of sessions: the `storage` interface of the WIT package in Rust, where the promises of each function stand.
///
/// Callers pass checked values. Every write happens as a whole or not at all, advances `updated_at` of the session (and of the agent,
/// where one is named) unless it is later already, advances the session's revision by one, and is durable when it returns. A write that
/// expects another revision is refused as [`Stale`](Error::Stale), after `not-found` and `already-exists` and after what makes it a
/// repeat. The host runs each call to its end even when nobody waits for it any more.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Stores a session without agents, metadata and feedback.
    async fn insert_session(&self, session: Session) -> Result<()>;

    /// Finds a session.
    async fn find_session(&self, session_id: &str) -> Result<Option<Session>>;

    /// Stores an agent without messages.
    async fn insert_agent(&self, session_id: &str, agent: Agent, write: Write) -> Result<()>;

    /// Finds an agent.
    async fn find_agent(&self, agent: &AgentRef) -> Result<Option<Agent>>;

    /// Replaces the own fields of an agent.
    async fn replace_agent(&self, agent: &AgentRef, data: Replacement, write: Write) -> Result<()>;

    /// Appends a message unless its id is taken; the one that took it comes back without the fields in `omit`.
    async fn append_message(&self, agent: &AgentRef, message: Message, omit: &[String], write: Write) -> Result<Appended>;

    /// Appends messages under the next ids and returns the first. A key that is known returns what it returned before if the digest is the
    /// same, and is `already-exists` otherwise.
    async fn append_messages(&self, agent: &AgentRef, messages: NewMessages, write: Write) -> Result<i64>;

    /// Finds a message, without the fields in `omit`.
    async fn find_message(&self, agent: &AgentRef, message_id: i64, omit: &[String]) -> Result<Option<Message>>;

    /// Replaces the own fields of a message.
    async fn replace_message(&self, agent: &AgentRef, message_id: i64, body: Replacement, write: Write) -> Result<()>;

    /// Lists a page of messages, oldest first, equal times in append order, without the fields in `omit`.
    async fn list_messages(&self, agent: &AgentRef, page: Page, omit: &[String]) -> Result<Vec<Message>>;

    /// Sets metadata fields, each a path and a value.
    async fn set_metadata(&self, session_id: &str, fields: Vec<(String, Json)>, write: Write) -> Result<()>;

    /// Finds all metadata of a session.
    async fn get_metadata(&self, session_id: &str) -> Result<Option<Json>>;

    /// Removes metadata fields.
    async fn unset_metadata(&self, session_id: &str, paths: Vec<String>, write: Write) -> Result<()>;

    /// Appends a feedback entry.
    async fn append_feedback(&self, session_id: &str, feedback: Feedback, write: Write) -> Result<()>;

    /// Lists all feedback, oldest first, of at most `max_bytes` of JSON.
    async fn list_feedback(&self, session_id: &str, max_bytes: usize) -> Result<Vec<Feedback>>;

    /// The store's overdue calls: always a clone of the same [`Overdue`], also from clones of the store. A store that wraps another one hands
    /// out that one's.
    fn overdue(&self) -> Overdue;

    /// Releases what the store owns. Calls after it return `unavailable`.
    async fn close(&self);
}
