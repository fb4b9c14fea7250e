//! Reading an agent's history in one consistent state, wherever it lies.
//!
//! What the session's document says and what the blocks hold are two reads. If this process has seen the archive before, both are made at
//! the same time. The blocks' answer counts only if the document then tells the same of the archive.

mod attempt;
mod wanted;

pub(super) use wanted::Wanted;

use super::answer::{self, Look};
use super::archive::Archive;
use super::archive::blocks::{Outcome, WithId, behind};
use super::archive::memory::Seen;
use super::archive::told::Told;
use super::attempts::{ATTEMPTS, back_off, contended};
use super::expressions::AgentPath;
use super::questions::Question;
use super::store::{MongoStore, primary};
use crate::error::{Entity, Error, Result};
use crate::store::schema::read::{self, member, object};
use crate::store::weigh::Weigh;
use attempt::{Attempt, InBlocks, Verdict};
use mongodb::bson::RawDocumentBuf;
use mongodb::bson::raw::{RawArray, RawBson, RawBsonRef, RawDocument};
use wanted::Part;

/// A reading of a history.
pub(crate) struct Reading<'a> {
    pub(crate) path: &'a AgentPath,
    pub(crate) wanted: Wanted<'a>,
}

/// A history in one state.
#[derive(Debug)]
pub(crate) struct History {
    /// What the document says.
    found: RawDocumentBuf,
    archive: Option<Archive>,
    pub(crate) blocks: InBlocks,
}

/// A message and all that a write that stands on it must know.
pub(crate) struct Sighting {
    /// What the document says, and the message in it.
    pub(crate) look: Look,
    pub(crate) archive: Option<Archive>,
    /// The message in blocks.
    pub(crate) blocks: WithId,
}

impl History {
    fn of(attempt: Attempt) -> Self {
        Self { found: attempt.found, archive: attempt.told.archive, blocks: attempt.blocks }
    }

    /// What of a page is not archived, as the document has it.
    pub(crate) fn recent(&self, offset: u64, limit: Option<u64>) -> Result<Option<&RawArray>> {
        if Wanted::not_in_blocks(offset, limit, self.archive.as_ref()).1 == Some(0) {
            return Ok(None);
        }
        match member(&self.found, "page")? {
            Some(RawBsonRef::Array(recent)) => Ok(Some(recent)),
            Some(_) => Err(read::corrupt("messages")),
            None => Ok(None),
        }
    }

    /// The message with the wanted id: the first one, where another program has stored it twice.
    pub(crate) fn message(&self) -> Result<Option<&RawDocument>> {
        match &self.blocks {
            InBlocks::Id(WithId { archived, .. }) if !archived.is_empty() => Ok(archived.first().map(|archived| &*archived.message)),
            _ => object(&self.found, "message"),
        }
    }
}

impl Sighting {
    /// The message: the first one, where another program has stored it twice.
    pub(crate) fn message(&self) -> Option<&RawDocument> {
        let archived = self.blocks.archived.first().map(|archived| &archived.message);
        archived.or(self.look.message.as_ref()).map(|message| &**message)
    }
}

impl MongoStore {
    /// Reads a history. None if there is no such session.
    pub(crate) async fn read(&self, reading: &Reading<'_>) -> Result<Option<History>> {
        let Reading { path, wanted } = reading;
        let mut guess = self.memory.seen(path.agent_ref());
        let mut unfit: Option<Told> = None;
        for attempt in 0..ATTEMPTS {
            back_off(attempt).await;
            // What a secondary says can be older than the blocks.
            let is_primary = wanted.is_look() || attempt > 0;
            let Some(mut attempt) = self.attempt(reading, guess, is_primary).await? else { return Ok(None) };
            let mut verdict = attempt.judge(wanted, unfit.as_ref());
            // The second judgement is another one, because the blocks count as complete then.
            if verdict == Verdict::TakeNewer {
                self.take_newer(reading, &mut attempt).await?;
                verdict = attempt.judge(wanted, unfit.as_ref());
            }
            match verdict {
                Verdict::Answer => return Ok(Some(History::of(attempt))),
                Verdict::AnswerWithGaps => {
                    tracing::warn!("blocks of the archive are missing; `check` names them");
                    tracing::debug!(session_id = path.session_id(), agent_id = path.agent_id(), "an archive lacks blocks");
                    return Ok(Some(History::of(attempt)));
                }
                Verdict::AnswerIfUnmoved if self.read_archive(path).await? == attempt.told => {
                    return Ok(Some(History::of(attempt)));
                }
                Verdict::Refuse => return Err(behind(path.session_id())),
                Verdict::ReadAgain => unfit = Some(attempt.told),
                Verdict::AskDocument => attempt.now.archive = None,
                Verdict::AskAgain | Verdict::AnswerIfUnmoved | Verdict::TakeNewer => {}
            }
            guess = attempt.now;
        }
        Err(contended())
    }

    /// Looks at the message with an id and at its agent, on the primary, because no write has gone through.
    pub(crate) async fn sight(&self, path: &AgentPath, id: i64, question: &Question<'_>) -> Result<Sighting> {
        let reading = Reading { path, wanted: Wanted::Look { id, question } };
        let History { found, archive, blocks } = self.read(&reading).await?.ok_or(Error::NotFound(Entity::Session))?;
        let look = answer::look(&found)?;
        look.require_agent()?;
        Ok(Sighting { look, archive, blocks: blocks.with_id() })
    }

    /// Reads document and blocks once, at the same time where it can be guessed what the blocks have. None if there is no such session.
    async fn attempt(&self, reading: &Reading<'_>, seen: Seen, is_primary: bool) -> Result<Option<Attempt>> {
        let Reading { path, wanted } = reading;
        let early = async {
            let archive = seen.archive.as_ref()?;
            let part = wanted.part(Some(archive))?;
            Some(self.read_part(reading, archive, &part).await)
        };
        let question = wanted.question(path, &seen);
        let (found, early) = tokio::join!(self.find(path.session_id(), question, is_primary.then(primary)), early);
        let Some(found) = found? else { return Ok(None) };
        let mut attempt = Attempt::of(found, seen, is_primary)?;
        self.memory.saw(path.agent_ref(), &attempt.now);
        if let Some((part, archive)) = attempt.part(wanted) {
            let (blocks, outcome) = match early.filter(|_| attempt.is_as_guessed(wanted, &part, archive)) {
                Some(early) => early?,
                None => self.read_part(reading, archive, &part).await?,
            };
            (attempt.blocks, attempt.outcome) = (blocks, Some(outcome));
        }
        Ok(Some(attempt))
    }

    /// Reads the blocks of an attempt as they are: the document will not tell of their updates.
    async fn take_newer(&self, reading: &Reading<'_>, attempt: &mut Attempt) -> Result<()> {
        let Reading { path, wanted } = reading;
        tracing::warn!("a document is behind the blocks of its archive; `check` names it");
        tracing::debug!(session_id = path.session_id(), agent_id = path.agent_id(), "a document is behind its blocks");
        if let Some((part, archive)) = attempt.part(wanted) {
            let (blocks, _) = self.read_part(reading, &Archive { is_behind: true, ..archive.clone() }, &part).await?;
            (attempt.blocks, attempt.outcome) = (blocks, Some(Outcome::Complete));
        }
        Ok(())
    }

    async fn read_part(&self, reading: &Reading<'_>, archive: &Archive, part: &Part) -> Result<(InBlocks, Outcome)> {
        let Reading { path, wanted } = reading;
        match part {
            Part::Id(id) => match self.with_id(path.session_id(), Some(archive), *id, wanted.omit()).await? {
                Some(found) => Ok((InBlocks::Id(found), Outcome::Complete)),
                None => Ok((InBlocks::Id(WithId::default()), Outcome::Newer)),
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
                let outcome = self.archived_at(path.session_id(), archive, places.clone(), wanted.omit(), take).await?;
                Ok((InBlocks::Page(parts.into_iter().rev().flatten().collect()), outcome))
            }
        }
    }
}
