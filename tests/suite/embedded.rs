//! What the store in a file promises beyond the contract of all stores: it survives crashes, shares syncs, and guards its file.

mod appends;
mod child;
mod compact;
mod disk;
mod format;
#[cfg(unix)]
mod full;
mod group;
mod kill;
mod late;
mod lock;
mod order;
mod persistence;
mod power;
pub(crate) mod random;
pub(crate) mod reading;
mod refusal;
mod script;
mod seen;
mod upgrade;
mod versions;

use session_repository::{AgentRef, AppendKey, EmbeddedStore, Error, Message, Result, StoreOptions, Timestamp, Write};
use std::path::Path;
use std::time::Duration;

/// After this long a test that waits for something that does not come fails. Nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(60);

async fn open(path: impl AsRef<Path>) -> Result<EmbeddedStore> {
    EmbeddedStore::open(path, StoreOptions::default()).await
}

fn message(id: i64, time: i64, body: &str) -> Message {
    Message::new(id, body, Timestamp(time))
}

/// Agent `a` of session `s`.
fn a() -> AgentRef {
    AgentRef::new("s", "a")
}

/// A write at a time, whatever the revision.
fn at(time: i64) -> Write {
    Write::at(Timestamp(time))
}

/// A key of an append, whatever the append brings.
fn key(key: &str) -> AppendKey {
    AppendKey::new(key, "0")
}

/// The message of an `unavailable`; anything else fails the test.
#[track_caller]
fn unavailable<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result {
        Err(Error::Unavailable(message)) => message,
        other => panic!("expected unavailable, got {other:?}"),
    }
}
