//! Store calls that go on after their callers stopped to wait: a caller was told `timeout`, or its instance was lost. Such a call may still
//! take effect.

use crate::limits::Limits;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The overdue calls of one [`Store`](crate::Store): calls that go on after their deadline.
///
/// A later call on the same session waits for them, so they never take effect after it. A store keeps one `Overdue` and hands out clones,
/// which share what they know: every [`Repository`](crate::Repository) and every [`SessionCtx`](crate::SessionCtx) on that store then keeps
/// the order. Two stores that are opened separately on the same data know nothing of each other's calls.
#[derive(Debug, Clone, Default)]
pub struct Overdue(Arc<Mutex<Calls>>);

#[derive(Debug, Default)]
struct Calls {
    sessions: HashMap<String, Vec<Call>>,
    /// The number of calls in `sessions`.
    count: usize,
    /// Bytes that their callers brought.
    bytes: usize,
}

#[derive(Debug, Clone)]
struct Call {
    /// Resolves with an error when the call has ended.
    ended: watch::Receiver<()>,
    bytes: usize,
}

/// Lives as long as the task of a call.
struct Running {
    overdue: Overdue,
    session_id: String,
    call: Call,
    running: Option<watch::Sender<()>>,
}

/// A wait for a call: the call is overdue if it goes on when this is dropped.
pub(crate) struct Wait<'a> {
    overdue: &'a Overdue,
    session_id: &'a str,
    call: Call,
}

impl Overdue {
    /// Starts a call that brings `bytes` in a task of its own, and the wait for it.
    pub(crate) fn start<'a, R: Send + 'static>(
        &'a self,
        session_id: &'a str,
        bytes: usize,
        call: impl Future<Output = R> + Send + 'static,
    ) -> (tokio::task::JoinHandle<R>, Wait<'a>) {
        let (running, ended) = watch::channel(());
        let wait = Wait { overdue: self, session_id, call: Call { ended, bytes } };
        let running = Running { overdue: self.clone(), session_id: session_id.to_owned(), call: wait.call.clone(), running: Some(running) };
        let task = tokio::spawn(async move {
            let answer = call.await;
            drop(running);
            answer
        });
        (task, wait)
    }

    /// Waits until no call of the session is overdue.
    pub(crate) async fn wait_for(&self, session_id: &str) {
        let calls = self.lock().sessions.get(session_id).cloned().unwrap_or_default();
        for mut call in calls {
            while call.ended.changed().await.is_ok() {}
        }
    }

    /// Whether the limits allow no call more.
    pub(crate) fn is_full(&self, limits: &Limits) -> bool {
        let calls = self.lock();
        calls.count >= limits.overdue_calls || calls.bytes >= limits.overdue_bytes
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        // What is under the lock is whole at every step, so a panic of another holder leaves nothing broken.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut calls = self.overdue.lock();
        // The task of a call says under the same lock that it has ended, so it finds what is noted here.
        if self.call.ended.has_changed().is_err() {
            return;
        }
        calls.count += 1;
        calls.bytes = calls.bytes.saturating_add(self.call.bytes);
        calls.sessions.entry(self.session_id.to_owned()).or_default().push(self.call.clone());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut calls = self.overdue.lock();
        self.running = None;
        let Some(overdue) = calls.sessions.get_mut(&self.session_id) else {
            return;
        };
        let Some(place) = overdue.iter().position(|call| call.ended.same_channel(&self.call.ended)) else {
            return;
        };
        overdue.swap_remove(place);
        if overdue.is_empty() {
            calls.sessions.remove(&self.session_id);
        }
        calls.count = calls.count.saturating_sub(1);
        calls.bytes = calls.bytes.saturating_sub(self.call.bytes);
    }
}
