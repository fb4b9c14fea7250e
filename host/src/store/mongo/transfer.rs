//! Dumps of a collection, and loading them. A dump has whole sessions: what is archived stands where it belongs.

mod assembly;
mod whole;

use super::archive;
use super::archive::orphans::ORPHAN;
use super::conditions::session;
use super::error::{DUPLICATE_KEY, failed};
use super::store::{MongoStore, primary};
use crate::error::{Error, Result};
use crate::store::schema::read::{self, corrupt};
use crate::store::transfer::Imported;
use crate::store::transfer::out::Out;
use crate::store::transfer::parts::Part;
use assembly::{Assembled, Assembly, NewBlocks};
use mongodb::bson::raw::RawBsonRef;
use mongodb::bson::{RawDocumentBuf, doc};
use mongodb::error::ErrorKind;
use std::future::IntoFuture;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// Documents that are inserted together at most, and their bytes.
const BATCH: usize = 500;
const BATCH_BYTES: usize = 4 * 1024 * 1024;

impl MongoStore {
    /// How many documents there are, as the collection's own statistics have it.
    pub(crate) async fn count_sessions(&self) -> Result<u64> {
        self.collection.estimated_document_count().await.map_err(failed)
    }

    /// Writes all sessions after an id.
    pub(crate) async fn dump(&self, after: Option<String>, mut out: Out) -> Result<()> {
        // A comparison with text finds text only; other ids are not sessions'.
        let filter = match after {
            Some(after) => doc! { "_id": { "$gt": after } },
            None => doc! { "_id": { "$gte": "" } },
        };
        let batch = self.batch_size().await;
        let (store, runtime) = (self.clone(), Handle::current());
        let writing = tokio::task::spawn_blocking(move || {
            let find = store.collection.find(filter).sort(doc! { "_id": 1 }).batch_size(batch);
            let mut cursor = runtime.block_on(find.into_future()).map_err(failed)?;
            while runtime.block_on(cursor.advance()).map_err(failed)? {
                let document = cursor.current();
                let Ok(Some(RawBsonRef::String(session_id))) = document.get("_id") else { return Err(corrupt("session")) };
                let whole = match runtime.block_on(store.whole(session_id, document)) {
                    Ok(Some(whole)) => whole,
                    Ok(None) => continue,
                    Err(Error::Corrupt(why)) => match out.skip(session_id, why) {
                        Ok(()) => continue,
                        Err(_) => break,
                    },
                    Err(error) => return Err(error),
                };
                let written = store.write_session(&runtime, &mut out, session_id, &whole);
                if out.is_unwanted() {
                    break;
                }
                written?;
                if out.end(session_id).is_err() {
                    break;
                }
            }
            Ok(())
        });
        writing.await.unwrap_or_else(|defect| {
            Err(Error::of_task("writing a dump", &defect, Error::Internal(String::from("the dump cannot be written"))))
        })
    }

    /// How many documents are read together, so that they have about as many bytes as memory is to be used for.
    async fn batch_size(&self) -> u32 {
        const BYTES: u64 = 4 * 1024 * 1024;
        const MOST: u64 = 500;
        let statistics =
            vec![doc! { "$collStats": { "storageStats": {} } }, doc! { "$project": { "average": "$storageStats.avgObjSize" } }];
        // Without the right to the statistics, or without a collection: a few.
        let found = self.collection.aggregate(statistics).with_type::<RawDocumentBuf>().await.ok();
        let Some(mut found) = found else { return 1 };
        let average = match found.advance().await {
            Ok(true) => archive::number(found.current(), "average").ok().flatten(),
            _ => None,
        };
        let average = average.and_then(|average| u64::try_from(average).ok()).filter(|average| *average > 0).unwrap_or(BYTES);
        u32::try_from((BYTES / average).clamp(1, MOST)).unwrap_or(1)
    }

    /// Stores the sessions whose parts come.
    pub(crate) async fn load(&self, mut batches: mpsc::Receiver<Vec<Part>>) -> Result<Imported> {
        let mut imported = Imported::default();
        let (mut assembly, mut sessions, mut bytes) = (self.assembly(), Vec::new(), 0);
        while let Some(parts) = batches.recv().await {
            for part in parts {
                match part {
                    Part::End => {
                        let mut complete = std::mem::replace(&mut assembly, self.assembly());
                        complete.complete();
                        self.insert_blocks(&mut complete).await?;
                        match complete.finish() {
                            Ok(session) => {
                                bytes += session.document.as_bytes().len();
                                sessions.push(session);
                            }
                            Err((session, why)) => {
                                self.forget_blocks(&session).await?;
                                imported.refuse(why);
                            }
                        }
                    }
                    Part::Broken(why) => {
                        let broken = std::mem::replace(&mut assembly, self.assembly());
                        self.forget_blocks(&broken.blocks_so_far()).await?;
                        imported.refuse(why);
                    }
                    part => {
                        assembly.add(part);
                        self.insert_blocks(&mut assembly).await?;
                    }
                }
                if sessions.len() >= BATCH || bytes >= BATCH_BYTES {
                    self.insert(std::mem::take(&mut sessions), &mut imported).await?;
                    bytes = 0;
                }
            }
        }
        // The reader may have gone away in the middle of a session.
        self.forget_blocks(&assembly.blocks_so_far()).await?;
        self.insert(sessions, &mut imported).await?;
        Ok(imported)
    }

    fn assembly(&self) -> Assembly {
        Assembly::new(self.archive_after)
    }

    /// Inserts the blocks of a session that are full. The session is not there yet, so nobody sees them; if it is, it is compared and
    /// nothing else, and needs none.
    async fn insert_blocks(&self, assembly: &mut Assembly) -> Result<()> {
        let blocks = assembly.full_blocks();
        if blocks.is_empty() {
            return Ok(());
        }
        let is_there = match assembly.is_there {
            Some(is_there) => is_there,
            None => self.find(assembly.session_id(), doc! { "_id": 1 }, Some(primary())).await?.is_some(),
        };
        assembly.is_there = Some(is_there);
        if is_there {
            return Ok(());
        }
        self.ensure_archive_index().await?;
        self.archive.insert_many(blocks).await.map(drop).map_err(failed)
    }

    /// Removes the blocks of a session that was not stored.
    async fn forget_blocks(&self, blocks: &NewBlocks) -> Result<()> {
        self.remove_blocks(&blocks.session_id, &blocks.archives).await.map(drop)
    }

    /// Whether the blocks of a session that was just stored are there; else the session is removed again. Who removes orphans takes the
    /// blocks of an import for such until the session is stored.
    async fn has_its_blocks(&self, Assembled { document, blocks, .. }: &Assembled) -> Result<bool> {
        if blocks.archives.is_empty() {
            return Ok(true);
        }
        let mut filter = doc! { "session_id": &blocks.session_id, "_id.archive": { "$in": &blocks.archives } };
        filter.insert(ORPHAN, doc! { "$exists": false });
        if self.archive.count_documents(filter).selection_criteria(primary()).await.map_err(failed)? >= blocks.count {
            return Ok(true);
        }
        // Unless somebody has written to it already.
        let filter = session(&blocks.session_id, Some(read::revision(read::member(document, "revision")?)?));
        if self.collection.delete_one(filter).await.map_err(failed)?.deleted_count > 0 {
            self.forget_blocks(blocks).await?;
        }
        Ok(false)
    }

    /// Inserts documents; those whose id is taken are compared with what is there.
    async fn insert(&self, batch: Vec<Assembled>, imported: &mut Imported) -> Result<()> {
        let (there, batch): (Vec<_>, Vec<_>) = batch.into_iter().partition(|session| session.is_there);
        for session in &there {
            if !self.compare(session, imported).await? {
                let session_id = &session.blocks.session_id;
                imported.refuse(format!(
                    "session {session_id:?}: it was there and was removed during the import; the import has to be repeated"
                ));
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        let count = batch.len() as u64;
        let failures = match self.collection.insert_many(batch.iter().map(|session| &session.document)).ordered(false).await {
            Ok(_) => Vec::new(),
            Err(error) => match error.kind.as_ref() {
                ErrorKind::InsertMany(failure) if failure.write_concern_error.is_none() => failure.write_errors.clone().unwrap_or_default(),
                _ => return Err(failed(error)),
            },
        };
        imported.new += count - failures.len() as u64;
        let is_stored = |at: usize| failures.iter().all(|failure| failure.index != at);
        let mut lost = None;
        for (_, session) in batch.iter().enumerate().filter(|(at, _)| is_stored(*at)) {
            if !self.has_its_blocks(session).await? {
                lost = Some(&session.blocks.session_id);
            }
        }
        for failure in failures {
            let Some(session) = batch.get(failure.index) else { continue };
            let session_id = session.blocks.session_id.as_str();
            self.forget_blocks(&session.blocks).await?;
            if super::error::is_not_now(failure.code) {
                return Err(Error::Unavailable(String::from("the store is stopping or changing its primary")));
            }
            // Also for an index of somebody's that has the document's values already.
            if failure.code != DUPLICATE_KEY || !self.compare(session, imported).await? {
                tracing::warn!(code = failure.code, "a session cannot be stored");
                tracing::debug!(message = failure.message, "the driver says");
                imported.refuse(format!("session {session_id:?}: the server refuses it (error {})", failure.code));
            }
        }
        // An error, because what was counted as new is not there.
        match lost {
            Some(session_id) => Err(Error::Unavailable(format!(
                "blocks of session {session_id:?} were removed as orphans during the import; the import has to be repeated"
            ))),
            None => Ok(()),
        }
    }

    /// Compares a session with the one that is there; tells whether there is one.
    async fn compare(&self, session: &Assembled, imported: &mut Imported) -> Result<bool> {
        let session_id = session.blocks.session_id.as_str();
        let Some(stored) = self.find(session_id, doc! {}, Some(primary())).await? else { return Ok(false) };
        match self.is_same(session, &stored).await {
            Ok(true) => imported.same += 1,
            Ok(false) => imported.differs(session_id),
            Err(Error::Corrupt(why)) => imported.refuse(format!("session {session_id:?}: the one that is there cannot be compared: {why}")),
            Err(error) => return Err(error),
        }
        Ok(true)
    }
}
