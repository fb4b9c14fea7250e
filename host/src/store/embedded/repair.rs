//! Mending a file: what can be derived from its messages is made anew.

use super::fault::Result;
use super::numbers::SessionNo;
use super::order;
use super::rows::raw;
use super::tables::{NEXT, WriteTables, find_agent};
use crate::store::schema::read;
use redb::ReadableTable;

/// How damage is mended. An agent is named by the number of its session and its id.
#[derive(Debug, Clone)]
pub(super) enum Mend {
    /// Numbers are given from behind this one on.
    Numbers { beyond: u64 },
    /// Messages are found by their ids again.
    Ids { agent: (SessionNo, String) },
    /// Messages are listed in the order of their times again.
    Order { agent: (SessionNo, String) },
}

impl WriteTables<'_> {
    /// Mends damage; tells whether it was still there to be mended.
    pub(super) fn mend(&mut self, mend: &Mend) -> Result<bool> {
        match mend {
            Mend::Numbers { beyond } => {
                let next = self.numbers.get(NEXT)?.map_or(0, |next| next.value().0);
                self.numbers.insert(NEXT, (next.max(beyond + 1),))?;
                Ok(true)
            }
            Mend::Ids { agent } => self.mend_ids(agent),
            Mend::Order { agent } => self.mend_order(agent),
        }
    }

    fn mend_ids(&mut self, (session, agent_id): &(SessionNo, String)) -> Result<bool> {
        let Some(mut agent) = find_agent(&*self.agents, *session, agent_id)? else { return Ok(false) };
        let number = agent.number;
        let messages = self.messages.range((number, 0)..(number, agent.messages))?;
        let ids = messages.map(|entry| Ok(read::message_id(raw(entry?.1.value())?)?)).collect::<Result<Vec<_>>>()?;
        self.message_ids.remove_range((number, i64::MIN, 0)..(number.next(), i64::MIN, 0))?;
        self.highest_ids.remove(number)?;
        agent.base = ids.first().copied().flatten().unwrap_or_default();
        for (position, id) in (0..).zip(ids) {
            if let Some(id) = id.filter(|id| agent.told(*id) != Some(position)) {
                self.message_ids.insert((number, id, position), ())?;
            }
        }
        self.put_agent(*session, agent_id, &agent)?;
        Ok(true)
    }

    fn mend_order(&mut self, (session, agent_id): &(SessionNo, String)) -> Result<bool> {
        let Some(mut agent) = find_agent(&*self.agents, *session, agent_id)? else { return Ok(false) };
        let number = agent.number;
        let messages = self.messages.range((number, 0)..(number, agent.messages))?;
        let times = messages.map(|entry| order::created(entry?.1.value())).collect::<Result<Vec<_>>>()?;
        self.message_order.remove_range((number, 0)..(number.next(), 0))?;
        agent.latest = times.iter().copied().max().unwrap_or(i64::MIN);
        if !times.is_sorted() {
            self.place_all(number, &times)?;
        }
        self.put_agent(*session, agent_id, &agent)?;
        Ok(true)
    }
}
