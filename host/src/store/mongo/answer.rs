//! The parts of the server's answers.

use super::archive::{count, number};
use crate::error::{Entity, Error, Result};
use crate::store::schema::read::{self, corrupt, member, object};
use crate::types::{Agent, Feedback};
use mongodb::bson::RawDocumentBuf;
use mongodb::bson::raw::{RawBsonRef, RawDocument};

/// What a look at a session tells about a write that matched nothing.
pub(crate) struct Look {
    pub(crate) revision: u64,
    /// The size of the session's document, in bytes.
    pub(crate) size: u64,
    /// Whether the agent is there; a thing in its place that is no agent is `corrupt`.
    pub(crate) agent: bool,
    /// The message in the document that has the id.
    pub(crate) message: Option<RawDocumentBuf>,
    /// Whether that message is on its way to the archive.
    pub(crate) is_sealed: bool,
    /// What the agent remembers of the append with the key.
    pub(crate) repeat: Option<Repeat>,
    /// The highest id of a message of the agent.
    pub(crate) highest: i64,
}

/// What an agent remembers of an append with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repeat {
    pub(crate) first: i64,
    /// The digest of what was appended; none if an older version stored it.
    pub(crate) digest: Option<String>,
}

impl Look {
    pub(crate) fn require_no_agent(&self) -> Result<()> {
        if self.agent { Err(Error::AlreadyExists(Entity::Agent)) } else { Ok(()) }
    }

    pub(crate) fn require_agent(&self) -> Result<()> {
        if self.agent { Ok(()) } else { Err(Error::NotFound(Entity::Agent)) }
    }
}

pub(crate) fn agent(agent_id: &str, found: &RawDocument) -> Result<Option<Agent>> {
    match member(found, "kind")? {
        Some(RawBsonRef::String("object")) => {}
        Some(RawBsonRef::String("missing")) | None => return Ok(None),
        Some(_) => return Err(corrupt(&format!("agents.{agent_id}"))),
    }
    let Some(agents) = object(found, "agents")? else { return Ok(None) };
    let Some(agent) = object(agents, agent_id)? else { return Ok(None) };
    read::agent(agent_id, found, agent, object(agent, "agent_data")?).map(Some)
}

pub(crate) fn feedback(found: &RawDocument) -> Result<Vec<Feedback>> {
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
pub(crate) fn require_metadata_object(found: &RawDocument) -> Result<()> {
    match found.get("metadata") {
        Ok(None | Some(RawBsonRef::Document(_))) => Ok(()),
        _ => Err(corrupt("metadata")),
    }
}

pub(crate) fn look(found: &RawDocument) -> Result<Look> {
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
