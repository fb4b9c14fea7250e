//! The order of an agent's messages by time.
//!
//! Messages lie in the order of their appends, which is nearly always the order of their times as well: then a message's place is its
//! position, and nothing is stored for it. Where a clock went back, or messages of several hosts were imported, the places that differ are
//! stored. So every page is found at once, whatever the history. An append that is older than n messages moves the places of these n.

use super::fault::Result;
use super::tables::{Bytes, Number, WriteTables, raw};
use crate::store::schema::read;
use redb::ReadableTable;

/// Stored places: place to position.
pub(super) trait Places: ReadableTable<(Number, u64), u64> {}
impl<T: ReadableTable<(Number, u64), u64>> Places for T {}

/// The position of the message at a place.
fn position(order: &impl Places, agent: Number, place: u64) -> Result<u64> {
    Ok(order.get((agent, place))?.map_or(place, |position| position.value()))
}

/// The positions at some places, in their order; none if each is its own place.
pub(super) fn page(order: &impl Places, agent: Number, places: std::ops::Range<u64>) -> Result<Option<Vec<u64>>> {
    let mut moved = order.range((agent, places.start)..(agent, places.end))?.peekable();
    if moved.peek().is_none() {
        return Ok(None);
    }
    let mut positions: Vec<u64> = places.clone().collect();
    for entry in moved {
        let (key, position) = entry?;
        let index = usize::try_from(key.value().1 - places.start).unwrap_or(usize::MAX);
        if let Some(slot) = positions.get_mut(index) {
            *slot = position.value();
        }
    }
    Ok(Some(positions))
}

/// When a stored message was created; one without a time comes first.
pub(super) fn created(message: &[u8]) -> Result<i64> {
    Ok(read::stamp(raw(message)?, "created_at")?.map_or(i64::MIN, |time| time.0))
}

fn created_at(messages: &impl ReadableTable<(Number, u64), Bytes>, agent: Number, position: u64) -> Result<i64> {
    messages.get((agent, position))?.map_or(Ok(i64::MIN), |message| created(message.value()))
}

impl WriteTables<'_> {
    /// The place of a message that is older than another one of the `last` before it: behind all that are not newer.
    pub(super) fn place_of(&self, agent: Number, last: u64, created: i64) -> Result<u64> {
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

    /// Gives the message at the last position a place; all from there on move on by one.
    pub(super) fn insert_at(&mut self, agent: Number, first: u64, last: u64) -> Result<()> {
        let mut moving = last;
        for place in first..=last {
            let there = if place == last { last } else { position(&*self.message_order, agent, place)? };
            if moving == place {
                self.message_order.remove((agent, place))?;
            } else {
                self.message_order.insert((agent, place), moving)?;
            }
            moving = there;
        }
        Ok(())
    }

    /// Gives all messages of an agent their places, by the times of each.
    pub(super) fn place_all(&mut self, agent: Number, times: &[i64]) -> Result<()> {
        let mut positions: Vec<(i64, u64)> = times.iter().copied().zip(0..).collect();
        positions.sort_unstable();
        for (place, (_, position)) in (0..).zip(positions) {
            if place != position {
                self.message_order.insert((agent, place), position)?;
            }
        }
        Ok(())
    }
}
