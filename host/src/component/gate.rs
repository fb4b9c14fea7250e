//! The way to the store: every call passes the gate, which knows the scope that the calls are under.

mod audit;
mod bucket;
mod ids;

pub use audit::Audit;
pub(crate) use ids::SessionIds;

use crate::error::{Error, Result};
use crate::limits::SMALL_ARGUMENTS;
use crate::scope::{Interface, Quotas, Scope};
use crate::store::Store;
use audit::{Counts, Outcome};
use bucket::Bucket;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A store, and what is allowed on it. Clones share their counts and quotas.
///
/// Nobody else in this room holds the store, so that nothing gets there without [`admit`](Self::admit).
#[derive(Clone)]
pub(crate) struct Gate {
    store: Arc<dyn Store>,
    guard: Option<Arc<Guard>>,
}

/// Who watches the calls of a scope.
struct Guard {
    scope: Scope,
    calls: Option<Bucket>,
    written: Option<Bucket>,
    in_flight: Option<Arc<Semaphore>>,
    turns: Arc<Semaphore>,
    counts: Counts,
}

/// What kind of call it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    interface: Interface,
    is_write: bool,
}

/// What a call is about.
pub(crate) struct Call {
    kind: Kind,
    /// The id that the caller gives the session.
    session_id: String,
    /// How much text it brings, in bytes.
    brings: usize,
}

/// A call that may go on.
pub(crate) struct Admitted {
    pub(crate) store: Arc<dyn Store>,
    /// The id under which the store knows the session.
    pub(crate) session_id: String,
    /// Held until the store has done the call.
    pub(crate) in_flight: Option<OwnedSemaphorePermit>,
}

/// Calls of a scope that the store works on at once, if they bring little; more wait their turn. A flood makes a queue of its own then, and
/// none before the calls of others.
const TURNS: usize = 8;

/// How much text counts as a call more, in bytes.
const TURN_BYTES: usize = 32 << 10;

/// As how many calls one counts at most. It is fewer than there are turns, or one call that hangs would keep all large ones from the store, and
/// these all others behind them.
const HEAVIEST: usize = TURNS / 2;

/// When a caller may try again who has too many calls under way: nobody knows when one of them ends.
const RETRY_IN_FLIGHT: Duration = Duration::from_millis(50);

impl Kind {
    pub(crate) fn read(interface: Interface) -> Self {
        Self { interface, is_write: false }
    }

    pub(crate) fn write(interface: Interface) -> Self {
        Self { interface, is_write: true }
    }
}

impl Call {
    pub(crate) fn read(interface: Interface, session_id: String) -> Self {
        Self { kind: Kind::read(interface), session_id, brings: 0 }
    }

    pub(crate) fn write(interface: Interface, session_id: String, brings: usize) -> Self {
        Self { kind: Kind::write(interface), session_id, brings }
    }

    pub(crate) fn brings(&self) -> usize {
        self.brings
    }
}

impl Gate {
    /// A way for all calls.
    pub(crate) fn open(store: Arc<dyn Store>) -> Self {
        Self { store, guard: None }
    }

    /// A way for what a scope allows.
    pub(crate) fn scoped(self, scope: Scope) -> Self {
        Self { guard: Some(Arc::new(Guard::new(scope))), ..self }
    }

    /// Lets a call of a repository in, before its text is copied and checked: what is then refused is not free, either. `limit` is for the text
    /// of one call.
    pub(crate) fn let_in(&self, kind: Kind, brings: usize, limit: usize) -> Result<()> {
        match &self.guard {
            None => bound(brings, limit),
            Some(guard) => guard.let_in(kind, brings, limit).inspect_err(|error| guard.refused(kind, error)),
        }
    }

    /// Lets a call through to the store. One that was let in already is not counted again.
    pub(crate) fn admit(&self, call: Call, is_in: bool) -> Result<Admitted> {
        let store = Arc::clone(&self.store);
        match &self.guard {
            None => Ok(Admitted { store, session_id: call.session_id, in_flight: None }),
            Some(guard) => {
                let kind = call.kind;
                let admitted = guard.admit(call, is_in).inspect_err(|error| guard.refused(kind, error));
                let (session_id, in_flight) = admitted?;
                guard.counts.admitted();
                Ok(Admitted { store, session_id, in_flight })
            }
        }
    }

    pub(crate) fn is_scoped(&self) -> bool {
        self.guard.is_some()
    }

    /// Takes permits for a call on its way here. If there are too few, the call waits; under a scope it is refused, so that untrusted
    /// callers cannot have the host keep any number of calls for them.
    pub(crate) async fn take(&self, permits: &Arc<Semaphore>, count: u32, kind: Kind) -> Result<OwnedSemaphorePermit> {
        let closed = |_| Error::Unavailable(String::from("the repository is closed"));
        let permits = Arc::clone(permits);
        match &self.guard {
            None => permits.acquire_many_owned(count).await.map_err(closed),
            Some(guard) => permits.try_acquire_many_owned(count).map_err(|_| {
                let error = later(RETRY_IN_FLIGHT);
                guard.refused(kind, &error);
                error
            }),
        }
    }

    /// Waits for a turn to ask the store, which is over when this is dropped. Without a scope there is no wait.
    pub(crate) async fn turn(&self, brings: usize) -> Option<OwnedSemaphorePermit> {
        let turns = Arc::clone(&self.guard.as_ref()?.turns);
        let weight = u32::try_from((1 + brings / TURN_BYTES).min(HEAVIEST)).unwrap_or(1);
        // Nobody closes it.
        turns.acquire_many_owned(weight).await.ok()
    }

    /// Has an answer name sessions as the caller knows them.
    pub(crate) fn show(&self, answer: &mut impl SessionIds) {
        if let Some(guard) = &self.guard {
            answer.each_session_id(&mut |id| *id = guard.scope.shown_id(id).to_owned());
        }
    }

    /// An error of the store as the caller may see it: those of a scope learn what to do, and nothing of the store or of others in it.
    pub(crate) fn told(&self, error: Error) -> Error {
        if self.guard.is_none() {
            return error;
        }
        let text = String::from;
        match error {
            Error::AccessDenied(_) => Error::AccessDenied(text("the store does not allow this")),
            Error::Unavailable(_) => Error::Unavailable(text("the store cannot be reached right now")),
            Error::Corrupt(_) => Error::Corrupt(text("what is stored in the session does not fit the schema")),
            Error::Internal(_) => Error::Internal(text("the store failed")),
            Error::Unsupported(_) => Error::Unsupported(text("the store does not do this")),
            told @ (Error::NotFound(_)
            | Error::AlreadyExists(_)
            | Error::Stale { .. }
            | Error::InvalidArgument(_)
            | Error::TooLarge { .. }
            | Error::Timeout
            | Error::QuotaExceeded { .. }) => told,
        }
    }

    pub(crate) async fn close(&self) {
        self.store.close().await;
    }

    pub(crate) fn audit(&self) -> Audit {
        self.guard.as_ref().map(|guard| guard.counts.audit()).unwrap_or_default()
    }
}

impl Guard {
    fn new(scope: Scope) -> Self {
        let Quotas { calls_per_second, calls_in_flight, bytes_per_minute, .. } = *scope.quota();
        Self {
            calls: calls_per_second.map(|calls| Bucket::new(f64::from(calls), Duration::from_secs(1))),
            // Counts of bytes are far below what a float tells apart.
            written: bytes_per_minute.map(|bytes| Bucket::new(bytes as f64, Duration::from_secs(60))),
            in_flight: calls_in_flight.map(|calls| Arc::new(Semaphore::new(calls.min(Semaphore::MAX_PERMITS)))),
            turns: Arc::new(Semaphore::new(TURNS)),
            counts: Counts::default(),
            scope,
        }
    }

    /// Counts a call. Denied calls count, or they would be free.
    fn count(&self) -> Result<()> {
        self.calls.as_ref().map_or(Ok(()), |calls| calls.take(1.0)).map_err(later)
    }

    fn let_in(&self, Kind { interface, is_write }: Kind, brings: usize, limit: usize) -> Result<()> {
        self.count()?;
        if !self.scope.allows(interface, is_write) {
            return Err(denied());
        }
        bound(brings, self.scope.quota().bytes_per_call.map_or(limit, |quota| quota.min(limit)))
    }

    fn admit(&self, call: Call, is_in: bool) -> Result<(String, Option<OwnedSemaphorePermit>)> {
        let Call { kind: Kind { interface, is_write }, session_id, brings } = call;
        if !is_in {
            self.count()?;
        }
        let allowed = self.scope.allows(interface, is_write).then(|| self.scope.stored_id(session_id)).flatten();
        let session_id = allowed.ok_or_else(denied)?;
        let Quotas { bytes_per_call, bytes_per_minute, .. } = *self.scope.quota();
        for limit in [bytes_per_call, bytes_per_minute].into_iter().flatten() {
            if brings > limit {
                return Err(Error::TooLarge { size: brings as u64, limit: limit as u64 });
            }
        }
        let in_flight = match &self.in_flight {
            Some(all) => Some(Arc::clone(all).try_acquire_owned().map_err(|_| later(RETRY_IN_FLIGHT))?),
            None => None,
        };
        if is_write {
            self.written.as_ref().map_or(Ok(()), |written| written.take(brings as f64)).map_err(later)?;
        }
        Ok((session_id, in_flight))
    }

    fn refused(&self, Kind { interface, is_write }: Kind, error: &Error) {
        let outcome = match error {
            Error::AccessDenied(_) => Outcome::Denied,
            Error::QuotaExceeded { .. } => Outcome::Throttled,
            _ => Outcome::TooLarge,
        };
        self.counts.refused(outcome, self.scope.name(), interface, is_write);
    }
}

fn denied() -> Error {
    Error::AccessDenied(String::from("the caller's scope does not allow this"))
}

/// Refuses a call that brings more than a limit. Ids and the like are not the text that is counted.
fn bound(brings: usize, limit: usize) -> Result<()> {
    if brings > limit.saturating_add(SMALL_ARGUMENTS) {
        return Err(Error::TooLarge { size: brings as u64, limit: limit as u64 });
    }
    Ok(())
}

fn later(wait: Duration) -> Error {
    Error::QuotaExceeded { retry_after_ms: u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX) }
}
