//! Store calls that go on after their caller stopped to wait: it was told `timeout`, or its instance was lost. They may still take effect.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// How many overdue calls a host bears. Each holds what its caller brought, and a silent server would let them pile up.
const MOST: usize = 1024;

/// Resolves with an error when the call has ended, however it did.
type Ended = watch::Receiver<()>;

/// The overdue calls of each session. Shared by all instances of a host.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overdue(Arc<Mutex<HashMap<String, Vec<Ended>>>>);

/// A wait for a call: the call is overdue if it goes on when this is dropped.
pub(crate) struct Wait<'a> {
    overdue: &'a Overdue,
    session_id: &'a str,
    ended: Ended,
}

impl Overdue {
    /// Starts a call in a task of its own, and the wait for it.
    pub(crate) fn start<'a, R: Send + 'static>(
        &'a self,
        session_id: &'a str,
        call: impl Future<Output = R> + Send + 'static,
    ) -> (tokio::task::JoinHandle<R>, Wait<'a>) {
        let (running, ended) = watch::channel(());
        let task = tokio::spawn(async move {
            let answer = call.await;
            drop(running);
            answer
        });
        (task, Wait { overdue: self, session_id, ended })
    }

    /// Waits until no call of the session is overdue.
    pub(crate) async fn wait_for(&self, session_id: &str) {
        let calls = self.lock().get(session_id).cloned().unwrap_or_default();
        for mut call in calls {
            while call.changed().await.is_ok() {}
        }
    }

    /// Whether there are as many overdue calls as a host bears.
    pub(crate) fn is_full(&self) -> bool {
        let sessions = self.lock();
        sessions.len() >= MOST && sessions.values().flatten().filter(|call| is_running(call)).count() >= MOST
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Ended>>> {
        // What is under the lock is whole at every step, so a panic of another holder leaves nothing broken.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_running(call: &Ended) -> bool {
    call.has_changed().is_ok()
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if !is_running(&self.ended) {
            return;
        }
        let mut sessions = self.overdue.lock();
        // Rare enough to tidy up all of them each time.
        sessions.retain(|_, calls| {
            calls.retain(is_running);
            !calls.is_empty()
        });
        sessions.entry(self.session_id.to_owned()).or_default().push(self.ended.clone());
    }
}
