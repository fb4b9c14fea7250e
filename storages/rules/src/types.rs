//! The values of the storage's contract in `wit/`, without the bindings, so that the rules build natively.

use crate::error::{Error, Result};
use crate::object::Object;
use serde::{Deserialize, Serialize};

/// A session without its agents, metadata and feedback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub session_id: String,
    /// Its type.
    pub session_type: String,
    /// When it was created, in milliseconds since 1970.
    pub created_at: i64,
    /// When anything in it was last written.
    pub updated_at: i64,
    /// How often it has been written to.
    pub revision: u64,
}

impl Session {
    /// Refuses a write that expects another revision.
    pub fn check(&self, write: Write) -> Result<()> {
        let current = self.revision;
        if write.expected.is_some_and(|expected| expected != current) { Err(Error::Stale(current)) } else { Ok(()) }
    }

    /// Advances the session by a write.
    pub fn advance(&mut self, at: i64) {
        self.revision += 1;
        self.updated_at = self.updated_at.max(at);
    }
}

/// An agent without its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its id.
    pub agent_id: String,
    /// Its own fields.
    pub data: Object,
    /// When it was created.
    pub created_at: i64,
    /// When it or one of its messages was last written.
    pub updated_at: i64,
}

/// A message of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub message_id: i64,
    /// Its own fields.
    pub body: Object,
    /// When it was created.
    pub created_at: i64,
    /// When it was last written.
    pub updated_at: i64,
}

impl Message {
    /// The message without some of its fields.
    pub fn without(&self, omit: &[String]) -> Result<Self> {
        Ok(Self { body: self.body.without(omit)?, ..*self })
    }

    /// Replaces the own fields, once it is known what they become.
    pub fn replace(&mut self, body: Object, at: i64) {
        self.body = body;
        self.updated_at = self.updated_at.max(at);
    }
}

/// One entry of a session's feedback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// Its own fields.
    pub body: Object,
    /// When it was added.
    pub created_at: i64,
}

/// One metadata field to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The segments of the path, joined by dots.
    pub path: String,
    /// The value to put there, JSON text.
    pub value: String,
}

/// What an append is known by, so that a retry appends nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppendKey {
    /// The caller's name for the append.
    pub key: String,
    /// A digest of the appended messages.
    pub digest: String,
}

/// What became of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// The message was stored.
    New,
    /// The id is taken, by this message; nothing was changed.
    Taken(Message),
}

/// New own fields that replace the stored ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The own fields.
    pub fields: Object,
    /// Names of stored fields that stay.
    pub keep: Vec<String>,
}

/// What a write is, apart from what it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write {
    /// When it happens.
    pub at: i64,
    /// The revision that the session must be at; any, if none.
    pub expected: Option<u64>,
}

/// Which part of a list to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Page {
    /// How many messages to skip.
    pub offset: u64,
    /// How many to read at most; all, if none.
    pub limit: Option<u64>,
}
