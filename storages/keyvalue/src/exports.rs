//! The exported interface, on the bucket of the host.

use crate::keyvalue::KeyValue;
use crate::wasi::HostBucket;
use session_repository_storage::error::Result;
use session_repository_storage::exports::{Exported, Served};

#[allow(unsafe_code, reason = "what is generated around the exports speaks the canonical ABI")]
mod export {
    use super::Component;
    session_repository_storage::bindings::export!(Component);
}

type Component = Exported<Stored>;

struct Stored;

impl Served for Stored {
    type Storage = KeyValue<HostBucket>;

    /// Nothing is kept between calls, so calls at once do not disturb each other.
    fn serve<R>(call: impl FnOnce(&mut Self::Storage) -> Result<R>) -> Result<R> {
        call(&mut KeyValue(HostBucket::open()?))
    }
}
