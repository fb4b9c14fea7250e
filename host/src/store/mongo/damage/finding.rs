//! What is found, and how it can be mended.

use crate::error::Result;
use crate::store::AgentRef;
use crate::store::schema::read::member;
use mongodb::bson::DateTime;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::{RawBsonRef, RawDocument};

/// Something that is wrong.
pub(crate) struct Finding {
    pub(crate) text: String,
    /// How it can be mended, if it can.
    pub(crate) mend: Option<Mend>,
}

/// How damage is mended.
pub(crate) enum Mend {
    /// Makes an index.
    Index { field: String },
    /// Makes the archive's index.
    ArchiveIndex,
    /// Removes the blocks of archives that nothing tells of.
    RemoveOrphans { session_id: String, archive: ObjectId },
    /// Removes blocks behind an archive's end that no mover will commit.
    RemoveUncommitted { session_id: String, archive: ObjectId, firsts: Vec<u64> },
    /// Completes a move.
    FinishMove { agent: AgentRef },
    /// Raises the number of an archive's updates to what its blocks have.
    Writes { agent: AgentRef, archive: ObjectId, told: i64, writes: i64 },
    /// Brings a block up to date.
    Redo { agent: AgentRef },
    /// Raises the highest id and the newest time of an archive to what its messages have.
    Raise { agent: AgentRef, archive: ObjectId, top: i64, latest: Option<DateTime> },
    /// Puts an agent's recent messages into the order of their times.
    Sort { agent: AgentRef },
    /// Puts what is empty in the place of nulls.
    EmptyNulls { session_id: String },
}

impl Finding {
    pub(super) fn named(text: String) -> Self {
        Self { text, mend: None }
    }

    pub(super) fn mendable(text: String, mend: Mend) -> Self {
        Self { text, mend: Some(mend) }
    }
}

/// Whether a flag of the server's answer is set.
pub(super) fn flag(document: &RawDocument, name: &str) -> Result<bool> {
    Ok(matches!(member(document, name)?, Some(RawBsonRef::Boolean(true))))
}
