//! The parts of the server's answers.

use super::archive::{count, number};
use super::write::{Look, Repeat};
use crate::error::Result;
use crate::store::schema::read::{self, corrupt, member, object};
use crate::types::{Agent, Feedback};
use mongodb::bson::raw::{RawBsonRef, RawDocument};

pub(super) fn agent(agent_id: &str, found: &RawDocument) -> Result<Option<Agent>> {
    match member(found, "kind")? {
        Some(RawBsonRef::String("object")) => {}
        Some(RawBsonRef::String("missing")) | None => return Ok(None),
        Some(_) => return Err(corrupt(&format!("agents.{agent_id}"))),
    }
    let Some(agents) = object(found, "agents")? else { return Ok(None) };
    let Some(agent) = object(agents, agent_id)? else { return Ok(None) };
    read::agent(agent_id, found, agent, object(agent, "agent_data")?).map(Some)
}

pub(super) fn feedback(found: &RawDocument) -> Result<Vec<Feedback>> {
    match member(found, "feedbacks")? {
        Some(RawBsonRef::Array(entries)) => {
            let entries = entries.into_iter().filter_map(|entry| entry.ok()?.as_document());
            // What cannot be read costs itself only.
            Ok(read::oldest_first(entries.filter_map(|entry| read::feedback(found, entry).ok()).collect()))
        }
        Some(_) => Err(corrupt("feedbacks")),
        None => Ok(Vec::new()),
    }
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
        message: object(found, "message")?.map(ToOwned::to_owned),
        is_sealed: matches!(member(found, "sealed")?, Some(RawBsonRef::String("object"))),
        repeat: match object(found, "repeat")? {
            Some(append) => {
                let append = read::remembered(append)?.ok_or_else(|| corrupt("append"))?;
                Some(Repeat { first: append.first, digest: append.digest.map(str::to_owned) })
            }
            None => None,
        },
        highest: number(found, "highest")?.unwrap_or(-1),
    })
}
