//! The reads, each on the store as it was at one moment.

use super::fault::{Fault, Result};
use super::numbers::CollectionNo;
use super::order;
use super::rows::{AgentRow, SessionRow, bytes, damaged, raw};
use super::tables::{NEXT, ReadTables, agents_of, find_agent, find_session, positions};
use crate::error::Error;
use crate::store::schema::json::write_object;
use crate::store::schema::read::{self, Undated};
use crate::store::weigh::in_list;
use crate::store::{AgentRef, Page};
use crate::types::{Agent, Feedback, Json, Message, Session};

impl ReadTables {
    /// The number of a collection. One that was never written to has none yet, and gets one that nothing has.
    pub(super) fn collection(&self, name: &str) -> Result<CollectionNo> {
        if let Some(number) = self.collections()?.get(name)? {
            return Ok(number.value());
        }
        Ok(CollectionNo::new(self.numbers()?.get(NEXT)?.map_or(0, |next| next.value().0)))
    }

    fn session_row(&self, collection: CollectionNo, session_id: &str) -> Result<Option<SessionRow>> {
        find_session(&self.sessions()?, collection, session_id)
    }

    fn agent_row(&self, collection: CollectionNo, agent: &AgentRef) -> Result<Option<(SessionRow, AgentRow)>> {
        let Some(session) = self.session_row(collection, &agent.session)? else { return Ok(None) };
        Ok(find_agent(&self.agents()?, session.number, &agent.agent)?.map(|agent| (session, agent)))
    }

    /// Gives messages without a time that of their agent.
    fn dated(&self, messages: Vec<Undated>, session: &SessionRow, agent: &AgentRow) -> Result<Vec<Message>> {
        let mut otherwise = None;
        if !messages.iter().all(Undated::has_time) {
            let data = self.agent_data()?.get(agent.number)?;
            let in_data = data.map(|data| read::stamp(raw(data.value())?, "created_at").map_err(Fault::from)).transpose()?.flatten();
            otherwise = match in_data {
                Some(time) => Some(time),
                None => read::time_of_agent(&bytes(&session.document)?, Some(&bytes(&agent.document)?))?,
            };
        }
        Ok(messages.into_iter().map(|message| message.dated(otherwise)).collect())
    }

    pub(super) fn find_session(&self, collection: CollectionNo, session_id: &str) -> Result<Option<Session>> {
        let Some(row) = self.sessions()?.get((collection, session_id))? else { return Ok(None) };
        Ok(Some(read::session(session_id, SessionRow::document_of(row.value())?)?))
    }

    pub(super) fn find_agent(&self, collection: CollectionNo, agent: &AgentRef) -> Result<Option<Agent>> {
        let Some((session, row)) = self.agent_row(collection, agent)? else { return Ok(None) };
        let document = bytes(&row.document)?;
        let data = self.agent_data()?.get(row.number)?;
        let data = match &data {
            Some(data) => Some(raw(data.value())?),
            None => None,
        };
        Ok(Some(read::agent(&agent.agent, &bytes(&session.document)?, &document, data)?))
    }

    pub(super) fn find_message(
        &self,
        collection: CollectionNo,
        agent: &AgentRef,
        message_id: i64,
        omit: &[String],
    ) -> Result<Option<Message>> {
        let Some((session, agent)) = self.agent_row(collection, agent)? else { return Ok(None) };
        let messages = self.messages()?;
        let Some(position) = positions(&self.message_ids()?, &messages, &agent, message_id)?.first().copied() else { return Ok(None) };
        let stored = messages.get((agent.number, position))?.ok_or_else(damaged)?;
        let found = read::message(raw(stored.value())?, omit)?;
        Ok(self.dated(vec![found], &session, &agent)?.pop())
    }

    pub(super) fn list_messages(&self, collection: CollectionNo, agent: &AgentRef, page: Page, omit: &[String]) -> Result<Vec<Message>> {
        let Some((session, agent)) = self.agent_row(collection, agent)? else { return Ok(Vec::new()) };
        let Page { offset, limit, max_bytes } = page;
        let end = limit.map_or(agent.messages, |limit| offset.saturating_add(limit).min(agent.messages));
        if offset >= end {
            return Ok(Vec::new());
        }
        let messages = self.messages()?;
        let mut room = Room::new(max_bytes);
        let mut page = Vec::new();
        let mut take = |stored: &[u8]| -> Result<()> {
            // What cannot be read costs itself only.
            if let Ok(stored) = raw(stored)
                && let Ok(message) = read::message(stored, omit)
            {
                room.take(in_list(&message))?;
                page.push(message);
            }
            Ok(())
        };
        match order::page(&self.message_order()?, agent.number, offset..end)? {
            None => messages.range((agent.number, offset)..(agent.number, end))?.try_for_each(|entry| take(entry?.1.value()))?,
            Some(positions) => {
                for position in positions {
                    if let Some(stored) = messages.get((agent.number, position))? {
                        take(stored.value())?;
                    }
                }
            }
        }
        self.dated(page, &session, &agent)
    }

    pub(super) fn get_metadata(&self, collection: CollectionNo, session_id: &str) -> Result<Option<Json>> {
        let Some(session) = self.session_row(collection, session_id)? else { return Ok(None) };
        let Some(metadata) = self.metadata()?.get(session.number)? else { return Ok(Some(Json::from("{}"))) };
        let metadata = write_object(raw(metadata.value())?, &[])?;
        Ok(Some(metadata))
    }

    pub(super) fn list_feedback(&self, collection: CollectionNo, session_id: &str, max_bytes: usize) -> Result<Vec<Feedback>> {
        let Some(session) = self.session_row(collection, session_id)? else { return Ok(Vec::new()) };
        let (mut room, mut entries, document) = (Room::new(max_bytes), Vec::new(), bytes(&session.document)?);
        for entry in self.feedback()?.range((session.number, 0)..(session.number, session.feedback))? {
            // What cannot be read costs itself only.
            let (_, entry) = entry?;
            if let Ok(entry) = raw(entry.value())
                && let Ok((stored, entry)) = read::feedback(&document, entry)
            {
                room.take(in_list(&entry))?;
                entries.push((stored, entry));
            }
        }
        Ok(read::oldest_first(entries))
    }

    /// The ids of a session's agents, in the order in which they were made; none if there is no such session.
    pub(super) fn agent_ids(&self, collection: CollectionNo, session_id: &str) -> Result<Option<Vec<String>>> {
        let Some(session) = self.session_row(collection, session_id)? else { return Ok(None) };
        let agents = agents_of(&self.agents()?, session.number)?;
        Ok(Some(agents.into_iter().map(|(agent_id, _)| agent_id).collect()))
    }
}

/// What an answer may still hold. A session has no size limit, so a list of all that is in it may be too much to read at all.
struct Room {
    taken: usize,
    limit: usize,
}

impl Room {
    fn new(limit: usize) -> Self {
        Self { taken: 0, limit }
    }

    fn take(&mut self, size: usize) -> Result<(), Error> {
        self.taken = self.taken.saturating_add(size);
        if self.taken > self.limit {
            return Err(Error::TooLarge { size: self.taken as u64, limit: self.limit as u64 });
        }
        Ok(())
    }
}
