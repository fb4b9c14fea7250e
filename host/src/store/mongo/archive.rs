//! The archive: where the oldest messages of a long history lie, in blocks of a second collection, so that the session's document stays
//! small.
//!
//! An agent's history is its archive and behind it the messages of the session's document. What is in the archive is told by the field
//! `archive` of the agent in that document, and by nothing else: `id` names the archive, `count` says how many messages it has, `top` is
//! their highest id and `latest` the newest time among them. A block holds the messages at the positions from `_id.first` on.
//!
//! - A **move** writes a block behind the archive's end, where nobody sees it, and then makes it part of the archive in one update of the
//!   session's document, which takes the messages out there and advances `count`. That update asks for the very messages that the block
//!   has, so what was changed meanwhile is not lost: the move is done again. Movers take a number first (`fence`); a block is never
//!   overwritten by a lower one, and the last update asks for the number, so that of two movers at once one succeeds.
//! - An **update** of a message in the archive happens, likewise, in one update of the session's document: it advances `writes` and leaves
//!   the new message in `redo`, which counts before the blocks. Then the block is brought up to date.
//!
//! So a process can die at any step: what a block has and `count` does not cover is invisible, and is overwritten by the next move; what a
//! block lacks is in `redo`.

pub(super) mod blocks;
pub(super) mod manage;
pub(super) mod memory;
pub(super) mod moving;
mod pipeline;

use crate::error::Result;
use crate::store::schema::read::{self, corrupt, member, object};
use crate::types::Timestamp;
use mongodb::bson::RawDocumentBuf;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::{RawBsonRef, RawDocument};

/// An agent's archive, as the session's document tells of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Archive {
    pub(super) id: ObjectId,
    /// How many messages it has: they are the first ones of the history.
    pub(super) count: u64,
    /// The highest id among them.
    pub(super) top: i64,
    /// The newest time among them. No message behind the archive is older, unless another program wrote it.
    pub(super) latest: Option<Timestamp>,
    /// How many updates its messages have had.
    pub(super) writes: i64,
    /// The highest number that a mover has taken.
    pub(super) fence: i64,
    /// The last update, if the blocks may lack it.
    pub(super) redo: Vec<Patch>,
}

/// A new version of a message in a block.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Patch {
    /// The position of the block's first message.
    pub(super) first: u64,
    /// The message's place in the block.
    pub(super) at: usize,
    pub(super) message: RawDocumentBuf,
}

impl Archive {
    /// Reads the field `archive`; none if the agent has none, or an empty one.
    pub(super) fn of(found: &RawDocument) -> Result<Option<Self>> {
        Ok(Self::claimed(found)?.filter(|archive| archive.count > 0))
    }

    /// Reads the field `archive`, also when it is still empty.
    pub(super) fn claimed(found: &RawDocument) -> Result<Option<Self>> {
        // A field of that name without an id is somebody else's.
        let Some(RawBsonRef::Document(archive)) = member(found, "archive")? else { return Ok(None) };
        let Some(RawBsonRef::ObjectId(id)) = member(archive, "id")? else { return Ok(None) };
        let redo = read::items(archive, "redo", "archive", |patch| {
            let (first, at) = (count(patch, "first")?, count(patch, "at")?);
            let message = object(patch, "message")?.ok_or_else(|| corrupt("archive"))?.to_owned();
            Ok(Patch { first, at: usize::try_from(at).map_err(|_| corrupt("archive"))?, message })
        })?;
        Ok(Some(Self {
            id,
            count: count(archive, "count")?,
            top: number(archive, "top")?.unwrap_or(-1),
            latest: read::stamp(archive, "latest")?,
            writes: number(archive, "writes")?.unwrap_or(0),
            fence: number(archive, "fence")?.unwrap_or(0),
            redo,
        }))
    }

    /// Whether a message with this id can be in it.
    pub(super) fn may_hold(&self, message_id: i64) -> bool {
        self.count > 0 && message_id <= self.top
    }

    /// Whether what was read of the blocks, in the other state of the archive, is what they hold in this one.
    pub(super) fn same_blocks(&self, other: &Self) -> bool {
        self.id == other.id && self.writes == other.writes
    }

    /// Whether the last update may lie in the session's document until the next one.
    pub(super) fn is_small(&self) -> bool {
        /// The most that its new messages may have, in bytes.
        const SMALL: usize = 4096;
        self.redo.iter().map(|patch| patch.message.as_bytes().len()).sum::<usize>() <= SMALL
    }
}

/// A position or a number of messages, as it is stored.
pub(super) fn position(place: u64) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

/// A whole number that is stored.
pub(super) fn number(document: &RawDocument, name: &str) -> Result<Option<i64>> {
    match member(document, name)? {
        Some(RawBsonRef::Int32(number)) => Ok(Some(i64::from(number))),
        Some(RawBsonRef::Int64(number)) => Ok(Some(number)),
        Some(_) => Err(corrupt(name)),
        None => Ok(None),
    }
}

/// A stored number of things.
pub(super) fn count(document: &RawDocument, name: &str) -> Result<u64> {
    u64::try_from(number(document, name)?.unwrap_or(0)).map_err(|_| corrupt(name))
}
