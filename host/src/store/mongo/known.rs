//! What this process knows of the sessions that it writes to, so that the next append needs no look at the document.
//!
//! Every write through a store advances the session's revision. So if the revision is the one that this process knows, no other process
//! has written since, and what it knows of the session still holds. Two kinds of change do not advance the revision. Programs that know
//! nothing of it (the reference's class) append: the number of messages in the document shows that. Moves take messages away, whichever
//! process moves: the archive's fence shows that, which each move raises.
//!
//! Invariant: a known revision is never higher than the stored one. A write counts here after the server has acknowledged it, and a write
//! whose outcome is unknown does not count. So what is out of date never equals the stored state again.

use crate::store::AgentRef;
use crate::types::Timestamp;
use lru::LruCache;
use mongodb::bson::oid::ObjectId;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedMutexGuard;

/// Sessions that are remembered; then the one is forgotten that was used least recently.
const SESSIONS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// Agents of one session that are remembered; then the one is forgotten that was used least recently.
const AGENTS_OF_SESSION: usize = 256;

/// How many appends go without trying the known state after it was wrong often. Each miss doubles the number.
const MOST_SKIPPED: u32 = 64;

/// A session, as it was after the last write of this process.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) revision: u64,
    /// The size of the document, in bytes.
    pub(crate) size: u64,
    agents: LruCache<String, KnownAgent>,
}

/// The messages of an agent that are in the session's document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KnownAgent {
    /// How many there are, all in the order of their times.
    pub(crate) messages: u64,
    /// Their size, in bytes.
    pub(crate) bytes: u64,
    /// The highest id of all the agent's messages, also of the archived ones; -1 where there is none.
    pub(crate) highest: i64,
    /// The newest time of all the agent's messages.
    pub(crate) latest: Timestamp,
    /// The last mover of the agent; none if it has no archive.
    pub(crate) mover: Option<Mover>,
    /// How many bytes there were when a move to the archive was last asked for.
    pub(crate) asked: u64,
}

/// The mover that an archive tells of: no two are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mover {
    pub(crate) archive: ObjectId,
    pub(crate) fence: i64,
}

/// The writes of this process to one session: one at a time, so that each knows what the one before left.
#[derive(Debug, Default)]
pub(crate) struct State {
    known: Option<Known>,
    /// How often in a row the known state was out of date.
    misses: u32,
    /// How many appends are still to go without it.
    skipped: u32,
}

impl State {
    /// What is known of the session and the agent, if it is worth trying.
    pub(crate) fn known(&mut self, agent_id: &str) -> Option<(&mut Known, KnownAgent)> {
        let agent = *self.known.as_mut()?.agents.get(agent_id)?;
        if self.skipped > 0 {
            self.skipped -= 1;
            return None;
        }
        self.known.as_mut().map(|known| (known, agent))
    }

    /// Notes that the known state was right.
    pub(crate) fn hit(&mut self) {
        self.misses = 0;
    }

    /// Notes that the known state was out of date: another process writes, too.
    pub(crate) fn missed(&mut self) {
        self.known = None;
        self.misses = self.misses.saturating_add(1);
        self.skipped = 1_u32.checked_shl(self.misses - 1).unwrap_or(MOST_SKIPPED).min(MOST_SKIPPED) - 1;
    }

    /// Notes a write of any kind that added so many bytes.
    pub(crate) fn wrote(&mut self, adds: u64) {
        if let Some(known) = &mut self.known {
            known.revision += 1;
            known.size += adds;
        }
    }

    /// Notes how a write of this process left the session and, if that can be told, an agent.
    pub(crate) fn wrote_to(&mut self, revision: u64, size: u64, agent_id: &str, agent: Option<KnownAgent>) {
        if let Some(known) = &mut self.known {
            known.revision += 1;
        }
        self.saw(revision, size, agent_id, agent);
    }

    /// Notes how a session is and, if that can be told, an agent.
    pub(crate) fn saw(&mut self, revision: u64, size: u64, agent_id: &str, agent: Option<KnownAgent>) {
        // If nobody else has written, what is known of other agents still holds.
        let others = self.known.take().filter(|known| known.revision == revision).map(|known| known.agents);
        // As many as there are, because room for all would be taken at once.
        let mut agents = others.unwrap_or_else(LruCache::unbounded);
        match agent {
            Some(agent) => drop(agents.put(agent_id.to_owned(), agent)),
            None => drop(agents.pop(agent_id)),
        }
        if agents.len() > AGENTS_OF_SESSION {
            agents.pop_lru();
        }
        self.known = Some(Known { revision, size, agents });
    }
}

impl Known {
    /// Notes an append that went through on the known state.
    pub(crate) fn appended(&mut self, agent_id: &str, agent: KnownAgent, adds: u64) {
        self.revision += 1;
        self.size += adds;
        if let Some(known) = self.agents.peek_mut(agent_id) {
            *known = agent;
        }
    }
}

/// The sessions that this process writes to.
#[derive(Debug)]
pub(crate) struct Sessions(Mutex<LruCache<String, Arc<Session>>>);

#[derive(Debug, Default)]
struct Session {
    state: Arc<tokio::sync::Mutex<State>>,
    /// What moves to the archive took away and the state still has, by agent.
    moved: Mutex<HashMap<String, Move>>,
}

/// What a move took away.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Move {
    /// Messages of the agent that are no longer among the recent ones, and their size in bytes.
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// Bytes that are no longer in the session's document.
    pub(crate) freed: u64,
    /// The mover, if this is a new one.
    pub(crate) mover: Option<Mover>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(SESSIONS)))
    }
}

impl Sessions {
    fn session(&self, session_id: &str) -> Arc<Session> {
        // What is under the lock is whole at every step, so a panic of another holder leaves nothing broken.
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match sessions.get(session_id) {
            Some(session) => Arc::clone(session),
            None => {
                let session = Arc::<Session>::default();
                sessions.put(session_id.to_owned(), Arc::clone(&session));
                session
            }
        }
    }

    /// Forgets what is known of a session: one with its id was made anew.
    pub(crate) async fn forget(&self, session_id: &str) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).peek(session_id).cloned();
        if let Some(session) = known {
            session.state.lock().await.known = None;
        }
    }

    /// Waits until no other write of this process to the session is under way.
    pub(crate) async fn turn(&self, session_id: &str) -> OwnedMutexGuard<State> {
        let session = self.session(session_id);
        let mut state = Arc::clone(&session.state).lock_owned().await;
        let moved = std::mem::take(&mut *session.moved.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(known) = &mut state.known {
            for (agent_id, Move { messages, bytes, freed, mover }) in moved {
                if let Some(agent) = known.agents.peek_mut(&agent_id) {
                    agent.mover = mover.or(agent.mover);
                    agent.messages = agent.messages.saturating_sub(messages);
                    agent.bytes = agent.bytes.saturating_sub(bytes);
                    agent.asked = 0;
                }
                known.size = known.size.saturating_sub(freed);
            }
        }
        state
    }

    /// Notes a step of a move. A write that comes in between finds the known mover out of date; that costs it another command and nothing
    /// else.
    pub(crate) fn moved(&self, agent: &AgentRef, step: Move) {
        let session = self.session(&agent.session);
        let mut moved = session.moved.lock().unwrap_or_else(PoisonError::into_inner);
        let so_far = moved.entry(agent.agent.clone()).or_default();
        so_far.messages += step.messages;
        so_far.bytes += step.bytes;
        so_far.freed += step.freed;
        so_far.mover = step.mover.or(so_far.mover);
    }
}
