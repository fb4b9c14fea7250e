//! Reading an agent's history in one consistent state, wherever it lies.
//!
//! What the session's document says and what the blocks hold are two reads. If this process has seen the archive before, both are made at
//! the same time. The blocks' answer counts only if the document then tells the same of the archive.

use super::archive::Archive;
use super::archive::blocks::{Outcome, WithId, behind};
use super::archive::memory::Seen;
use super::archive::told::Told;
use super::attempts::{ATTEMPTS, contended, make_way};
use super::expressions::AgentPath;
use super::questions::{self, Hidden, Layout, Question};
use super::store::{MongoStore, primary};
use crate::error::{Error, Result};
use crate::store::schema::read::{self, Undated, member};
use crate::store::weigh::Weigh;
use mongodb::bson::raw::{RawArray, RawBson, RawBsonRef, RawDocument};
use mongodb::bson::{Document, RawDocumentBuf};
use std::ops::Range;

/// What is to be read of a history.
pub(crate) struct Reading<'a> {
    pub(crate) session_id: &'a str,
    pub(crate) path: &'a AgentPath,
    pub(crate) wanted: Wanted<'a>,
}

#[derive(Clone, Copy)]
pub(crate) enum Wanted<'a> {
    /// A page, of at most `max_bytes` as JSON.
    Page { offset: u64, limit: Option<u64>, omit: &'a [String], max_bytes: usize },
    /// The message with an id.
    Message { id: i64, omit: &'a [String] },
    /// The message with an id and all that a write that stands on it must know, as the primary has it.
    Look { id: i64, question: &'a Question<'a> },
}

/// A history in one state.
#[derive(Debug)]
pub(crate) struct State {
    /// What the document says.
    pub(crate) found: RawDocumentBuf,
    pub(crate) archive: Option<Archive>,
    pub(crate) blocks: Blocks,
}

impl State {
    /// What of a page is not archived, as the document has it.
    pub(crate) fn recent(&self, offset: u64, limit: Option<u64>) -> Result<Option<&RawArray>> {
        if Wanted::behind(offset, limit, self.archive.as_ref()).1 == Some(0) {
            return Ok(None);
        }
        match member(&self.found, "page")? {
            Some(RawBsonRef::Array(recent)) => Ok(Some(recent)),
            Some(_) => Err(read::corrupt("messages")),
            None => Ok(None),
        }
    }
}

/// What the blocks hold of what is wanted.
#[derive(Debug)]
pub(crate) enum Blocks {
    /// The readable messages of a page. Those in missing blocks are missing here.
    Page(Vec<Undated>),
    /// The messages with an id.
    Id(WithId),
}

impl Blocks {
    pub(crate) fn page(self) -> Vec<Undated> {
        match self {
            Self::Page(messages) => messages,
            Self::Id(_) => Vec::new(),
        }
    }

    pub(crate) fn with_id(self) -> WithId {
        match self {
            Self::Id(found) => found,
            Self::Page(_) => WithId::default(),
        }
    }
}

/// Which part of an archive's blocks is read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Places(Range<u64>),
    Id(i64),
}

impl Wanted<'_> {
    /// The part of an archive's blocks that can have something of what is wanted.
    fn part(&self, archive: Option<&Archive>) -> Option<Part> {
        let archive = archive?;
        match *self {
            Self::Page { offset, limit, .. } => {
                let end = offset.saturating_add(limit.unwrap_or(u64::MAX)).min(archive.count);
                (offset < end).then_some(Part::Places(offset..end))
            }
            Self::Message { id, .. } | Self::Look { id, .. } => archive.may_hold(id).then_some(Part::Id(id)),
        }
    }

    /// Where a page begins among the messages that are not archived, and how many it has of them.
    fn behind(offset: u64, limit: Option<u64>, archive: Option<&Archive>) -> (u64, Option<u64>) {
        let archived = archive.map_or(0, |archive| archive.count);
        let from = offset.saturating_sub(archived);
        let taken = archived.saturating_sub(offset);
        (from, limit.map(|limit| limit.saturating_sub(taken)))
    }

    /// What is asked of the document of an agent that was last seen so.
    fn question(&self, path: &AgentPath, seen: &Seen) -> Document {
        match *self {
            Self::Page { offset, limit, omit, .. } => match Self::behind(offset, limit, seen.archive.as_ref()) {
                (_, Some(0)) => questions::archive(path),
                (from, limit) => questions::page(path, from, limit, omit, (seen.layout, seen.hidden)),
            },
            Self::Message { .. } if self.part(seen.archive.as_ref()).is_some() => questions::archive(path),
            Self::Message { id, omit } => questions::message(path, id, omit, (seen.layout, seen.hidden)),
            Self::Look { question, .. } => questions::look(Some(path), question),
        }
    }

    /// Whether the answer to what was asked suffices, now that it is known how the agent is.
    fn suffices(&self, seen: &Seen, now: &Seen) -> bool {
        let is_laid_out = seen.layout == Layout::Any || now.layout == Layout::Plain;
        match *self {
            Self::Page { offset, limit, .. } => {
                let is = Self::behind(offset, limit, now.archive.as_ref());
                is.1 == Some(0) || is == Self::behind(offset, limit, seen.archive.as_ref()) && is_laid_out
            }
            Self::Message { .. } if self.part(seen.archive.as_ref()).is_some() => self.part(now.archive.as_ref()).is_some(),
            Self::Message { .. } => is_laid_out,
            Self::Look { .. } => true,
        }
    }

    fn omit(&self) -> &[String] {
        match *self {
            Self::Page { omit, .. } | Self::Message { omit, .. } => omit,
            // What a write stands on is the whole message.
            Self::Look { .. } => &[],
        }
    }
}

impl Told {
    /// How the agent lies, as far as the answer to a question tells; else as it was seen.
    fn layout(&self, found: &RawDocument, seen: Layout) -> Layout {
        match found.get("page") {
            _ if self.is_moving => Layout::Any,
            Ok(Some(RawBsonRef::Null)) => Layout::Any,
            Ok(Some(_)) if !matches!(found.get("in_order"), Ok(Some(RawBsonRef::Boolean(false)))) => Layout::Plain,
            _ => seen,
        }
    }
}

impl MongoStore {
    /// Reads a history. None if there is no such session.
    pub(crate) async fn read(&self, reading: &Reading<'_>) -> Result<Option<State>> {
        let Reading { session_id, path, wanted } = reading;
        let is_look = matches!(wanted, Wanted::Look { .. });
        let mut last: Option<Told> = None;
        let mut next = self.memory.seen(session_id, path.agent_id());
        for attempt in 0..ATTEMPTS {
            make_way(attempt).await;
            // What a secondary says can be older than the blocks.
            let from = (is_look || attempt > 0).then(primary);
            let seen = next;
            let part = wanted.part(seen.archive.as_ref());
            let early = async {
                match (&part, &seen.archive) {
                    (Some(part), Some(archive)) => Some(self.read_part(reading, archive, part).await),
                    _ => None,
                }
            };
            let (found, early) = tokio::join!(self.find(session_id, wanted.question(path, &seen), from), early);
            let Some(found) = found? else { return Ok(None) };
            let told = Told::of(&found)?;
            let hidden = match found.get("hidden") {
                Ok(Some(RawBsonRef::Boolean(hidden))) => {
                    if hidden {
                        Hidden::Some
                    } else {
                        Hidden::None
                    }
                }
                _ => seen.hidden,
            };
            let now = Seen { archive: told.archive.clone(), layout: told.layout(&found, seen.layout), hidden };
            self.memory.saw(session_id, path.agent_id(), &now);
            let suffices = wanted.suffices(&seen, &now);
            next = now;
            if !suffices {
                continue;
            }
            let (Some(part_now), Some(archive)) = (wanted.part(told.archive.as_ref()), &told.archive) else {
                return Ok(Some(State { found, archive: told.archive, blocks: Blocks::Id(WithId::default()) }));
            };
            let is_as_seen = |seen: &Archive| seen.same_blocks(archive) && seen.count == archive.count;
            let is_same = part.as_ref() == Some(&part_now) && seen.archive.as_ref().is_some_and(is_as_seen);
            let (mut blocks, outcome) = match early.filter(|_| is_same) {
                Some(early) => early?,
                None => self.read_part(reading, archive, &part_now).await?,
            };
            match outcome {
                // Twice the same, on the primary: the document is behind its blocks, and no update will change that.
                Outcome::Newer if attempt > 0 && last.as_ref() == Some(&told) => {
                    if is_look {
                        return Err(behind(session_id));
                    }
                    tracing::warn!(
                        session_id,
                        agent_id = path.agent_id(),
                        "a document is behind the blocks of its archive; `check` names it"
                    );
                    blocks = self.read_part(reading, &Archive { is_behind: true, ..archive.clone() }, &part_now).await?.0;
                }
                Outcome::Newer => {
                    last = Some(told);
                    continue;
                }
                Outcome::Complete => {}
                // Twice the same, on the primary: nobody has changed anything, and blocks are missing.
                Outcome::Gaps if attempt > 0 && last.as_ref() == Some(&told) => {
                    tracing::warn!(session_id, agent_id = path.agent_id(), "blocks of the archive are missing; `check` names them");
                }
                Outcome::Gaps => {
                    last = Some(told);
                    continue;
                }
            }
            if let Blocks::Id(with_id) = &blocks
                && with_id.archived.is_empty()
                && member(&found, "message")?.is_none()
            {
                // It may lie behind the archive all the same, and nobody has asked.
                if part.is_some() && !is_look {
                    next.archive = None;
                    continue;
                }
                // It may have been moved, or folded back, between the two reads.
                if self.read_archive(session_id, path).await? != told {
                    continue;
                }
            }
            return Ok(Some(State { found, archive: told.archive, blocks }));
        }
        Err(contended())
    }

    async fn read_part(&self, reading: &Reading<'_>, archive: &Archive, part: &Part) -> Result<(Blocks, Outcome)> {
        let Reading { session_id, wanted, .. } = reading;
        match part {
            Part::Id(id) => match self.with_id(session_id, Some(archive), *id, wanted.omit()).await? {
                Some(found) => Ok((Blocks::Id(found), Outcome::Complete)),
                None => Ok((Blocks::Id(WithId::default()), Outcome::Newer)),
            },
            Part::Places(places) => {
                let limit = match wanted {
                    Wanted::Page { max_bytes, .. } => *max_bytes,
                    Wanted::Message { .. } | Wanted::Look { .. } => usize::MAX,
                };
                let (mut parts, mut taken) = (Vec::new(), 0_usize);
                let take = |_, messages: Vec<RawBson>| {
                    let messages = read::messages(messages.iter().map(RawBson::as_raw_bson_ref), wanted.omit());
                    taken += messages.weigh();
                    parts.push(messages);
                    if taken > limit { Err(Error::TooLarge { size: taken as u64, limit: limit as u64 }) } else { Ok(()) }
                };
                let outcome = self.archived_at(session_id, archive, places.clone(), wanted.omit(), take).await?;
                Ok((Blocks::Page(parts.into_iter().rev().flatten().collect()), outcome))
            }
        }
    }
}
