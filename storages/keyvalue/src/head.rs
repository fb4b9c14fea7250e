//! The head of a session: the value that each write replaces.

use crate::blob::BlobRef;
use crate::runs::Runs;
use serde::{Deserialize, Serialize};
use session_repository_storage::appends::Appends;
use session_repository_storage::error::{Error, Result};
use session_repository_storage::object::Object;
use session_repository_storage::types::{Feedback, Message, Session};
use std::collections::BTreeMap;

/// The format that this program writes.
const FORMAT: u32 = 1;

/// A session: what is small of it, and where the rest is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Head {
    format: u32,
    pub(crate) session: Session,
    pub(crate) metadata: Part<Object>,
    /// Oldest first.
    pub(crate) feedback: Part<Vec<Feedback>>,
    pub(crate) agents: BTreeMap<String, Part<Agent>>,
    /// Blobs that the last write replaced. The next one removes what is left of them.
    pub(crate) replaced: Vec<BlobRef>,
}

/// A part of a session.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part<T> {
    /// It is in the head.
    Here(T),
    /// It is in a blob.
    Blob(BlobRef),
}

/// An agent and its messages.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Agent {
    pub(crate) data: Object,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) history: History,
    pub(crate) appends: Appends,
}

/// Messages, oldest first, equal times in the order of their appends.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct History {
    pub(crate) blocks: Vec<Block>,
    /// What is not in blocks; nothing in it is older than a message of a block.
    pub(crate) tail: Vec<Message>,
    /// The highest id.
    pub(crate) highest: Option<i64>,
}

/// Where a block of messages is, and what is in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Block {
    pub(crate) blob: BlobRef,
    pub(crate) count: u64,
    /// The time of its first message.
    pub(crate) first: i64,
    /// The time of its last message.
    pub(crate) last: i64,
    pub(crate) ids: Runs,
}

impl<T: Default> Default for Part<T> {
    fn default() -> Self {
        Self::Here(T::default())
    }
}

impl Head {
    /// The head of a session without anything in it.
    pub(crate) fn new(session: Session) -> Self {
        let (metadata, feedback, agents, replaced) = Default::default();
        Self { format: FORMAT, session, metadata, feedback, agents, replaced }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        encode(self)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let head: Self = decode(bytes)?;
        if head.format == FORMAT { Ok(head) } else { Err(unreadable()) }
    }
}

/// A value of the key-value store.
pub(crate) fn encode(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|_| unreadable())
}

/// What a value of the key-value store means.
pub(crate) fn decode<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|_| unreadable())
}

/// The error for a value that this program has not written.
pub(crate) fn unreadable() -> Error {
    Error::Corrupt(String::from("a value in the key-value store is none of this storage"))
}
