//! The generated bindings of the WIT package, and the way between its types and ours. Private: users meet [`crate::types`] only.

pub(crate) use generated::session::repository::storage;
#[allow(unreachable_pub, reason = "generated code of another world re-exports it")]
pub use generated::session::repository::types as wit;
pub(crate) use generated::wasi::clocks::wall_clock;
pub(crate) use generated::{Repository as AsyncInstance, RepositoryPre as AsyncInstancePre};
pub(crate) use synchronous::{Repository as SyncInstance, RepositoryPre as SyncInstancePre};

use crate::error::{Entity, Error};
use crate::types::{Agent, Feedback, Json, Message, Session, Timestamp};

mod generated {
    #![allow(clippy::all, missing_docs, unreachable_pub, reason = "generated from the WIT package, which has the docs")]

    wasmtime::component::bindgen!({ path: "wit", world: "repository" });
}

mod synchronous {
    #![allow(clippy::all, dead_code, missing_docs, unreachable_pub, reason = "generated from the WIT package, which has the docs")]

    include!(concat!(env!("OUT_DIR"), "/synchronous.rs"));
}

macro_rules! convert {
    ($from:ty => $to:ty, $value:ident => $made:expr) => {
        impl From<$from> for $to {
            fn from($value: $from) -> Self {
                $made
            }
        }
    };
}

convert!(wit::Session => Session, s => Session {
    session_id: s.session_id,
    session_type: s.session_type,
    created_at: Timestamp(s.created_at),
    updated_at: Timestamp(s.updated_at),
    revision: s.revision,
});
convert!(Session => wit::Session, s => wit::Session {
    session_id: s.session_id,
    session_type: s.session_type,
    created_at: s.created_at.0,
    updated_at: s.updated_at.0,
    revision: s.revision,
});
convert!(wit::Agent => Agent, a => Agent {
    agent_id: a.agent_id,
    data: Json::from(a.data),
    created_at: Timestamp(a.created_at),
    updated_at: Timestamp(a.updated_at),
});
convert!(Agent => wit::Agent, a => wit::Agent {
    agent_id: a.agent_id,
    data: a.data.into_string(),
    created_at: a.created_at.0,
    updated_at: a.updated_at.0,
});
convert!(wit::Message => Message, m => Message {
    message_id: m.message_id,
    body: Json::from(m.body),
    created_at: Timestamp(m.created_at),
    updated_at: Timestamp(m.updated_at),
});
convert!(Message => wit::Message, m => wit::Message {
    message_id: m.message_id,
    body: m.body.into_string(),
    created_at: m.created_at.0,
    updated_at: m.updated_at.0,
});
convert!(wit::FeedbackEntry => Feedback, f => Feedback { body: Json::from(f.body), created_at: Timestamp(f.created_at) });
convert!(Feedback => wit::FeedbackEntry, f => wit::FeedbackEntry { body: f.body.into_string(), created_at: f.created_at.0 });

convert!(wit::Entity => Entity, e => match e {
    wit::Entity::Session => Entity::Session,
    wit::Entity::Agent => Entity::Agent,
    wit::Entity::Message => Entity::Message,
});
convert!(Entity => wit::Entity, e => match e {
    Entity::Session => wit::Entity::Session,
    Entity::Agent => wit::Entity::Agent,
    Entity::Message => wit::Entity::Message,
});
convert!(wit::Error => Error, e => match e {
    wit::Error::NotFound(entity) => Error::NotFound(entity.into()),
    wit::Error::AlreadyExists(entity) => Error::AlreadyExists(entity.into()),
    wit::Error::Stale(current) => Error::Stale { current },
    wit::Error::InvalidArgument(message) => Error::InvalidArgument(message),
    wit::Error::TooLarge(wit::SizeLimit { size, limit }) => Error::TooLarge { size, limit },
    wit::Error::AccessDenied(message) => Error::AccessDenied(message),
    wit::Error::Timeout => Error::Timeout,
    wit::Error::Unavailable(message) => Error::Unavailable(message),
    wit::Error::Corrupt(message) => Error::Corrupt(message),
    wit::Error::Internal(message) => Error::Internal(message),
    wit::Error::QuotaExceeded(retry_after_ms) => Error::QuotaExceeded { retry_after_ms },
    wit::Error::Unsupported(message) => Error::Unsupported(message),
});
convert!(Error => wit::Error, e => match e {
    Error::NotFound(entity) => wit::Error::NotFound(entity.into()),
    Error::AlreadyExists(entity) => wit::Error::AlreadyExists(entity.into()),
    Error::Stale { current } => wit::Error::Stale(current),
    Error::InvalidArgument(message) => wit::Error::InvalidArgument(message),
    Error::TooLarge { size, limit } => wit::Error::TooLarge(wit::SizeLimit { size, limit }),
    Error::AccessDenied(message) => wit::Error::AccessDenied(message),
    Error::Timeout => wit::Error::Timeout,
    Error::Unavailable(message) => wit::Error::Unavailable(message),
    Error::Corrupt(message) => wit::Error::Corrupt(message),
    Error::Internal(message) => wit::Error::Internal(message),
    Error::QuotaExceeded { retry_after_ms } => wit::Error::QuotaExceeded(retry_after_ms),
    Error::Unsupported(message) => wit::Error::Unsupported(message),
});
