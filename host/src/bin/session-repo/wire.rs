//! The flat JSON shapes of the `exec` protocol, which `--json` prints too.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use session_repository::{Agent, Entity, Error, Feedback, Json, Message, Session, Timestamp};

/// What a call named, for messages that people read.
#[derive(Debug, Default, Clone)]
pub(crate) struct Subject {
    pub(crate) session_id: String,
    pub(crate) agent_id: Option<String>,
    pub(crate) message_id: Option<i64>,
    /// Whether it asked for a page of messages.
    pub(crate) is_page: bool,
}

impl Subject {
    pub(crate) fn session(session_id: &str) -> Self {
        Self { session_id: session_id.to_owned(), ..Self::default() }
    }

    pub(crate) fn agent(session_id: &str, agent_id: &str) -> Self {
        Self { agent_id: Some(agent_id.to_owned()), ..Self::session(session_id) }
    }

    pub(crate) fn message(session_id: &str, agent_id: &str, message_id: i64) -> Self {
        Self { message_id: Some(message_id), ..Self::agent(session_id, agent_id) }
    }

    fn name(&self, entity: Entity) -> String {
        let session = format!("session `{}`", self.session_id);
        let agent = || format!("agent `{}`", self.agent_id.as_deref().unwrap_or_default());
        match entity {
            Entity::Session => session,
            Entity::Agent => format!("{} of {session}", agent()),
            Entity::Message => format!("message {} of {} of {session}", self.message_id.unwrap_or_default(), agent()),
            other => format!("{other} of {session}"),
        }
    }

    /// An error's text for people.
    pub(crate) fn describe(&self, error: &Error) -> String {
        match error {
            Error::NotFound(entity) => format!("{} does not exist", self.name(*entity)),
            // An append names no message: what it brought is another one than its key stands for.
            Error::AlreadyExists(Entity::Message) if self.message_id.is_none() => {
                format!("the idempotency key stands for other content of {}", self.name(Entity::Agent))
            }
            Error::AlreadyExists(Entity::Message) => format!("{} exists already, with other content", self.name(Entity::Message)),
            Error::AlreadyExists(entity) => format!("{} exists already", self.name(*entity)),
            Error::TooLarge { .. } if self.is_page => format!("{error}: list it page by page, with a limit and an offset"),
            other => other.to_string(),
        }
    }
}

/// An error as the protocol writes it.
pub(crate) fn error(error: &Error, subject: &Subject) -> Value {
    let mut object = Map::new();
    object.insert(String::from("code"), json!(error.code()));
    match error {
        Error::NotFound(entity) | Error::AlreadyExists(entity) => {
            object.insert(String::from("entity"), json!(entity.to_string()));
        }
        Error::Stale { current } => {
            object.insert(String::from("current"), json!(current));
        }
        Error::QuotaExceeded { retry_after_ms } => {
            object.insert(String::from("retry_after_ms"), json!(retry_after_ms));
        }
        Error::TooLarge { size, limit } => {
            object.insert(String::from("size"), json!(size));
            object.insert(String::from("limit"), json!(limit));
        }
        _ => {}
    }
    object.insert(String::from("message"), json!(subject.describe(error)));
    Value::Object(object)
}

fn stamp(time: Timestamp) -> Value {
    json!(time.to_string())
}

/// An object of some members before those of a JSON object, and some after them.
fn flat(before: &[(&str, Value)], body: &Json, after: &[(&str, Value)]) -> String {
    let text = |members: &[(&str, Value)]| members.iter().map(|(key, value)| format!("{}:{value}", json!(key))).collect::<Vec<_>>();
    let inner = body.as_str().trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default().trim();
    let mut members = text(before);
    if !inner.is_empty() {
        members.push(inner.to_owned());
    }
    members.extend(text(after));
    format!("{{{}}}", members.join(","))
}

pub(crate) fn session(session: &Session) -> String {
    let members = [
        ("session_id", json!(session.session_id)),
        ("session_type", json!(session.session_type)),
        ("created_at", stamp(session.created_at)),
        ("updated_at", stamp(session.updated_at)),
        ("revision", json!(session.revision)),
    ];
    flat(&members, &Json::from("{}"), &[])
}

pub(crate) fn agent(agent: &Agent) -> String {
    let stamps = [("created_at", stamp(agent.created_at)), ("updated_at", stamp(agent.updated_at))];
    flat(&[("agent_id", json!(agent.agent_id))], &agent.data, &stamps)
}

pub(crate) fn message(message: &Message) -> String {
    let stamps = [("created_at", stamp(message.created_at)), ("updated_at", stamp(message.updated_at))];
    flat(&[("message_id", json!(message.message_id))], &message.body, &stamps)
}

pub(crate) fn feedback(feedback: &Feedback) -> String {
    flat(&[], &feedback.body, &[("created_at", stamp(feedback.created_at))])
}

pub(crate) fn metadata(metadata: &Json) -> String {
    format!(r#"{{"metadata":{metadata}}}"#)
}

pub(crate) fn list<T>(items: &[T], item: impl Fn(&T) -> String) -> String {
    format!("[{}]", items.iter().map(item).collect::<Vec<_>>().join(","))
}

/// JSON text that is echoed: the same on one line, whatever white space stood between its parts.
pub(crate) fn echo(value: &RawValue) -> String {
    value.get().replace(['\r', '\n'], " ")
}
