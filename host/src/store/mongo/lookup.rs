//! Reading messages, wherever they lie.
//!
//! What the session's document says and what the blocks hold are two reads. They are made at the same time where this process has seen the
//! archive before; the blocks' answer counts only if the document then tells the same of the archive.

use super::archive::Archive;
use super::archive::blocks::{Found, Newer};
use super::error::Failure;
use super::pipeline::{self, AgentPath};
use super::write::{ATTEMPTS, contended, make_way};
use super::{MongoStore, answer, primary};
use crate::error::{Error, Result};
use crate::store::Page;
use crate::store::schema::read::{self, corrupt};
use crate::types::Message;
use mongodb::bson::{RawDocumentBuf, doc};
use mongodb::options::SelectionCriteria;
use std::ops::Range;

impl MongoStore {
    /// Finds the message with an id.
    pub(super) async fn find_one(&self, session_id: &str, agent_id: &str, message_id: i64, omit: &[String]) -> Result<Option<Message>> {
        let path = AgentPath::new(agent_id);
        let mut may_guess = true;
        for attempt in 0..ATTEMPTS {
            make_way(attempt).await;
            // What a secondary says can be older than the blocks.
            let from = (attempt > 0).then(primary);
            let guess = self.memory.archive(session_id, agent_id).filter(|archive| may_guess && archive.may_hold(message_id));
            let early = async {
                match &guess {
                    Some(archive) => Some(self.archived(session_id, archive, message_id, omit).await),
                    None => None,
                }
            };
            let document = async {
                match &guess {
                    Some(_) => self.read_archive(session_id, &path, from).await,
                    None => self.aggregate(pipeline::find_message(session_id, &path, message_id, omit), from).await,
                }
            };
            let (found, early) = tokio::join!(document, early);
            let Some(found) = found? else { return Ok(None) };
            let archive = Archive::of(&found)?;
            self.memory.saw(session_id, agent_id, archive.as_ref());
            let archive = match (archive.filter(|archive| archive.may_hold(message_id)), &guess) {
                (Some(archive), _) => archive,
                (None, None) => return answer::message(&found),
                (None, Some(_)) => continue,
            };
            let blocks = match (early, &guess) {
                (Some(early), Some(guess)) if guess.same_blocks(&archive) && guess.count == archive.count => early?,
                _ => self.archived(session_id, &archive, message_id, omit).await?,
            };
            let Found::Read(archived) = blocks else { continue };
            if let Some(archived) = archived.first() {
                return read::message(&archived.message, omit).map(Some);
            }
            // It may have been folded back out of the archive between the two reads.
            if guess.is_none() && self.archive_of(session_id, &path).await?.is_some_and(|now| now.id == archive.id) {
                return answer::message(&found);
            }
            may_guess = false;
        }
        Err(contended())
    }

    /// Lists a page of the history: the archive, and behind it the messages of the session's document.
    pub(super) async fn list_page(&self, session_id: &str, agent_id: &str, page: Page, omit: &[String]) -> Result<Vec<Message>> {
        let path = AgentPath::new(agent_id);
        let Page { offset, limit, max_bytes } = page;
        let end = offset.saturating_add(limit.unwrap_or(u64::MAX));
        let mut incomplete: Option<Archive> = None;
        for attempt in 0..ATTEMPTS {
            make_way(attempt).await;
            // What a secondary says can be older than the blocks.
            let from = (attempt > 0).then(primary);
            let guess = self.memory.archive(session_id, agent_id).filter(|archive| offset < archive.count);
            let early = async {
                match &guess {
                    Some(archive) => Some(self.archived_page(session_id, archive, offset..end.min(archive.count), omit, max_bytes).await),
                    None => None,
                }
            };
            let document = async {
                match &guess {
                    Some(archive) if end <= archive.count => self.read_archive(session_id, &path, from).await,
                    _ => self.aggregate(pipeline::list_messages(session_id, &path, offset, limit, omit), from).await,
                }
            };
            let (found, early) = tokio::join!(document, early);
            let Some(found) = found? else { return Ok(Vec::new()) };
            let archive = Archive::of(&found)?;
            self.memory.saw(session_id, agent_id, archive.as_ref());
            let places = offset..end.min(archive.as_ref().map_or(0, |archive| archive.count));
            if guess.as_ref().is_some_and(|guess| end <= guess.count) && places.end < end {
                // What the page has of the document was not asked for.
                continue;
            }
            let recent = answer::page(&found)?;
            let Some(archive) = archive.filter(|_| !places.is_empty()) else { return Ok(recent) };
            let blocks = match (early, &guess) {
                (Some(early), Some(guess)) if guess.same_blocks(&archive) && places.end == end.min(guess.count) => early?,
                _ => self.archived_page(session_id, &archive, places, omit, max_bytes).await?,
            };
            let Found::Read(mut page) = blocks else {
                // Twice the same, on the primary: nobody has changed anything, and blocks are missing.
                if attempt > 1 && incomplete.as_ref() == Some(&archive) {
                    tracing::warn!(session_id, agent_id, "blocks of the archive are missing");
                    return Err(corrupt("archive"));
                }
                incomplete = Some(archive);
                continue;
            };
            page.extend(recent);
            return Ok(page);
        }
        Err(contended())
    }

    /// Reads what a session's document tells of an agent's archive, and nothing else.
    async fn read_archive(&self, session_id: &str, path: &AgentPath, from: Option<SelectionCriteria>) -> Result<Option<RawDocumentBuf>> {
        let find = self.collection.find_one(doc! { "_id": session_id }).projection(doc! { "_id": 0, "archive": path.value("archive") });
        let find = match from {
            Some(from) => find.selection_criteria(from),
            None => find,
        };
        find.await.map_err(|error| Failure::of(error).into_error())
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
            taken += messages.iter().map(Message::weight).sum::<usize>();
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
        match self.read_archive(session_id, path, Some(primary())).await? {
            Some(found) => Archive::claimed(&found),
            None => Ok(None),
        }
    }
}
