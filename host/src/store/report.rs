//! What state a store is in, for the people who run it.

use crate::types::Timestamp;
use serde::Serialize;

/// What a look at a store found. Nothing in it holds credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// What keeps the sessions, with its version.
    pub server: String,
    /// How it is set up.
    pub topology: String,
    /// The indexes that belong there, and whether each is.
    pub indexes: Vec<Index>,
    /// How many sessions the collection has.
    pub sessions: u64,
    /// How many agents they have, unless there are too many sessions to count in passing.
    pub agents: Option<u64>,
    /// How many messages these have, likewise.
    pub messages: Option<u64>,
    /// The session that was created first.
    pub oldest: Option<Landmark>,
    /// The session that was created last.
    pub newest: Option<Landmark>,
    /// What is wrong, in plain words; nothing if all is well.
    pub problems: Vec<String>,
    /// What was wrong and is mended; in a dry run, which of the problems can be mended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mended: Vec<String>,
}

/// Whether what is wrong is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repair {
    No,
    /// It is told what would be.
    DryRun,
    Yes,
}

/// An index that belongs to a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Index {
    /// The field.
    pub field: String,
    /// Whether there is such an index.
    pub present: bool,
}

/// A session that stands out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Landmark {
    /// Its id.
    pub session_id: String,
    /// When it was created: RFC 3339 in UTC.
    pub created_at: String,
}

impl Landmark {
    pub(crate) fn new(session_id: &str, created_at: Timestamp) -> Self {
        Self { session_id: session_id.to_owned(), created_at: created_at.to_string() }
    }
}
