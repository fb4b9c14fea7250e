//! Moves behind the answers of appends.

use super::moving::{Down, Haste};
use crate::store::AgentRef;
use crate::store::mongo::expressions::AgentPath;
use crate::store::mongo::store::MongoStore;

impl MongoStore {
    /// Has the oldest messages of an agent moved to the archive, behind the answer of whoever asks.
    pub(crate) fn request_move(&self, agent: &AgentRef) {
        let Some(after) = self.archive_after else { return };
        if !self.upkeep.queue_move(agent) {
            return;
        }
        let (store, path) = (self.clone(), AgentPath::of(agent));
        self.upkeep.spawn(async move {
            let _slot = store.upkeep.begin_move(path.agent_ref()).await;
            // Less than the threshold, so that not every append after it is followed by a move.
            let down = Down { beyond: after, target: after - after / 4 };
            if let Err(error) = store.archive_down_to(&path, down, Haste::Polite).await {
                let (session_id, agent_id) = (path.session_id(), path.agent_id());
                tracing::warn!(code = error.code(), "messages cannot be moved to the archive; a later append tries again");
                tracing::debug!(%error, session_id, agent_id, "messages of an agent cannot be moved");
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
