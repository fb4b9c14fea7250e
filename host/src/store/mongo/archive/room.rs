//! What fills a session's document, and making room in it.

use super::count;
use super::moving::{Down, Haste};
use crate::error::{Error, Result};
use crate::store::mongo::conditions::RESERVE;
use crate::store::mongo::expressions::AgentPath;
use crate::store::mongo::questions;
use crate::store::mongo::store::{MongoStore, primary};
use crate::store::schema::build::MAX_DOCUMENT;
use crate::store::schema::read::{self, corrupt, member};
use mongodb::bson::raw::RawBsonRef;
use serde::Serialize;

/// How much more than it needs a write frees that finds a session full, in bytes.
const FOR_A_WHILE: u64 = 512 * 1024;

/// Where the messages of an agent lie.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ArchivedAgent {
    /// The agent.
    pub agent_id: String,
    /// How many of its messages are in the session's document: the newest, and those that are on their way to the archive.
    pub messages: u64,
    /// The size of the newest, in bytes.
    pub bytes: u64,
    /// The size of those on their way to the archive, in bytes.
    pub moving_bytes: u64,
    /// How many are in the archive.
    pub archived_messages: u64,
    /// The size of new versions of archived messages that are still in the session's document, in bytes.
    pub pending_bytes: u64,
    /// In how many blocks.
    pub archived_blocks: u64,
    /// The size of these, in bytes.
    pub archived_bytes: u64,
}

/// What a session's document holds.
pub(super) struct Sizes {
    pub(super) agents: Vec<ArchivedAgent>,
    /// The size of the document, in bytes.
    pub(super) size: u64,
}

impl MongoStore {
    /// Frees room in a session's document for a write that adds some bytes and needs some more than the document has.
    pub(crate) async fn make_room(&self, session_id: &str, needs: u64, adds: u64) -> Result<()> {
        // The size is that of now: a move that has come to its end since the write was refused has made room.
        let Some(Sizes { mut agents, size }) = self.sizes(session_id).await? else { return Ok(()) };
        let size = size.saturating_add(needs);
        let too_large = || Error::TooLarge { size, limit: MAX_DOCUMENT };
        if self.archive_after.is_none() || adds.saturating_add(RESERVE) > MAX_DOCUMENT {
            return Err(too_large());
        }
        let of_messages: u64 = agents.iter().map(|agent| agent.bytes + agent.moving_bytes + agent.pending_bytes).sum();
        if size.saturating_sub(of_messages) > MAX_DOCUMENT {
            return Err(too_large());
        }
        agents.sort_by_key(|agent| std::cmp::Reverse(agent.bytes));
        let mut left = size;
        for agent in agents.iter().filter(|agent| agent.moving_bytes > 0) {
            self.finish_move(&AgentPath::new(session_id, &agent.agent_id)).await?;
            left = left.saturating_sub(agent.moving_bytes);
        }
        for agent in agents.iter().filter(|agent| agent.pending_bytes > 0) {
            if left > MAX_DOCUMENT {
                self.forget_pending(&AgentPath::new(session_id, &agent.agent_id)).await?;
                left = left.saturating_sub(agent.pending_bytes);
            }
        }
        for agent in &agents {
            if left > MAX_DOCUMENT {
                let enough = (left - MAX_DOCUMENT).saturating_add(FOR_A_WHILE);
                let target = agent.bytes.saturating_sub(enough);
                self.archive_down_to(&AgentPath::new(session_id, &agent.agent_id), Down::to(target), Haste::Now).await?;
                left = left.saturating_sub(agent.bytes - target);
            }
        }
        Ok(())
    }

    /// How many messages each agent of a session has in its document, and how large they are.
    pub(super) async fn sizes(&self, session_id: &str) -> Result<Option<Sizes>> {
        let Some(found) = self.find(session_id, questions::sizes(), Some(primary())).await? else { return Ok(None) };
        let agents = read::documents(&found, "agents", "agent", |agent| {
            let Some(RawBsonRef::String(agent_id)) = member(agent, "agent_id")? else { return Err(corrupt("agent")) };
            Ok(ArchivedAgent {
                agent_id: agent_id.to_owned(),
                messages: count(agent, "messages")?,
                bytes: count(agent, "bytes")?,
                moving_bytes: count(agent, "moving")?,
                pending_bytes: count(agent, "pending")?,
                ..ArchivedAgent::default()
            })
        });
        Ok(Some(Sizes { agents: agents?, size: count(&found, "size")? }))
    }
}
