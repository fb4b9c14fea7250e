//! From the driver's errors to ours. The cause goes to the log, the guest gets a short text.

use crate::error::Error;
use mongodb::error::{Error as DriverError, ErrorKind, WriteFailure};

/// The server's limit for one document, in bytes.
pub(super) const MAX_DOCUMENT: u64 = 16 * 1024 * 1024;

/// What a driver error means to a store.
pub(super) enum Failure {
    /// The document, or the command that carries it, would be larger than the server takes.
    TooLarge,
    /// A path leads through a value that cannot hold a field.
    PathNotViable,
    /// The `_id` is taken.
    DuplicateKey,
    /// Anything else, ready for the caller.
    Other(Error),
}

// https://www.mongodb.com/docs/manual/reference/error-codes/
const BAD_VALUE: i32 = 2;
const UNAUTHORIZED: i32 = 13;
const TYPE_MISMATCH: i32 = 14;
const AUTHENTICATION_FAILED: i32 = 18;
const PATH_NOT_VIABLE: i32 = 28;
const MAX_TIME_EXPIRED: i32 = 50;
const WRITE_CONCERN_FAILED: i32 = 64;
const DUPLICATE_KEY: i32 = 11000;
const DOCUMENT_TOO_LARGE: [i32; 3] = [10334, 17280, 17419];

impl Failure {
    pub(super) fn of(error: DriverError) -> Self {
        let code = server_code(&error);
        let other = match code {
            Some(code) if DOCUMENT_TOO_LARGE.contains(&code) => return Failure::TooLarge,
            Some(DUPLICATE_KEY) => return Failure::DuplicateKey,
            Some(PATH_NOT_VIABLE | BAD_VALUE | TYPE_MISMATCH) => {
                tracing::debug!(%error, "the server refused an update");
                return Failure::PathNotViable;
            }
            Some(UNAUTHORIZED | AUTHENTICATION_FAILED) => Error::AccessDenied(String::from("the store refuses the host's credentials")),
            Some(MAX_TIME_EXPIRED | WRITE_CONCERN_FAILED) => Error::Timeout,
            _ => match error.kind.as_ref() {
                ErrorKind::Authentication { .. } => Error::AccessDenied(String::from("the store refuses the host's credentials")),
                ErrorKind::ServerSelection { .. }
                | ErrorKind::Io(_)
                | ErrorKind::ConnectionPoolCleared { .. }
                | ErrorKind::DnsResolve { .. }
                | ErrorKind::Shutdown => Error::Unavailable(String::from("the store cannot be reached")),
                _ if error.contains_label("RetryableWriteError") => Error::Unavailable(String::from("the store is changing its primary")),
                _ => Error::Internal(String::from("the store failed")),
            },
        };
        tracing::warn!(%error, code = other.code(), "a MongoDB command failed");
        Failure::Other(other)
    }

    /// The error for the caller where none of the special cases can happen.
    pub(super) fn into_error(self) -> Error {
        match self {
            Failure::Other(error) => error,
            Failure::TooLarge => Error::TooLarge { size: MAX_DOCUMENT + 1, limit: MAX_DOCUMENT },
            Failure::PathNotViable | Failure::DuplicateKey => Error::Corrupt(String::from("the stored session does not fit the schema")),
        }
    }
}

fn server_code(error: &DriverError) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => Some(concern.code),
        _ => None,
    }
}
