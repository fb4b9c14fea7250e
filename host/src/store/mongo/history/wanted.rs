//! What a reading wants of a history, and what it asks of the document and of the blocks.

use crate::store::mongo::archive::Archive;
use crate::store::mongo::archive::memory::Seen;
use crate::store::mongo::expressions::AgentPath;
use crate::store::mongo::questions::{self, Layout, Question};
use mongodb::bson::Document;
use std::ops::Range;

/// What a reading wants of a history.
#[derive(Clone, Copy)]
pub(crate) enum Wanted<'a> {
    /// A page, of at most `max_bytes` as JSON.
    Page { offset: u64, limit: Option<u64>, omit: &'a [String], max_bytes: usize },
    /// The message with an id.
    Message { id: i64, omit: &'a [String] },
    /// The message with an id and all that a write that stands on it must know, as the primary has it.
    Look { id: i64, question: &'a Question<'a> },
}

/// Which part of an archive's blocks is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Places(Range<u64>),
    Id(i64),
}

impl Wanted<'_> {
    /// The part of an archive's blocks that can have something of what is wanted.
    pub(super) fn part(&self, archive: Option<&Archive>) -> Option<Part> {
        let archive = archive?;
        match *self {
            Self::Page { offset, limit, .. } => {
                let end = offset.saturating_add(limit.unwrap_or(u64::MAX)).min(archive.count);
                (offset < end).then_some(Part::Places(offset..end))
            }
            Self::Message { id, .. } | Self::Look { id, .. } => archive.may_hold(id).then_some(Part::Id(id)),
        }
    }

    /// Where a page begins among the messages that are not archived, and how many it has of them; all, if none.
    pub(super) fn not_in_blocks(offset: u64, limit: Option<u64>, archive: Option<&Archive>) -> (u64, Option<u64>) {
        let archived = archive.map_or(0, |archive| archive.count);
        let from = offset.saturating_sub(archived);
        let taken = archived.saturating_sub(offset);
        (from, limit.map(|limit| limit.saturating_sub(taken)))
    }

    /// What is asked of the document of an agent that was last seen so.
    pub(super) fn question(&self, path: &AgentPath, seen: &Seen) -> Document {
        match *self {
            Self::Page { offset, limit, omit, .. } => match Self::not_in_blocks(offset, limit, seen.archive.as_ref()) {
                (_, Some(0)) => questions::archive(path),
                (from, limit) => questions::page(path, from, limit, omit, (seen.layout, seen.hidden)),
            },
            Self::Message { .. } if !self.asks_document(seen) => questions::archive(path),
            Self::Message { id, omit } => questions::message(path, id, omit, (seen.layout, seen.hidden)),
            Self::Look { question, .. } => questions::look(Some(path), question),
        }
    }

    /// Whether the document of an agent that was last seen so is asked for the messages themselves, and not for the archive only.
    pub(super) fn asks_document(&self, seen: &Seen) -> bool {
        !matches!(self, Self::Message { .. }) || self.part(seen.archive.as_ref()).is_none()
    }

    /// Whether the answer to what was asked suffices, now that it is known how the agent is.
    pub(super) fn suffices(&self, seen: &Seen, now: &Seen) -> bool {
        let is_laid_out = seen.layout == Layout::Any || now.layout == Layout::Plain;
        match *self {
            Self::Page { offset, limit, .. } => {
                let is = Self::not_in_blocks(offset, limit, now.archive.as_ref());
                is.1 == Some(0) || is == Self::not_in_blocks(offset, limit, seen.archive.as_ref()) && is_laid_out
            }
            Self::Message { .. } if !self.asks_document(seen) => self.part(now.archive.as_ref()).is_some(),
            Self::Message { .. } => is_laid_out,
            Self::Look { .. } => true,
        }
    }

    pub(super) fn omit(&self) -> &[String] {
        match *self {
            Self::Page { omit, .. } | Self::Message { omit, .. } => omit,
            // What a write stands on is the whole message.
            Self::Look { .. } => &[],
        }
    }

    /// Whether a write will stand on what is read.
    pub(super) fn is_look(&self) -> bool {
        matches!(self, Self::Look { .. })
    }
}
