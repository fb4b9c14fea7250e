//! The parts of the server's answers.

use super::Diagnosis;
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

pub(super) fn diagnosis(found: &RawDocument) -> Result<Diagnosis> {
    let agent = match member(found, "agent")? {
        Some(RawBsonRef::String("object")) => true,
        Some(RawBsonRef::String("missing")) => false,
        _ => return Err(corrupt("agent")),
    };
    Ok(Diagnosis { agent, message: message(found)? })
}

pub(super) fn size(found: &RawDocument) -> u64 {
    match found.get("size") {
        Ok(Some(RawBsonRef::Int32(size))) => u64::try_from(size).unwrap_or_default(),
        _ => 0,
    }
}
