//! Numbers that are counted up: in one transaction of the file, and as a `KeyValues` does that has no operation for it.

use super::file;
use async_trait::async_trait;
use session_repository::keyvalue::{KeyValueFile, KeyValues};
use session_repository::{Error, Result};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A file, without its own increment.
struct Plain {
    file: Arc<KeyValueFile>,
    /// Whether another write always comes before a swap.
    is_busy: bool,
    gets: AtomicUsize,
}

#[async_trait]
impl KeyValues for Plain {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        self.file.get(key).await
    }

    async fn set(&self, key: &str, value: Vec<u8>) -> Result<()> {
        self.file.set(key, value).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.file.delete(key).await
    }

    async fn swap(&self, key: &str, expected: Option<&[u8]>, value: Vec<u8>) -> Result<bool> {
        if self.is_busy {
            self.file.increment(key, 1).await?;
        }
        self.file.swap(key, expected, value).await
    }

    async fn keys(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        self.file.keys(after, limit).await
    }
}

fn plain(file: Arc<KeyValueFile>, is_busy: bool) -> Plain {
    Plain { file, is_busy, gets: AtomicUsize::new(0) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_increment_returns_each_number_once() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = file(folder.path()).await?;
    let stores: [(&str, Arc<dyn KeyValues>); 2] = [("file", file.clone()), ("provided", Arc::new(plain(file, false)))];
    for (name, values) in stores {
        let count = |values: Arc<dyn KeyValues>| async move {
            let mut sums = Vec::new();
            for _ in 0..20 {
                sums.push(values.increment(name, 3).await?);
            }
            anyhow::Ok(sums)
        };
        let (one, other) = tokio::try_join!(tokio::spawn(count(values.clone())), tokio::spawn(count(values.clone())))?;
        let sums: BTreeSet<i64> = one?.into_iter().chain(other?).collect();
        assert_eq!(sums, (1..=40).map(|n| n * 3).collect(), "{name}");
        assert_eq!(values.get(name).await?.as_deref(), Some(&b"120"[..]), "{name}");
        for value in ["", "many", "9223372036854775807"] {
            values.set(name, value.into()).await?;
            let refused = values.increment(name, 1).await;
            assert!(matches!(refused, Err(Error::InvalidArgument(_))), "{name}, {value:?}: {refused:?}");
            assert_eq!(values.get(name).await?.as_deref(), Some(value.as_bytes()), "{name}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_provided_increment_ends_if_other_writes_always_come_first() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let busy = plain(file(folder.path()).await?, true);
    let refused = busy.increment("number", 1).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert_eq!(busy.gets.load(Ordering::SeqCst), 64);
    Ok(())
}
