//! Work behind the answers: moves to the archive, bounded, and ended by `close`.

use crate::store::AgentRef;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Moves that go on at once. Each holds what it has sealed.
const MOVERS: usize = 2;

/// Agents that may wait for a move. More are left to their next append.
const WAITING: usize = 1024;

/// How long `close` lets the upkeep come to its end. A move that takes longer stops at its next step, and a later one completes it.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

type Agents = Mutex<HashMap<AgentRef, Waiting>>;

/// The upkeep of a store.
pub(crate) struct Upkeep {
    /// Always closed, which keeps nobody from spawning: so it can be waited for at any time.
    tasks: TaskTracker,
    /// Whether nothing is to begin any more.
    is_closing: AtomicBool,
    /// Cancelled when what is under way has to stop.
    over: CancellationToken,
    slots: Arc<Semaphore>,
    agents: Arc<Agents>,
}

/// What waits for an agent.
#[derive(Default)]
struct Waiting {
    /// Held by the task that moves the agent's messages.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// The tasks that move, or wait for their turn.
    holders: usize,
    /// Whether a move waits for its turn.
    is_queued: bool,
}

/// The right to move an agent's messages, until this is dropped.
pub(crate) struct MoveTurn {
    agents: Arc<Agents>,
    agent: AgentRef,
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

fn lock(agents: &Agents) -> MutexGuard<'_, HashMap<AgentRef, Waiting>> {
    // What is under the lock is whole at every step, so a panic of another holder leaves nothing broken.
    agents.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Upkeep {
    /// Waits until no other task of this process moves messages of the agent.
    pub(crate) async fn move_turn(&self, agent: &AgentRef) -> MoveTurn {
        let turn = {
            let mut agents = lock(&self.agents);
            let waiting = agents.entry(agent.clone()).or_default();
            waiting.holders += 1;
            Arc::clone(&waiting.turn)
        };
        // Made before the wait, so that it counts out whoever stops waiting.
        let mut mine = MoveTurn { agents: Arc::clone(&self.agents), agent: agent.clone(), turn: None };
        mine.turn = Some(turn.lock_owned().await);
        mine
    }

    /// Queues a move of the agent's messages. False if one is queued already, or too many are, or the store is being closed.
    pub(crate) fn queue_move(&self, agent: &AgentRef) -> bool {
        if self.is_closing.load(Ordering::Relaxed) {
            return false;
        }
        let mut agents = lock(&self.agents);
        if let Some(waiting) = agents.get_mut(agent) {
            return !std::mem::replace(&mut waiting.is_queued, true);
        }
        if agents.len() >= WAITING {
            return false;
        }
        agents.insert(agent.clone(), Waiting { is_queued: true, ..Waiting::default() });
        true
    }

    /// Begins a queued move as soon as there is a slot for it, which is the answer. From then on the next move can be queued.
    pub(crate) async fn begin_move(&self, agent: &AgentRef) -> Option<OwnedSemaphorePermit> {
        // Who waits for another mover of the agent needs no slot for that.
        drop(self.move_turn(agent).await);
        // The semaphore is never closed.
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        let mut agents = lock(&self.agents);
        if let Some(waiting) = agents.get_mut(agent) {
            waiting.is_queued = false;
            if waiting.holders == 0 {
                agents.remove(agent);
            }
        }
        slot
    }

    /// Runs a task behind the answers. `close` waits for it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Waits until no task is under way.
    pub(crate) async fn idle(&self) {
        self.tasks.wait().await;
    }

    /// Whether the store is closed and its upkeep has to stop.
    pub(crate) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Waits for what is under way. Nothing begins any more.
    pub(crate) async fn end(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
        if tokio::time::timeout(CLOSE_PATIENCE, self.tasks.wait()).await.is_err() {
            self.over.cancel();
            if tokio::time::timeout(CLOSE_PATIENCE, self.tasks.wait()).await.is_err() {
                tracing::warn!("messages were still on their way to the archive when the store was closed; a later move completes it");
            }
        }
    }
}

impl Drop for MoveTurn {
    fn drop(&mut self) {
        drop(self.turn.take());
        let mut agents = lock(&self.agents);
        if let Some(waiting) = agents.get_mut(&self.agent) {
            waiting.holders -= 1;
            if waiting.holders == 0 && !waiting.is_queued {
                agents.remove(&self.agent);
            }
        }
    }
}
