//! The parts of the server's answers.

use super::archive::{Archive, count, number};
use super::write::Look;
use crate::error::Result;
use crate::store::schema::read::{self, corrupt, items, member, object};
use crate::types::{Agent, Feedback, Message};
use mongodb::bson::raw::{RawBsonRef, RawDocument};

pub(super) fn agent(agent_id: &str, found: &RawDocument) -> Result<Option<Agent>> {
    let Some(agents) = object(found, "agents")? else { return Ok(None) };
    let Some(agent) = object(agents, agent_id)? else { return Ok(None) };
    read::agent(agent_id, agent, object(agent, "agent_data")?).map(Some)
}

/// The field `message`, whose fields to omit the server has left out.
pub(super) fn message(found: &RawDocument) -> Result<Option<Message>> {
    object(found, "message")?.map(|message| read::message(message, &[])).transpose()
}

pub(super) fn page(found: &RawDocument) -> Result<Vec<Message>> {
    items(found, "page", "message", |message| read::message(message, &[]))
}

pub(super) fn feedback(found: &RawDocument) -> Result<Vec<Feedback>> {
    items(found, "feedbacks", "feedback", read::feedback).map(read::oldest_first)
}

/// Checks that fields can be set in the metadata: it is an object, or not there yet.
pub(super) fn require_metadata_object(found: &RawDocument) -> Result<()> {
    match found.get("metadata") {
        Ok(None | Some(RawBsonRef::Document(_))) => Ok(()),
        _ => Err(corrupt("metadata")),
    }
}

pub(super) fn look(found: &RawDocument) -> Result<Look> {
    let agent = match member(found, "agent")? {
        Some(RawBsonRef::String("object")) => true,
        Some(RawBsonRef::String("missing")) | None => false,
        _ => return Err(corrupt("agent")),
    };
    Ok(Look {
        revision: read::revision(member(found, "revision")?)?,
        size: count(found, "size")?,
        agent,
        message: message(found)?,
        repeat: match object(found, "repeat")? {
            Some(append) => Some(read::remembered(append)?.ok_or_else(|| corrupt("append"))?.1),
            None => None,
        },
        highest: number(found, "highest")?.unwrap_or(-1),
        archive: if agent { Archive::of(found)? } else { None },
    })
}
