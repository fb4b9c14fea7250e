//! Moves behind the answers of appends.

use super::moving::{Down, Haste};
use crate::store::AgentRef;
use crate::store::mongo::store::MongoStore;

impl MongoStore {
    /// Has the oldest messages of an agent moved to the archive, behind the answer of whoever asks.
    pub(crate) fn request_move(&self, session_id: &str, agent_id: &str) {
        let Some(after) = self.archive_after else { return };
        let agent = AgentRef::new(session_id, agent_id);
        if !self.upkeep.queue_move(&agent) {
            return;
        }
        let store = self.clone();
        self.upkeep.spawn(async move {
            let _slot = store.upkeep.begin_move(&agent).await;
            let AgentRef { session: session_id, agent: agent_id } = &agent;
            // Less than the threshold, so that not every append after it is followed by a move.
            let down = Down { beyond: after, target: after - after / 4 };
            if let Err(error) = store.archive_down_to(session_id, agent_id, down, Haste::Polite).await {
                tracing::warn!(%error, session_id, agent_id, "messages cannot be moved to the archive; a later append tries again");
            }
        });
    }

    /// Waits until no message is on its way to the archive any more that an append of this store has sent there.
    ///
    /// Appends do not wait for the archive. This is for programs that look at the documents themselves.
    pub async fn settled(&self) {
        self.upkeep.idle().await;
    }
}
