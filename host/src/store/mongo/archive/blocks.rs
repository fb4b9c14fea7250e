//! Blocks: reading them by position or by a message's id, and bringing them up to date.

use super::{Archive, Patch, count, number, position};
use crate::error::Result;
use crate::store::mongo::error::failed;
use crate::store::mongo::expressions::{array, without};
use crate::store::mongo::store::MongoStore;
use crate::store::schema::json::broken;
use crate::store::schema::read::{corrupt, member, object};
use crate::store::schema::tree::integer;
use mongodb::Cursor;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::{RawBson, RawBsonRef, RawDocument};
use mongodb::bson::{Bson, Document, RawArrayBuf, RawDocumentBuf, doc, rawdoc};
use std::ops::Range;

/// How much a block holds, unless one message alone is more: a page of it should cost little.
pub(crate) const BLOCK_BYTES: u64 = 64 * 1024;
pub(crate) const BLOCK_MESSAGES: usize = 128;

/// Blocks that one command reads at most.
const MOST_BLOCKS: i64 = 64;

/// What became of a reading of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The messages are those of the archive as the session's document told of it.
    Complete,
    /// Messages are missing: the archive has changed since then, or blocks are gone or cannot be read.
    Gaps,
    /// A block has an update that the session's document did not tell of.
    Newer,
}

/// A message in a block.
#[derive(Debug)]
pub(crate) struct Archived {
    /// The position of the block's first message.
    pub(crate) first: u64,
    /// The message's place in the block.
    pub(crate) at: usize,
    /// The size of the block, in bytes.
    pub(crate) block_size: u64,
    pub(crate) message: RawDocumentBuf,
}

/// The messages in blocks that have an id.
#[derive(Debug, Default)]
pub(crate) struct WithId {
    /// Those of the agent's archive, in their order: one at most, unless another program stored it twice.
    pub(crate) archived: Vec<Archived>,
    /// Other archives of the session that have such a message: other agents', and orphans.
    pub(crate) elsewhere: Vec<ObjectId>,
}

/// The `_id` of the block that begins at a position.
pub(super) fn block_id(archive: ObjectId, first: u64) -> Document {
    doc! { "archive": archive, "first": position(first) }
}

/// A block as it is stored.
pub(crate) fn block(
    (archive, first): (ObjectId, u64),
    session_id: &str,
    agent_id: &str,
    fence: i64,
    messages: RawArrayBuf,
) -> RawDocumentBuf {
    rawdoc! {
        "_id": { "archive": archive, "first": position(first) },
        "session_id": session_id,
        // For people who look at a block; nothing reads it.
        "agent_id": agent_id,
        "fence": fence,
        "writes": 0_i64,
        "messages": messages,
    }
}

fn raw_messages(block: &RawDocument) -> Result<Vec<RawBson>> {
    let Some(RawBsonRef::Array(messages)) = member(block, "messages")? else { return Err(corrupt("archive")) };
    messages.into_iter().map(|message| message.map(RawBson::from).map_err(broken)).collect()
}

/// The archive and the position of the first message, from a block's `_id`.
fn place_of(block: &RawDocument) -> Result<(ObjectId, u64)> {
    let id = object(block, "_id")?.ok_or_else(|| corrupt("archive"))?;
    let Some(RawBsonRef::ObjectId(archive)) = member(id, "archive")? else { return Err(corrupt("archive")) };
    Ok((archive, count(id, "first")?))
}

/// Whether the block has had an update that the session's document did not tell of yet.
fn is_newer(block: &RawDocument, archive: &Archive) -> Result<bool> {
    Ok(number(block, "writes")?.unwrap_or(0) > archive.writes)
}

/// A block's messages, and whether it is newer than the session's document told; none if it cannot be read.
fn readable(block: &RawDocument, archive: &Archive) -> Option<(Vec<RawBson>, bool)> {
    Some((raw_messages(block).ok()?, is_newer(block, archive).ok()?))
}

impl Archive {
    /// Puts the pending new versions of a block's messages in their places; the first of the messages is the one at `from` in the block.
    fn patch(&self, first: u64, from: usize, messages: &mut [RawBson]) {
        for patch in self.redo.iter().filter(|patch| patch.first == first) {
            if let Some(stale) = patch.at.checked_sub(from).and_then(|at| messages.get_mut(at)) {
                *stale = RawBson::Document(patch.message.clone());
            }
        }
    }
}

impl MongoStore {
    /// Finds the last blocks in an order of their places; all in any order where their number is not given.
    async fn blocks(&self, filter: Document, projection: Document, last: Option<i64>) -> Result<Cursor<RawDocumentBuf>> {
        let find = self.archive.find(filter).projection(projection);
        let find = match last {
            Some(most) => find.sort(doc! { "_id": -1 }).limit(most),
            None => find,
        };
        find.await.map_err(failed)
    }

    /// The messages in a session's blocks that have an id, without the fields in `omit` (which new versions that are pending still have).
    /// None if a block has an update that `archive` does not tell of.
    pub(crate) async fn with_id(
        &self,
        session_id: &str,
        archive: Option<&Archive>,
        message_id: i64,
        omit: &[String],
    ) -> Result<Option<WithId>> {
        let id = archive.map(|archive| archive.id);
        let has_id = |message: &str| doc! { "$eq": [format!("{message}.message_id"), integer(message_id)] };
        let of_archive = |expression: Bson| match id {
            Some(id) => Bson::from(doc! { "$cond": [{ "$eq": ["$_id.archive", id] }, expression, []] }),
            None => Bson::Array(Vec::new()),
        };
        let filter = doc! { "session_id": session_id, "messages.message_id": integer(message_id) };
        let projection = doc! {
            "writes": 1,
            "size": { "$bsonSize": "$$ROOT" },
            "has": of_archive(doc! { "$map": { "input": array("$messages"), "in": has_id("$$this") } }.into()),
            "messages": of_archive(without(doc! { "$filter": { "input": array("$messages"), "cond": has_id("$$this") } }, omit)),
        };
        let mut found = WithId::default();
        let mut blocks = self.blocks(filter, projection, None).await?;
        while blocks.advance().await.map_err(failed)? {
            let block = blocks.current();
            let (of, first) = place_of(block)?;
            let Some(archive) = archive.filter(|archive| archive.id == of) else {
                found.elsewhere.push(of);
                continue;
            };
            // A block that is not committed yet has what the session's document still has.
            if first >= archive.count {
                continue;
            }
            // As if it was gone.
            let Some((messages, is_newer)) = readable(block, archive) else { continue };
            if is_newer && !archive.is_behind {
                return Ok(None);
            }
            let block_size = count(block, "size")?;
            let Some(RawBsonRef::Array(has)) = member(block, "has")? else { return Err(corrupt("archive")) };
            let places = has.into_iter().enumerate().filter(|(_, has)| matches!(has, Ok(RawBsonRef::Boolean(true))));
            for ((at, _), message) in places.zip(messages) {
                let mut message = [message];
                if !is_newer {
                    archive.patch(first, at, &mut message);
                }
                let [RawBson::Document(message)] = message else { return Err(corrupt("archive")) };
                found.archived.push(Archived { first, at, block_size, message });
            }
        }
        found.archived.sort_by_key(|archived: &Archived| (archived.first, archived.at));
        Ok(Some(found))
    }

    /// Hands over the archived messages at some positions, without the fields in `omit` (which new versions that are pending still have),
    /// in parts that come from the last one to the first, each with the position of its first message.
    pub(crate) async fn archived_at(
        &self,
        session_id: &str,
        archive: &Archive,
        places: Range<u64>,
        omit: &[String],
        mut take: impl FnMut(u64, Vec<RawBson>) -> Result<()> + Send,
    ) -> Result<Outcome> {
        let mut outcome = Outcome::Complete;
        // As many as there are of full blocks at least, and then more each time.
        let least = (places.end.saturating_sub(places.start)) / BLOCK_MESSAGES as u64 + 1;
        let (mut end, mut most) = (places.end, i64::try_from(least).unwrap_or(MOST_BLOCKS).min(MOST_BLOCKS));
        // The block of a position is the one with the greatest `first` that is not behind it, so this goes from the end to the beginning.
        while end > places.start {
            let (filter, projection) = page(session_id, archive, places.start..end, omit);
            let mut blocks = self.blocks(filter, projection, Some(most)).await?;
            let begun = end;
            // One after the other, because `take` may have enough long before all are here.
            while end > places.start && blocks.advance().await.map_err(failed)? {
                let block = blocks.current();
                let (_, first) = place_of(block)?;
                let from = first.max(places.start);
                let Some((mut messages, is_newer)) = readable(block, archive) else {
                    // As if it was gone.
                    outcome = Outcome::Gaps;
                    end = from;
                    continue;
                };
                if is_newer && !archive.is_behind {
                    return Ok(Outcome::Newer);
                }
                if from + messages.len() as u64 != end {
                    outcome = Outcome::Gaps;
                }
                messages.truncate(usize::try_from(end - from).unwrap_or(usize::MAX));
                if !is_newer {
                    archive.patch(first, usize::try_from(from - first).unwrap_or(usize::MAX), &mut messages);
                }
                take(from, messages)?;
                end = from;
            }
            if end == begun {
                return Ok(Outcome::Gaps);
            }
            most = (most * 2).min(MOST_BLOCKS);
        }
        Ok(outcome)
    }

    /// The archived messages from a position on, as many as its block has of them; none if the block is gone or cannot be read. For those
    /// who read a whole history, one block at a time: updates are likely during a long read, so newer blocks are accepted.
    pub(crate) async fn block_at(&self, session_id: &str, archive: &Archive, place: u64) -> Result<Vec<RawBson>> {
        let id = |place| doc! { "archive": archive.id, "first": position(place) };
        let filter = doc! { "session_id": session_id, "_id": { "$gte": id(0), "$lte": id(place) } };
        let mut blocks = self.blocks(filter, doc! { "writes": 1, "messages": 1 }, Some(1)).await?;
        if !blocks.advance().await.map_err(failed)? {
            return Ok(Vec::new());
        }
        let (_, first) = place_of(blocks.current())?;
        let Some((mut messages, is_newer)) = readable(blocks.current(), archive) else { return Ok(Vec::new()) };
        if !is_newer {
            archive.patch(first, 0, &mut messages);
        }
        let before = usize::try_from(place - first).unwrap_or(usize::MAX).min(messages.len());
        messages.drain(..before);
        Ok(messages)
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
    // Never less than nothing: a block can end before the page begins where the one behind it is missing.
    let page =
        doc! { "$slice": ["$messages", { "$subtract": [from.clone(), "$_id.first"] }, { "$max": [1, { "$subtract": [end, from] }] }] };
    // What is no list stays for whoever reads it; the server would refuse the whole command.
    let page = doc! { "$cond": [{ "$isArray": ["$messages"] }, without(page, omit), Bson::Null] };
    (filter, doc! { "writes": 1, "messages": page })
}

impl Patch {
    /// The patch as the session's document has it.
    pub(crate) fn stored(&self) -> Result<Document> {
        let message = Document::try_from(&self.message).map_err(broken)?;
        Ok(doc! { "first": position(self.first), "at": i64::try_from(self.at).unwrap_or(i64::MAX), "message": message })
    }
}

/// Whether the block of an archive that begins at a position still lets a mover with this number write it: what is there has a lower one.
pub(super) fn writable(archive: ObjectId, first: u64, session_id: &str, fence: i64) -> Document {
    doc! { "_id": block_id(archive, first), "session_id": session_id, "fence": { "$lt": fence } }
}

/// The error of those who need all blocks.
pub(crate) fn incomplete(session_id: &str) -> crate::error::Error {
    crate::error::Error::Corrupt(format!("blocks of the archive of session {session_id:?} are missing"))
}

/// The error of writes to an archive whose blocks have updates that the session's document does not tell of.
pub(crate) fn behind(session_id: &str) -> crate::error::Error {
    crate::error::Error::Corrupt(format!(
        "the document of session {session_id:?} is behind the blocks of its archive; `check --repair` mends it"
    ))
}

/// The items that are documents.
pub(crate) fn documents(items: &[RawBson]) -> impl Iterator<Item = &RawDocumentBuf> {
    items.iter().filter_map(|item| match item {
        RawBson::Document(document) => Some(document),
        _ => None,
    })
}
