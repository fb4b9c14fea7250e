//! The five exported interfaces: check, stamp, one call to the storage.

use crate::bindings::exported::{agents, feedback, messages, metadata, sessions};
use crate::bindings::imported::storage::{self, AppendKey, AppendOutcome, MetadataField};
use crate::bindings::imported::types::{Agent, Entity, Error, FeedbackEntry, Message, Session};
#[cfg(feature = "wasi-0-3")]
use crate::bindings::wasi::clocks::system_clock as clock;
#[cfg(not(feature = "wasi-0-3"))]
use crate::bindings::wasi::clocks::wall_clock as clock;
use crate::validate::{AgentId, Invalid, Page, SessionId};
use crate::{body, stamp, validate};

#[allow(unsafe_code, reason = "what is generated around the exports speaks the canonical ABI")]
mod export {
    use super::Component;
    crate::bindings::export!(Component with_types_in crate::bindings);
}

struct Component;

/// Exports an interface: with functions as they stand here, or with plain ones in the synchronous flavour.
macro_rules! exports {
    (impl $interface:ident { $(async fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> $result:ty $body:block)* }) => {
        impl $interface::Guest for Component {
            $(
                #[cfg(not(feature = "sync"))]
                async fn $name($($arg: $type),*) -> $result $body

                #[cfg(feature = "sync")]
                fn $name($($arg: $type),*) -> $result $body
            )*
        }
    };
}

/// Calls the storage: waits for it, or lends it the arguments in the synchronous flavour, whose bindings borrow them.
macro_rules! storage {
    ($name:ident($($argument:expr),* $(,)?)) => {{
        #[cfg(not(feature = "sync"))]
        let answer = storage::$name($($argument),*).await;
        #[cfg(feature = "sync")]
        let answer = storage::$name($(crate::lend::Lend::lend(&$argument)),*);
        answer
    }};
}

impl From<Invalid> for Error {
    fn from(Invalid(message): Invalid) -> Self {
        Error::InvalidArgument(message)
    }
}

fn now() -> i64 {
    let now = clock::now();
    stamp::milliseconds(now.seconds, now.nanoseconds)
}

/// The fields of a stored message that no caller sees.
fn hidden_fields() -> Vec<String> {
    body::METRIC_FIELDS.into_iter().chain([body::STORAGE_ID]).map(str::to_owned).collect()
}

/// A key with the digest of what it stands for.
fn append_key(key: Option<String>, bodies: &[String]) -> Result<Option<AppendKey>, Invalid> {
    key.map(|key| Ok(AppendKey { key, digest: body::digest(bodies)? })).transpose()
}

exports! {
impl sessions {
    async fn create(session_id: String, session_type: Option<String>, expected: Option<u64>) -> Result<Session, Error> {
        let session_id = SessionId::parse(session_id)?.into_string();
        let session_type = validate::session_type(session_type)?;
        if expected.is_some_and(|expected| expected != 0) {
            // What does not exist is at revision 0, so this cannot succeed whatever happens meanwhile.
            return match storage!(find_session(session_id))? {
                Some(_) => Err(Error::AlreadyExists(Entity::Session)),
                None => Err(Error::Stale(0)),
            };
        }
        let now = now();
        let session = Session { session_id, session_type, created_at: now, updated_at: now, revision: 0 };
        storage!(insert_session(session.clone()))?;
        Ok(session)
    }

    async fn read(session_id: String) -> Result<Option<Session>, Error> {
        storage!(find_session(SessionId::parse(session_id)?.into_string()))
    }
}
}

exports! {
impl agents {
    async fn create(session_id: String, agent_id: String, agent: String, expected: Option<u64>) -> Result<(), Error> {
        let session_id = SessionId::parse(session_id)?.into_string();
        let agent_id = AgentId::parse(agent_id)?;
        let data = body::new_agent(agent, &agent_id)?;
        let now = now();
        let agent = Agent { agent_id: agent_id.into_string(), data, created_at: now, updated_at: now };
        storage!(insert_agent(session_id, agent, expected))
    }

    async fn read(session_id: String, agent_id: String) -> Result<Option<Agent>, Error> {
        storage!(find_agent(SessionId::parse(session_id)?.into_string(), AgentId::parse(agent_id)?.into_string()))
    }

    async fn update(session_id: String, agent_id: String, agent: String, expected: Option<u64>) -> Result<(), Error> {
        let session_id = SessionId::parse(session_id)?.into_string();
        let agent_id = AgentId::parse(agent_id)?;
        let update = body::agent_update(agent, &agent_id)?;
        storage!(replace_agent(session_id, agent_id.into_string(), update.fields, now(), update.keep, expected))
    }
}
}

exports! {
impl messages {
    async fn create(session_id: String, agent_id: String, message_id: i64, message: String, expected: Option<u64>) -> Result<(), Error> {
        let session_id = SessionId::parse(session_id)?.into_string();
        let agent_id = AgentId::parse(agent_id)?.into_string();
        let message_id = validate::message_id(message_id)?;
        let body = body::new_message(message, message_id)?;
        let now = now();
        let message = Message { message_id, body: body.clone(), created_at: now, updated_at: now };
        match storage!(append_message(session_id, agent_id, message, hidden_fields(), expected))? {
            AppendOutcome::Appended => Ok(()),
            AppendOutcome::Taken(stored) if body::same_content(&stored.body, &body) => Ok(()),
            AppendOutcome::Taken(_) => Err(Error::AlreadyExists(Entity::Message)),
        }
    }

    async fn append(
        session_id: String,
        agent_id: String,
        message: String,
        key: Option<String>,
        expected: Option<u64>,
    ) -> Result<i64, Error> {
        let session_id = SessionId::parse(session_id)?.into_string();
        let agent_id = AgentId::parse(agent_id)?.into_string();
        let key = validate::idempotency_key(key)?;
        let bodies = vec![body::appended_message(message, "message")?];
        let key = append_key(key, &bodies)?;
        storage!(append_messages(session_id, agent_id, bodies, now(), key, expected))
    }

    async fn append_many(
        session_id: String,
        agent_id: String,
        messages: Vec<String>,
        key: Option<String>,
        expected: Option<u64>,
    ) -> Result<i64, Error> {
        let session_id = SessionId::parse(session_id)?.into_string();
        let agent_id = AgentId::parse(agent_id)?.into_string();
        let key = validate::idempotency_key(key)?;
        validate::message_count(messages.len())?;
        let bodies = messages.into_iter().enumerate();
        let bodies =
            bodies.map(|(index, message)| body::appended_message(message, &format!("messages[{index}]"))).collect::<Result<Vec<_>, _>>()?;
        let key = append_key(key, &bodies)?;
        storage!(append_messages(session_id, agent_id, bodies, now(), key, expected))
    }

    async fn read(session_id: String, agent_id: String, message_id: i64) -> Result<Option<Message>, Error> {
        let session_id = SessionId::parse(session_id)?.into_string();
        let agent_id = AgentId::parse(agent_id)?.into_string();
        storage!(find_message(session_id, agent_id, validate::message_id(message_id)?, hidden_fields()))
    }

    async fn update(session_id: String, agent_id: String, message_id: i64, message: String, expected: Option<u64>) -> Result<(), Error> {
        let session_id = SessionId::parse(session_id)?.into_string();
        let agent_id = AgentId::parse(agent_id)?.into_string();
        let message_id = validate::message_id(message_id)?;
        let update = body::message_update(message, message_id)?;
        storage!(replace_message(session_id, agent_id, message_id, update.fields, now(), update.keep, expected))
    }

    async fn list(session_id: String, agent_id: String, limit: Option<i64>, offset: i64) -> Result<Vec<Message>, Error> {
        let session_id = SessionId::parse(session_id)?.into_string();
        let agent_id = AgentId::parse(agent_id)?.into_string();
        let page = Page::parse(limit, offset)?;
        storage!(list_messages(session_id, agent_id, page.offset, page.limit, hidden_fields()))
    }
}
}

exports! {
impl metadata {
    async fn update(session_id: String, metadata: String, expected: Option<u64>) -> Result<(), Error> {
        let session_id = SessionId::parse(session_id)?.into_string();
        let fields: Vec<_> = validate::metadata(&metadata)?
            .into_iter()
            .map(|field| MetadataField { path: field.key.into_owned(), value: field.value.to_owned() })
            .collect();
        storage!(set_metadata(session_id, fields, now(), expected))
    }

    async fn get(session_id: String) -> Result<Option<String>, Error> {
        storage!(get_metadata(SessionId::parse(session_id)?.into_string()))
    }

    async fn delete(session_id: String, keys: Vec<String>, expected: Option<u64>) -> Result<(), Error> {
        let session_id = SessionId::parse(session_id)?.into_string();
        storage!(unset_metadata(session_id, validate::metadata_keys(&keys)?, now(), expected))
    }
}
}

exports! {
impl feedback {
    async fn add(session_id: String, feedback: String, expected: Option<u64>) -> Result<(), Error> {
        let session_id = SessionId::parse(session_id)?.into_string();
        let body = body::feedback(feedback)?;
        storage!(append_feedback(session_id, FeedbackEntry { body, created_at: now() }, expected))
    }

    async fn list(session_id: String) -> Result<Vec<FeedbackEntry>, Error> {
        storage!(list_feedback(SessionId::parse(session_id)?.into_string()))
    }
}
}
