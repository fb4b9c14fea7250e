//! Appends of messages that the storage gives ids, and the keyed appends that an agent remembers.

use crate::error::{Entity, Error, Result};
use crate::object::Object;
use crate::types::{AppendKey, Message};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Keyed appends that an agent remembers: its last ones.
const REMEMBERED_APPENDS: usize = 256;

/// The keyed appends of an agent, oldest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Appends(VecDeque<Remembered>);

/// A keyed append.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Remembered {
    #[serde(flatten)]
    key: AppendKey,
    /// The first id that the append gave.
    first: i64,
}

impl Appends {
    /// The first id that an append with this key gave; none without a key. Refuses a key that stands for other content.
    pub fn remembered(&self, key: Option<&AppendKey>) -> Result<Option<i64>> {
        let Some(AppendKey { key, digest }) = key else { return Ok(None) };
        match self.0.iter().find(|append| append.key.key == *key) {
            Some(append) if append.key.digest != *digest => Err(Error::AlreadyExists(Entity::Message)),
            append => Ok(append.map(|append| append.first)),
        }
    }

    /// Remembers a keyed append, and forgets the oldest beyond the limit.
    pub fn remember(&mut self, key: AppendKey, first: i64) {
        if self.0.len() == REMEMBERED_APPENDS {
            self.0.pop_front();
        }
        self.0.push_back(Remembered { key, first });
    }
}

/// The messages of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The id of the first one. The others follow.
    pub first: i64,
    /// The time of all of them.
    pub at: i64,
    /// The messages.
    pub messages: Vec<Message>,
}

impl Batch {
    /// The messages with these bodies, behind the highest id that there is. They are not older than the newest message.
    pub fn new(bodies: impl ExactSizeIterator<Item = Object>, highest: Option<i64>, newest: Option<i64>, at: i64) -> Result<Self> {
        let (first, last) = following(highest, bodies.len())?;
        let at = newest.map_or(at, |newest| newest.max(at));
        let ids = (first..=last).zip(bodies);
        let messages = ids.map(|(message_id, body)| Message { message_id, body, created_at: at, updated_at: at });
        Ok(Self { first, at, messages: messages.collect() })
    }
}

/// Refuses an append of nothing.
pub fn check(bodies: &[Object]) -> Result<()> {
    if bodies.is_empty() { Err(Error::InvalidArgument(String::from("messages: must not be empty"))) } else { Ok(()) }
}

/// The ids that so many messages get behind the highest id that there is, from the first to the last.
fn following(highest: Option<i64>, count: usize) -> Result<(i64, i64)> {
    let highest = highest.map_or(-1, |id| id.max(-1));
    let first = highest.checked_add(1);
    let last = i64::try_from(count).ok().and_then(|count| highest.checked_add(count));
    first.zip(last).ok_or_else(no_next_id)
}

/// Why an append gets no ids.
fn no_next_id() -> Error {
    Error::InvalidArgument(format!("message_id: there is no next id, the highest of the agent's messages is too near to {}", i64::MAX))
}
