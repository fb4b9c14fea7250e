//! Why an attempt at a call ends early.

use session_repository_storage::error::{Error, Result};

/// Why an attempt at a call ends early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The call is refused.
    Refused(Error),
    /// Another write came first.
    Changed,
    /// A blob that the head names does not exist. Another write has replaced it, or it is lost.
    Missing,
}

/// The answer of an attempt.
pub(crate) type Step<T> = std::result::Result<T, Stop>;

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// Repeats an attempt that other writes disturb, up to a limit. The attempt leaves in its argument the revision that it saw.
pub(crate) fn attempts<R>(limit: usize, mut attempt: impl FnMut(&mut Option<u64>) -> Step<R>) -> Result<R> {
    let mut missing_at = None;
    for _ in 0..limit {
        let mut revision = None;
        match attempt(&mut revision) {
            Ok(answer) => return Ok(answer),
            Err(Stop::Refused(error)) => return Err(error),
            // Nobody wrote meanwhile, so nobody replaced it.
            Err(Stop::Missing) if missing_at == Some(revision) => {
                return Err(Error::Corrupt(String::from("a part of the session is missing in the key-value store")));
            }
            Err(Stop::Missing) => missing_at = Some(revision),
            Err(Stop::Changed) => {}
        }
    }
    Err(Error::Unavailable(String::from("too many other calls write to the session")))
}
