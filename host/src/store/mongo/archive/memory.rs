//! What this process remembers of agents that it reads, for speed. What is read because of it counts only if the session's document then
//! says the same; only the writing process caches that a block is current.

use super::Archive;
use crate::store::mongo::questions::{Hidden, Layout};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Agents that are remembered; then the one is forgotten that was used least recently.
const AGENTS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// Which agent of which session.
type Key = (String, String);

/// How an agent was seen last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) archive: Option<Archive>,
    pub(crate) layout: Layout,
    pub(crate) hidden: Hidden,
}

#[derive(Debug)]
pub(crate) struct Memory(Mutex<LruCache<Key, Seen>>);

impl Default for Memory {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(AGENTS)))
    }
}

fn key(session_id: &str, agent_id: &str) -> Key {
    (session_id.to_owned(), agent_id.to_owned())
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, LruCache<Key, Seen>> {
        // What is under the lock is whole at every step, so a panic of another holder leaves nothing broken.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The agent as it was seen last.
    pub(crate) fn seen(&self, session_id: &str, agent_id: &str) -> Seen {
        self.lock().get(&key(session_id, agent_id)).cloned().unwrap_or_default()
    }

    /// Remembers how an agent was seen.
    pub(crate) fn saw(&self, session_id: &str, agent_id: &str, now: &Seen) {
        let (mut agents, key) = (self.lock(), key(session_id, agent_id));
        // That the blocks have the last update is known of the same state already, or it is not.
        let known = agents.peek(&key).and_then(|seen| seen.archive.as_ref());
        let archive = now.archive.as_ref().filter(|archive| archive.is_small()).map(|archive| {
            let are_current = known.is_some_and(|known| known.same_blocks(archive) && known.redo.is_empty());
            Archive { redo: if are_current { Vec::new() } else { archive.redo.clone() }, ..archive.clone() }
        });
        agents.put(key, Seen { archive, ..*now });
    }

    /// Remembers that messages of an agent have fields that stay in the database.
    pub(crate) fn saw_hidden(&self, session_id: &str, agent_id: &str) {
        if let Some(seen) = self.lock().get_mut(&key(session_id, agent_id)) {
            seen.hidden = Hidden::Some;
        }
    }

    /// Remembers that the blocks have the last update of an archive.
    pub(crate) fn has_current_blocks(&self, session_id: &str, agent_id: &str, archive: &Archive) {
        let archive = Some(Archive { redo: Vec::new(), ..archive.clone() });
        self.saw(session_id, agent_id, &Seen { archive, ..self.seen(session_id, agent_id) });
    }

    /// Whether it is known that they have it.
    pub(crate) fn blocks_are_current(&self, session_id: &str, agent_id: &str, archive: &Archive) -> bool {
        self.seen(session_id, agent_id).archive.is_some_and(|known| known.same_blocks(archive) && known.redo.is_empty())
    }
}
