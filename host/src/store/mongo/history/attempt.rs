//! An attempt to read document and blocks in one state, and the judgement of what it has brought.

use super::wanted::{Part, Wanted};
use crate::error::Result;
use crate::store::mongo::archive::Archive;
use crate::store::mongo::archive::blocks::{Outcome, WithId};
use crate::store::mongo::archive::memory::Seen;
use crate::store::mongo::archive::told::Told;
use crate::store::mongo::questions::{Hidden, Layout};
use crate::store::schema::read::{Undated, member};
use mongodb::bson::RawDocumentBuf;
use mongodb::bson::raw::{RawBsonRef, RawDocument};

/// What the blocks hold of what is wanted.
#[derive(Debug, Default)]
pub(crate) enum InBlocks {
    /// Nothing: none of it can be in a block.
    #[default]
    Nothing,
    /// The readable messages of a page. Those in missing blocks are missing here.
    Page(Vec<Undated>),
    /// The messages with an id.
    Id(WithId),
}

impl InBlocks {
    pub(crate) fn page(self) -> Vec<Undated> {
        match self {
            Self::Page(messages) => messages,
            Self::Id(_) | Self::Nothing => Vec::new(),
        }
    }

    pub(crate) fn with_id(self) -> WithId {
        match self {
            Self::Id(found) => found,
            Self::Page(_) | Self::Nothing => WithId::default(),
        }
    }
}

/// What one attempt has brought.
pub(super) struct Attempt {
    /// How the agent was seen before, from which it was guessed what to ask.
    pub(super) seen: Seen,
    /// How it is seen now.
    pub(super) now: Seen,
    pub(super) told: Told,
    /// Whether the primary has told it.
    pub(super) is_primary: bool,
    /// What the document says.
    pub(super) found: RawDocumentBuf,
    /// Whether the document has the wanted message.
    pub(super) has_message: bool,
    pub(super) blocks: InBlocks,
    /// What became of the reading of blocks; none if no block was read.
    pub(super) outcome: Option<Outcome>,
}

/// What follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Document and blocks are of one state, which is the answer.
    Answer,
    /// The same, but blocks are missing, and nobody is at work on that.
    AnswerWithGaps,
    /// The message is nowhere. It may have been moved, or folded back, between the two reads: an answer only if the archive is still the same.
    AnswerIfUnmoved,
    /// The document is behind its blocks, and no update will change that: the blocks are taken as they are.
    TakeNewer,
    /// The same, and a write would stand on it.
    Refuse,
    /// The question was guessed for another state of the agent. The next one is right.
    AskAgain,
    /// The blocks do not fit what the document told. One of them may have been read too early.
    ReadAgain,
    /// The message is in no block, and the document was not asked for it.
    AskDocument,
}

impl Attempt {
    /// What the document's answer means, before any block is read that this tells of.
    pub(super) fn of(found: RawDocumentBuf, seen: Seen, is_primary: bool) -> Result<Self> {
        let told = Told::of(&found)?;
        let now = seen.renewed(&found, &told);
        let has_message = member(&found, "message")?.is_some();
        Ok(Self { seen, now, told, is_primary, found, has_message, blocks: InBlocks::Nothing, outcome: None })
    }

    /// The part of the blocks that has to be read, now that it is known how the agent is.
    pub(super) fn part(&self, wanted: &Wanted<'_>) -> Option<(Part, &Archive)> {
        if !wanted.suffices(&self.seen, &self.now) {
            return None;
        }
        let archive = self.told.archive.as_ref()?;
        Some((wanted.part(Some(archive))?, archive))
    }

    /// Whether the guess was right, so that the part of the blocks that was read with it is this one.
    pub(super) fn is_as_guessed(&self, wanted: &Wanted<'_>, part: &Part, archive: &Archive) -> bool {
        let is_same = |seen: &Archive| seen.same_blocks(archive) && seen.count == archive.count;
        self.seen.archive.as_ref().is_some_and(is_same) && wanted.part(self.seen.archive.as_ref()).as_ref() == Some(part)
    }

    /// Judges the attempt. `unfit` is what the document told at the last attempt whose blocks did not fit it.
    pub(super) fn judge(&self, wanted: &Wanted<'_>, unfit: Option<&Told>) -> Verdict {
        if !wanted.suffices(&self.seen, &self.now) {
            return Verdict::AskAgain;
        }
        // Twice the same, on the primary: nobody has changed anything in between, so it stays like that.
        let is_final = self.is_primary && unfit == Some(&self.told);
        match self.outcome {
            None => Verdict::Answer,
            Some(Outcome::Gaps | Outcome::Newer) if !is_final => Verdict::ReadAgain,
            Some(Outcome::Gaps) => Verdict::AnswerWithGaps,
            Some(Outcome::Newer) if wanted.is_look() => Verdict::Refuse,
            Some(Outcome::Newer) => Verdict::TakeNewer,
            Some(Outcome::Complete) if !self.is_absent() => Verdict::Answer,
            // It may lie behind the archive.
            Some(Outcome::Complete) if !wanted.asks_document(&self.seen) => Verdict::AskDocument,
            Some(Outcome::Complete) => Verdict::AnswerIfUnmoved,
        }
    }

    /// Whether a message was wanted that neither the blocks nor the document's answer has.
    fn is_absent(&self) -> bool {
        matches!(&self.blocks, InBlocks::Id(found) if found.archived.is_empty()) && !self.has_message
    }
}

impl Seen {
    /// How an agent is seen by an answer to a question; what that does not tell, as before.
    fn renewed(&self, found: &RawDocument, told: &Told) -> Self {
        let layout = match found.get("page") {
            _ if told.is_moving => Layout::Any,
            Ok(Some(RawBsonRef::Null)) => Layout::Any,
            Ok(Some(_)) if !matches!(found.get("in_order"), Ok(Some(RawBsonRef::Boolean(false)))) => Layout::Plain,
            _ => self.layout,
        };
        let hidden = match found.get("hidden") {
            Ok(Some(RawBsonRef::Boolean(true))) => Hidden::Some,
            Ok(Some(RawBsonRef::Boolean(false))) => Hidden::None,
            _ => self.hidden,
        };
        Self { archive: told.archive.clone(), layout, hidden }
    }
}

#[cfg(test)]
mod tests;
