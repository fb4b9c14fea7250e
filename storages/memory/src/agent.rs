//! An agent with its messages: their order, their ids, and the keyed appends that the agent remembers.

use session_repository_storage::appends::Appends;
use session_repository_storage::object::Object;
use session_repository_storage::types::{Message, Page};
use std::collections::BTreeMap;

/// An agent and its messages.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) data: Object,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    /// In the order of their appends.
    pub(crate) messages: Vec<Message>,
    /// The messages' positions in the order of their times.
    order: Vec<usize>,
    /// The messages' positions by their ids.
    pub(crate) ids: BTreeMap<i64, usize>,
    pub(crate) appends: Appends,
}

impl Agent {
    pub(crate) fn new(data: Object, created_at: i64, updated_at: i64) -> Self {
        let (messages, order, ids, appends) = Default::default();
        Self { data, created_at, updated_at, messages, order, ids, appends }
    }

    pub(crate) fn message(&self, message_id: i64) -> Option<&Message> {
        self.ids.get(&message_id).and_then(|position| self.messages.get(*position))
    }

    /// The messages of a page, oldest first, equal times in the order of their appends.
    pub(crate) fn page(&self, Page { offset, limit }: Page) -> impl Iterator<Item = &Message> {
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let positions = self.order.get(count(offset)..).unwrap_or_default();
        positions.iter().take(limit.map_or(usize::MAX, count)).filter_map(|position| self.messages.get(*position))
    }

    /// The time of the newest message.
    pub(crate) fn newest(&self) -> Option<i64> {
        self.order.last().and_then(|position| self.messages.get(*position)).map(|message| message.created_at)
    }

    /// The highest id.
    pub(crate) fn highest(&self) -> Option<i64> {
        self.ids.last_key_value().map(|(id, _)| *id)
    }

    /// Adds a message behind all that are not newer.
    pub(crate) fn add(&mut self, message: Message) {
        let position = self.messages.len();
        let is_not_newer = |other: &usize| self.messages.get(*other).is_none_or(|other| other.created_at <= message.created_at);
        let place = self.order.partition_point(is_not_newer);
        self.order.insert(place, position);
        self.ids.insert(message.message_id, position);
        self.messages.push(message);
    }

    /// Replaces the own fields of a message, once it is known what they become.
    pub(crate) fn replace(&mut self, message_id: i64, body: Object, at: i64) {
        if let Some(message) = self.ids.get(&message_id).and_then(|position| self.messages.get_mut(*position)) {
            message.replace(body, at);
        }
    }
}
