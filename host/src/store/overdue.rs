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
///
/// How many there may be is counted for each repository with a [`Scope`](crate::Scope) by itself, so that none can use up what others need.
#[derive(Debug, Clone, Default)]
pub struct Overdue {
    calls: Arc<Mutex<Calls>>,
    /// Whose calls this handle counts: those of a scope, or all that are under none.
    counted: Arc<Mutex<Counted>>,
}

/// The overdue calls of each session.
type Calls = HashMap<String, Vec<Call>>;

/// How many calls are overdue.
#[derive(Debug, Default)]
struct Counted {
    calls: usize,
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

    /// The same calls, for a scope whose own are counted by themselves.
    pub(crate) fn counted_alone(&self) -> Self {
        Self { calls: Arc::clone(&self.calls), counted: Arc::default() }
    }

    /// Waits until no call of the session is overdue.
    pub(crate) async fn wait_for(&self, session_id: &str) {
        let calls = self.calls().get(session_id).cloned().unwrap_or_default();
        for mut call in calls {
            while call.ended.changed().await.is_ok() {}
        }
    }

    /// Whether a call of the session is overdue.
    pub(crate) fn has(&self, session_id: &str) -> bool {
        self.calls().contains_key(session_id)
    }

    /// Whether the limits allow no call more.
    pub(crate) fn is_full(&self, limits: &Limits) -> bool {
        let counted = lock(&self.counted);
        counted.calls >= limits.overdue_calls || counted.bytes >= limits.overdue_bytes
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        lock(&self.calls)
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is under the locks is whole at every step, so a panic of another holder leaves nothing broken.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut calls = self.overdue.calls();
        // The task of a call says under the same lock that it has ended, so it finds what is noted here.
        if self.call.ended.has_changed().is_err() {
            return;
        }
        let mut counted = lock(&self.overdue.counted);
        counted.calls += 1;
        counted.bytes = counted.bytes.saturating_add(self.call.bytes);
        calls.entry(self.session_id.to_owned()).or_default().push(self.call.clone());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut calls = self.overdue.calls();
        self.running = None;
        let Some(overdue) = calls.get_mut(&self.session_id) else {
            return;
        };
        let Some(place) = overdue.iter().position(|call| call.ended.same_channel(&self.call.ended)) else {
            return;
        };
        overdue.swap_remove(place);
        if overdue.is_empty() {
            calls.remove(&self.session_id);
        }
        let mut counted = lock(&self.overdue.counted);
        counted.calls = counted.calls.saturating_sub(1);
        counted.bytes = counted.bytes.saturating_sub(self.call.bytes);
    }
}
