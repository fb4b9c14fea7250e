//! The host's side of `wasi:keyvalue`: resources, and the way to the values.

use super::bindings::atomics::{self, CasError};
use super::bindings::store::{self, Error as WitError, KeyResponse};
use super::ctx::{KeyValueCtx, KeyValues};
use crate::error::{Error, Result};
use std::sync::Arc;
use wasmtime::component::{HasData, Resource};

/// The bucket that there is.
const BUCKET: &str = "default";

/// How many keys are listed at once.
const LISTED: usize = 1000;

pub(super) struct KeyValueHost;

impl HasData for KeyValueHost {
    type Data<'a> = &'a mut KeyValueCtx;
}

/// A handle to the bucket.
#[derive(Debug)]
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Bucket;

/// A compare-and-swap that has begun.
#[derive(Debug)]
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Cas {
    key: String,
    /// The value that the key had.
    seen: Option<Vec<u8>>,
}

/// What a function of the interface returns: outside the traps, inside the errors that the component gets.
type Answer<T> = wasmtime::Result<Result<T, WitError>>;

impl From<Error> for WitError {
    /// The text is for the log.
    fn from(error: Error) -> Self {
        tracing::debug!(%error, "the key-value store refused a component");
        match error {
            Error::AccessDenied(_) => Self::AccessDenied,
            _ => Self::Other(String::from("the key-value store failed")),
        }
    }
}

impl KeyValueCtx {
    /// Where the values are, for the holder of a bucket.
    fn values(&self, bucket: &Resource<Bucket>) -> wasmtime::Result<Arc<dyn KeyValues>> {
        self.table.get(bucket)?;
        Ok(Arc::clone(&self.values))
    }

    /// Begins a compare-and-swap with what the key has now.
    async fn begin(&mut self, key: String) -> Answer<Resource<Cas>> {
        Ok(match self.values.get(&key).await {
            Ok(seen) => Ok(self.table.push(Cas { key, seen })?),
            Err(error) => Err(error.into()),
        })
    }
}

impl store::Host for KeyValueCtx {
    async fn open(&mut self, identifier: String) -> Answer<Resource<Bucket>> {
        if identifier == BUCKET { Ok(Ok(self.table.push(Bucket)?)) } else { Ok(Err(WitError::NoSuchStore)) }
    }
}

impl store::HostBucket for KeyValueCtx {
    async fn get(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<Option<Vec<u8>>> {
        Ok(self.values(&bucket)?.get(&key).await.map_err(WitError::from))
    }

    async fn set(&mut self, bucket: Resource<Bucket>, key: String, value: Vec<u8>) -> Answer<()> {
        Ok(self.values(&bucket)?.set(&key, value).await.map_err(WitError::from))
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<()> {
        Ok(self.values(&bucket)?.delete(&key).await.map_err(WitError::from))
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<bool> {
        Ok(self.values(&bucket)?.get(&key).await.map(|value| value.is_some()).map_err(WitError::from))
    }

    async fn list_keys(&mut self, bucket: Resource<Bucket>, cursor: Option<String>) -> Answer<KeyResponse> {
        // One more than are listed tells whether these are the last ones.
        let found = self.values(&bucket)?.keys(cursor.as_deref(), LISTED + 1).await;
        let listed = |mut keys: Vec<String>| {
            let is_last = keys.len() <= LISTED;
            keys.truncate(LISTED);
            KeyResponse { cursor: keys.last().cloned().filter(|_| !is_last), keys }
        };
        Ok(found.map(listed).map_err(WitError::from))
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::HostCas for KeyValueCtx {
    async fn new(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<Resource<Cas>> {
        self.values(&bucket)?;
        self.begin(key).await
    }

    async fn current(&mut self, cas: Resource<Cas>) -> Answer<Option<Vec<u8>>> {
        Ok(Ok(self.table.get(&cas)?.seen.clone()))
    }

    async fn drop(&mut self, cas: Resource<Cas>) -> wasmtime::Result<()> {
        self.table.delete(cas)?;
        Ok(())
    }
}

impl atomics::Host for KeyValueCtx {
    async fn increment(&mut self, bucket: Resource<Bucket>, key: String, delta: i64) -> Answer<i64> {
        Ok(self.values(&bucket)?.increment(&key, delta).await.map_err(WitError::from))
    }

    async fn swap(&mut self, cas: Resource<Cas>, value: Vec<u8>) -> wasmtime::Result<Result<(), CasError>> {
        let Cas { key, seen } = self.table.delete(cas)?;
        Ok(match self.values.swap(&key, seen.as_deref(), value).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.begin(key).await?.map_or_else(CasError::StoreError, CasError::CasFailed)),
            Err(error) => Err(CasError::StoreError(error.into())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::store::{Host, HostBucket};
    use super::*;
    use crate::keyvalue::KeyValueFile;

    /// The lengths of the parts in which all keys are listed.
    async fn parts(context: &mut KeyValueCtx) -> wasmtime::Result<Vec<usize>> {
        let (mut parts, mut cursor) = (Vec::new(), None);
        loop {
            let bucket = context.open(String::from(BUCKET)).await??;
            let response = context.list_keys(bucket, cursor).await??;
            parts.push(response.keys.len());
            cursor = response.cursor;
            if cursor.is_none() {
                return Ok(parts);
            }
        }
    }

    #[tokio::test]
    async fn the_last_part_of_the_keys_has_no_cursor() -> wasmtime::Result<()> {
        let values = Arc::new(KeyValueFile::in_memory()?);
        let mut context = KeyValueCtx::new(values.clone());
        assert_eq!(parts(&mut context).await?, [0]);
        for number in 0..=LISTED {
            if number == LISTED {
                assert_eq!(parts(&mut context).await?, [LISTED]);
            }
            values.set(&format!("{number:04}"), Vec::new()).await?;
        }
        assert_eq!(parts(&mut context).await?, [LISTED, 1]);
        Ok(())
    }
}
