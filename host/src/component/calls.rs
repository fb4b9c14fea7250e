//! What the exported calls of an instance hold: the bytes that they brought, and room in the instance's memory for their answers.

use crate::error::{Error, Result};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use wasmtime::component::GuestTaskId;

/// The bytes that a call brought. They count as in flight until both the exported call and its store call have ended.
pub(crate) type Brought = Arc<OwnedSemaphorePermit>;

/// The exported calls of one instance, each known by its task.
#[derive(Clone)]
pub(crate) struct Calls {
    under_way: Arc<Mutex<HashMap<GuestTaskId, Held>>>,
    room: Room,
}

struct Held {
    brought: Brought,
    answers: Answers,
}

/// Room for the answers of a call. They lie in the instance's memory from when the storage hands them over until the exported call has
/// returned, and in the host's until the caller takes them.
pub(crate) type Answers = Vec<OwnedSemaphorePermit>;

/// The memory of an instance for answers: a permit for each byte.
#[derive(Clone)]
struct Room(Arc<Semaphore>);

impl Room {
    fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))))
    }

    async fn take(&self, bytes: usize, deadline: Instant) -> Result<OwnedSemaphorePermit> {
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        match timeout_at(deadline, Arc::clone(&self.0).acquire_many_owned(permits)).await {
            Ok(Ok(taken)) => Ok(taken),
            _ => Err(Error::Unavailable(String::from("too many large answers are under way"))),
        }
    }
}

/// An exported call that is under way, until this is dropped.
pub(crate) struct Export {
    calls: Calls,
    task: GuestTaskId,
}

impl Calls {
    /// No calls, in an instance that may hold answers of so many bytes at once.
    pub(crate) fn new(answer_bytes: usize) -> Self {
        Self { under_way: Arc::default(), room: Room::new(answer_bytes) }
    }

    /// Notes that a call has begun.
    pub(crate) fn begin(&self, task: GuestTaskId, brought: Brought) -> Export {
        self.lock().insert(task, Held { brought, answers: Answers::new() });
        Export { calls: self.clone(), task }
    }

    /// What the call of a task brought.
    pub(crate) fn brought(&self, task: Option<GuestTaskId>) -> Result<Brought> {
        task.and_then(|task| self.lock().get(&task).map(|held| Arc::clone(&held.brought))).ok_or_else(unknown)
    }

    /// Waits until the instance has room for an answer, which the call of the task holds from then on.
    pub(crate) async fn make_room(&self, task: GuestTaskId, bytes: usize, deadline: Instant) -> Result<()> {
        if bytes > 0 {
            let room = self.room.take(bytes, deadline).await?;
            self.lock().get_mut(&task).ok_or_else(unknown)?.answers.push(room);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<GuestTaskId, Held>> {
        // What is under the lock is whole at every step, so a panic of another holder leaves nothing broken.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown() -> Error {
    tracing::error!("a storage call belongs to no exported call");
    Error::Internal(String::from("the host lost a call"))
}

impl Export {
    /// The room for its answers, for as long as the caller has not taken the last one.
    pub(crate) fn end(self) -> Answers {
        self.calls.lock().remove(&self.task).map(|held| held.answers).unwrap_or_default()
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        self.calls.lock().remove(&self.task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn an_answer_waits_for_room_until_its_deadline() -> anyhow::Result<()> {
        let room = Room::new(100);
        let later = Instant::now() + Duration::from_secs(60);
        let first = room.take(80, later).await?;
        assert!(matches!(room.take(30, Instant::now()).await, Err(Error::Unavailable(_))));
        let waits = tokio::spawn({
            let room = room.clone();
            async move { room.take(30, later).await }
        });
        drop(first);
        let second = waits.await??;
        assert!(matches!(room.take(71, Instant::now()).await, Err(Error::Unavailable(_))));
        drop(second);
        assert_eq!(room.take(100, Instant::now()).await?.num_permits(), 100, "all of it came back");
        Ok(())
    }
}
