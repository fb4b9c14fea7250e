//! Where keys and values are, and what a component's use of them needs.

use crate::error::{Error, Result};
use async_trait::async_trait;
use std::fmt;
use std::sync::Arc;
use wasmtime::component::ResourceTable;

/// Where keys and values are.
///
/// A component gets `access-denied` as that, and all other errors without their text.
#[async_trait]
pub trait KeyValues: Send + Sync + 'static {
    /// The value of a key, if it has one.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>>;

    /// Gives a key a value, durably.
    async fn set(&self, key: &str, value: Vec<u8>) -> Result<()>;

    /// Removes a key, if it exists.
    async fn delete(&self, key: &str) -> Result<()>;

    /// Gives a key a value, durably, if it has the expected one; none stands for a key that does not exist. Tells whether it had.
    ///
    /// Nothing comes between comparing and writing, whoever else writes.
    async fn swap(&self, key: &str, expected: Option<&[u8]>, value: Vec<u8>) -> Result<bool>;

    /// Adds to the number that a key has as decimal text, durably, and returns the sum. A key that does not exist counts as 0.
    ///
    /// Override it if the store can add in one operation: as provided, it reads and swaps until no other write comes between, at most 64 times.
    ///
    /// # Errors
    ///
    /// `invalid-argument` if the value is no number or the sum is none of 64 bits, `unavailable` if other writes always come first.
    async fn increment(&self, key: &str, delta: i64) -> Result<i64> {
        for _ in 0..INCREMENTS {
            let seen = self.get(key).await?;
            let sum = sum(seen.as_deref(), delta)?;
            if self.swap(key, seen.as_deref(), sum.to_string().into_bytes()).await? {
                return Ok(sum);
            }
        }
        Err(Error::Unavailable(String::from("too many other calls write to the key")))
    }

    /// Keys in ascending order, from the first one behind `after`: as many as the limit, or all that there are.
    async fn keys(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>>;
}

/// How often a provided increment begins at most.
const INCREMENTS: usize = 64;

/// Adds to the number that a value has as decimal text.
pub(super) fn sum(value: Option<&[u8]>, delta: i64) -> Result<i64> {
    let number = value.map_or(Some(0), |value| str::from_utf8(value).ok()?.parse::<i64>().ok());
    let sum = number.and_then(|number| number.checked_add(delta));
    sum.ok_or_else(|| Error::InvalidArgument(String::from("the key has no number that can be added to")))
}

/// Handles that a component may hold at once: buckets, and compare-and-swaps with the values that they saw.
const MAX_HANDLES: usize = 1024;

/// What a component's use of keys and values needs.
pub struct KeyValueCtx {
    pub(super) values: Arc<dyn KeyValues>,
    pub(super) table: ResourceTable,
}

impl KeyValueCtx {
    /// A context on these values. Several contexts may share them.
    pub fn new(values: Arc<dyn KeyValues>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        Self { values, table }
    }
}

impl fmt::Debug for KeyValueCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyValueCtx").finish_non_exhaustive()
    }
}

/// The data of a Wasmtime store that has a [`KeyValueCtx`] in it.
pub trait KeyValueView: Send {
    /// The context.
    fn key_values(&mut self) -> &mut KeyValueCtx;
}

impl KeyValueView for KeyValueCtx {
    fn key_values(&mut self) -> &mut KeyValueCtx {
        self
    }
}
