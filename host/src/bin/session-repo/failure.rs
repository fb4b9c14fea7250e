//! Failures as the command line tells them.

use crate::wire::Subject;
use session_repository::Error;

/// An error as the command line shows it: its code and its text.
pub(crate) fn failed(error: &Error) -> anyhow::Error {
    anyhow::anyhow!("{}: {error}", error.code())
}

/// Why a subcommand failed.
pub(crate) enum Failure {
    /// A call did.
    Call(Error),
    /// Its result could not be printed.
    Print(anyhow::Error),
}

impl Failure {
    /// The failure as the command line says it.
    pub(crate) fn describe(self, subject: &Subject) -> anyhow::Error {
        match self {
            Self::Call(error) => anyhow::anyhow!("{}: {}", error.code(), subject.describe(&error)),
            Self::Print(error) => error,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Print(error)
    }
}
