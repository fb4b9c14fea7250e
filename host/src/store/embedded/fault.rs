//! Why an operation on the file did not succeed.

use crate::error::Error;
use std::io::ErrorKind;

pub(super) type Result<T, E = Fault> = std::result::Result<T, E>;

/// What ends an operation.
#[derive(Debug)]
pub(super) enum Fault {
    /// The operation cannot be done on what is stored; nothing was changed.
    Refused(Error),
    /// The database failed; what the transaction did so far is worth nothing.
    Storage(redb::Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<redb::StorageError> for Fault {
    fn from(error: redb::StorageError) -> Self {
        Self::Storage(error.into())
    }
}

impl From<redb::TableError> for Fault {
    fn from(error: redb::TableError) -> Self {
        Self::Storage(error.into())
    }
}

impl From<redb::TransactionError> for Fault {
    fn from(error: redb::TransactionError) -> Self {
        Self::Storage(error.into())
    }
}

impl From<redb::CommitError> for Fault {
    fn from(error: redb::CommitError) -> Self {
        Self::Storage(error.into())
    }
}

impl From<redb::DatabaseError> for Fault {
    fn from(error: redb::DatabaseError) -> Self {
        Self::Storage(error.into())
    }
}

impl From<redb::CompactionError> for Fault {
    fn from(error: redb::CompactionError) -> Self {
        Self::Storage(error.into())
    }
}

impl Fault {
    /// The error for the caller; the cause goes to the log.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Refused(error) => error,
            Self::Storage(error) => storage_error(&error),
        }
    }
}

/// Short and without the file's name, because guests see it.
pub(super) fn storage_error(cause: &redb::Error) -> Error {
    let error = match cause {
        redb::Error::Corrupted(_) | redb::Error::TableTypeMismatch { .. } | redb::Error::TypeDefinitionChanged { .. } => {
            Error::Corrupt(String::from("the store file is damaged"))
        }
        // So the database says that a file is none, or ends too early to be one.
        redb::Error::Io(error) if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) => {
            Error::Corrupt(String::from("the store file is damaged"))
        }
        redb::Error::Io(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
            Error::Unavailable(String::from("the store's disk is full"))
        }
        redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::DatabaseClosed => {
            Error::Unavailable(String::from("the store file cannot be read or written"))
        }
        _ => Error::Internal(String::from("the store failed")),
    };
    tracing::warn!(error = %cause, code = error.code(), "the embedded store failed");
    error
}
