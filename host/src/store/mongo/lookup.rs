//! Reading messages, wherever they lie.
//!
//! What the session's document says and what the blocks hold are two reads. They are made at the same time where this process has seen the
//! archive before; the blocks' answer counts only if the document then tells the same of the archive.

use super::archive::Archive;
use super::archive::blocks::{Archived, Found, Newer};
use super::pipeline::{self, AgentPath};
use super::write::{ATTEMPTS, contended};
use super::{MongoStore, answer, primary};
use crate::error::{Error, Result};
use crate::store::Page;
use crate::store::schema::read::{self, corrupt, object};
use crate::types::Message;
use mongodb::bson::{RawDocumentBuf, doc};
use std::ops::Range;

impl MongoStore {
    /// Finds the message with an id.
    pub(super) async fn find_one(&self, session_id: &str, agent_id: &str, message_id: i64, omit: &[String]) -> Result<Option<Message>> {
        let path = AgentPath::new(agent_id);
        for attempt in 0..ATTEMPTS {
            // What a secondary says can be older than the blocks.
            let from = (attempt > 0).then(primary);
            let guess = self.memory.archive(session_id, agent_id).filter(|archive| archive.may_hold(message_id));
            let document = self.aggregate(pipeline::find_message(session_id, &path, message_id, omit), from);
            let (found, early) = tokio::join!(document, self.guessed(session_id, &guess, message_id));
            let Some(found) = found? else { return Ok(None) };
            let archive = Archive::of(&found)?;
            self.memory.saw(session_id, agent_id, archive.as_ref());
            let Some(archive) = archive.filter(|archive| archive.may_hold(message_id)) else { return answer::message(&found) };
            let same = guess.is_some_and(|guess| guess.same_blocks(&archive) && guess.count == archive.count);
            let blocks = match early.filter(|_| same) {
                Some(early) => early?,
                None => self.archived(session_id, &archive, message_id).await?,
            };
            let Found::Read(archived) = blocks else { continue };
            if let Some(archived) = archived.first() {
                return read::message(&archived.message, omit).map(Some);
            }
            // It may have been folded back out of the archive between the two reads.
            if self.archive_of(session_id, &path).await?.is_some_and(|now| now.id == archive.id) {
                return answer::message(&found);
            }
        }
        Err(contended())
    }

    /// Looks for an id in an archive that may have changed since it was seen.
    pub(super) async fn guessed(&self, session_id: &str, guess: &Option<Archive>, message_id: i64) -> Option<Result<Found<Vec<Archived>>>> {
        match guess {
            Some(archive) => Some(self.archived(session_id, archive, message_id).await),
            None => None,
        }
    }

    /// Lists a page of the history: the archive, and behind it the messages of the session's document.
    pub(super) async fn list_page(&self, session_id: &str, agent_id: &str, page: Page, omit: &[String]) -> Result<Vec<Message>> {
        let path = AgentPath::new(agent_id);
        let Page { offset, limit, max_bytes } = page;
        let end = offset.saturating_add(limit.unwrap_or(u64::MAX));
        for attempt in 0..ATTEMPTS {
            // What a secondary says can be older than the blocks.
            let from = (attempt > 0).then(primary);
            let guess = self.memory.archive(session_id, agent_id).filter(|archive| offset < archive.count);
            let early = async {
                match &guess {
                    Some(archive) => Some(self.archived_page(session_id, archive, offset..end.min(archive.count), omit, max_bytes).await),
                    None => None,
                }
            };
            let document = self.aggregate(pipeline::list_messages(session_id, &path, offset, limit, omit), from);
            let (found, early) = tokio::join!(document, early);
            let Some(found) = found? else { return Ok(Vec::new()) };
            let archive = Archive::of(&found)?;
            self.memory.saw(session_id, agent_id, archive.as_ref());
            let recent = answer::page(&found)?;
            let Some(archive) = archive.filter(|archive| offset < archive.count) else { return Ok(recent) };
            let places = offset..end.min(archive.count);
            let same = guess.is_some_and(|guess| guess.same_blocks(&archive) && places.end == end.min(guess.count));
            let blocks = match early.filter(|_| same) {
                Some(early) => early?,
                None => self.archived_page(session_id, &archive, places, omit, max_bytes).await?,
            };
            let Found::Read(mut page) = blocks else { continue };
            page.extend(recent);
            return Ok(page);
        }
        tracing::warn!(session_id, agent_id, "blocks of the archive are missing");
        Err(corrupt("archive"))
    }

    async fn archived_page(
        &self,
        session_id: &str,
        archive: &Archive,
        places: Range<u64>,
        omit: &[String],
        max_bytes: usize,
    ) -> Result<Found<Vec<Message>>> {
        let (mut parts, mut taken) = (Vec::new(), 0_usize);
        let take = |messages: Vec<RawDocumentBuf>| {
            let messages = messages.iter().map(|message| read::message(message, omit)).collect::<Result<Vec<_>>>()?;
            taken += messages.iter().map(|message| message.body.as_str().len()).sum::<usize>();
            parts.push(messages);
            if taken > max_bytes {
                return Err(Error::TooLarge { size: taken as u64, limit: max_bytes as u64 });
            }
            Ok(())
        };
        Ok(match self.archived_at(session_id, archive, places, omit, Newer::Refused, take).await? {
            Found::Read(()) => Found::Read(parts.into_iter().rev().flatten().collect()),
            Found::Changed => Found::Changed,
        })
    }

    /// An agent's archive, as the session's document tells of it now; none if it is empty.
    pub(super) async fn archive_of(&self, session_id: &str, path: &AgentPath) -> Result<Option<Archive>> {
        Ok(self.claimed_archive_of(session_id, path).await?.filter(|archive| archive.count > 0))
    }

    /// The same, also when it is still empty.
    pub(super) async fn claimed_archive_of(&self, session_id: &str, path: &AgentPath) -> Result<Option<Archive>> {
        let project = doc! { "_id": 0, "archive": path.value("archive") };
        let pipeline = vec![doc! { "$match": { "_id": session_id } }, doc! { "$project": project }];
        match self.aggregate(pipeline, Some(primary())).await? {
            Some(found) if object(&found, "archive")?.is_some() => Archive::claimed(&found),
            _ => Ok(None),
        }
    }
}
