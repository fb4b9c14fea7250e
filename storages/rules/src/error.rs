//! Why calls are refused: the errors of the storage's contract that these storages have.

/// What an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entity {
    /// A session.
    Session,
    /// An agent.
    Agent,
    /// A message.
    Message,
}

/// Why a call is refused. Nothing was changed, unless it is [`Error::Unavailable`]: then a write may have taken place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The named thing does not exist.
    NotFound(Entity),
    /// The named thing exists already.
    AlreadyExists(Entity),
    /// The session is at this revision, not at the expected one.
    Stale(u64),
    /// An argument breaks a rule; the text says which.
    InvalidArgument(String),
    /// Something would be larger than a limit, in bytes.
    TooLarge {
        /// The size that was refused.
        size: u64,
        /// The largest size that is accepted.
        limit: u64,
    },
    /// What the storage stands on refuses it access; the text says what.
    AccessDenied(String),
    /// What the storage stands on does not answer, or is too busy. A retry may help.
    Unavailable(String),
    /// What is stored does not fit together.
    Corrupt(String),
}

/// The answer of a call.
pub type Result<T> = std::result::Result<T, Error>;
