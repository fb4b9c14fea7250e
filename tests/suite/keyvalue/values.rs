//! Values that are watched, and that fail on command.

use async_trait::async_trait;
use session_repository::keyvalue::{KeyValueFile, KeyValues};
use session_repository::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It does not take place.
    Refused,
    /// It takes place, and its answer is lost.
    Lost,
}

/// Values in a file, watched.
#[derive(Debug)]
pub(super) struct Watched {
    file: Arc<KeyValueFile>,
    fault: Fault,
    /// How many operations succeed until all fail; never, at `usize::MAX`.
    left: AtomicUsize,
    has_failed: AtomicBool,
    gets: AtomicUsize,
    longest_key: AtomicUsize,
    largest_value: AtomicUsize,
}

impl Watched {
    pub(super) fn new(file: Arc<KeyValueFile>, fault: Fault) -> Arc<Self> {
        let (has_failed, gets, longest_key, largest_value) = Default::default();
        Arc::new(Self { file, fault, left: AtomicUsize::new(usize::MAX), has_failed, gets, longest_key, largest_value })
    }

    /// Has one operation fail after so many that succeed, and all that follow.
    pub(super) fn fail_after(&self, operations: usize) {
        self.left.store(operations, Ordering::SeqCst);
    }

    /// Has operations succeed again, and tells whether one has failed.
    pub(super) fn mend(&self) -> bool {
        self.left.store(usize::MAX, Ordering::SeqCst);
        self.has_failed.swap(false, Ordering::SeqCst)
    }

    /// How many values were read since this was asked last.
    pub(super) fn gets(&self) -> usize {
        self.gets.swap(0, Ordering::SeqCst)
    }

    /// The bytes of the longest key and of the largest value that were ever written.
    pub(super) fn largest(&self) -> (usize, usize) {
        (self.longest_key.load(Ordering::SeqCst), self.largest_value.load(Ordering::SeqCst))
    }

    /// All that is stored.
    pub(super) async fn all(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let mut all = Vec::new();
        for key in self.file.keys(None, usize::MAX).await? {
            let value = self.file.get(&key).await?.unwrap_or_default();
            all.push((key, value));
        }
        Ok(all)
    }

    async fn operate<R: Send>(&self, operation: impl Future<Output = Result<R>> + Send) -> Result<R> {
        let count = |left: usize| if left == usize::MAX { None } else { Some(left.saturating_sub(1)) };
        let before = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count).unwrap_or(usize::MAX);
        let failed = || Err(Error::Unavailable(String::from("a fault on command")));
        if before > 0 {
            return operation.await;
        }
        self.has_failed.store(true, Ordering::SeqCst);
        if self.fault == Fault::Lost {
            operation.await?;
        }
        failed()
    }

    fn watch(&self, key: &str, value: &[u8]) {
        self.longest_key.fetch_max(key.len(), Ordering::SeqCst);
        self.largest_value.fetch_max(value.len(), Ordering::SeqCst);
    }
}

#[async_trait]
impl KeyValues for Watched {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        self.operate(self.file.get(key)).await
    }

    async fn set(&self, key: &str, value: Vec<u8>) -> Result<()> {
        self.watch(key, &value);
        self.operate(self.file.set(key, value)).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.operate(self.file.delete(key)).await
    }

    async fn swap(&self, key: &str, expected: Option<&[u8]>, value: Vec<u8>) -> Result<bool> {
        self.watch(key, &value);
        self.operate(self.file.swap(key, expected, value)).await
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<i64> {
        self.operate(self.file.increment(key, delta)).await
    }

    async fn keys(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        self.operate(self.file.keys(after, limit)).await
    }
}
