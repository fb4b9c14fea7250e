//! Moving sessions from one store to another, whatever each is.

use super::AnyStore;
use crate::error::{Error, Result};
use crate::store::transfer::out::Out;
use crate::store::transfer::parts::Gone;
use crate::store::transfer::{Dumped, Imported, read};
use std::io::{BufRead, ErrorKind};
use tokio::sync::mpsc;

/// Pieces of a dump that may wait for whoever writes them.
const CHUNKS: usize = 2;

/// Batches of parts that may wait for the store.
const BATCHES: usize = 1;

impl AnyStore {
    /// Dumps the sessions whose ids come after `after` (all, if none), in the byte order of their ids.
    ///
    /// One session document in the reference's schema on each line, as Extended JSON that keeps every type. A file is dumped as it is at one
    /// moment. Memory grows neither with the number of sessions nor with their size. Dropping the receiver ends it.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn export(&self, after: Option<String>) -> mpsc::Receiver<Result<Dumped>> {
        let (chunks, receiver) = mpsc::channel(CHUNKS);
        let store = self.clone();
        tokio::spawn(async move {
            let out = Out::new(chunks.clone());
            let done = match store {
                #[cfg(feature = "mongodb")]
                Self::Mongo(store) => store.dump(after, out).await,
                #[cfg(feature = "mongodb")]
                Self::ReadOnlyMongo(store) => store.inner().dump(after, out).await,
                #[cfg(feature = "embedded")]
                Self::Embedded(store) => store.dump(after, out).await,
            };
            if let Err(error) = done {
                // Nobody may be listening any more.
                chunks.send(Err(error)).await.ok();
            }
        });
        receiver
    }

    /// Stores the sessions of a dump, each as a whole or not at all; those that are there already are never changed. So an import that was
    /// cut off is simply done again.
    ///
    /// Reads what [`export`](Self::export) writes, and what MongoDB's `mongoexport` makes of a collection of the reference. Blocking reads
    /// of `input` are done on a thread that may block.
    ///
    /// # Errors
    ///
    /// `access-denied` if the store is open for reading only, `invalid-argument` for UTF-16 text, `unavailable` and the like if the store fails or the input cannot be read. What
    /// was stored until then stays.
    pub async fn import(&self, input: impl BufRead + Send + 'static) -> Result<Imported> {
        let (batches, receiver) = mpsc::channel(BATCHES);
        let reading = tokio::task::spawn_blocking(move || {
            read::lines(input, |batch| batches.blocking_send(batch).map_err(|mpsc::error::SendError(_)| Gone))
        });
        // A task of its own, because a driver call must not be dropped midway.
        let store = self.clone();
        let loading = tokio::spawn(async move {
            match store {
                #[cfg(feature = "mongodb")]
                Self::Mongo(store) => store.load(receiver).await,
                #[cfg(feature = "mongodb")]
                Self::ReadOnlyMongo(_) => Err(Error::read_only()),
                #[cfg(feature = "embedded")]
                Self::Embedded(store) => store.load(receiver).await,
            }
        });
        let imported = loading.await.unwrap_or_else(|defect| {
            Err(Error::of_task("loading a dump", &defect, Error::Internal(String::from("the dump cannot be loaded"))))
        });
        let read = reading
            .await
            .map_err(|defect| Error::of_task("reading a dump", &defect, Error::Internal(String::from("the dump cannot be read"))))?;
        let imported = imported?;
        read.map_err(|error| match error.kind() {
            ErrorKind::InvalidData => Error::InvalidArgument(error.to_string()),
            _ => Error::Unavailable(format!("the dump cannot be read: {error}")),
        })?;
        Ok(imported)
    }
}
