//! The typed calls of a [`Repository`], one type for each interface of the WIT package, which documents what each call promises.
//!
//! The calls name the errors that are their own; any of them can also end in one that [`Error`] describes for all.

use crate::error::{Error, Result};
use crate::repository::Repository;
use crate::types::{Agent, Feedback, Json, Message, Session};

/// Has an instance run an exported function with arguments that move into it, and turns its answer into our types.
macro_rules! call {
    ($repo:expr, $size:expr, $accessor:ident.$function:ident($($argument:expr),*), $answer:expr) => {
        $repo
            .call($size, move |accessor, instance| {
                Box::pin(async move {
                    Ok(instance.$accessor().$function(accessor, $($argument),*).await?.map($answer).map_err(Error::from))
                })
            })
            .await
    };
}

/// Calls on sessions: `session:repository/sessions`.
#[derive(Debug, Clone, Copy)]
pub struct Sessions<'a>(pub(crate) &'a Repository);

impl Sessions<'_> {
    /// Creates an empty session; its type is `default` unless one is given.
    ///
    /// # Errors
    ///
    /// `already-exists` for an id that is taken, `invalid-argument`.
    pub async fn create(self, session_id: impl Into<String>, session_type: Option<&str>) -> Result<Session> {
        let (session_id, session_type) = (session_id.into(), session_type.map(str::to_owned));
        let size = session_id.len() + session_type.as_ref().map_or(0, String::len);
        call!(self.0, size, session_repository_sessions.call_create(session_id, session_type), Session::from)
    }

    /// Reads a session.
    ///
    /// # Errors
    ///
    /// `invalid-argument`.
    pub async fn read(self, session_id: impl Into<String>) -> Result<Option<Session>> {
        let session_id = session_id.into();
        call!(self.0, session_id.len(), session_repository_sessions.call_read(session_id), |session| session.map(Session::from))
    }
}

/// Calls on agents: `session:repository/agents`.
#[derive(Debug, Clone, Copy)]
pub struct Agents<'a>(pub(crate) &'a Repository);

impl Agents<'_> {
    /// Creates an agent from a JSON object of its own fields.
    ///
    /// # Errors
    ///
    /// `not-found(session)`, `already-exists(agent)`, `invalid-argument`.
    pub async fn create(self, session_id: impl Into<String>, agent_id: impl Into<String>, agent: impl Into<Json>) -> Result<()> {
        let (session_id, agent_id, agent) = (session_id.into(), agent_id.into(), agent.into().into_string());
        let size = session_id.len() + agent_id.len() + agent.len();
        call!(self.0, size, session_repository_agents.call_create(session_id, agent_id, agent), |()| ())
    }

    /// Reads an agent without its messages.
    ///
    /// # Errors
    ///
    /// `invalid-argument`.
    pub async fn read(self, session_id: impl Into<String>, agent_id: impl Into<String>) -> Result<Option<Agent>> {
        let (session_id, agent_id) = (session_id.into(), agent_id.into());
        let size = session_id.len() + agent_id.len();
        call!(self.0, size, session_repository_agents.call_read(session_id, agent_id), |agent| agent.map(Agent::from))
    }

    /// Replaces an agent's own fields; `model`, `system_prompt` and `prompt_metadata` stay unless the update brings them.
    ///
    /// # Errors
    ///
    /// `not-found`, `invalid-argument`.
    pub async fn update(self, session_id: impl Into<String>, agent_id: impl Into<String>, agent: impl Into<Json>) -> Result<()> {
        let (session_id, agent_id, agent) = (session_id.into(), agent_id.into(), agent.into().into_string());
        let size = session_id.len() + agent_id.len() + agent.len();
        call!(self.0, size, session_repository_agents.call_update(session_id, agent_id, agent), |()| ())
    }
}

/// Calls on messages: `session:repository/messages`.
#[derive(Debug, Clone, Copy)]
pub struct Messages<'a>(pub(crate) &'a Repository);

impl Messages<'_> {
    /// Appends a message. The same id with the same content again succeeds and stores nothing.
    ///
    /// # Errors
    ///
    /// `not-found`, `already-exists(message)` for an id taken by other content, `invalid-argument`.
    pub async fn create(
        self,
        session_id: impl Into<String>,
        agent_id: impl Into<String>,
        message_id: i64,
        message: impl Into<Json>,
    ) -> Result<()> {
        let (session_id, agent_id, message) = (session_id.into(), agent_id.into(), message.into().into_string());
        let size = session_id.len() + agent_id.len() + message.len();
        call!(self.0, size, session_repository_messages.call_create(session_id, agent_id, message_id, message), |()| ())
    }

    /// Reads one message, without its metric fields.
    ///
    /// # Errors
    ///
    /// `invalid-argument`.
    pub async fn read(self, session_id: impl Into<String>, agent_id: impl Into<String>, message_id: i64) -> Result<Option<Message>> {
        let (session_id, agent_id) = (session_id.into(), agent_id.into());
        let size = session_id.len() + agent_id.len();
        call!(self.0, size, session_repository_messages.call_read(session_id, agent_id, message_id), |message| message.map(Message::from))
    }

    /// Replaces a message's own fields, for example to redact it. Stored metric fields stay unless the update brings its own.
    ///
    /// # Errors
    ///
    /// `not-found`, `invalid-argument`.
    pub async fn update(
        self,
        session_id: impl Into<String>,
        agent_id: impl Into<String>,
        message_id: i64,
        message: impl Into<Json>,
    ) -> Result<()> {
        let (session_id, agent_id, message) = (session_id.into(), agent_id.into(), message.into().into_string());
        let size = session_id.len() + agent_id.len() + message.len();
        call!(self.0, size, session_repository_messages.call_update(session_id, agent_id, message_id, message), |()| ())
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
        let size = session_id.len() + agent_id.len();
        call!(self.0, size, session_repository_messages.call_list(session_id, agent_id, limit, offset), |page| page
            .into_iter()
            .map(Message::from)
            .collect())
    }
}

/// Calls on metadata: `session:repository/metadata`.
#[derive(Debug, Clone, Copy)]
pub struct Metadata<'a>(pub(crate) &'a Repository);

impl Metadata<'_> {
    /// Sets the fields of a JSON object, whose keys may be paths with dots, and leaves all others as they are.
    ///
    /// # Errors
    ///
    /// `not-found(session)`, `invalid-argument`.
    pub async fn update(self, session_id: impl Into<String>, metadata: impl Into<Json>) -> Result<()> {
        let (session_id, metadata) = (session_id.into(), metadata.into().into_string());
        let size = session_id.len() + metadata.len();
        call!(self.0, size, session_repository_metadata.call_update(session_id, metadata), |()| ())
    }

    /// Reads all metadata of a session.
    ///
    /// # Errors
    ///
    /// `invalid-argument`.
    pub async fn get(self, session_id: impl Into<String>) -> Result<Option<Json>> {
        let session_id = session_id.into();
        call!(self.0, session_id.len(), session_repository_metadata.call_get(session_id), |metadata| metadata.map(Json::from))
    }

    /// Removes fields, by the same paths as in [`Metadata::update`].
    ///
    /// # Errors
    ///
    /// `not-found(session)`, `invalid-argument`.
    pub async fn delete(self, session_id: impl Into<String>, keys: impl IntoIterator<Item = impl Into<String>>) -> Result<()> {
        let (session_id, keys): (String, Vec<String>) = (session_id.into(), keys.into_iter().map(Into::into).collect());
        // A short key still takes a place of its own on both sides.
        let size = session_id.len() + keys.iter().map(|key| key.len() + 2 * size_of::<String>()).sum::<usize>();
        call!(self.0, size, session_repository_metadata.call_delete(session_id, keys), |()| ())
    }
}

/// Calls on feedback: `session:repository/feedback`.
#[derive(Debug, Clone, Copy)]
pub struct Feedbacks<'a>(pub(crate) &'a Repository);

impl Feedbacks<'_> {
    /// Adds an entry, a JSON object.
    ///
    /// # Errors
    ///
    /// `not-found(session)`, `invalid-argument`.
    pub async fn add(self, session_id: impl Into<String>, feedback: impl Into<Json>) -> Result<()> {
        let (session_id, feedback) = (session_id.into(), feedback.into().into_string());
        let size = session_id.len() + feedback.len();
        call!(self.0, size, session_repository_feedback.call_add(session_id, feedback), |()| ())
    }

    /// Lists all entries, oldest first.
    ///
    /// # Errors
    ///
    /// `invalid-argument`.
    pub async fn list(self, session_id: impl Into<String>) -> Result<Vec<Feedback>> {
        let session_id = session_id.into();
        call!(self.0, session_id.len(), session_repository_feedback.call_list(session_id), |entries| entries
            .into_iter()
            .map(Feedback::from)
            .collect())
    }
}
