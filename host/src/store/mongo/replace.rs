//! Replacing a message, wherever it lies.

use super::archive::blocks::{Archived, Found};
use super::archive::{Archive, Patch, position};
use super::pipeline::{self, AgentPath, First, Question};
use super::write::{ATTEMPTS, checked_size, contended, make_way, session};
use super::{MongoStore, on};
use crate::error::{Entity, Error, Result};
use crate::store::Replacement;
use crate::store::mongo::error::Failure;
use crate::store::schema::build::{self, MAX_DOCUMENT};
use crate::store::schema::json::{broken, date, integer, parse_object};
use mongodb::bson::{Bson, DateTime, Document, RawDocumentBuf, doc};
use mongodb::options::UpdateModifications;
use std::collections::HashMap;

impl MongoStore {
    /// Replaces the own fields of a message.
    pub(super) async fn replace(
        &self,
        session_id: &str,
        agent_id: &str,
        message_id: i64,
        body: Replacement,
        expected: Option<u64>,
    ) -> Result<()> {
        let path = AgentPath::new(agent_id);
        let fields = build::message_fields(message_id, parse_object(&body.fields)?);
        let adds = checked_size(&fields)?;
        let update = pipeline::replace_message(&path, message_id, fields.clone(), body.updated_at, &body.keep, First::Stored);
        // An archive in which the message is not, whatever ids it has.
        let mut searched: Option<Document> = None;
        for attempt in 0..ATTEMPTS {
            make_way(attempt).await;
            // Where this process has seen the message's archive, it looks there at once.
            let guess = self.memory.archive(session_id, agent_id).filter(|archive| searched.is_none() && archive.may_hold(message_id));
            if guess.is_none() {
                let mut filter = session(session_id, expected);
                filter.extend(on(path.field("messages.message_id"), doc! { "$eq": integer(message_id) }));
                match &searched {
                    Some(archive) => filter.extend(archive.clone()),
                    None => filter.extend(on(path.field("archive.top"), doc! { "$not": { "$gte": message_id } })),
                }
                match self.update(filter, update.clone()).await {
                    Ok(true) => return Ok(()),
                    Ok(false) => {}
                    Err(failure) => {
                        self.relieve(failure, session_id, adds).await.map_err(Failure::into_error)?;
                        continue;
                    }
                }
            }
            let early = async {
                match &guess {
                    Some(archive) => Some(self.archived(session_id, archive, message_id, &[]).await),
                    None => None,
                }
            };
            let (look, early) =
                tokio::join!(self.look(session_id, Some(&path), Question { message_id: Some(message_id), ..Question::default() }), early);
            let look = look?;
            self.memory.saw(session_id, agent_id, look.archive.as_ref());
            look.require_agent()?;
            searched = None;
            let mut archived = Vec::new();
            if let Some(archive) = look.archive.as_ref().filter(|archive| archive.may_hold(message_id)) {
                let mut same = guess.is_some_and(|guess| guess.same_blocks(archive) && guess.count == archive.count);
                // The update before this one makes way for it only when the blocks have it; then their sizes are what counts.
                if !archive.redo.is_empty() && !self.memory.is_settled(session_id, agent_id, archive) {
                    self.redo(session_id, archive).await?;
                    self.memory.settled(session_id, agent_id, archive);
                    same = false;
                }
                let blocks = match early.filter(|_| same) {
                    Some(early) => early?,
                    None => self.archived(session_id, archive, message_id, &[]).await?,
                };
                match blocks {
                    Found::Changed => continue,
                    Found::Read(found) => archived = found,
                }
                if archived.is_empty() {
                    let mut same = unmoved(&path, archive);
                    same.insert(path.field("archive.count"), position(archive.count));
                    searched = Some(same);
                }
            }
            if archived.is_empty() && look.message.is_none() {
                // It may have been folded back out of the archive between the two looks.
                if searched.is_some() && self.archive_of(session_id, &path).await? != look.archive {
                    continue;
                }
                return Err(Error::NotFound(Entity::Message));
            }
            self.settle(session_id, &look, expected, 0).await?;
            let Some(archive) = look.archive.filter(|_| !archived.is_empty()) else { continue };
            let redo = new_versions(archived, &fields, &body, message_id)?;
            if self
                .replace_archived(session_id, &path, (message_id, &fields, &body), expected, archive, redo, look.message.is_some())
                .await?
            {
                return Ok(());
            }
        }
        Err(contended())
    }

    /// Replaces messages in the archive, and their copies in the session's document if there can be any; tells whether it did, or the
    /// archive has changed.
    #[allow(clippy::too_many_arguments, reason = "they are the write's own, and the archive's as it was found")]
    async fn replace_archived(
        &self,
        session_id: &str,
        path: &AgentPath,
        (message_id, fields, body): (i64, &Document, &Replacement),
        expected: Option<u64>,
        mut archive: Archive,
        redo: Vec<(Document, Patch)>,
        copies: bool,
    ) -> Result<bool> {
        let mut filter = session(session_id, expected);
        filter.extend(unmoved(path, &archive));
        archive.writes += 1;
        let patches = redo.iter().map(|(_, patch)| patch.stored().map(Bson::from)).collect::<Result<Vec<_>>>()?;
        let adds: usize = redo.iter().map(|(_, patch)| patch.message.as_bytes().len()).sum();
        let update: UpdateModifications = match redo.first().filter(|_| copies) {
            Some((first, _)) => {
                let first = First::Archived(first.clone());
                let mut update = pipeline::replace_message(path, message_id, fields.clone(), body.updated_at, &body.keep, first);
                let mut set = Document::new();
                set.insert(path.field("archive.writes"), archive.writes);
                set.insert(path.field("archive.redo"), doc! { "$literal": patches });
                update.push(doc! { "$set": set });
                update.into()
            }
            None => {
                let mut set = Document::new();
                set.insert(path.field("archive.writes"), archive.writes);
                set.insert(path.field("archive.redo"), patches);
                let mut latest = doc! { "updated_at": date(body.updated_at) };
                latest.insert(path.field("updated_at"), date(body.updated_at));
                doc! { "$set": set, "$max": latest, "$inc": { "revision": 1_i64 } }.into()
            }
        };
        match self.update(filter, update).await {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(failure) => {
                self.relieve(failure, session_id, adds as u64).await.map_err(Failure::into_error)?;
                return Ok(false);
            }
        }
        archive.redo = redo.into_iter().map(|(_, patch)| patch).collect();
        // It is done. What fails from here on is done again by the next update of the archive; until then `redo` counts.
        let settled = async {
            self.redo(session_id, &archive).await?;
            self.memory.settled(session_id, path.agent_id(), &archive);
            if archive.is_small() { Ok(()) } else { self.forget_redo(session_id, path, &archive).await }
        };
        if let Err(error) = settled.await {
            tracing::warn!(%error, session_id, "a block of the archive could not be brought up to date");
        }
        Ok(true)
    }

    /// Brings the blocks up to date and takes the last update of an archive out of the session's document.
    pub(super) async fn forget_pending(&self, session_id: &str, path: &AgentPath) -> Result<()> {
        let Some(archive) = self.archive_of(session_id, path).await?.filter(|archive| !archive.redo.is_empty()) else { return Ok(()) };
        self.redo(session_id, &archive).await?;
        self.forget_redo(session_id, path, &archive).await
    }

    /// Takes an update that the blocks have out of the session's document.
    async fn forget_redo(&self, session_id: &str, path: &AgentPath, archive: &Archive) -> Result<()> {
        let mut filter = session(session_id, None);
        filter.extend(unmoved(path, archive));
        let mut unset = Document::new();
        unset.insert(path.field("archive.redo"), "");
        self.update(filter, doc! { "$unset": unset }).await.map(drop).map_err(Failure::into_error)
    }
}

/// Matches if the archive has had no update since it was found.
fn unmoved(path: &AgentPath, archive: &Archive) -> Document {
    let mut same = Document::new();
    same.insert(path.field("archive.id"), archive.id);
    same.insert(path.field("archive.writes"), archive.writes);
    same
}

/// The new version of an archived message and of each exact copy of it, with the message as it is stored.
fn new_versions(archived: Vec<Archived>, fields: &Document, body: &Replacement, message_id: i64) -> Result<Vec<(Document, Patch)>> {
    let mut versions: Vec<(Document, Patch)> = Vec::new();
    // What each block has more by then.
    let mut grown: HashMap<u64, u64> = HashMap::new();
    let mut own: Option<RawDocumentBuf> = None;
    for Archived { first, at, block_size, message } in archived {
        let stored = Document::try_from(&message).map_err(broken)?;
        let mut unstamped = stored.clone();
        unstamped.remove("created_at");
        unstamped.remove("updated_at");
        // As it is written: a number that is none (NaN) equals itself here.
        let unstamped = build::serialized(&unstamped)?;
        if own.get_or_insert_with(|| unstamped.clone()).as_bytes() != unstamped.as_bytes() {
            continue;
        }
        let mut new = fields.clone();
        new.insert("message_id", integer(message_id));
        if let Some(created) = stored.get("created_at") {
            new.insert("created_at", created.clone());
        }
        let now = DateTime::from_millis(body.updated_at.0);
        let updated = match stored.get("updated_at") {
            Some(Bson::DateTime(updated)) => (*updated).max(now),
            _ => now,
        };
        new.insert("updated_at", updated);
        for name in &body.keep {
            if let Some(value) = stored.get(name) {
                new.insert(name, value.clone());
            }
        }
        let new = build::bounded(&new)?;
        let more = grown.entry(first).or_default();
        *more += (new.as_bytes().len() as u64).saturating_sub(message.as_bytes().len() as u64);
        let size = block_size + *more;
        if size > MAX_DOCUMENT {
            return Err(Error::TooLarge { size, limit: MAX_DOCUMENT });
        }
        versions.push((stored, Patch { first, at, message: new }));
    }
    Ok(versions)
}
