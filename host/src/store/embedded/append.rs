//! Appends of messages that get their ids here, and the keys that make them safe to repeat.

use super::fault::Result;
use super::numbers::{AgentNo, CollectionNo};
use super::rows::{AgentRow, bytes, damaged, raw};
use super::tables::WriteTables;
use super::write::{advance, make_room};
use crate::error::{Entity, Error};
use crate::store::schema::json::date;
use crate::store::schema::{build, read};
use crate::store::{AgentRef, AppendKey, REMEMBERED_APPENDS, Write, no_next_id};
use crate::types::Timestamp;
use bson::{Array, Bson, Document, doc};
use redb::ReadableTable;

impl WriteTables<'_> {
    /// Appends messages, each by its own fields, under the next ids; returns the first.
    pub(super) fn append_messages(
        &mut self,
        collection: CollectionNo,
        agent: &AgentRef,
        bodies: Vec<Document>,
        key: Option<AppendKey>,
        write: Write,
    ) -> Result<i64> {
        let (mut session, mut row) = self.require_agent(collection, agent)?;
        if let Some(key) = &key
            && let Some(first) = self.remembered(&row, key)?
        {
            return Ok(first);
        }
        advance(&mut session, write.expected)?;
        let (first, last) = following(self.highest_id(&row)?, bodies.len())?;
        // Whatever the clock says, the order of the ids is that of the times.
        let now = Timestamp(write.at.0.max(self.newest(&row)?));
        let mut messages = Vec::with_capacity(bodies.len());
        for (id, body) in (first..=last).zip(bodies) {
            let mut message = build::message_fields(id, body);
            message.insert("created_at", date(now));
            message.insert("updated_at", date(now));
            messages.push((id, build::bounded(&message)?));
        }
        for (id, message) in &messages {
            self.add_dated(&mut row, *id, message.as_bytes(), now)?;
        }
        make_room(&mut row.document, "messages", Array::new());
        self.note_highest_id(&row, last)?;
        if let Some(AppendKey { key, digest }) = key {
            make_room(&mut row.document, "appends", Array::new());
            self.remember(row.number, bytes(&doc! { "key": key, "first": first, "digest": digest })?.as_bytes())?;
            self.forget_old_appends(row.number)?;
        }
        self.written_agent(collection, agent, session, row, now)?;
        Ok(first)
    }

    /// The highest id of an agent's messages.
    ///
    /// Those whose position does not tell their id are in an index by id. Of the others the last is the highest; nearly always it is the
    /// last message of all, or below the highest in the index. Otherwise messages are read from the last one on until one is found, and
    /// what was found is kept with the next append, so that no message is read twice for this.
    fn highest_id(&self, agent: &AgentRow) -> Result<Option<i64>> {
        let number = agent.number;
        let indexed = self.message_ids.range((number, i64::MIN, 0)..=(number, i64::MAX, u64::MAX))?.next_back().transpose()?;
        let (looked_at, known) = self.highest_ids.get(number)?.map(|found| found.value()).unzip();
        let mut highest = known.max(indexed.map(|(key, _)| key.value().1));
        for position in (looked_at.unwrap_or(0)..agent.messages).rev() {
            let Some(told) = agent.id_told_by(position) else { continue };
            if highest.is_some_and(|highest| told <= highest) {
                break;
            }
            let message = self.messages.get((number, position))?.ok_or_else(damaged)?;
            if read::message_id(raw(message.value())?)? == Some(told) {
                highest = Some(told);
                break;
            }
        }
        Ok(highest)
    }

    /// Keeps the highest id, that of the last message, where [`highest_id`](Self::highest_id) would have to search for it.
    fn note_highest_id(&mut self, agent: &AgentRow, highest: i64) -> Result<()> {
        let told = agent.messages.checked_sub(1).and_then(|last| agent.id_told_by(last));
        if told.is_none_or(|told| highest < told) {
            self.highest_ids.insert(agent.number, (agent.messages, highest))?;
        }
        Ok(())
    }

    /// The first id that an append with this key gave. Refuses a key that stands for other content.
    fn remembered(&self, agent: &AgentRow, AppendKey { key, digest }: &AppendKey) -> Result<Option<i64>> {
        match agent.document.get("appends") {
            None | Some(Bson::Null) => return Ok(None),
            Some(Bson::Array(foreign)) if foreign.is_empty() => {}
            // Another program keeps something else there.
            Some(_) => return Err(read::corrupt("list of appends").into()),
        }
        for entry in self.appends.range((agent.number, 0)..(agent.number.next(), 0))? {
            let (_, stored) = entry?;
            match read::remembered(raw(stored.value())?)? {
                // Older versions stored no digest; their keys stand for any content.
                Some(known) if known.key == key && known.digest.is_some_and(|known| known != digest) => {
                    return Err(Error::AlreadyExists(Entity::Message).into());
                }
                Some(known) if known.key == key => return Ok(Some(known.first)),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Stores what is remembered of an append, behind the others.
    pub(super) fn remember(&mut self, agent: AgentNo, append: &[u8]) -> Result<()> {
        let last = self.appends.range((agent, 0)..(agent.next(), 0))?.next_back().transpose()?.map(|(key, _)| key.value().1);
        self.appends.insert((agent, last.map_or(0, |last| last + 1)), append)?;
        Ok(())
    }

    fn forget_old_appends(&mut self, agent: AgentNo) -> Result<()> {
        let kept = self.appends.range((agent, 0)..(agent.next(), 0))?.rev().nth(REMEMBERED_APPENDS - 1).transpose()?;
        if let Some(oldest) = kept.map(|(key, _)| key.value().1) {
            self.appends.remove_range((agent, 0)..(agent, oldest))?;
        }
        Ok(())
    }
}

/// The ids that so many messages get, from the first to the last.
fn following(highest: Option<i64>, count: usize) -> Result<(i64, i64)> {
    // Other programs may have ids below zero.
    let first = highest.map_or(Some(0), |highest| highest.max(-1).checked_add(1));
    let last = first.zip(i64::try_from(count).ok()).and_then(|(first, count)| (count - 1).checked_add(first));
    Ok(first.zip(last).ok_or_else(no_next_id)?)
}

/// Whether all that is in a list is what an agent remembers of appends, so that it can lie in a table of its own.
pub(super) fn are_remembered(list: &[Bson]) -> Result<bool> {
    for append in list {
        let Bson::Document(append) = append else { return Ok(false) };
        if read::remembered(&bytes(append)?)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}
