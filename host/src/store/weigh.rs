//! How much calls and answers bring, in bytes: what the limits count.

use crate::store::Appended;
use crate::types::{Agent, Feedback, Json, Message, Session};

/// What counts towards a limit.
pub(crate) trait Weigh {
    /// What one of them takes in a list beside its own text.
    const PLACE: usize = 0;

    /// Its text, and what the items of its lists take.
    fn weigh(&self) -> usize;
}

impl<T: Weigh> Weigh for Option<T> {
    fn weigh(&self) -> usize {
        self.as_ref().map_or(0, T::weigh)
    }
}

impl<T: Weigh> Weigh for Vec<T> {
    fn weigh(&self) -> usize {
        self.iter().map(in_list).sum()
    }
}

/// What an item of a list brings.
pub(crate) fn in_list<T: Weigh>(item: &T) -> usize {
    T::PLACE + item.weigh()
}

impl Weigh for () {
    fn weigh(&self) -> usize {
        0
    }
}

impl Weigh for i64 {
    fn weigh(&self) -> usize {
        0
    }
}

impl Weigh for u64 {
    fn weigh(&self) -> usize {
        0
    }
}

impl Weigh for String {
    /// A short text still takes a place of its own on both sides.
    const PLACE: usize = 2 * size_of::<String>();

    fn weigh(&self) -> usize {
        self.len()
    }
}

impl Weigh for Json {
    fn weigh(&self) -> usize {
        self.as_str().len()
    }
}

/// Its texts have limits of their own.
impl Weigh for Session {
    fn weigh(&self) -> usize {
        0
    }
}

impl Weigh for Agent {
    fn weigh(&self) -> usize {
        self.data.weigh()
    }
}

/// What an item of a list takes beside its JSON, about: its id, its times, its place.
const ITEM: usize = 64;

impl Weigh for Message {
    const PLACE: usize = ITEM;

    fn weigh(&self) -> usize {
        self.body.weigh()
    }
}

impl Weigh for Feedback {
    const PLACE: usize = ITEM;

    fn weigh(&self) -> usize {
        self.body.weigh()
    }
}

impl Weigh for Appended {
    fn weigh(&self) -> usize {
        match self {
            Self::New => 0,
            Self::Taken(message) => message.weigh(),
        }
    }
}
