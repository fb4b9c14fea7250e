//! From the driver's errors to ours. The cause goes to the log, the guest gets a short text.

use crate::error::Error;
use crate::store::schema::build::MAX_DOCUMENT;
use mongodb::error::{Error as DriverError, ErrorKind, WriteFailure};

/// What a driver error means to a store.
pub(crate) enum Failure {
    /// The document, or the command that carries it, would be larger than the server takes.
    TooLarge,
    /// The server refused the update itself: it does not fit the stored document.
    Refused,
    /// The `_id` is taken.
    DuplicateKey,
    /// Anything else, ready for the caller.
    Other(Error),
}

// https://www.mongodb.com/docs/manual/reference/error-codes/
const UNAUTHORIZED: i32 = 13;
const AUTHENTICATION_FAILED: i32 = 18;
const MAX_TIME_EXPIRED: i32 = 50;
const WRITE_CONCERN_FAILED: i32 = 64;
pub(crate) const DUPLICATE_KEY: i32 = 11000;
const UNSATISFIABLE_WRITE_CONCERN: [i32; 2] = [79, 100];
const DOCUMENT_TOO_LARGE: [i32; 3] = [10334, 17280, 17419];
/// The server is stopping, changing its primary or busy: nothing to do with the update that met it.
const NOT_NOW: [i32; 16] = [6, 7, 89, 91, 112, 133, 134, 189, 262, 9001, 10058, 10107, 11600, 11602, 13435, 13436];
const VALIDATION_FAILED: i32 = 121;
const NAMESPACE_NOT_FOUND: i32 = 26;

impl Failure {
    pub(crate) fn of(error: DriverError) -> Self {
        Self::judge(error, false)
    }

    /// What an error of a command means that updates and answers with what it made: the server says in one way that it does not know the
    /// command and that the update does not fit.
    pub(crate) fn of_update(error: DriverError) -> Self {
        Self::judge(error, true)
    }

    fn judge(error: DriverError, updates: bool) -> Self {
        let other = match server_code(&error) {
            Some(code) if DOCUMENT_TOO_LARGE.contains(&code) => return Failure::TooLarge,
            Some(DUPLICATE_KEY) => return Failure::DuplicateKey,
            Some(UNAUTHORIZED | AUTHENTICATION_FAILED) => denied(),
            Some(VALIDATION_FAILED) => Error::AccessDenied(String::from("the store's own validation refuses the document")),
            Some(MAX_TIME_EXPIRED | WRITE_CONCERN_FAILED) => Error::Timeout,
            Some(code) if NOT_NOW.contains(&code) => Error::Unavailable(String::from("the store is stopping or changing its primary")),
            Some(code) if UNSATISFIABLE_WRITE_CONCERN.contains(&code) => {
                Error::Unavailable(String::from("the store cannot satisfy the write concern"))
            }
            _ => match error.kind.as_ref() {
                ErrorKind::Write(WriteFailure::WriteError(_)) => {
                    tracing::debug!(%error, "the server refused an update");
                    return Failure::Refused;
                }
                ErrorKind::Authentication { .. } => denied(),
                ErrorKind::ServerSelection { .. }
                | ErrorKind::Io(_)
                | ErrorKind::ConnectionPoolCleared { .. }
                | ErrorKind::DnsResolve { .. }
                | ErrorKind::Shutdown => Error::Unavailable(String::from("the store cannot be reached")),
                ErrorKind::Command(_) if updates && !error.contains_label("RetryableWriteError") => {
                    tracing::debug!(%error, "the server refused an update");
                    return Failure::Refused;
                }
                _ if error.contains_label("RetryableWriteError") => {
                    Error::Unavailable(String::from("the store is stopping or changing its primary"))
                }
                ErrorKind::Command(_) => Error::Internal(String::from("the store refuses the host's command or its options")),
                _ => Error::Internal(String::from("the store failed")),
            },
        };
        // The driver's text names servers and values: it is for those who ask for it.
        tracing::warn!(code = other.code(), "a MongoDB command failed");
        tracing::debug!(%error, "the driver says");
        Failure::Other(other)
    }

    /// The error for the caller where none of the special cases has a meaning of its own.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Failure::Other(error) => error,
            Failure::TooLarge => Error::TooLarge { size: MAX_DOCUMENT + 1, limit: MAX_DOCUMENT },
            Failure::Refused | Failure::DuplicateKey => Error::Corrupt(String::from("the stored session does not fit the schema")),
        }
    }
}

/// The error for the caller of a driver's error that has no special meaning.
pub(crate) fn failed(error: DriverError) -> Error {
    Failure::of(error).into_error()
}

/// Whether a server that answers so may do it later.
pub(crate) fn is_not_now(code: i32) -> bool {
    NOT_NOW.contains(&code)
}

/// Whether there is no such collection.
pub(crate) fn is_missing_namespace(error: &DriverError) -> bool {
    server_code(error) == Some(NAMESPACE_NOT_FOUND)
}

fn denied() -> Error {
    Error::AccessDenied(String::from("the store refuses the host's credentials"))
}

/// The server's code of an error, if it is one of the server.
pub(crate) fn server_code(error: &DriverError) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => Some(concern.code),
        ErrorKind::InsertMany(failure) => failure.write_concern_error.as_ref().map(|concern| concern.code),
        _ => None,
    }
}
