//! Blocks: reading them by position or by a message's id, and bringing them up to date.

use super::moving::BLOCK_MESSAGES;
use super::{Archive, Patch, count, number, position};
use crate::error::Result;
use crate::store::mongo::MongoStore;
use crate::store::mongo::error::Failure;
use crate::store::schema::json::{broken, integer};
use crate::store::schema::read::{self, corrupt, member, object};
use futures_util::TryStreamExt;
use mongodb::bson::raw::{RawBsonRef, RawDocument};
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use std::ops::Range;

/// How many blocks one command reads at most.
const MOST_BLOCKS: i64 = 64;

/// What a reading of blocks came to.
#[derive(Debug)]
pub(in crate::store::mongo) enum Found<T> {
    /// The messages as they were when the session's document was read.
    Read(T),
    /// The archive has changed since then; the session's document has to be read again.
    Changed,
}

/// What becomes of blocks that had an update which the session's document, as it was read, did not tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store::mongo) enum Newer {
    /// They are read as they are: for those who read for so long that there will be some.
    Taken,
    /// They say that the archive has changed.
    Refused,
}

/// A message in a block.
#[derive(Debug)]
pub(in crate::store::mongo) struct Archived {
    /// The position of the block's first message.
    pub(in crate::store::mongo) first: u64,
    /// The message's place in the block.
    pub(in crate::store::mongo) at: usize,
    /// The size of the block, in bytes.
    pub(in crate::store::mongo) block_size: u64,
    pub(in crate::store::mongo) message: RawDocumentBuf,
}

/// The `_id` of the block that begins at a position.
pub(in crate::store::mongo) fn block_id(archive: &Archive, first: u64) -> Document {
    doc! { "archive": archive.id, "first": position(first) }
}

/// The messages of a field, with the new versions that are pending, without the fields in `omit`.
fn with_patches(archive: &Archive, first: u64, from: usize, messages: Vec<RawDocumentBuf>) -> Vec<RawDocumentBuf> {
    let mut messages = messages;
    for patch in archive.redo.iter().filter(|patch| patch.first == first) {
        if let Some(stale) = patch.at.checked_sub(from).and_then(|at| messages.get_mut(at)) {
            *stale = patch.message.clone();
        }
    }
    messages
}

fn raw_messages(block: &RawDocument) -> Result<Vec<RawDocumentBuf>> {
    read::items(block, "messages", "archive", |message| Ok(message.to_owned()))
}

fn first_of(block: &RawDocument) -> Result<u64> {
    count(object(block, "_id")?.ok_or_else(|| corrupt("archive"))?, "first")
}

/// Whether the block has had an update that the session's document did not tell of yet.
fn is_newer(block: &RawDocument, archive: &Archive) -> Result<bool> {
    Ok(number(block, "writes")?.unwrap_or(0) > archive.writes)
}

impl MongoStore {
    async fn blocks(&self, filter: Document, projection: Document, newest: Option<i64>) -> Result<Vec<RawDocumentBuf>> {
        let failed = |error| Failure::of(error).into_error();
        let find = self.archive.find(filter).projection(projection);
        let find = match newest {
            Some(most) => find.sort(doc! { "_id": -1 }).limit(most),
            None => find,
        };
        find.await.map_err(failed)?.try_collect().await.map_err(failed)
    }

    /// The archived messages that have an id, in their order, without the fields in `omit` (which new versions that are pending still
    /// have): one at most, unless another program stored it twice.
    pub(in crate::store::mongo) async fn archived(
        &self,
        session_id: &str,
        archive: &Archive,
        message_id: i64,
        omit: &[String],
    ) -> Result<Found<Vec<Archived>>> {
        let has_id = |message: &str| doc! { "$eq": [format!("{message}.message_id"), integer(message_id)] };
        let filter = doc! {
            "session_id": session_id,
            "_id.archive": archive.id,
            "messages.message_id": integer(message_id),
            "_id.first": { "$lt": position(archive.count) },
        };
        let projection = doc! {
            "writes": 1,
            "size": { "$bsonSize": "$$ROOT" },
            "has": { "$map": { "input": "$messages", "in": has_id("$$this") } },
            "messages": without(doc! { "$filter": { "input": "$messages", "cond": has_id("$$this") } }, omit),
        };
        let mut found = Vec::new();
        for block in self.blocks(filter, projection, None).await? {
            if is_newer(&block, archive)? {
                return Ok(Found::Changed);
            }
            let (first, block_size) = (first_of(&block)?, count(&block, "size")?);
            let Some(RawBsonRef::Array(has)) = member(&block, "has")? else { return Err(corrupt("archive")) };
            let places = has.into_iter().enumerate().filter(|(_, has)| matches!(has, Ok(RawBsonRef::Boolean(true))));
            for ((at, _), message) in places.zip(raw_messages(&block)?) {
                let message = with_patches(archive, first, at, vec![message]).pop().ok_or_else(|| corrupt("archive"))?;
                found.push(Archived { first, at, block_size, message });
            }
        }
        found.sort_by_key(|archived: &Archived| (archived.first, archived.at));
        Ok(Found::Read(found))
    }

    /// Hands over the archived messages at some positions, without the fields in `omit` (which new versions that are pending still have),
    /// in parts that come from the last one to the first.
    pub(in crate::store::mongo) async fn archived_at(
        &self,
        session_id: &str,
        archive: &Archive,
        places: Range<u64>,
        omit: &[String],
        newer: Newer,
        mut take: impl FnMut(Vec<RawDocumentBuf>) -> Result<()> + Send,
    ) -> Result<Found<()>> {
        // As many as there are of full blocks at least, and then more each time.
        let least = (places.end - places.start) / BLOCK_MESSAGES as u64 + 1;
        let (mut end, mut most) = (places.end, i64::try_from(least).unwrap_or(MOST_BLOCKS).min(MOST_BLOCKS));
        // The block of a position is the one with the greatest `first` that is not behind it, so this goes from the end to the beginning.
        while end > places.start {
            let (filter, projection) = page(session_id, archive, places.start..end, omit);
            let blocks = self.blocks(filter, projection, Some(most)).await?;
            if blocks.is_empty() {
                return Ok(Found::Changed);
            }
            for block in blocks {
                if end <= places.start {
                    break;
                }
                let first = first_of(&block)?;
                let from = first.max(places.start);
                let messages = raw_messages(&block)?;
                let is_newer = is_newer(&block, archive)?;
                if is_newer && newer == Newer::Refused || from + messages.len() as u64 != end {
                    return Ok(Found::Changed);
                }
                let from_block = usize::try_from(from - first).unwrap_or(usize::MAX);
                take(if is_newer { messages } else { with_patches(archive, first, from_block, messages) })?;
                end = from;
            }
            most = (most * 2).min(MOST_BLOCKS);
        }
        Ok(Found::Read(()))
    }

    /// Brings the blocks up to date with the last update of the archive. A block that has had a later one stays as it is.
    pub(in crate::store::mongo) async fn redo(&self, session_id: &str, archive: &Archive) -> Result<()> {
        for patch in &archive.redo {
            let mut set = doc! { "writes": archive.writes };
            set.insert(format!("messages.{}", patch.at), Document::try_from(&patch.message).map_err(broken)?);
            // Several messages of one block are brought up to date one after the other, all by the same update.
            let filter = doc! { "_id": block_id(archive, patch.first), "session_id": session_id, "writes": { "$lte": archive.writes } };
            self.archive.update_one(filter, doc! { "$set": set }).await.map_err(|error| Failure::of(error).into_error())?;
        }
        Ok(())
    }
}

/// The blocks that begin before the end of a page, and what each has of it.
fn page(session_id: &str, archive: &Archive, places: Range<u64>, omit: &[String]) -> (Document, Document) {
    let (start, end) = (position(places.start), position(places.end));
    let filter = doc! {
        "session_id": session_id,
        "_id": { "$gte": { "archive": archive.id, "first": 0_i64 }, "$lt": { "archive": archive.id, "first": end } },
    };
    let from = doc! { "$max": [start, "$_id.first"] };
    let page = doc! { "$slice": ["$messages", { "$subtract": [from.clone(), "$_id.first"] }, { "$subtract": [end, from] }] };
    (filter, doc! { "writes": 1, "messages": without(page, omit) })
}

/// Messages without some of their fields.
fn without(messages: Document, omit: &[String]) -> Document {
    if omit.is_empty() {
        return messages;
    }
    let unset = |input: Bson, field: &String| Bson::from(doc! { "$unsetField": { "field": { "$literal": field }, "input": input } });
    doc! { "$map": { "input": messages, "in": omit.iter().fold(Bson::from("$$this"), unset) } }
}

impl Patch {
    /// The patch as the session's document has it.
    pub(in crate::store::mongo) fn stored(&self) -> Result<Document> {
        let message = Document::try_from(&self.message).map_err(broken)?;
        Ok(doc! { "first": position(self.first), "at": i64::try_from(self.at).unwrap_or(i64::MAX), "message": message })
    }
}
