//! Keys and values in a file.

use super::ctx::{KeyValues, sum};
use crate::error::{Error, Result};
use crate::store::embedded::file::open_or_make;
use async_trait::async_trait;
use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, Table, TableDefinition};
use std::fmt::Display;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

const VALUES: TableDefinition<&str, &[u8]> = TableDefinition::new("values");

type Values<'a> = Table<'a, &'static str, &'static [u8]>;

/// Memory for pages of the file that are in use, in bytes.
const CACHE: usize = 64 << 20;

/// Keys and values in a file of their own. One process has the file open at a time; each write is durable when it returns. A new file is its
/// owner's alone.
#[derive(Debug, Clone)]
pub struct KeyValueFile {
    database: Arc<Database>,
}

impl KeyValueFile {
    /// Opens a file, and makes it if there is none.
    ///
    /// # Errors
    ///
    /// `unavailable` if the file cannot be opened: no such folder, no file of this kind, or open elsewhere.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        blocking(move || {
            let cannot = |error: &dyn Display| Error::Unavailable(format!("{}: cannot be opened: {error}", path.display()));
            let file = open_or_make(&path).map_err(|error| cannot(&error))?;
            Self::on(|builder| builder.create_with_backend(FileBackend::new(file)?)).map_err(|error| cannot(&error))
        })
        .await
    }

    /// Keys and values in memory, which are gone when the last clone is.
    ///
    /// # Errors
    ///
    /// `unavailable` if there is not enough memory.
    pub fn in_memory() -> Result<Self> {
        Self::on(|builder| builder.create_with_backend(InMemoryBackend::new())).map_err(failed)
    }

    fn on(open: impl FnOnce(&Builder) -> std::result::Result<Database, DatabaseError>) -> std::result::Result<Self, redb::Error> {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE);
        let file = Self { database: Arc::new(open(&builder)?) };
        // So that readers find the table.
        file.commit(|_| Ok(((), true)))?;
        Ok(file)
    }

    /// Changes values, in a transaction. Tells in addition to the answer whether there is a change to keep.
    fn change<R>(&self, change: impl FnOnce(&mut Values<'_>) -> redb::Result<(R, bool)>) -> Result<R> {
        self.commit(change).map_err(failed)
    }

    fn commit<R>(&self, change: impl FnOnce(&mut Values<'_>) -> redb::Result<(R, bool)>) -> std::result::Result<R, redb::Error> {
        let transaction = self.database.begin_write()?;
        let (answer, keep) = change(&mut transaction.open_table(VALUES)?)?;
        if keep {
            transaction.commit()?
        } else {
            transaction.abort()?
        }
        Ok(answer)
    }
}

#[async_trait]
impl KeyValues for KeyValueFile {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let (file, key) = (self.clone(), key.to_owned());
        let found = move || {
            let table = file.database.begin_read()?.open_table(VALUES)?;
            Ok(table.get(&*key)?.map(|value| value.value().to_vec()))
        };
        blocking(move || found().map_err(failed)).await
    }

    async fn set(&self, key: &str, value: Vec<u8>) -> Result<()> {
        let (file, key) = (self.clone(), key.to_owned());
        blocking(move || file.change(|table| table.insert(&*key, &*value).map(|_| ((), true)))).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let (file, key) = (self.clone(), key.to_owned());
        blocking(move || file.change(|table| Ok(((), table.remove(&*key)?.is_some())))).await
    }

    async fn swap(&self, key: &str, expected: Option<&[u8]>, value: Vec<u8>) -> Result<bool> {
        let (file, key, expected) = (self.clone(), key.to_owned(), expected.map(<[u8]>::to_vec));
        let swap = move || {
            file.change(|table| {
                let is_expected = table.get(&*key)?.as_ref().map(|value| value.value()) == expected.as_deref();
                if is_expected {
                    table.insert(&*key, &*value)?;
                }
                Ok((is_expected, is_expected))
            })
        };
        blocking(swap).await
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<i64> {
        let (file, key) = (self.clone(), key.to_owned());
        let increment = move || {
            file.change(|table| {
                let sum = sum(table.get(&*key)?.as_ref().map(|value| value.value()), delta);
                if let Ok(sum) = &sum {
                    table.insert(&*key, sum.to_string().as_bytes())?;
                }
                let is_changed = sum.is_ok();
                Ok((sum, is_changed))
            })
        };
        blocking(move || increment()?).await
    }

    async fn keys(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        let (file, after) = (self.clone(), after.map(String::from));
        let listed = move || -> redb::Result<Vec<String>, redb::Error> {
            let table = file.database.begin_read()?.open_table(VALUES)?;
            let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let keys = table.range::<&str>((from, Bound::Unbounded))?.take(limit);
            keys.map(|entry| Ok(entry?.0.value().to_owned())).collect()
        };
        blocking(move || listed().map_err(failed)).await
    }
}

/// Has a thread that may block do something.
async fn blocking<R: Send + 'static>(work: impl FnOnce() -> Result<R> + Send + 'static) -> Result<R> {
    let stopped = |_| Err(Error::Unavailable(String::from("the key-value file does not answer")));
    tokio::task::spawn_blocking(work).await.unwrap_or_else(stopped)
}

fn failed(error: redb::Error) -> Error {
    tracing::debug!(?error, "the key-value file failed");
    Error::Unavailable(String::from("the key-value file failed"))
}
