//! What this process remembers of archives, for speed. What is read because of it counts only if the session's document then says the same;
//! that a block has an update is remembered only by who wrote it.

use super::Archive;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many agents are remembered; then all are forgotten, and learned again.
const MOST: usize = 4096;

/// Which agent of which session.
type Key = (String, String);

#[derive(Debug, Default)]
pub(in crate::store::mongo) struct Memory {
    archives: Mutex<HashMap<Key, Archive>>,
    grown: Mutex<HashMap<Key, Growth>>,
}

#[derive(Debug, Default)]
struct Growth {
    /// What was appended since the messages were measured, in bytes; none if they never were.
    bytes: Option<u64>,
    /// Whether somebody moves messages right now.
    moving: bool,
}

/// A move that goes on until this is dropped.
#[derive(Debug)]
pub(in crate::store::mongo) struct Moving<'a> {
    memory: &'a Memory,
    key: Key,
}

fn key(session_id: &str, agent_id: &str) -> Key {
    (session_id.to_owned(), agent_id.to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is under the lock is whole at every step, so a panic of another holder leaves nothing broken.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    /// The archive as it was seen last.
    pub(in crate::store::mongo) fn archive(&self, session_id: &str, agent_id: &str) -> Option<Archive> {
        lock(&self.archives).get(&key(session_id, agent_id)).cloned()
    }

    /// Remembers how an archive was seen.
    pub(in crate::store::mongo) fn saw(&self, session_id: &str, agent_id: &str, archive: Option<&Archive>) {
        let mut archives = lock(&self.archives);
        match archive.filter(|archive| archive.is_small()) {
            Some(archive) => {
                if archives.len() >= MOST {
                    archives.clear();
                }
                let known = archives.entry(key(session_id, agent_id)).or_insert_with(|| archive.clone());
                // That the blocks have the last update is known of the same state already, or it is not.
                let is_settled = known.same_blocks(archive) && known.redo.is_empty();
                *known = Archive { redo: if is_settled { Vec::new() } else { archive.redo.clone() }, ..archive.clone() };
            }
            None if archives.is_empty() => {}
            None => {
                archives.remove(&key(session_id, agent_id));
            }
        }
    }

    /// Remembers that the blocks have the last update of an archive.
    pub(in crate::store::mongo) fn settled(&self, session_id: &str, agent_id: &str, archive: &Archive) {
        self.saw(session_id, agent_id, Some(&Archive { redo: Vec::new(), ..archive.clone() }));
    }

    /// Whether it is known that they have it.
    pub(in crate::store::mongo) fn is_settled(&self, session_id: &str, agent_id: &str, archive: &Archive) -> bool {
        self.archive(session_id, agent_id).is_some_and(|known| known.same_blocks(archive) && known.redo.is_empty())
    }

    /// Whether an append of so many bytes to the agent should measure its messages: the first time that this process sees the agent, and
    /// whenever it has grown by `step` bytes.
    pub(in crate::store::mongo) fn is_due(&self, session_id: &str, agent_id: &str, bytes: u64, step: u64) -> bool {
        let grown = lock(&self.grown);
        let is_due = |growth: &Growth| growth.bytes.is_none_or(|before| before + bytes >= step) && !growth.moving;
        grown.get(&key(session_id, agent_id)).is_none_or(is_due)
    }

    /// Notes an append of so many bytes, which measured the messages or did not.
    pub(in crate::store::mongo) fn grew(&self, session_id: &str, agent_id: &str, bytes: u64, measured: bool) {
        let mut grown = lock(&self.grown);
        if grown.len() >= MOST {
            // Those who move go on, and may meet others; moves bear that.
            grown.clear();
        }
        let growth = grown.entry(key(session_id, agent_id)).or_default();
        growth.bytes = if measured { Some(0) } else { growth.bytes.map(|before| before + bytes) };
    }

    /// Begins to move messages of an agent, unless another task of this process does.
    pub(in crate::store::mongo) fn begin_to_move(&self, session_id: &str, agent_id: &str) -> Option<Moving<'_>> {
        let key = key(session_id, agent_id);
        let others = std::mem::replace(&mut lock(&self.grown).entry(key.clone()).or_default().moving, true);
        // Made only if it is to be: its end is the end of the move.
        if others { None } else { Some(Moving { memory: self, key }) }
    }
}

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        if let Some(growth) = lock(&self.memory.grown).get_mut(&self.key) {
            growth.moving = false;
        }
    }
}
