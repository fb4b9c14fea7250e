//! From stored documents to records. What does not fit the schema is `corrupt`.

use super::json::{time, write_object};
use crate::error::{Error, Result};
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

/// `created_at` and `updated_at`; who never wrote the second has not updated since the first.
fn stamps(document: &RawDocument, what: &str) -> Result<(Timestamp, Timestamp)> {
    let created_at = stamp(document, "created_at")?.ok_or_else(|| corrupt(what))?;
    Ok((created_at, stamp(document, "updated_at")?.unwrap_or(created_at)))
}

pub(crate) fn session(session_id: &str, found: &RawDocument) -> Result<Session> {
    let session_type = match member(found, "session_type")? {
        Some(RawBsonRef::String(session_type)) => session_type.to_owned(),
        // Older programs wrote none.
        None => String::from("default"),
        Some(_) => return Err(corrupt("session")),
    };
    let (created_at, updated_at) = stamps(found, "session")?;
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
fn whole(stored: RawBsonRef<'_>) -> Option<i64> {
    match stored {
        RawBsonRef::Int32(number) => Some(i64::from(number)),
        RawBsonRef::Int64(number) => Some(number),
        // As the shell writes numbers; up to 2^53 a double is exact.
        #[allow(clippy::cast_possible_truncation, reason = "a whole number of at most 53 bits")]
        RawBsonRef::Double(number) if number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&number) => Some(number as i64),
        _ => None,
    }
}

/// An agent, from its place in the session and its `agent_data`, which may be stored apart.
///
/// The times inside `agent_data` may be dates or text. The agent's own `updated_at` also advances with its messages, so the later counts.
pub(crate) fn agent(agent_id: &str, agent: &RawDocument, data: Option<&RawDocument>) -> Result<Agent> {
    let data = data.ok_or_else(|| corrupt("agent"))?;
    let created_at = stamp(data, "created_at")?.or(stamp(agent, "created_at")?).ok_or_else(|| corrupt("agent"))?;
    let updated_at = stamp(data, "updated_at")?.max(stamp(agent, "updated_at")?).unwrap_or(created_at);
    let data = write_object(data, &["agent_id", "created_at", "updated_at"], &[])?;
    Ok(Agent { agent_id: agent_id.to_owned(), data, created_at, updated_at })
}

/// The id of a stored message, if it has a valid one.
pub(crate) fn message_id(stored: &RawDocument) -> Result<Option<i64>> {
    Ok(member(stored, "message_id")?.and_then(whole))
}

/// What an agent remembers of an append: its key, and the first id that it gave; none if this is no such thing.
pub(crate) fn remembered(stored: &RawDocument) -> Result<Option<(&str, i64)>> {
    Ok(match (member(stored, "key")?, member(stored, "first")?.and_then(whole)) {
        (Some(RawBsonRef::String(key)), Some(first)) if first >= 0 => Some((key, first)),
        _ => None,
    })
}

/// A message without the fields in `omit`.
pub(crate) fn message(stored: &RawDocument, omit: &[String]) -> Result<Message> {
    let message_id = message_id(stored)?.ok_or_else(|| corrupt("message"))?;
    let (created_at, updated_at) = stamps(stored, "message")?;
    let body = write_object(stored, &["message_id", "created_at", "updated_at"], omit)?;
    Ok(Message { message_id, body, created_at, updated_at })
}

pub(crate) fn items<R>(found: &RawDocument, name: &str, what: &str, read: impl Fn(&RawDocument) -> Result<R>) -> Result<Vec<R>> {
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
        Some(metadata) => write_object(metadata, &[], &[]),
        None => Ok(Json::from("{}")),
    }
}

pub(crate) fn feedback(entry: &RawDocument) -> Result<Feedback> {
    let created_at = stamp(entry, "created_at")?.ok_or_else(|| corrupt("feedback"))?;
    Ok(Feedback { body: write_object(entry, &["created_at"], &[])?, created_at })
}

/// Oldest first; the stored order is the order of the appends, which differs where hosts' clocks do.
pub(crate) fn oldest_first(mut entries: Vec<Feedback>) -> Vec<Feedback> {
    entries.sort_by_key(|entry| entry.created_at);
    entries
}
