//! The archive: where the oldest messages of a long history lie, in blocks of a second collection, so that the session's document stays
//! small.
//!
//! An agent's history is its archive, behind it the messages that are on their way there, and behind these the recent messages. The two
//! last lie in the session's document, as `moving` and `messages` of the agent. The field `archive` of the agent tells what is archived,
//! and nothing else does: `id` names the archive, `count` is the number of its messages, `top` the highest id and `latest` the newest time
//! of all messages in it or on their way. A block holds the messages from the position `_id.first` on.
//!
//! A **move** has three steps:
//!
//! 1. *Seal*: one update of the document takes the oldest messages out of `messages` and puts them into `moving`, with the lengths of the
//!    blocks that they will make (`cuts`). From here on nobody changes them. The mover gets a number (`fence`).
//! 2. *Write*: the blocks are inserted behind the archive's end, where no reader looks.
//! 3. *Commit*: one update of the document advances `count` and removes `moving`. It asks for the mover's number.
//!
//! If a mover dies, the next one takes a higher number and goes on with what is sealed. The cuts are stored, so each block has the same place
//! and the same messages whoever writes it. A block is never overwritten by a mover with a lower number.
//!
//! An **update** of an archived message is one update of the document, too: it advances `writes` and stores the new message in `redo`, which
//! readers prefer to the block. Then the block gets it, and only then the update is acknowledged. An update of a message that is on its way
//! completes the move first.
//!
//! All these updates are acknowledged by a majority, so no failover takes back one of two documents that depend on each other.

pub(super) mod blocks;
mod commit;
pub(super) mod conditions;
mod index;
pub(super) mod manage;
pub(super) mod memory;
pub(super) mod moving;
pub(super) mod orphans;
mod redo;
mod request;
pub(super) mod room;
mod seal;
pub(super) mod told;

use crate::error::Result;
use crate::store::schema::read::{self, corrupt, member, object};
use crate::types::Timestamp;
use mongodb::bson::RawDocumentBuf;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::{RawBsonRef, RawDocument};

/// An agent's archive, as the session's document tells of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Archive {
    pub(crate) id: ObjectId,
    /// How many messages are in blocks: the first ones of the history.
    pub(crate) count: u64,
    /// The highest id of the messages in blocks or on their way.
    pub(crate) top: i64,
    /// The newest time of these. No recent message is older, unless another program wrote it.
    pub(crate) latest: Option<Timestamp>,
    /// How many updates its messages have had.
    pub(crate) writes: i64,
    /// The highest number that a mover has taken.
    pub(crate) fence: i64,
    /// The last update, if the blocks may lack it.
    pub(crate) redo: Vec<Patch>,
    /// Whether blocks are known to have updates that the document does not tell of, because it was restored without them. Readers take
    /// such blocks as they are.
    pub(crate) is_behind: bool,
}

/// A new version of a message in a block.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Patch {
    /// The position of the block's first message.
    pub(crate) first: u64,
    /// The message's place in the block.
    pub(crate) at: usize,
    pub(crate) message: RawDocumentBuf,
}

impl Archive {
    /// Reads the field `archive`. A field of that name without an id is somebody else's.
    pub(crate) fn of(found: &RawDocument) -> Result<Option<Self>> {
        let Some(RawBsonRef::Document(archive)) = member(found, "archive")? else { return Ok(None) };
        let Some(RawBsonRef::ObjectId(id)) = member(archive, "id")? else { return Ok(None) };
        let redo = read::documents(archive, "redo", "archive", |patch| {
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
            is_behind: false,
        }))
    }

    /// Whether a block can have a message with this id.
    pub(crate) fn may_hold(&self, message_id: i64) -> bool {
        self.count > 0 && message_id <= self.top
    }

    /// Whether the blocks hold the same in both states of the archive.
    pub(crate) fn same_blocks(&self, other: &Self) -> bool {
        self.id == other.id && self.writes == other.writes
    }

    /// Whether the last update may lie in the session's document until the next one.
    pub(crate) fn is_small(&self) -> bool {
        /// The most that its new messages may have, in bytes.
        const SMALL: usize = 4096;
        self.redo.iter().map(|patch| patch.message.as_bytes().len()).sum::<usize>() <= SMALL
    }
}

/// Whether messages of the agent are on their way to the archive.
pub(crate) fn is_moving(found: &RawDocument) -> Result<bool> {
    Ok(matches!(member(found, "moving")?, Some(RawBsonRef::Array(_))))
}

/// A position or a number of messages, as it is stored.
pub(crate) fn position(place: u64) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

/// A whole number that is stored.
pub(crate) fn number(document: &RawDocument, name: &str) -> Result<Option<i64>> {
    match member(document, name)? {
        Some(stored) => read::whole(stored).map(Some).ok_or_else(|| corrupt(name)),
        None => Ok(None),
    }
}

/// A stored number of things.
pub(crate) fn count(document: &RawDocument, name: &str) -> Result<u64> {
    u64::try_from(number(document, name)?.unwrap_or(0)).map_err(|_| corrupt(name))
}
