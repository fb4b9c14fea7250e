//! The order of an agent's messages by time.
//!
//! Messages lie in the order of their appends: each has a position. Nearly always that is the order of their times as well. Then the place
//! of a message is its position, and nothing is stored for it. A message is late if it is older than one before it: a clock went back, or
//! messages of several hosts were imported. The order up to the last late message is kept as [runs](super::runs). So a page is found in a few
//! rows, and a late message changes a few rows, however long the history is.

use super::fault::Result;
use super::numbers::AgentNo;
use super::rows::{AgentRow, raw};
pub(super) use super::runs::page;
use super::runs::{Entry, Nodes, Tree};
use super::tables::{Bytes, WriteTables, message_order};
use crate::store::schema::read;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

/// The position of the message at a place.
fn position(order: &impl Nodes, agent: AgentNo, place: u64) -> Result<u64> {
    let positions = page(order, agent, place..place + 1)?;
    Ok(positions.and_then(|positions| positions.first().copied()).unwrap_or(place))
}

/// The time by which a message that has none is ordered: it comes last.
pub(super) const UNDATED: i64 = i64::MAX;

/// The time by which a stored message is ordered.
pub(super) fn created(message: &[u8]) -> Result<i64> {
    Ok(read::stamp(raw(message)?, "created_at")?.map_or(UNDATED, |time| time.0))
}

fn created_at(messages: &impl ReadableTable<(AgentNo, u64), Bytes>, agent: AgentNo, position: u64) -> Result<i64> {
    messages.get((agent, position))?.map_or(Ok(i64::MIN), |message| created(message.value()))
}

impl WriteTables<'_> {
    /// The place of a message that is older than another one of the `last` before it: behind all that are not newer.
    pub(super) fn place_of(&self, agent: AgentNo, last: u64, created: i64) -> Result<u64> {
        let (mut low, mut high) = (0, last);
        while low < high {
            let middle = low + (high - low) / 2;
            let position = position(&*self.message_order, agent, middle)?;
            if created_at(&*self.messages, agent, position)? <= created {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// The newest time of an agent's messages, those without one aside.
    pub(super) fn newest(&self, agent: &AgentRow) -> Result<i64> {
        if agent.latest != UNDATED {
            return Ok(agent.latest);
        }
        match self.place_of(agent.number, agent.messages, UNDATED - 1)?.checked_sub(1) {
            Some(place) => created_at(&*self.messages, agent.number, position(&*self.message_order, agent.number, place)?),
            None => Ok(i64::MIN),
        }
    }

    /// The nodes that change when messages at the last positions, which are no older than one another, get places from one on. All that are
    /// there already move on.
    pub(super) fn placed(&self, agent: AgentNo, place: u64, messages: Entry) -> Result<Vec<(AgentNo, u64, Vec<u8>)>> {
        let mut tree = Tree::of(&*self.message_order, agent);
        let (covered, last) = (tree.covered()?, messages.at);
        if covered < last {
            tree.insert_run(covered, Entry { at: covered, messages: last - covered })?;
        }
        tree.insert_run(place, messages)?;
        Ok(tree.into_rows())
    }

    /// Gives all messages of an agent that has no order yet their places, by the times of each.
    pub(super) fn place_all(&mut self, agent: AgentNo, times: &[i64]) -> Result<()> {
        let mut positions: Vec<(i64, u64)> = times.iter().copied().zip(0..).collect();
        positions.sort_unstable();
        let mut order = Order::default();
        positions.into_iter().for_each(|(_, position)| order.push(position));
        for (agent, number, node) in order.into_rows(&*self.message_order, agent)? {
            self.message_order.insert((agent, number), node.as_slice())?;
        }
        Ok(())
    }
}

/// Positions in their order, as runs.
#[derive(Debug, Default)]
struct Order {
    runs: Vec<Entry>,
    places: u64,
}

impl Order {
    fn push(&mut self, position: u64) {
        match self.runs.last_mut() {
            Some(run) if run.at + run.messages == position => run.messages += 1,
            _ => self.runs.push(Entry { at: position, messages: 1 }),
        }
        self.places += 1;
    }

    /// The rows of its tree, for an agent that has none.
    fn into_rows(mut self, nodes: &impl Nodes, agent: AgentNo) -> Result<Vec<(AgentNo, u64, Vec<u8>)>> {
        // Behind the last message that came late each place is its own position.
        if self.runs.last().is_some_and(|last| last.at + last.messages == self.places) {
            self.runs.pop();
        }
        let mut tree = Tree::of(nodes, agent);
        if !self.runs.is_empty() {
            tree.build(self.runs)?;
        }
        Ok(tree.into_rows())
    }
}

/// The order as files of format 1 have it: by agent and place the position of each message whose place is not its position.
const PLACES: TableDefinition<(AgentNo, u64), u64> = TableDefinition::new("message_order");

/// Brings the order of all messages from format 1 to format 2, in one transaction. The table keeps its name, so that programs that know only
/// format 1 refuse the database even where no header tells them to.
pub(super) fn places_to_runs(database: &Database) -> Result<()> {
    let places = database.begin_read()?.open_table(PLACES)?;
    let transaction = database.begin_write()?;
    transaction.delete_table(PLACES)?;
    let mut runs = transaction.open_table(message_order())?;
    let mut put = |agent, order: Order| -> Result<()> {
        for (agent, number, node) in order.into_rows(&runs, agent)? {
            runs.insert((agent, number), node.as_slice())?;
        }
        Ok(())
    };
    let (mut agents, mut current): (u64, Option<(AgentNo, Order)>) = (0, None);
    for entry in places.iter()? {
        let (key, position) = entry?;
        let ((agent, place), position) = (key.value(), position.value());
        if current.as_ref().is_none_or(|(before, _)| *before != agent) {
            if let Some((before, order)) = current.take() {
                put(before, order)?;
            }
            agents += 1;
            if agents.is_power_of_two() {
                tracing::info!(agents, "the order of messages is being brought to a new format");
            }
        }
        let (_, order) = current.get_or_insert_with(|| (agent, Order::default()));
        while order.places < place {
            order.push(order.places);
        }
        order.push(position);
    }
    if let Some((before, order)) = current {
        put(before, order)?;
    }
    drop(runs);
    transaction.commit()?;
    tracing::info!(agents, "the order of messages has a new format");
    Ok(())
}
