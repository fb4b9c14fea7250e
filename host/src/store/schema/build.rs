//! From records to the documents that are stored.

use super::json::{date, parse_object};
use super::tree::integer;
use crate::error::{Error, Result};
use crate::types::{Agent, Feedback, Message, Session, Timestamp};
use bson::{Document, RawDocumentBuf, doc};

/// The largest document, in bytes: MongoDB's limit, which every store keeps, so that what is in one can move to another.
pub(crate) const MAX_DOCUMENT: u64 = 16 * 1024 * 1024;

/// What the fields around a message in its document may take of the limit, in bytes.
const DOCUMENT_FRAME: u64 = 1024;

pub(crate) fn session(session: Session) -> Document {
    doc! {
        "_id": &session.session_id,
        "session_id": session.session_id,
        "session_type": session.session_type,
        "created_at": date(session.created_at),
        "updated_at": date(session.updated_at),
        "metadata": {},
        "feedbacks": [],
        "agents": {},
    }
}

pub(crate) fn agent(agent: &Agent) -> Result<Document> {
    let mut data = agent_data(&agent.agent_id, parse_object(&agent.data)?);
    data.insert("created_at", text(agent.created_at)?);
    data.insert("updated_at", text(agent.updated_at)?);
    Ok(doc! {
        "agent_data": data,
        "created_at": date(agent.created_at),
        "updated_at": date(agent.updated_at),
        "messages": [],
    })
}

/// An agent's own fields, after its id.
pub(crate) fn agent_data(agent_id: &str, fields: Document) -> Document {
    let mut data = doc! { "agent_id": agent_id };
    data.extend(fields);
    data
}

pub(crate) fn message(message: &Message) -> Result<Document> {
    let mut stored = message_fields(message.message_id, parse_object(&message.body)?);
    stored.insert("created_at", date(message.created_at));
    stored.insert("updated_at", date(message.updated_at));
    Ok(stored)
}

/// A message's own fields, after its id.
pub(crate) fn message_fields(message_id: i64, fields: Document) -> Document {
    let mut stored = doc! { "message_id": integer(message_id) };
    stored.extend(fields);
    stored
}

pub(crate) fn feedback(feedback: &Feedback) -> Result<Document> {
    let mut entry = parse_object(&feedback.body)?;
    entry.insert("created_at", date(feedback.created_at));
    Ok(entry)
}

/// RFC 3339 text, as dates inside `agent_data` are written.
pub(crate) fn text(time: Timestamp) -> Result<String> {
    time.to_rfc3339().ok_or_else(|| Error::InvalidArgument(String::from("the time is outside the years 0 to 9999")))
}

pub(crate) fn serialized(document: &Document) -> Result<RawDocumentBuf> {
    RawDocumentBuf::try_from(document).map_err(|error| {
        tracing::error!(%error, "a document cannot be serialized");
        Error::Internal(String::from("the document cannot be serialized"))
    })
}

/// A document as BSON, if it is not too large to be stored.
pub(crate) fn bounded(document: &Document) -> Result<RawDocumentBuf> {
    limited(document, DOCUMENT_FRAME)
}

/// A part of a stored session as BSON, if a document of MongoDB can hold it, however little is around it there.
pub(crate) fn moved(document: &Document) -> Result<RawDocumentBuf> {
    limited(document, 0)
}

fn limited(document: &Document, frame: u64) -> Result<RawDocumentBuf> {
    let raw = serialized(document)?;
    let size = raw.as_bytes().len() as u64 + frame;
    if size > MAX_DOCUMENT { Err(Error::TooLarge { size, limit: MAX_DOCUMENT }) } else { Ok(raw) }
}
