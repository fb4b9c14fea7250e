//! From stored documents to records. Other programs and accidents leave documents that do not fit the schema; what can be read of them is
//! read, and each piece of damage costs itself only. Every store reads alike:
//!
//! | what is stored | how it reads |
//! |---|---|
//! | a time that is RFC 3339 text, with or without an offset | that time |
//! | a message without a time | with the time of its agent; in lists behind all messages that have one, in array order |
//! | a message without an `updated_at` | updated when it was created |
//! | a message without a valid id, or an item of the list that is no object | left out of lists |
//! | an agent without a time | with the time of its `agent_data`, or of its session |
//! | an agent without `agent_data` | with no fields of its own |
//! | a feedback entry without a time | with the time of the session, last in the list |
//! | an item of the feedback that is no object | left out |
//! | a session without a `created_at` | with its `updated_at`, or 1970-01-01T00:00:00.000Z |
//! | a session without a `session_type` | of type `default` |
//! | `revision` null or absent | 0 |
//! | a whole number stored as a double, as a revision or an id | that number |
//! | `agents`, `messages`, `feedbacks` or `metadata` null or absent | empty |
//! | messages in a block of the archive that is gone or cannot be read | left out of lists, and not found by their ids |
//! | anything else in the place of these | `corrupt`, which names the place |

use super::json::{time, write_members_of, write_object};
use crate::error::{Error, Result};
use crate::store::weigh::Weigh;
use crate::types::{Agent, Feedback, Json, Message, Session, Timestamp};
use bson::raw::{RawBsonRef, RawDocument};

pub(crate) fn corrupt(what: &str) -> Error {
    Error::Corrupt(format!("the stored {what} does not fit the schema"))
}

/// A member of a document; none if it is missing or null.
pub(crate) fn member<'a>(document: &'a RawDocument, name: &str) -> Result<Option<RawBsonRef<'a>>> {
    match document.get(name) {
        Ok(Some(RawBsonRef::Null)) | Ok(None) => Ok(None),
        Ok(value) => Ok(value),
        Err(error) => {
            tracing::warn!(%error, "a stored document cannot be read");
            Err(corrupt("document"))
        }
    }
}

pub(crate) fn object<'a>(document: &'a RawDocument, name: &str) -> Result<Option<&'a RawDocument>> {
    match member(document, name)? {
        Some(RawBsonRef::Document(object)) => Ok(Some(object)),
        Some(_) => Err(corrupt(name)),
        None => Ok(None),
    }
}

pub(crate) fn stamp(document: &RawDocument, name: &str) -> Result<Option<Timestamp>> {
    Ok(member(document, name)?.and_then(time))
}

/// The time of a session: of its creation, or of its last write where that is not known.
fn time_of_session(session: &RawDocument) -> Result<Timestamp> {
    let created_at = stamp(session, "created_at")?;
    Ok(created_at.or(stamp(session, "updated_at")?).unwrap_or(Timestamp(0)))
}

pub(crate) fn session(session_id: &str, found: &RawDocument) -> Result<Session> {
    let session_type = match member(found, "session_type")? {
        Some(RawBsonRef::String(session_type)) => session_type.to_owned(),
        // Older programs wrote none.
        None => String::from("default"),
        Some(_) => return Err(corrupt("session_type")),
    };
    let created_at = time_of_session(found)?;
    let updated_at = stamp(found, "updated_at")?.unwrap_or(created_at);
    let revision = revision(member(found, "revision")?)?;
    Ok(Session { session_id: session_id.to_owned(), session_type, created_at, updated_at, revision })
}

/// How often a session has been written to, from its field; other programs and new sessions have none.
pub(crate) fn revision(stored: Option<RawBsonRef<'_>>) -> Result<u64> {
    match stored {
        Some(stored) => whole(stored).and_then(|revision| u64::try_from(revision).ok()).ok_or_else(|| corrupt("revision")),
        None => Ok(0),
    }
}

/// A whole number, of whatever type.
pub(crate) fn whole(stored: RawBsonRef<'_>) -> Option<i64> {
    match stored {
        RawBsonRef::Int32(number) => Some(i64::from(number)),
        RawBsonRef::Int64(number) => Some(number),
        // As the shell writes numbers; below 2^53 a double stands for one whole number only.
        #[allow(clippy::cast_possible_truncation, reason = "a whole number of at most 53 bits")]
        RawBsonRef::Double(number) if number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number) => Some(number as i64),
        _ => None,
    }
}

/// The time of an agent: of its creation, in its data or beside it, or that of its session where it is not known.
pub(crate) fn time_of_agent(session: &RawDocument, agent: Option<&RawDocument>) -> Result<Option<Timestamp>> {
    if let Some(agent) = agent {
        let in_data = object(agent, "agent_data").ok().flatten().map(|data| stamp(data, "created_at")).transpose()?.flatten();
        if let Some(time) = in_data.or(stamp(agent, "created_at")?) {
            return Ok(Some(time));
        }
    }
    time_of_session(session).map(Some)
}

/// An agent, from its place in the session and its `agent_data`, which may be stored apart. `session` has the session's times.
///
/// The times inside `agent_data` may be dates or text. The agent's own `updated_at` also advances with its messages, so the later counts.
pub(crate) fn agent(agent_id: &str, session: &RawDocument, agent: &RawDocument, data: Option<&RawDocument>) -> Result<Agent> {
    let in_data = |name| data.map(|data| stamp(data, name)).transpose().map(Option::flatten);
    let created_at = match in_data("created_at")?.or(stamp(agent, "created_at")?) {
        Some(created_at) => created_at,
        None => time_of_session(session)?,
    };
    let updated_at = in_data("updated_at")?.max(stamp(agent, "updated_at")?).unwrap_or(created_at);
    let data = match data {
        Some(data) => write_object(data, &["agent_id", "created_at", "updated_at"])?,
        None => Json::from("{}"),
    };
    Ok(Agent { agent_id: agent_id.to_owned(), data, created_at, updated_at })
}

/// The id of a stored message, if it has a valid one.
pub(crate) fn message_id(stored: &RawDocument) -> Result<Option<i64>> {
    Ok(member(stored, "message_id")?.and_then(whole))
}

/// What an agent remembers of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remembered<'a> {
    pub(crate) key: &'a str,
    /// The first id that the append gave.
    pub(crate) first: i64,
    /// The digest of what was appended; none if an older version stored it.
    pub(crate) digest: Option<&'a str>,
}

/// Reads what an agent remembers of an append; none if this is no such thing.
pub(crate) fn remembered(stored: &RawDocument) -> Result<Option<Remembered<'_>>> {
    let digest = match member(stored, "digest")? {
        Some(RawBsonRef::String(digest)) => Some(digest),
        _ => None,
    };
    Ok(match (member(stored, "key")?, member(stored, "first")?.and_then(whole)) {
        (Some(RawBsonRef::String(key)), Some(first)) if first >= 0 => Some(Remembered { key, first, digest }),
        _ => None,
    })
}

/// A stored message, whose time may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Undated {
    message_id: i64,
    body: Json,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    has_omitted: bool,
}

impl Undated {
    /// Whether it came with fields that are to stay away.
    pub(crate) fn has_omitted(&self) -> bool {
        self.has_omitted
    }

    pub(crate) fn has_time(&self) -> bool {
        self.created_at.is_some()
    }

    /// The message, with another time if it has none.
    pub(crate) fn dated(self, otherwise: Option<Timestamp>) -> Message {
        let created_at = self.created_at.or(otherwise).unwrap_or(Timestamp(0));
        let updated_at = self.updated_at.unwrap_or(created_at);
        Message { message_id: self.message_id, body: self.body, created_at, updated_at }
    }
}

impl Weigh for Undated {
    const PLACE: usize = Message::PLACE;

    fn weigh(&self) -> usize {
        self.body.weigh()
    }
}

/// A message without the fields in `omit`.
pub(crate) fn message(stored: &RawDocument, omit: &[String]) -> Result<Undated> {
    let (mut message_id, mut created_at, mut updated_at, mut has_omitted) = (None, None, None, false);
    // The first one, where a field occurs twice.
    let body = write_members_of(stored, |name, value| {
        match name {
            "message_id" => message_id = message_id.or_else(|| whole(value)),
            "created_at" => created_at = created_at.or_else(|| time(value)),
            "updated_at" => updated_at = updated_at.or_else(|| time(value)),
            name if omit.iter().any(|omitted| omitted == name) => has_omitted = true,
            _ => return true,
        }
        false
    })?;
    let message_id = message_id.ok_or_else(|| corrupt("message_id"))?;
    Ok(Undated { message_id, body, created_at, updated_at, has_omitted })
}

/// The messages of a list that can be read.
pub(crate) fn messages<'a>(list: impl Iterator<Item = RawBsonRef<'a>>, omit: &[String]) -> Vec<Undated> {
    list.filter_map(|item| match item {
        RawBsonRef::Document(stored) => message(stored, omit).ok(),
        _ => None,
    })
    .collect()
}

/// The items of a list, all of which must be documents.
pub(crate) fn documents<R>(found: &RawDocument, name: &str, what: &str, read: impl Fn(&RawDocument) -> Result<R>) -> Result<Vec<R>> {
    let Some(list) = member(found, name)? else { return Ok(Vec::new()) };
    let RawBsonRef::Array(list) = list else { return Err(corrupt(what)) };
    list.into_iter()
        .map(|item| match item {
            Ok(RawBsonRef::Document(item)) => read(item),
            _ => Err(corrupt(what)),
        })
        .collect()
}

pub(crate) fn metadata(found: &RawDocument) -> Result<Json> {
    match object(found, "metadata")? {
        Some(metadata) => write_object(metadata, &[]),
        None => Ok(Json::from("{}")),
    }
}

/// A feedback entry and the time that is stored with it; without one it has that of the session.
pub(crate) fn feedback(session: &RawDocument, entry: &RawDocument) -> Result<(Option<Timestamp>, Feedback)> {
    let stored = stamp(entry, "created_at")?;
    let created_at = match stored {
        Some(time) => time,
        None => time_of_session(session)?,
    };
    Ok((stored, Feedback { body: write_object(entry, &["created_at"])?, created_at }))
}

/// Feedback oldest first, entries without a time last. The stored order is the order of the appends, which differs where hosts' clocks do.
pub(crate) fn oldest_first(mut entries: Vec<(Option<Timestamp>, Feedback)>) -> Vec<Feedback> {
    entries.sort_by_key(|(stored, _)| (stored.is_none(), *stored));
    entries.into_iter().map(|(_, entry)| entry).collect()
}
