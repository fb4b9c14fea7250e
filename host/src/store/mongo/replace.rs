//! Replacing a message, wherever it lies. When it is acknowledged, no block of the session holds what was replaced.

use super::archive::blocks::{Archived, WithId};
use super::archive::conditions::{not_archived, unmoved, unwritten};
use super::archive::{Archive, Patch};
use super::attempts::{ATTEMPTS, contended, make_way};
use super::conditions::{checked_size, session};
use super::error::Failure;
use super::expressions::{AgentPath, on};
use super::history::Sighting;
use super::questions::Question;
use super::store::MongoStore;
use super::updates::{self, First};
use super::write::require_revision;
use crate::error::{Entity, Error, Result};
use crate::store::schema::build::{self, MAX_DOCUMENT};
use crate::store::schema::json::{broken, date, integer, parse_object};
use crate::store::{AgentRef, Replacement, Write};
use crate::types::Timestamp;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::UpdateModifications;
use std::collections::HashMap;

/// A message and what replaces it.
struct New<'a> {
    session_id: &'a str,
    path: &'a AgentPath,
    message_id: i64,
    /// The new own fields, after the id.
    fields: Document,
    body: &'a Replacement,
    write: Write,
}

impl MongoStore {
    /// Replaces the own fields of a message.
    pub(crate) async fn replace(&self, agent: &AgentRef, message_id: i64, body: Replacement, write: Write) -> Result<()> {
        let AgentRef { session: session_id, agent: agent_id } = agent;
        let path = AgentPath::new(agent_id);
        let fields = build::message_fields(message_id, parse_object(&body.fields)?);
        let adds = checked_size(&fields)?;
        let new = New { session_id, path: &path, message_id, fields, body: &body, write };
        let mut state = self.sessions.turn(session_id).await;
        // Where this process has seen the message's archive, it looks there at once.
        let seen = self.memory.seen(session_id, agent_id).archive;
        let mut in_document = seen.is_none_or(|archive| !archive.may_hold(message_id)).then(|| not_archived(&path, message_id));
        // The update of an archive that this call has brought to the blocks.
        let mut redone: Option<(ObjectId, i64)> = None;
        for attempt in 0..ATTEMPTS {
            make_way(attempt).await;
            if let Some(condition) = in_document.take() {
                match self.replace_in_document(&new, condition).await {
                    Ok(true) => {
                        state.wrote(adds);
                        return Ok(());
                    }
                    Ok(false) => {}
                    Err(failure) => {
                        self.relieve(failure, session_id, adds).await.map_err(Failure::into_error)?;
                        in_document = Some(not_archived(&path, message_id));
                        continue;
                    }
                }
            }
            let question = Question { message_id: Some(message_id), ..Question::default() };
            let Sighting { look, archive, blocks } = self.sight(session_id, &path, message_id, &question).await?;
            match (&archive, look.message) {
                // Nobody changes what is on its way, so it gets there first.
                (Some(_), Some(_)) if look.is_sealed => self.finish_move(session_id, &path).await?,
                (Some(archive), message) if !blocks.archived.is_empty() => {
                    require_revision(write.expected, look.revision)?;
                    // The update before this one makes way for it only when the blocks have it; then their sizes are what counts.
                    let update = Some((archive.id, archive.writes));
                    let are_current = redone == update || self.memory.blocks_are_current(session_id, agent_id, archive);
                    if !archive.redo.is_empty() && !are_current {
                        self.redo(session_id, archive).await?;
                        self.memory.has_current_blocks(session_id, agent_id, archive);
                        redone = update;
                        continue;
                    }
                    if self.replace_archived(&new, archive, blocks, message.is_some()).await? {
                        state.wrote(adds);
                        return Ok(());
                    }
                }
                (archive, Some(_)) => {
                    require_revision(write.expected, look.revision)?;
                    let as_found = archive.as_ref().filter(|archive| message_id <= archive.top);
                    in_document = Some(as_found.map_or_else(|| not_archived(&path, message_id), |archive| unmoved(&path, archive)));
                }
                (_, None) => return Err(Error::NotFound(Entity::Message)),
            }
        }
        Err(contended())
    }

    /// Replaces the message among the recent ones, if a condition on the archive holds; tells whether it did.
    async fn replace_in_document(&self, new: &New<'_>, condition: Document) -> Result<bool, Failure> {
        let New { session_id, path, message_id, fields, body, write } = new;
        let mut filter = session(session_id, write.expected);
        filter.extend(on(path.field("messages.message_id"), doc! { "$eq": integer(*message_id) }));
        filter.extend(condition);
        let update = updates::replace_message(path, *message_id, fields.clone(), write.at, &body.keep, First::Stored);
        let (replaced, blocks) = tokio::join!(self.update(filter, update), self.with_id(session_id, None, *message_id, &[]));
        if !replaced? {
            return Ok(false);
        }
        let blocks = match blocks {
            // The update is done. Who may not read the archive has nothing in it.
            Err(Error::AccessDenied(_)) => {
                tracing::warn!(
                    "the archive may not be read, so blocks that others have left behind are not looked for; they may hold text that was replaced"
                );
                return Ok(true);
            }
            blocks => blocks.map_err(Failure::Other)?.unwrap_or_default(),
        };
        // They hold the message as it was.
        self.remove_dead(session_id, &blocks.elsewhere).await.map_err(Failure::Other)?;
        Ok(true)
    }

    /// Replaces messages in the archive, and their copies among the recent ones if there can be any; tells whether it did, or the archive
    /// has changed.
    async fn replace_archived(&self, new: &New<'_>, archive: &Archive, blocks: WithId, copies: bool) -> Result<bool> {
        let New { session_id, path, message_id, fields, body, write } = new;
        let redo = new_versions(blocks.archived, fields, &body.keep, write.at)?;
        let mut filter = session(session_id, write.expected);
        // A copy among the recent ones must not have been sealed since.
        filter.extend(if copies { unmoved(path, archive) } else { unwritten(path, archive) });
        let mut archive = archive.clone();
        archive.writes += 1;
        let patches = redo.iter().map(|(_, patch)| patch.stored().map(Bson::from)).collect::<Result<Vec<_>>>()?;
        let adds: usize = redo.iter().map(|(_, patch)| patch.message.as_bytes().len()).sum();
        let update: UpdateModifications = match redo.first().filter(|_| copies) {
            Some((first, _)) => {
                let first = First::Archived(first.clone());
                let mut update = updates::replace_message(path, *message_id, fields.clone(), write.at, &body.keep, first);
                let mut set = on(path.field("archive.writes"), archive.writes);
                set.extend(on(path.field("archive.redo"), doc! { "$literal": patches }));
                update.push(doc! { "$set": set });
                update.into()
            }
            None => {
                let mut set = on(path.field("archive.writes"), archive.writes);
                set.extend(on(path.field("archive.redo"), patches));
                let mut latest = doc! { "updated_at": date(write.at) };
                latest.insert(path.field("updated_at"), date(write.at));
                doc! { "$set": set, "$max": latest, "$inc": { "revision": 1_i64 } }.into()
            }
        };
        match self.update_by_majority(filter, update).await {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(failure) => {
                self.relieve(failure, session_id, adds as u64).await.map_err(Failure::into_error)?;
                return Ok(false);
            }
        }
        archive.redo = redo.into_iter().map(|(_, patch)| patch).collect();
        // It is done, and every reader sees it. It is acknowledged when the block does not hold the old text any more, either.
        self.redo(session_id, &archive).await?;
        self.memory.has_current_blocks(session_id, path.agent_id(), &archive);
        self.remove_dead(session_id, &blocks.elsewhere).await?;
        if !archive.is_small()
            && let Err(error) = self.forget_redo(session_id, path, &archive).await
        {
            tracing::warn!(%error, session_id, "the last update of an archive stays in the session's document until the next one");
        }
        Ok(true)
    }
}

/// The new version of an archived message and of each exact copy of it, with the message as it is stored.
fn new_versions(archived: Vec<Archived>, fields: &Document, keep: &[String], now: Timestamp) -> Result<Vec<(Document, Patch)>> {
    let mut versions: Vec<(Document, Patch)> = Vec::new();
    // What each block has more by then.
    let mut grown: HashMap<u64, u64> = HashMap::new();
    let mut own: Option<RawDocumentBuf> = None;
    for Archived { first, at, block_size, message } in archived {
        let stored = Document::try_from(&message).map_err(broken)?;
        let mut unstamped = stored.clone();
        for field in updates::COPIES_DIFFER {
            unstamped.remove(field);
        }
        // As it is written: a number that is none (NaN) equals itself here.
        let unstamped = build::serialized(&unstamped)?;
        if own.get_or_insert_with(|| unstamped.clone()).as_bytes() != unstamped.as_bytes() {
            continue;
        }
        let mut new = fields.clone();
        if let Some(created) = stored.get("created_at") {
            new.insert("created_at", created.clone());
        }
        let now = date(now);
        let updated = match stored.get("updated_at") {
            Some(Bson::DateTime(updated)) => (*updated).max(now),
            _ => now,
        };
        new.insert("updated_at", updated);
        for name in keep {
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
