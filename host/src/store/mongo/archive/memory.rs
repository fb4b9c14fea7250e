//! What this process remembers of agents that it reads, for speed. What is read because of it counts only if the session's document then
//! says the same; only the writing process caches that a block is current.

use super::Archive;
use crate::store::AgentRef;
use crate::store::mongo::questions::{Hidden, Layout};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Agents that are remembered; then the one is forgotten that was used least recently.
const AGENTS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// How an agent was seen last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) archive: Option<Archive>,
    pub(crate) layout: Layout,
    pub(crate) hidden: Hidden,
}

#[derive(Debug)]
pub(crate) struct Memory(Mutex<LruCache<AgentRef, Seen>>);

impl Default for Memory {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(AGENTS)))
    }
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, LruCache<AgentRef, Seen>> {
        // What is under the lock is whole at every step, so a panic of another holder leaves nothing broken.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The agent as it was seen last.
    pub(crate) fn seen(&self, agent: &AgentRef) -> Seen {
        self.lock().get(agent).cloned().unwrap_or_default()
    }

    /// Remembers how an agent was seen.
    pub(crate) fn saw(&self, agent: &AgentRef, now: &Seen) {
        let mut agents = self.lock();
        // That the blocks have the last update is known of the same state already, or it is not.
        let known = agents.peek(agent).and_then(|seen| seen.archive.as_ref());
        let archive = now.archive.as_ref().filter(|archive| archive.is_small()).map(|archive| {
            let are_current = known.is_some_and(|known| known.same_blocks(archive) && known.redo.is_empty());
            Archive { redo: if are_current { Vec::new() } else { archive.redo.clone() }, ..archive.clone() }
        });
        agents.put(agent.clone(), Seen { archive, ..*now });
    }

    /// Remembers that messages of an agent have fields that stay in the database.
    pub(crate) fn saw_hidden(&self, agent: &AgentRef) {
        if let Some(seen) = self.lock().get_mut(agent) {
            seen.hidden = Hidden::Some;
        }
    }

    /// Remembers that the blocks have the last update of an archive.
    pub(crate) fn has_current_blocks(&self, agent: &AgentRef, archive: &Archive) {
        let archive = Some(Archive { redo: Vec::new(), ..archive.clone() });
        self.saw(agent, &Seen { archive, ..self.seen(agent) });
    }

    /// Whether it is known that they have it.
    pub(crate) fn blocks_are_current(&self, agent: &AgentRef, archive: &Archive) -> bool {
        self.seen(agent).archive.is_some_and(|known| known.same_blocks(archive) && known.redo.is_empty())
    }
}
