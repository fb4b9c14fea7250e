//! Replacing a message, wherever it lies. When it is acknowledged, no block of the session holds what was replaced.

use super::archive::blocks::{Archived, WithId};
use super::archive::conditions::{not_archived, unmoved, unwritten};
use super::archive::{Archive, Patch};
use super::attempts::{ATTEMPTS, back_off, contended};
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
use crate::store::schema::json::{broken, date, parse_object};
use crate::store::schema::tree::integer;
use crate::store::{AgentRef, Replacement, Write};
use crate::types::Timestamp;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::UpdateModifications;
use std::collections::HashMap;

/// A message and what replaces it.
struct New<'a> {
    path: &'a AgentPath,
    message_id: i64,
    /// The new own fields, after the id.
    fields: Document,
    keep: &'a [String],
    write: Write,
}

/// An update of an archive: its id, and the number of the update.
type Update = (ObjectId, i64);

/// What an attempt does next.
enum Next {
    /// Replaces the message in the document, if a condition on the archive holds.
    InDocument(Document),
    /// Looks where the message is. The blocks have this update of its archive already.
    Look { redone: Option<Update> },
    /// Nothing.
    Done,
}

/// Where a message is, as a look has found it.
enum Place {
    /// Sealed, for a move to the archive.
    OnItsWay,
    /// In blocks, and perhaps with copies among the recent messages.
    Archived {
        archive: Archive,
        blocks: WithId,
        has_copies: bool,
    },
    /// Among the recent messages, as long as a condition on the archive holds.
    Recent(Document),
    Nowhere,
}

impl Place {
    fn of(sighting: Sighting, path: &AgentPath, message_id: i64) -> Self {
        let Sighting { look, archive, blocks } = sighting;
        match (archive, look.message) {
            (Some(_), Some(_)) if look.is_sealed => Self::OnItsWay,
            (Some(archive), message) if !blocks.archived.is_empty() => Self::Archived { archive, blocks, has_copies: message.is_some() },
            // Above the ids of the archive it needs no other condition.
            (Some(archive), Some(_)) if message_id <= archive.top => Self::Recent(unmoved(path, &archive)),
            (_, Some(_)) => Self::Recent(not_archived(path, message_id)),
            (_, None) => Self::Nowhere,
        }
    }
}

impl MongoStore {
    /// Replaces the own fields of a message.
    pub(crate) async fn replace(&self, agent: &AgentRef, message_id: i64, body: Replacement, write: Write) -> Result<()> {
        let path = &AgentPath::of(agent);
        let fields = build::message_fields(message_id, parse_object(&body.fields)?);
        let adds = checked_size(&fields)?;
        let new = New { path, message_id, fields, keep: &body.keep, write };
        let mut state = self.sessions.turn(path.session_id()).await;
        // Where this process has seen the message's archive, it looks there at once.
        let mut next = match self.memory.seen(agent).archive {
            Some(archive) if archive.may_hold(message_id) => Next::Look { redone: None },
            _ => Next::InDocument(not_archived(path, message_id)),
        };
        for attempt in 0..ATTEMPTS {
            back_off(attempt).await;
            if let Next::InDocument(condition) = next {
                next = self.replace_in_document(&new, condition, adds).await?;
            }
            if let Next::Look { redone } = next {
                next = self.replace_where_it_is(&new, redone).await?;
            }
            if let Next::Done = next {
                state.wrote(adds);
                return Ok(());
            }
        }
        Err(contended())
    }

    /// Looks where the message is, and replaces it there if it is archived.
    async fn replace_where_it_is(&self, new: &New<'_>, redone: Option<Update>) -> Result<Next> {
        let New { path, message_id, write, .. } = new;
        let question = Question { message_id: Some(*message_id), ..Question::default() };
        let sighting = self.sight(path, *message_id, &question).await?;
        let revision = sighting.look.revision;
        match Place::of(sighting, path, *message_id) {
            // Nobody changes what is on its way, so it gets there first.
            Place::OnItsWay => {
                self.finish_move(path).await?;
                Ok(Next::Look { redone })
            }
            Place::Archived { archive, blocks, has_copies } => {
                require_revision(write.expected, revision)?;
                // The update before this one makes way for it only when the blocks have it; then their sizes are what counts.
                if let Some(redone) = self.redo_last(new, &archive, redone).await? {
                    return Ok(Next::Look { redone: Some(redone) });
                }
                let is_done = self.replace_archived(new, archive, blocks, has_copies).await?;
                Ok(if is_done { Next::Done } else { Next::Look { redone } })
            }
            Place::Recent(condition) => {
                require_revision(write.expected, revision)?;
                Ok(Next::InDocument(condition))
            }
            Place::Nowhere => Err(Error::NotFound(Entity::Message)),
        }
    }

    /// Brings the blocks up to date with the last update of an archive; tells that update. None if they have it.
    async fn redo_last(&self, new: &New<'_>, archive: &Archive, redone: Option<Update>) -> Result<Option<Update>> {
        let New { path, .. } = new;
        let update = (archive.id, archive.writes);
        let are_current = redone == Some(update) || self.memory.blocks_are_current(path.agent_ref(), archive);
        if archive.redo.is_empty() || are_current {
            return Ok(None);
        }
        self.redo(path.session_id(), archive).await?;
        self.memory.has_current_blocks(path.agent_ref(), archive);
        Ok(Some(update))
    }

    /// Replaces the message in the document, if a condition on the archive holds.
    async fn replace_in_document(&self, new: &New<'_>, condition: Document, adds: u64) -> Result<Next> {
        let New { path, message_id, .. } = new;
        match self.replace_recent(new, condition).await {
            Ok(true) => Ok(Next::Done),
            Ok(false) => Ok(Next::Look { redone: None }),
            Err(failure) => {
                self.relieve(failure, path.session_id(), adds).await.map_err(Failure::into_error)?;
                Ok(Next::InDocument(not_archived(path, *message_id)))
            }
        }
    }

    /// Replaces the message among the recent ones, if a condition on the archive holds; tells whether it did.
    async fn replace_recent(&self, new: &New<'_>, condition: Document) -> Result<bool, Failure> {
        let New { path, message_id, fields, keep, write } = new;
        let mut filter = session(path.session_id(), write.expected);
        filter.extend(on(path.field("messages.message_id"), doc! { "$eq": integer(*message_id) }));
        filter.extend(condition);
        let update = updates::replace_message(path, *message_id, fields.clone(), write.at, keep, First::Stored);
        let (replaced, blocks) = tokio::join!(self.update(filter, update), self.with_id(path.session_id(), None, *message_id, &[]));
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
        self.remove_dead(path.session_id(), &blocks.elsewhere).await.map_err(Failure::Other)?;
        Ok(true)
    }

    /// Replaces messages in the archive, and their copies among the recent ones if there can be any; tells whether it did, or the archive
    /// has changed.
    async fn replace_archived(&self, new: &New<'_>, archive: Archive, blocks: WithId, has_copies: bool) -> Result<bool> {
        let New { path, fields, keep, write, .. } = new;
        let versions = new_versions(blocks.archived, fields, keep, write.at)?;
        let mut filter = session(path.session_id(), write.expected);
        // A copy among the recent ones must not have been sealed since.
        filter.extend(if has_copies { unmoved(path, &archive) } else { unwritten(path, &archive) });
        let (stored, redo): (Vec<_>, Vec<_>) = versions.into_iter().unzip();
        let adds: usize = redo.iter().map(|patch| patch.message.as_bytes().len()).sum();
        let archive = Archive { writes: archive.writes + 1, redo, ..archive };
        let update = new.of_archive(&archive, stored.into_iter().next().filter(|_| has_copies))?;
        match self.update_by_majority(filter, update).await {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(failure) => {
                self.relieve(failure, path.session_id(), adds as u64).await.map_err(Failure::into_error)?;
                return Ok(false);
            }
        }
        // It is done, and every reader sees it. It is acknowledged when the block does not hold the old text any more, either.
        self.redo(path.session_id(), &archive).await?;
        self.memory.has_current_blocks(path.agent_ref(), &archive);
        self.remove_dead(path.session_id(), &blocks.elsewhere).await?;
        if !archive.is_small()
            && let Err(error) = self.forget_redo(path, &archive).await
        {
            tracing::warn!("the last update of an archive stays in the session's document until the next one");
            tracing::debug!(%error, session_id = path.session_id(), "an update cannot be taken out of a document");
        }
        Ok(true)
    }
}

impl New<'_> {
    /// The update of the document that makes an archive this one. If there are copies of the first archived message among the recent ones,
    /// these change, too.
    fn of_archive(&self, archive: &Archive, copied: Option<Document>) -> Result<UpdateModifications> {
        let New { path, message_id, fields, keep, write, .. } = self;
        let patches = archive.redo.iter().map(|patch| patch.stored().map(Bson::from)).collect::<Result<Vec<_>>>()?;
        let mut set = on(path.field("archive.writes"), archive.writes);
        if let Some(first) = copied {
            set.extend(on(path.field("archive.redo"), doc! { "$literal": patches }));
            let mut update = updates::replace_message(path, *message_id, fields.clone(), write.at, keep, First::Archived(first));
            update.push(doc! { "$set": set });
            return Ok(update.into());
        }
        set.extend(on(path.field("archive.redo"), patches));
        let mut latest = doc! { "updated_at": date(write.at) };
        latest.insert(path.field("updated_at"), date(write.at));
        Ok(doc! { "$set": set, "$max": latest, "$inc": { "revision": 1_i64 } }.into())
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
