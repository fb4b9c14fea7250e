//! The exported interface: converts arguments, calls the storage, converts the answer.

use crate::bindings::exported as wit;
use crate::bindings::types as shared;
use crate::error::{Entity, Error};
use crate::object::Object;
use crate::storage::Storage;
use crate::types::{Agent, AppendKey, Appended, Feedback, Field, Message, Page, Replacement, Session, Write};
use std::marker::PhantomData;

/// A component's storage, and how calls reach it.
pub trait Served: 'static {
    /// The storage.
    type Storage: Storage;

    /// Makes a call.
    fn serve<R>(call: impl FnOnce(&mut Self::Storage) -> Result<R, Error>) -> Result<R, Error>;
}

/// What a component exports: the functions of the contract, on its storage.
#[derive(Debug)]
pub struct Exported<S>(PhantomData<S>);

/// Exports the functions: as they stand here, or as plain ones in the synchronous flavour.
macro_rules! exports {
    ($(async fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> $result:ty $body:block)*) => {
        impl<S: Served> wit::Guest for Exported<S> {
            $(
                #[cfg(not(feature = "sync"))]
                async fn $name($($arg: $type),*) -> Result<$result, wit::Error> $body

                #[cfg(feature = "sync")]
                fn $name($($arg: $type),*) -> Result<$result, wit::Error> $body
            )*
        }
    };
}

exports! {
    async fn insert_session(session: wit::Session) -> () {
        Ok(S::serve(|storage| storage.insert_session(session.into()))?)
    }

    async fn find_session(session_id: String) -> Option<wit::Session> {
        Ok(S::serve(|storage| storage.find_session(&session_id))?.map(Into::into))
    }

    async fn insert_agent(session_id: String, agent: wit::Agent, expected: Option<u64>) -> () {
        let agent = agent.try_into()?;
        Ok(S::serve(|storage| storage.insert_agent(&session_id, agent, expected))?)
    }

    async fn find_agent(session_id: String, agent_id: String) -> Option<wit::Agent> {
        Ok(S::serve(|storage| storage.find_agent(&session_id, &agent_id))?.map(Into::into))
    }

    async fn replace_agent(
        session_id: String, agent_id: String, data: String, at: i64, keep: Vec<String>, expected: Option<u64>,
    ) -> () {
        let data = Replacement { fields: Object::parse(data)?, keep };
        Ok(S::serve(|storage| storage.replace_agent(&session_id, &agent_id, data, Write { at, expected }))?)
    }

    async fn append_message(
        session_id: String, agent_id: String, message: wit::Message, omit: Vec<String>, expected: Option<u64>,
    ) -> wit::AppendOutcome {
        let message = message.try_into()?;
        Ok(S::serve(|storage| storage.append_message(&session_id, &agent_id, message, &omit, expected))?.into())
    }

    async fn append_messages(
        session_id: String, agent_id: String, bodies: Vec<String>, at: i64, key: Option<wit::AppendKey>, expected: Option<u64>,
    ) -> i64 {
        let bodies = bodies.into_iter().map(Object::parse).collect::<Result<_, _>>()?;
        let key = key.map(|wit::AppendKey { key, digest }| AppendKey { key, digest });
        Ok(S::serve(|storage| storage.append_messages(&session_id, &agent_id, bodies, key, Write { at, expected }))?)
    }

    async fn find_message(session_id: String, agent_id: String, message_id: i64, omit: Vec<String>) -> Option<wit::Message> {
        Ok(S::serve(|storage| storage.find_message(&session_id, &agent_id, message_id, &omit))?.map(Into::into))
    }

    async fn replace_message(
        session_id: String, agent_id: String, message_id: i64, body: String, at: i64, keep: Vec<String>, expected: Option<u64>,
    ) -> () {
        let body = Replacement { fields: Object::parse(body)?, keep };
        Ok(S::serve(|storage| storage.replace_message(&session_id, &agent_id, message_id, body, Write { at, expected }))?)
    }

    async fn list_messages(
        session_id: String, agent_id: String, offset: u64, limit: Option<u64>, omit: Vec<String>,
    ) -> Vec<wit::Message> {
        let found = S::serve(|storage| storage.list_messages(&session_id, &agent_id, Page { offset, limit }, &omit))?;
        Ok(found.into_iter().map(Into::into).collect())
    }

    async fn set_metadata(session_id: String, fields: Vec<wit::MetadataField>, at: i64, expected: Option<u64>) -> () {
        let fields: Vec<_> = fields.into_iter().map(|wit::MetadataField { path, value }| Field { path, value }).collect();
        Ok(S::serve(|storage| storage.set_metadata(&session_id, &fields, Write { at, expected }))?)
    }

    async fn get_metadata(session_id: String) -> Option<String> {
        Ok(S::serve(|storage| storage.get_metadata(&session_id))?.map(Object::into_string))
    }

    async fn unset_metadata(session_id: String, paths: Vec<String>, at: i64, expected: Option<u64>) -> () {
        Ok(S::serve(|storage| storage.unset_metadata(&session_id, &paths, Write { at, expected }))?)
    }

    async fn append_feedback(session_id: String, feedback: wit::FeedbackEntry, expected: Option<u64>) -> () {
        let feedback = Feedback { body: Object::parse(feedback.body)?, created_at: feedback.created_at };
        Ok(S::serve(|storage| storage.append_feedback(&session_id, feedback, expected))?)
    }

    async fn list_feedback(session_id: String) -> Vec<wit::FeedbackEntry> {
        Ok(S::serve(|storage| storage.list_feedback(&session_id))?.into_iter().map(Into::into).collect())
    }
}

impl From<Error> for wit::Error {
    fn from(error: Error) -> Self {
        let entity = |entity| match entity {
            Entity::Session => shared::Entity::Session,
            Entity::Agent => shared::Entity::Agent,
            Entity::Message => shared::Entity::Message,
        };
        match error {
            Error::NotFound(what) => Self::NotFound(entity(what)),
            Error::AlreadyExists(what) => Self::AlreadyExists(entity(what)),
            Error::Stale(revision) => Self::Stale(revision),
            Error::InvalidArgument(message) => Self::InvalidArgument(message),
            Error::TooLarge { size, limit } => Self::TooLarge(shared::SizeLimit { size, limit }),
            Error::AccessDenied(message) => Self::AccessDenied(message),
            Error::Unavailable(message) => Self::Unavailable(message),
            Error::Corrupt(message) => Self::Corrupt(message),
        }
    }
}

impl From<wit::Session> for Session {
    fn from(wit::Session { session_id, session_type, created_at, updated_at, revision }: wit::Session) -> Self {
        Self { session_id, session_type, created_at, updated_at, revision }
    }
}

impl From<Session> for wit::Session {
    fn from(Session { session_id, session_type, created_at, updated_at, revision }: Session) -> Self {
        Self { session_id, session_type, created_at, updated_at, revision }
    }
}

impl TryFrom<wit::Agent> for Agent {
    type Error = Error;

    fn try_from(wit::Agent { agent_id, data, created_at, updated_at }: wit::Agent) -> Result<Self, Error> {
        Ok(Self { agent_id, data: Object::parse(data)?, created_at, updated_at })
    }
}

impl From<Agent> for wit::Agent {
    fn from(Agent { agent_id, data, created_at, updated_at }: Agent) -> Self {
        Self { agent_id, data: data.into_string(), created_at, updated_at }
    }
}

impl TryFrom<wit::Message> for Message {
    type Error = Error;

    fn try_from(wit::Message { message_id, body, created_at, updated_at }: wit::Message) -> Result<Self, Error> {
        Ok(Self { message_id, body: Object::parse(body)?, created_at, updated_at })
    }
}

impl From<Message> for wit::Message {
    fn from(Message { message_id, body, created_at, updated_at }: Message) -> Self {
        Self { message_id, body: body.into_string(), created_at, updated_at }
    }
}

impl From<Feedback> for wit::FeedbackEntry {
    fn from(Feedback { body, created_at }: Feedback) -> Self {
        Self { body: body.into_string(), created_at }
    }
}

impl From<Appended> for wit::AppendOutcome {
    fn from(appended: Appended) -> Self {
        match appended {
            Appended::New => Self::Appended,
            Appended::Taken(message) => Self::Taken(message.into()),
        }
    }
}
