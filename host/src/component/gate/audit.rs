//! What became of the calls of a scope, in numbers and in the log.

use crate::scope::Interface;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many calls under a [`Scope`](crate::Scope) had which end at its gate. Calls that the component refuses as invalid are in none of the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Audit {
    /// Calls that went on to the store.
    pub admitted: u64,
    /// Calls that ended in [`AccessDenied`](crate::Error::AccessDenied).
    pub denied: u64,
    /// Calls that ended in [`QuotaExceeded`](crate::Error::QuotaExceeded), also those that found no free place in an instance.
    pub throttled: u64,
    /// Calls that ended in [`TooLarge`](crate::Error::TooLarge), because they brought more than the quotas allow.
    pub too_large: u64,
}

/// Why a call does not go on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome {
    Denied,
    Throttled,
    TooLarge,
}

/// A caller that is refused a million times writes a line each second.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Counts(Mutex<State>);

#[derive(Default)]
struct State {
    audit: Audit,
    logged: Option<Instant>,
}

impl Counts {
    pub(super) fn admitted(&self) {
        self.lock().audit.admitted += 1;
    }

    pub(super) fn refused(&self, outcome: Outcome, scope: &str, interface: Interface, is_write: bool) {
        let mut state = self.lock();
        match outcome {
            Outcome::Denied => state.audit.denied += 1,
            Outcome::Throttled => state.audit.throttled += 1,
            Outcome::TooLarge => state.audit.too_large += 1,
        }
        let now = Instant::now();
        if state.logged.is_some_and(|logged| now.saturating_duration_since(logged) < PAUSE) {
            return;
        }
        state.logged = Some(now);
        let Audit { denied, throttled, too_large, .. } = state.audit;
        drop(state);
        let interface = interface.name();
        tracing::info!(
            target: "session_repository::audit",
            scope, interface, is_write, ?outcome, denied, throttled, too_large,
            "a call was refused"
        );
    }

    pub(super) fn audit(&self) -> Audit {
        self.lock().audit
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
