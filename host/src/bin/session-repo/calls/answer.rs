//! What calls answer.

use crate::wire;
use serde_json::Value;
use session_repository::{Agent, Entity, Feedback, Json, Message, Session};

/// What a call answers: an object with named fields, a record or a list of records, or that it is done.
#[derive(Debug)]
pub(crate) enum Answer {
    Done,
    /// There is no such thing.
    Absent(Entity),
    Session(Session),
    Agent(Agent),
    Message(Message),
    Messages(Vec<Message>),
    Metadata(Json),
    Feedback(Vec<Feedback>),
    /// An object with named fields.
    Object(Value),
}

impl Answer {
    /// The answer to a read that found something, or nothing.
    pub(super) fn found<T>(found: Option<T>, absent: Entity, answer: impl FnOnce(T) -> Self) -> Self {
        found.map_or(Self::Absent(absent), answer)
    }

    /// The result in the `exec` protocol.
    pub(crate) fn json(&self) -> String {
        match self {
            Self::Done | Self::Absent(_) => String::from("null"),
            Self::Session(session) => wire::session(session),
            Self::Agent(agent) => wire::agent(agent),
            Self::Message(message) => wire::message(message),
            Self::Messages(messages) => wire::list(messages, wire::message),
            Self::Metadata(metadata) => wire::metadata(metadata),
            Self::Feedback(entries) => wire::list(entries, wire::feedback),
            Self::Object(object) => object.to_string(),
        }
    }
}
