//! The typed calls of a [`Repository`](super::repository::Repository), one type for each interface of the WIT package, which documents what each call promises.
//!
//! The calls name the errors that are their own; any of them can also end in one that [`Error`] describes for all.

use super::pool::Pool;
use crate::component::flavour::exported;
use crate::component::gate::Kind;
use crate::component::instance;
use crate::error::{Error, Result};
use crate::scope::Interface;
use crate::store::weigh::Weigh;
use crate::types::{Agent, Feedback, Json, Message, Session};

/// Has an instance run an exported function with arguments that move into it, and turns its answer into our types.
macro_rules! call {
    ($calls:ident, $kind:ident $interface:ident.$function:ident($($argument:expr),*), $answer:expr) => {{
        let size = 0 $(+ $argument.weigh())*;
        $calls
            .pool
            .call(Kind::$kind(Self::INTERFACE), size, move |accessor, instance, brought| {
                Box::pin(async move {
                    let function = exported!(instance, $interface.$function);
                    let (answer, room) = instance::call(accessor, function, ($($argument,)*), brought).await?;
                    Ok((answer.map($answer).map_err(Error::from), room))
                })
            })
            .await
    }};
}

/// Declares what stands for an interface. Writes through it can be bound to a revision.
macro_rules! interface {
    ($($(#[$doc:meta])* $name:ident: $interface:ident)+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub struct $name<'a> {
                pool: &'a Pool,
                expected: Option<u64>,
            }

            impl<'a> $name<'a> {
                const INTERFACE: Interface = Interface::$interface;

                pub(crate) fn new(pool: &'a Pool) -> Self {
                    Self { pool, expected: None }
                }

                /// Binds writes to a revision of the session, mostly the one that a read returned: if the session is at another one by
                /// then, nothing is written and the answer is [`Error::Stale`]. Reads are not bound.
                #[must_use]
                pub fn if_revision(self, revision: impl Into<Option<u64>>) -> Self {
                    Self { expected: revision.into(), ..self }
                }
            }
        )+
    };
}

interface! {
    /// Calls on sessions: `session:repository/sessions`.
    Sessions: Sessions
    /// Calls on agents: `session:repository/agents`.
    Agents: Agents
    /// Calls on messages: `session:repository/messages`.
    Messages: Messages
    /// Calls on metadata: `session:repository/metadata`.
    Metadata: Metadata
    /// Calls on feedback: `session:repository/feedback`.
    Feedbacks: Feedback
}

impl Sessions<'_> {
    /// Creates an empty session; its type is `default` unless one is given.
    ///
    /// # Errors
    ///
    /// `already-exists` for an id that is taken, `stale`, `invalid-argument`.
    pub async fn create(self, session_id: impl Into<String>, session_type: Option<&str>) -> Result<Session> {
        let (session_id, session_type) = (session_id.into(), session_type.map(str::to_owned));
        call!(self, write sessions.func_create(session_id, session_type, self.expected), Session::from)
    }

    /// Reads a session.
    ///
    /// # Errors
    ///
    /// `invalid-argument`.
    pub async fn read(self, session_id: impl Into<String>) -> Result<Option<Session>> {
        let session_id = session_id.into();
        call!(self, read sessions.func_read(session_id), |session| session.map(Session::from))
    }
}

impl Agents<'_> {
    /// Creates an agent from a JSON object of its own fields.
    ///
    /// # Errors
    ///
    /// `not-found(session)`, `already-exists(agent)`, `stale`, `invalid-argument`.
    pub async fn create(self, session_id: impl Into<String>, agent_id: impl Into<String>, agent: impl Into<Json>) -> Result<()> {
        let (session_id, agent_id, agent) = (session_id.into(), agent_id.into(), agent.into().into_string());
        call!(self, write agents.func_create(session_id, agent_id, agent, self.expected), |()| ())
    }

    /// Reads an agent without its messages.
    ///
    /// # Errors
    ///
    /// `invalid-argument`.
    pub async fn read(self, session_id: impl Into<String>, agent_id: impl Into<String>) -> Result<Option<Agent>> {
        let (session_id, agent_id) = (session_id.into(), agent_id.into());
        call!(self, read agents.func_read(session_id, agent_id), |agent| agent.map(Agent::from))
    }

    /// Replaces an agent's own fields; `model`, `system_prompt` and `prompt_metadata` stay unless the update brings them.
    ///
    /// # Errors
    ///
    /// `not-found`, `stale`, `invalid-argument`.
    pub async fn update(self, session_id: impl Into<String>, agent_id: impl Into<String>, agent: impl Into<Json>) -> Result<()> {
        let (session_id, agent_id, agent) = (session_id.into(), agent_id.into(), agent.into().into_string());
        call!(self, write agents.func_update(session_id, agent_id, agent, self.expected), |()| ())
    }
}

impl Messages<'_> {
    /// Appends a message under an id of the caller's. The same id with the same content again succeeds and stores nothing.
    ///
    /// # Errors
    ///
    /// `not-found`, `already-exists(message)` for an id taken by other content, `stale`, `invalid-argument`.
    pub async fn create(
        self,
        session_id: impl Into<String>,
        agent_id: impl Into<String>,
        message_id: i64,
        message: impl Into<Json>,
    ) -> Result<()> {
        let (session_id, agent_id, message) = (session_id.into(), agent_id.into(), message.into().into_string());
        call!(self, write messages.func_create(session_id, agent_id, message_id, message, self.expected), |()| ())
    }

    /// Appends a message under the next id and returns that. With an idempotency key a retry is safe: it stores nothing and returns the same
    /// id. An agent remembers at least its last 256 keyed appends.
    ///
    /// # Errors
    ///
    /// `not-found`, `stale`, `already-exists` for a key whose append had other content, `invalid-argument`, also for a body that brings a
    /// `message_id`.
    pub async fn append(
        self,
        session_id: impl Into<String>,
        agent_id: impl Into<String>,
        message: impl Into<Json>,
        idempotency_key: Option<&str>,
    ) -> Result<i64> {
        let (session_id, agent_id, message) = (session_id.into(), agent_id.into(), message.into().into_string());
        let key = idempotency_key.map(str::to_owned);
        call!(self, write messages.func_append(session_id, agent_id, message, key, self.expected), |message_id| {
            message_id
        })
    }

    /// Appends messages, a whole turn, say, in one atomic step, under ids that count up by one; returns the first. Keys are as for
    /// [`append`](Self::append).
    ///
    /// # Errors
    ///
    /// Those of `append`; `invalid-argument` also for no messages or more than 1,000.
    pub async fn append_many(
        self,
        session_id: impl Into<String>,
        agent_id: impl Into<String>,
        messages: impl IntoIterator<Item = impl Into<Json>>,
        idempotency_key: Option<&str>,
    ) -> Result<i64> {
        let (session_id, agent_id, key) = (session_id.into(), agent_id.into(), idempotency_key.map(str::to_owned));
        let messages: Vec<String> = messages.into_iter().map(|message| message.into().into_string()).collect();
        call!(self, write messages.func_append_many(session_id, agent_id, messages, key, self.expected), |first| {
            first
        })
    }

    /// Reads one message, without its metric fields.
    ///
    /// # Errors
    ///
    /// `invalid-argument`.
    pub async fn read(self, session_id: impl Into<String>, agent_id: impl Into<String>, message_id: i64) -> Result<Option<Message>> {
        let (session_id, agent_id) = (session_id.into(), agent_id.into());
        call!(self, read messages.func_read(session_id, agent_id, message_id), |message| message.map(Message::from))
    }

    /// Replaces a message's own fields, for example to redact it. Stored metric fields stay unless the update brings its own.
    ///
    /// # Errors
    ///
    /// `not-found`, `stale`, `invalid-argument`.
    pub async fn update(
        self,
        session_id: impl Into<String>,
        agent_id: impl Into<String>,
        message_id: i64,
        message: impl Into<Json>,
    ) -> Result<()> {
        let (session_id, agent_id, message) = (session_id.into(), agent_id.into(), message.into().into_string());
        call!(self, write messages.func_update(session_id, agent_id, message_id, message, self.expected), |()| ())
    }

    /// Lists messages, oldest first: at most `limit` (all, if none) after skipping `offset`.
    ///
    /// # Errors
    ///
    /// `invalid-argument`, `too-large` when the page exceeds the host's limit.
    pub async fn list(
        self,
        session_id: impl Into<String>,
        agent_id: impl Into<String>,
        limit: Option<i64>,
        offset: i64,
    ) -> Result<Vec<Message>> {
        let (session_id, agent_id) = (session_id.into(), agent_id.into());
        call!(self, read messages.func_list(session_id, agent_id, limit, offset), |page| page
            .into_iter()
            .map(Message::from)
            .collect())
    }
}

impl Metadata<'_> {
    /// Sets the fields of a JSON object, whose keys may be paths with dots, and leaves all others as they are.
    ///
    /// # Errors
    ///
    /// `not-found(session)`, `stale`, `invalid-argument`.
    pub async fn update(self, session_id: impl Into<String>, metadata: impl Into<Json>) -> Result<()> {
        let (session_id, metadata) = (session_id.into(), metadata.into().into_string());
        call!(self, write metadata.func_update(session_id, metadata, self.expected), |()| ())
    }

    /// Reads all metadata of a session.
    ///
    /// # Errors
    ///
    /// `invalid-argument`.
    pub async fn get(self, session_id: impl Into<String>) -> Result<Option<Json>> {
        let session_id = session_id.into();
        call!(self, read metadata.func_get(session_id), |metadata| metadata.map(Json::from))
    }

    /// Removes fields, by the same paths as in [`Metadata::update`].
    ///
    /// # Errors
    ///
    /// `not-found(session)`, `stale`, `invalid-argument`.
    pub async fn delete(self, session_id: impl Into<String>, keys: impl IntoIterator<Item = impl Into<String>>) -> Result<()> {
        let (session_id, keys): (String, Vec<String>) = (session_id.into(), keys.into_iter().map(Into::into).collect());
        call!(self, write metadata.func_delete(session_id, keys, self.expected), |()| ())
    }
}

impl Feedbacks<'_> {
    /// Adds an entry, a JSON object.
    ///
    /// # Errors
    ///
    /// `not-found(session)`, `stale`, `invalid-argument`.
    pub async fn add(self, session_id: impl Into<String>, feedback: impl Into<Json>) -> Result<()> {
        let (session_id, feedback) = (session_id.into(), feedback.into().into_string());
        call!(self, write feedback.func_add(session_id, feedback, self.expected), |()| ())
    }

    /// Lists all entries, oldest first.
    ///
    /// # Errors
    ///
    /// `invalid-argument`.
    pub async fn list(self, session_id: impl Into<String>) -> Result<Vec<Feedback>> {
        let session_id = session_id.into();
        call!(self, read feedback.func_list(session_id), |entries| entries.into_iter().map(Feedback::from).collect())
    }
}
