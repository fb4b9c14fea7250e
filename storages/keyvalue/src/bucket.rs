//! What the storage needs of a key-value store.

use session_repository_storage::error::Result;

/// A bucket of keys and values.
///
/// Errors are `access-denied` and `unavailable`. After an error a `set`, a `delete` or a swap may have taken place.
pub trait Bucket {
    /// A compare-and-swap that has begun.
    type Swap;

    /// The value of a key, if it has one.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>>;

    /// Gives a key a value.
    fn set(&self, key: &str, value: &[u8]) -> Result<()>;

    /// Removes a key, if it exists.
    fn delete(&self, key: &str) -> Result<()>;

    /// Begins a compare-and-swap, with the value that the key has.
    fn begin(&self, key: &str) -> Result<(Self::Swap, Option<Vec<u8>>)>;

    /// Gives the key of a compare-and-swap a value, unless it has changed since. Tells whether it did.
    fn swap(&self, swap: Self::Swap, value: &[u8]) -> Result<bool>;

    /// A number that the bucket has never given before.
    fn number(&self) -> Result<i64>;
}
