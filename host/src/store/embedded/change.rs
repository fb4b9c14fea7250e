//! The rows that a write stores, decided before the first of them is stored.

use super::numbers::{AgentNo, CollectionNo, SessionNo};
use super::tables::{NEXT, WriteTables};
use bson::RawDocumentBuf;
use redb::StorageError;

/// A write that nothing refuses any more. By default it stores nothing.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// The next number to give, where the write gives one.
    pub(super) next_number: Option<u64>,
    pub(super) session: Option<(CollectionNo, String, Vec<u8>)>,
    pub(super) metadata: Option<(SessionNo, RawDocumentBuf)>,
    pub(super) feedback: Option<(SessionNo, u64, RawDocumentBuf)>,
    pub(super) agent: Option<(SessionNo, String, Vec<u8>)>,
    pub(super) agent_data: Option<(AgentNo, RawDocumentBuf)>,
    /// By position.
    pub(super) messages: Vec<(AgentNo, u64, RawDocumentBuf)>,
    /// Ids that their positions do not tell.
    pub(super) message_ids: Vec<(AgentNo, i64, u64)>,
    /// Nodes of the order of messages.
    pub(super) message_order: Vec<(AgentNo, u64, Vec<u8>)>,
    pub(super) append: Option<KeyedAppend>,
    /// How many messages were looked at, and the highest id of those.
    pub(super) highest_id: Option<(AgentNo, u64, i64)>,
}

/// What an agent remembers of an append.
#[derive(Debug)]
pub(super) struct KeyedAppend {
    pub(super) agent: AgentNo,
    pub(super) position: u64,
    pub(super) stored: RawDocumentBuf,
    /// The position of the oldest append that it still remembers.
    pub(super) oldest: u64,
}

impl WriteTables<'_> {
    /// Stores the rows of a change. Fails only if the disk does.
    pub(super) fn apply(&mut self, change: Change) -> Result<(), StorageError> {
        if let Some(next) = change.next_number {
            self.numbers.insert(NEXT, (next,))?;
        }
        if let Some((collection, session_id, row)) = change.session {
            self.sessions.insert((collection, session_id.as_str()), row.as_slice())?;
        }
        if let Some((session, metadata)) = change.metadata {
            self.metadata.insert(session, metadata.as_bytes())?;
        }
        if let Some((session, position, entry)) = change.feedback {
            self.feedback.insert((session, position), entry.as_bytes())?;
        }
        if let Some((session, agent_id, row)) = change.agent {
            self.agents.insert((session, agent_id.as_str()), row.as_slice())?;
        }
        if let Some((agent, data)) = change.agent_data {
            self.agent_data.insert(agent, data.as_bytes())?;
        }
        for (agent, position, message) in change.messages {
            self.messages.insert((agent, position), message.as_bytes())?;
        }
        for id in change.message_ids {
            self.message_ids.insert(id, ())?;
        }
        for (agent, number, node) in change.message_order {
            self.message_order.insert((agent, number), node.as_slice())?;
        }
        if let Some(KeyedAppend { agent, position, stored, oldest }) = change.append {
            self.appends.insert((agent, position), stored.as_bytes())?;
            self.appends.remove_range((agent, 0)..(agent, oldest))?;
        }
        if let Some((agent, looked_at, highest)) = change.highest_id {
            self.highest_ids.insert(agent, (looked_at, highest))?;
        }
        Ok(())
    }
}
