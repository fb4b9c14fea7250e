//! Keys and values in a file.

use super::ctx::KeyValues;
use crate::error::{Error, Result};
use async_trait::async_trait;
use redb::{Database, ReadableDatabase, ReadableTable, Table, TableDefinition};
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

const VALUES: TableDefinition<&str, &[u8]> = TableDefinition::new("values");

/// How many keys are listed at once.
const LISTED: usize = 1000;

/// Keys and values in a file of their own. One process has the file open at a time; each write is durable when it returns.
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
            let cannot = |error: redb::Error| Error::Unavailable(format!("{}: cannot be opened: {error}", path.display()));
            let database = Database::create(&path).map_err(|error| cannot(error.into()))?;
            let file = Self { database: Arc::new(database) };
            // So that readers find the table.
            file.change(|_| Ok(((), true)))?;
            Ok(file)
        })
        .await
    }

    /// Changes values, in a transaction. Tells in addition to the answer whether there is a change to keep.
    fn change<R>(&self, change: impl FnOnce(&mut Table<'_, &'static str, &'static [u8]>) -> redb::Result<(R, bool)>) -> Result<R> {
        let changed = || {
            let transaction = self.database.begin_write()?;
            let (answer, keep) = change(&mut transaction.open_table(VALUES)?)?;
            if keep {
                transaction.commit()?
            } else {
                transaction.abort()?
            }
            Ok(answer)
        };
        changed().map_err(failed)
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

    async fn keys(&self, after: Option<&str>) -> Result<Vec<String>> {
        let (file, after) = (self.clone(), after.map(String::from));
        let listed = move || -> redb::Result<Vec<String>, redb::Error> {
            let table = file.database.begin_read()?.open_table(VALUES)?;
            let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let keys = table.range::<&str>((from, Bound::Unbounded))?.take(LISTED);
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
