//! Appends of messages, and the keys that make them safe to repeat.

use super::change::{Change, KeyedAppend};
use super::fault::Result;
use super::numbers::{AgentNo, CollectionNo};
use super::rows::{AgentRow, bytes, damaged, raw};
use super::runs::Entry;
use super::tables::{WriteTables, positions};
use super::write::{advance, make_room, written_agent};
use crate::error::{Entity, Error};
use crate::store::schema::json::date;
use crate::store::schema::{build, read};
use crate::store::{AgentRef, AppendKey, Appended, REMEMBERED_APPENDS, Write, no_next_id};
use crate::types::Timestamp;
use bson::{Array, Bson, Document, RawDocumentBuf, doc};
use redb::ReadableTable;

/// Messages that an append adds behind the others.
#[derive(Default)]
struct Added {
    messages: Vec<(AgentNo, u64, RawDocumentBuf)>,
    /// The ids that their positions do not tell.
    ids: Vec<(AgentNo, i64, u64)>,
    /// The nodes of the order of messages that change.
    order: Vec<(AgentNo, u64, Vec<u8>)>,
}

impl WriteTables<'_> {
    /// Appends a message under an id of the caller's. If the id is taken, it tells the message that has it.
    pub(super) fn append_message(
        &self,
        collection: CollectionNo,
        agent: &AgentRef,
        (id, message): (i64, RawDocumentBuf),
        omit: &[String],
        write: Write,
    ) -> Result<(Appended, Change)> {
        let (mut session, mut row) = self.require_agent(collection, agent)?;
        if let Some(taken) = positions(&*self.message_ids, &*self.messages, &row, id)?.first() {
            let stored = self.messages.get((row.number, *taken))?.ok_or_else(damaged)?;
            // Only its content counts, so any time will do.
            return Ok((Appended::Taken(read::message(raw(stored.value())?, omit)?.dated(None)), Change::default()));
        }
        advance(&mut session, write.expected)?;
        let Added { messages, ids, order } = self.added(&mut row, vec![(id, message)], write.at)?;
        let rows = written_agent(collection, agent, session, row, write.at)?;
        Ok((Appended::New, Change { messages, message_ids: ids, message_order: order, ..rows }))
    }

    /// Appends messages, each by its own fields, under the next ids; tells the first.
    pub(super) fn append_messages(
        &self,
        collection: CollectionNo,
        agent: &AgentRef,
        bodies: Vec<Document>,
        key: Option<AppendKey>,
        write: Write,
    ) -> Result<(i64, Change)> {
        let (mut session, mut row) = self.require_agent(collection, agent)?;
        if let Some(key) = &key
            && let Some(first) = self.remembered(&row, key)?
        {
            return Ok((first, Change::default()));
        }
        advance(&mut session, write.expected)?;
        let (first, last) = following(self.highest_id(&row)?, bodies.len())?;
        // Whatever the clock says, the order of the ids is that of the times.
        let now = Timestamp(write.at.0.max(self.newest(&row)?));
        let messages = (first..=last).zip(bodies).map(|(id, body)| {
            let mut message = build::message_fields(id, body);
            message.insert("created_at", date(now));
            message.insert("updated_at", date(now));
            Ok((id, build::bounded(&message)?))
        });
        let Added { messages, ids, order } = self.added(&mut row, messages.collect::<Result<_>>()?, now)?;
        let append = key.map(|key| self.keyed(&mut row, key, first)).transpose()?;
        let highest_id = highest_to_note(&row, last);
        let rows = written_agent(collection, agent, session, row, now)?;
        Ok((first, Change { messages, message_ids: ids, message_order: order, append, highest_id, ..rows }))
    }

    /// Adds messages of one time at their place in the order of the times, and counts them.
    fn added(&self, agent: &mut AgentRow, messages: Vec<(i64, RawDocumentBuf)>, created: Timestamp) -> Result<Added> {
        let mut added = Added::default();
        if created.0 < agent.latest {
            let place = self.place_of(agent.number, agent.messages, created.0)?;
            added.order = self.placed(agent.number, place, Entry { at: agent.messages, messages: messages.len() as u64 })?;
        }
        for (id, message) in messages {
            let (position, untold) = agent.count(Some(id));
            added.messages.push((agent.number, position, message));
            added.ids.extend(untold.map(|id| (agent.number, id, position)));
        }
        agent.latest = agent.latest.max(created.0);
        make_room(&mut agent.document, "messages", Array::new());
        Ok(added)
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

    /// What is remembered of an append with a key.
    fn keyed(&self, agent: &mut AgentRow, AppendKey { key, digest }: AppendKey, first: i64) -> Result<KeyedAppend> {
        make_room(&mut agent.document, "appends", Array::new());
        let stored = bytes(&doc! { "key": key, "first": first, "digest": digest })?;
        let number = agent.number;
        // With this one, so many are remembered.
        let oldest = self.appends.range((number, 0)..(number.next(), 0))?.rev().nth(REMEMBERED_APPENDS - 2).transpose()?;
        let oldest = oldest.map_or(0, |(key, _)| key.value().1);
        Ok(KeyedAppend { agent: number, position: self.next_append(number)?, stored, oldest })
    }

    /// The position behind the appends that an agent remembers.
    pub(super) fn next_append(&self, agent: AgentNo) -> Result<u64> {
        let last = self.appends.range((agent, 0)..(agent.next(), 0))?.next_back().transpose()?;
        Ok(last.map_or(0, |(key, _)| key.value().1 + 1))
    }
}

/// The highest id, that of the last message, where [`highest_id`](WriteTables::highest_id) would have to search for it.
fn highest_to_note(agent: &AgentRow, highest: i64) -> Option<(AgentNo, u64, i64)> {
    let told = agent.messages.checked_sub(1).and_then(|last| agent.id_told_by(last));
    told.is_none_or(|told| highest < told).then_some((agent.number, agent.messages, highest))
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
