//! A bucket of the host, through `wasi:keyvalue`.

use crate::bindings::atomics::{self, Cas, CasError};
use crate::bindings::store;
use crate::bucket::Bucket;
use session_repository_storage::error::{Error, Result};
use std::cell::Cell;

/// The bucket that the sessions are in: the one that hosts have by default.
const NAME: &str = "default";

/// The key of the number that counts up for each blob.
const NUMBERS: &str = "session-repository.1.numbers";

/// How many numbers an instance takes at once.
const AT_ONCE: i64 = 256;

/// A bucket of the host.
#[derive(Debug)]
pub(crate) struct HostBucket(store::Bucket);

thread_local! {
    /// Numbers of this instance that no blob has yet: the next one, and how many there are.
    static UNUSED: Cell<(i64, i64)> = const { Cell::new((0, 0)) };
}

impl HostBucket {
    pub(crate) fn open() -> Result<Self> {
        Ok(Self(store::open(NAME)?))
    }
}

impl Bucket for HostBucket {
    type Swap = Cas;

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.0.get(key)?)
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        Ok(self.0.set(key, value)?)
    }

    fn delete(&self, key: &str) -> Result<()> {
        Ok(self.0.delete(key)?)
    }

    fn begin(&self, key: &str) -> Result<(Cas, Option<Vec<u8>>)> {
        let cas = Cas::new(&self.0, key)?;
        let current = cas.current()?;
        Ok((cas, current))
    }

    fn swap(&self, swap: Cas, value: &[u8]) -> Result<bool> {
        match atomics::swap(swap, value) {
            Ok(()) => Ok(true),
            Err(CasError::CasFailed(_)) => Ok(false),
            Err(CasError::StoreError(error)) => Err(error.into()),
        }
    }

    fn number(&self) -> Result<i64> {
        // Another call of the instance may take numbers while this one waits for the host. It finds none meanwhile, and takes its own.
        let (next, left) = UNUSED.replace((0, 0));
        let (next, left) = if left > 0 { (next, left) } else { (atomics::increment(&self.0, NUMBERS, AT_ONCE)? - AT_ONCE, AT_ONCE) };
        UNUSED.set((next + 1, left - 1));
        Ok(next)
    }
}

impl From<store::Error> for Error {
    /// The host's words are for the host's log.
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::NoSuchStore => Self::Unavailable(format!("the host has no key-value store {NAME:?}")),
            store::Error::AccessDenied => Self::AccessDenied(String::from("the key-value store is not for this component")),
            store::Error::Other(_) => Self::Unavailable(String::from("the key-value store failed")),
        }
    }
}
