//! Work behind the answers: moves to the archive, bounded, and ended by `close`.

use super::MongoStore;
use super::archive::moving::{Down, Haste};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedMutexGuard, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Moves that go on at once. Each holds what it has sealed.
const MOVERS: usize = 2;

/// Agents that may wait for a move. More are left to their next append.
const WAITING: usize = 1024;

/// How long `close` lets the upkeep come to its end. A move that takes longer stops at its next step, and a later one completes it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which agent of which session.
type Key = (String, String);

/// The upkeep of a store.
pub(super) struct Upkeep {
    /// Always closed, which keeps nobody from spawning: so it can be waited for at any time.
    tasks: TaskTracker,
    /// Whether nothing is to begin any more.
    is_closing: AtomicBool,
    /// Cancelled when what is under way has to stop.
    over: CancellationToken,
    slots: Arc<Semaphore>,
    agents: Arc<Mutex<HashMap<Key, Agent>>>,
}

#[derive(Default)]
struct Agent {
    /// Held by the mover.
    mover: Arc<tokio::sync::Mutex<()>>,
    /// Movers and those who wait to be one.
    holders: usize,
    /// Whether a move waits for its turn.
    is_queued: bool,
}

/// The right to move an agent's messages, until this is dropped.
pub(super) struct Mover {
    agents: Arc<Mutex<HashMap<Key, Agent>>>,
    key: Key,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Default for Upkeep {
    fn default() -> Self {
        let tasks = TaskTracker::new();
        tasks.close();
        Self {
            tasks,
            is_closing: AtomicBool::new(false),
            over: CancellationToken::new(),
            slots: Arc::new(Semaphore::new(MOVERS)),
            agents: Arc::default(),
        }
    }
}

impl fmt::Debug for Upkeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upkeep").field("tasks", &self.tasks.len()).finish_non_exhaustive()
    }
}

fn lock(agents: &Mutex<HashMap<Key, Agent>>) -> MutexGuard<'_, HashMap<Key, Agent>> {
    // What is under the lock is whole at every step, so a panic of another holder leaves nothing broken.
    agents.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Upkeep {
    /// Waits until no other task of this process moves messages of the agent.
    pub(super) async fn mover(&self, session_id: &str, agent_id: &str) -> Mover {
        let key = (session_id.to_owned(), agent_id.to_owned());
        let turn = {
            let mut agents = lock(&self.agents);
            let agent = agents.entry(key.clone()).or_default();
            agent.holders += 1;
            Arc::clone(&agent.mover)
        };
        // Made before the wait, so that it counts out whoever stops waiting.
        let mut mover = Mover { agents: Arc::clone(&self.agents), key, turn: None };
        mover.turn = Some(turn.lock_owned().await);
        mover
    }

    /// Whether the store is closed and its upkeep has to stop.
    pub(super) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Waits for what is under way. Nothing begins any more.
    pub(super) async fn end(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
        if tokio::time::timeout(PATIENCE, self.tasks.wait()).await.is_err() {
            self.over.cancel();
            if tokio::time::timeout(PATIENCE, self.tasks.wait()).await.is_err() {
                tracing::warn!("messages were still on their way to the archive when the store was closed; a later move completes it");
            }
        }
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        drop(self.turn.take());
        let mut agents = lock(&self.agents);
        if let Some(agent) = agents.get_mut(&self.key) {
            agent.holders -= 1;
            if agent.holders == 0 && !agent.is_queued {
                agents.remove(&self.key);
            }
        }
    }
}

impl MongoStore {
    /// Has the oldest messages of an agent moved to the archive, behind the answer of whoever asks.
    pub(super) fn request_move(&self, session_id: &str, agent_id: &str) {
        let Some(after) = self.archive_after else { return };
        if self.upkeep.is_closing.load(Ordering::Relaxed) {
            return;
        }
        let key = (session_id.to_owned(), agent_id.to_owned());
        {
            let mut agents = lock(&self.upkeep.agents);
            let is_full = agents.len() >= WAITING;
            match agents.get_mut(&key) {
                Some(agent) if agent.is_queued => return,
                Some(agent) => agent.is_queued = true,
                None if is_full => return,
                None => drop(agents.insert(key.clone(), Agent { is_queued: true, ..Agent::default() })),
            }
        }
        let store = self.clone();
        self.upkeep.tasks.spawn(async move {
            let (session_id, agent_id) = &key;
            // Who waits for another mover of the agent needs no slot for that.
            drop(store.upkeep.mover(session_id, agent_id).await);
            // The semaphore is never closed.
            let _slot = Arc::clone(&store.upkeep.slots).acquire_owned().await.ok();
            {
                // From here on another append may ask for the next move.
                let mut agents = lock(&store.upkeep.agents);
                if let Some(agent) = agents.get_mut(&key) {
                    agent.is_queued = false;
                    if agent.holders == 0 {
                        agents.remove(&key);
                    }
                }
            }
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
        self.upkeep.tasks.wait().await;
    }
}
