//! What the exported calls hold that an instance has under way.

use crate::error::{Error, Result};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::GuestTaskId;

/// The bytes that a call brought. They count as in flight until both the exported call and its store call have ended.
pub(crate) type Brought = Arc<OwnedSemaphorePermit>;

/// The exported calls of one instance, each known by its task.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<HashMap<GuestTaskId, Brought>>>);

/// An exported call that is under way, until this is dropped.
pub(crate) struct Export {
    calls: Calls,
    task: GuestTaskId,
}

impl Calls {
    /// Notes that a call has begun.
    pub(crate) fn begin(&self, task: GuestTaskId, brought: Brought) -> Export {
        self.lock().insert(task, brought);
        Export { calls: self.clone(), task }
    }

    /// What the call of a task brought.
    pub(crate) fn brought(&self, task: Option<GuestTaskId>) -> Result<Brought> {
        let brought = task.and_then(|task| self.lock().get(&task).cloned());
        brought.ok_or_else(|| {
            tracing::error!(?task, "a storage call belongs to no exported call");
            Error::Internal(String::from("the host lost a call"))
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<GuestTaskId, Brought>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        self.calls.lock().remove(&self.task);
    }
}
