//! What can go wrong, for stores and callers alike.

use std::fmt;
use tokio::task::JoinError;

/// The result of a repository or store call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Entity {
    /// A session.
    Session,
    /// An agent of a session.
    Agent,
    /// A message of an agent.
    Message,
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Entity::Session => "session",
            Entity::Agent => "agent",
            Entity::Message => "message",
        })
    }
}

/// Why a call failed: the cases of the WIT `error`, which says for each who is to blame.
///
/// Messages are short and free of credentials; those that reach a guest are free of addresses, too. Causes go to the log through `tracing`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The named thing does not exist.
    #[error("the {0} does not exist")]
    NotFound(Entity),
    /// The named thing exists already, for a message: with other content. Nothing was changed.
    #[error("the {0} exists already")]
    AlreadyExists(Entity),
    /// The session is not at the revision that the write expects. Nothing was changed.
    #[error("the session is at revision {current} by now")]
    Stale {
        /// The revision that it is at.
        current: u64,
    },
    /// An argument breaks a rule. Nothing was changed.
    #[error("{0}")]
    InvalidArgument(String),
    /// Something would be larger than a limit. Nothing was changed.
    #[error("{size} bytes are too large, the limit is {limit}")]
    TooLarge {
        /// The size that was refused, in bytes.
        size: u64,
        /// The largest size that is accepted, in bytes.
        limit: u64,
    },
    /// The caller may not do this. Nothing was changed.
    #[error("{0}")]
    AccessDenied(String),
    /// No answer came in time. A write may or may not have happened.
    #[error("no answer came in time")]
    Timeout,
    /// The store or the component cannot be reached right now. A write may or may not have happened.
    #[error("{0}")]
    Unavailable(String),
    /// What is stored does not fit the schema. Nothing was changed.
    #[error("{0}")]
    Corrupt(String),
    /// A defect in the host or the component. A write may or may not have happened.
    #[error("{0}")]
    Internal(String),
    /// The caller has used up what the host allows it for now. Nothing was changed.
    #[error("the quota is used up; there is more in {retry_after_ms} ms")]
    QuotaExceeded {
        /// When the same call can succeed, in milliseconds from now.
        retry_after_ms: u64,
    },
    /// The host or its store does not do this at all. Nothing was changed.
    #[error("{0}")]
    Unsupported(String),
}

impl Error {
    /// The refusal of a write to a store that is open for reading only.
    pub(crate) fn read_only() -> Self {
        Self::AccessDenied(String::from("the store is open for reading only"))
    }

    /// What became of work whose task ended without an answer: `panicked` if it did, else its runtime was shut down under it.
    pub(crate) fn of_task(work: &'static str, defect: &JoinError, panicked: Self) -> Self {
        if defect.is_cancelled() {
            return Self::Unavailable(String::from("the Tokio runtime that does the work was shut down"));
        }
        tracing::error!(%defect, work, "a task ended without an answer");
        panicked
    }

    /// The case's name, as in the WIT package and the `exec` protocol.
    pub fn code(&self) -> &'static str {
        match self {
            Error::NotFound(_) => "not-found",
            Error::AlreadyExists(_) => "already-exists",
            Error::Stale { .. } => "stale",
            Error::InvalidArgument(_) => "invalid-argument",
            Error::TooLarge { .. } => "too-large",
            Error::AccessDenied(_) => "access-denied",
            Error::Timeout => "timeout",
            Error::Unavailable(_) => "unavailable",
            Error::Corrupt(_) => "corrupt",
            Error::Internal(_) => "internal",
            Error::QuotaExceeded { .. } => "quota-exceeded",
            Error::Unsupported(_) => "unsupported",
        }
    }

    /// Whether the same call can succeed later without anybody changing anything. After such an error, other than a quota that is used up,
    /// a write may or may not have happened. A create can be repeated safely: of a message it succeeds, of a session or an agent it says that there is one. So can an
    /// append with an idempotency key.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Timeout | Error::Unavailable(_) | Error::QuotaExceeded { .. })
    }
}
