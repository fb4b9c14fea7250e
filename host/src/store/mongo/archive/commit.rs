//! The second and third step of a move: the sealed messages are written to blocks, and the document tells of them.

use super::blocks::{block, block_id, documents, writable};
use super::conditions::same_mover;
use super::position;
use super::seal::Sealed;
use crate::error::{Error, Result};
use crate::store::mongo::error::{DUPLICATE_KEY, Failure, failed};
use crate::store::mongo::expressions::{AgentPath, on};
use crate::store::mongo::known::Move;
use crate::store::mongo::store::MongoStore;
use crate::store::schema::read::corrupt;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, RawArrayBuf, RawDocumentBuf, doc};
use mongodb::error::ErrorKind;

impl MongoStore {
    /// Writes the blocks of what is sealed, and commits; tells how many messages moved, none if another mover took over.
    pub(super) async fn complete(&self, path: &AgentPath, sealed: Sealed) -> Result<Option<u64>> {
        let (archive, fence) = (sealed.archive, sealed.fence);
        let completed = self.write_and_commit(path, sealed).await;
        if completed.is_err() {
            self.release(path, same_mover(path, archive, fence)).await;
        }
        completed
    }

    async fn write_and_commit(&self, path: &AgentPath, sealed: Sealed) -> Result<Option<u64>> {
        let Sealed { fence, archive, count, messages, cuts } = sealed;
        let (moved, bytes) = (messages.len() as u64, documents(&messages).map(|message| message.as_bytes().len() as u64).sum());
        let (mut blocks, mut messages, mut first) = (Vec::with_capacity(cuts.len()), messages.into_iter(), count);
        for cut in cuts {
            let mut array = RawArrayBuf::new();
            messages.by_ref().take(cut).for_each(|message| array.push(message));
            blocks.push((first, block((archive, first), path.session_id(), path.agent_id(), fence, array)));
            first += cut as u64;
        }
        if first - count != moved {
            // Another program's hand: what is sealed would not be what is committed.
            return Err(corrupt("archive"));
        }
        let places: Vec<Document> = blocks.iter().map(|(first, _)| block_id(archive, *first)).collect();
        if !self.write_blocks(path.session_id(), archive, fence, blocks).await? {
            self.take_back(path.session_id(), places, fence).await?;
            return Ok(None);
        }
        let mut filter = doc! { "_id": path.session_id() };
        filter.extend(same_mover(path, archive, fence));
        filter.extend(on(path.field("archive.count"), position(count)));
        let mut unset = on(path.field("moving"), "");
        unset.extend(on(path.field("archive.claimed"), ""));
        let commit = doc! { "$set": on(path.field("archive.count"), position(count + moved)), "$unset": unset };
        if !self.update_by_majority(filter, commit).await.map_err(Failure::into_error)? {
            self.take_back(path.session_id(), places, fence).await?;
            return Ok(None);
        }
        self.sessions.moved(path.agent_ref(), Move { freed: bytes, ..Move::default() });
        Ok(Some(moved))
    }

    /// Removes what this mover wrote and will not commit: nobody else might ever look there, and updates since then are not in it. What
    /// another mover has overwritten has that one's number.
    async fn take_back(&self, session_id: &str, places: Vec<Document>, fence: i64) -> Result<()> {
        let mine = doc! { "_id": { "$in": places }, "session_id": session_id, "fence": fence };
        self.archive.delete_many(mine).await.map(drop).map_err(failed)
    }

    /// Writes blocks behind the archive's end; tells whether it did, or a mover with a higher number was there.
    async fn write_blocks(&self, session_id: &str, archive: ObjectId, fence: i64, blocks: Vec<(u64, RawDocumentBuf)>) -> Result<bool> {
        let taken = match self.archive.insert_many(blocks.iter().map(|(_, block)| block)).ordered(false).await {
            Ok(_) => return Ok(true),
            Err(error) => match error.kind.as_ref() {
                ErrorKind::InsertMany(failure) if failure.write_concern_error.is_none() => failure.write_errors.clone().unwrap_or_default(),
                _ => return Err(Failure::of(error).into_error()),
            },
        };
        if taken.is_empty() || taken.iter().any(|error| error.code != DUPLICATE_KEY) {
            let codes: Vec<_> = taken.iter().map(|error| error.code).collect();
            tracing::warn!(?codes, "blocks of an archive cannot be written");
            tracing::debug!(?taken, "the driver says");
            return Err(Error::Unavailable(String::from("the store cannot write to the archive")));
        }
        // A mover that did not come to its end has left blocks in these places.
        for error in taken {
            let Some((first, block)) = blocks.get(error.index) else { continue };
            let replaced = self.archive.replace_one(writable(archive, *first, session_id, fence), block).await;
            if replaced.map_err(failed)?.matched_count == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
