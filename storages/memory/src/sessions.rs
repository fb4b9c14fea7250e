//! All sessions of the storage. Each write decides first and then changes everything at once.

use crate::agent::Agent;
use crate::error::{Entity, Error, Result};
use crate::object::Object;
use crate::paths;
use crate::types::{self, AppendKey, Appended, Feedback, Field, Message, Page, Replacement, Session, Write};
use std::collections::HashMap;

/// The sessions by their ids.
#[derive(Debug, Default)]
pub struct Sessions(pub(crate) HashMap<String, State>);

/// A session and all that is in it.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) session: Session,
    pub(crate) agents: HashMap<String, Agent>,
    pub(crate) metadata: Object,
    /// Oldest first.
    feedback: Vec<Feedback>,
}

impl State {
    /// Refuses a write that expects another revision.
    pub(crate) fn check(&self, write: Write) -> Result<()> {
        let current = self.session.revision;
        if write.expected.is_some_and(|expected| expected != current) { Err(Error::Stale(current)) } else { Ok(()) }
    }

    /// Advances the session by a write.
    pub(crate) fn advance(&mut self, at: i64) {
        self.session.revision += 1;
        self.session.updated_at = self.session.updated_at.max(at);
    }

    fn agent(&self, agent_id: &str) -> Result<&Agent> {
        self.agents.get(agent_id).ok_or(Error::NotFound(Entity::Agent))
    }

    /// Changes an agent by a write that is decided.
    fn change_agent(&mut self, agent_id: &str, at: i64, change: impl FnOnce(&mut Agent)) {
        if let Some(agent) = self.agents.get_mut(agent_id) {
            change(agent);
            agent.updated_at = agent.updated_at.max(at);
        }
        self.advance(at);
    }
}

impl Sessions {
    pub(crate) fn state(&mut self, session_id: &str) -> Result<&mut State> {
        self.0.get_mut(session_id).ok_or(Error::NotFound(Entity::Session))
    }

    fn agent(&self, session_id: &str, agent_id: &str) -> Option<&Agent> {
        self.0.get(session_id)?.agents.get(agent_id)
    }

    /// Stores a session at revision 0.
    pub fn insert_session(&mut self, session: Session) -> Result<()> {
        if self.0.contains_key(&session.session_id) {
            return Err(Error::AlreadyExists(Entity::Session));
        }
        let session = Session { revision: 0, ..session };
        let state = State { agents: HashMap::new(), metadata: Object::default(), feedback: Vec::new(), session };
        self.0.insert(state.session.session_id.clone(), state);
        Ok(())
    }

    /// Finds a session.
    pub fn find_session(&self, session_id: &str) -> Option<Session> {
        self.0.get(session_id).map(|state| state.session.clone())
    }

    /// Stores an agent without messages.
    pub fn insert_agent(&mut self, session_id: &str, agent: types::Agent, expected: Option<u64>) -> Result<()> {
        let state = self.state(session_id)?;
        if state.agents.contains_key(&agent.agent_id) {
            return Err(Error::AlreadyExists(Entity::Agent));
        }
        state.check(Write { at: agent.updated_at, expected })?;
        state.advance(agent.updated_at);
        state.agents.insert(agent.agent_id, Agent::new(agent.data, agent.created_at, agent.updated_at));
        Ok(())
    }

    /// Finds an agent.
    pub fn find_agent(&self, session_id: &str, agent_id: &str) -> Option<types::Agent> {
        let Agent { data, created_at, updated_at, .. } = self.agent(session_id, agent_id)?;
        Some(types::Agent { agent_id: agent_id.to_owned(), data: data.clone(), created_at: *created_at, updated_at: *updated_at })
    }

    /// Replaces the own fields of an agent.
    pub fn replace_agent(&mut self, session_id: &str, agent_id: &str, data: Replacement, write: Write) -> Result<()> {
        let state = self.state(session_id)?;
        let stored = &state.agent(agent_id)?.data;
        state.check(write)?;
        let data = data.fields.keeping(&data.keep, stored)?;
        state.change_agent(agent_id, write.at, |agent| agent.data = data);
        Ok(())
    }

    /// Appends a message unless its id is taken. The message that took it comes back without the fields in `omit`.
    pub fn append_message(
        &mut self,
        session_id: &str,
        agent_id: &str,
        message: Message,
        omit: &[String],
        expected: Option<u64>,
    ) -> Result<Appended> {
        let state = self.state(session_id)?;
        if let Some(taken) = state.agent(agent_id)?.message(message.message_id) {
            return Ok(Appended::Taken(shown(taken, omit)?));
        }
        let at = message.created_at;
        state.check(Write { at, expected })?;
        state.change_agent(agent_id, at, |agent| agent.add(message));
        Ok(Appended::New)
    }

    /// Appends messages under the next ids and returns the first. A known key returns what it returned before.
    pub fn append_messages(
        &mut self,
        session_id: &str,
        agent_id: &str,
        bodies: Vec<Object>,
        key: Option<AppendKey>,
        write: Write,
    ) -> Result<i64> {
        if bodies.is_empty() {
            return Err(Error::InvalidArgument(String::from("messages: must not be empty")));
        }
        let state = self.state(session_id)?;
        let agent = state.agent(agent_id)?;
        if let Some(first) = key.as_ref().map(|key| agent.remembered(key)).transpose()?.flatten() {
            return Ok(first);
        }
        state.check(write)?;
        let (first, last) = agent.following(bodies.len())?;
        let at = agent.newest().map_or(write.at, |newest| newest.max(write.at));
        state.change_agent(agent_id, at, |agent| {
            for (message_id, body) in (first..=last).zip(bodies) {
                agent.add(Message { message_id, body, created_at: at, updated_at: at });
            }
            if let Some(key) = key {
                agent.remember(key, first);
            }
        });
        Ok(first)
    }

    /// Finds a message, without the fields in `omit`.
    pub fn find_message(&self, session_id: &str, agent_id: &str, message_id: i64, omit: &[String]) -> Result<Option<Message>> {
        let found = self.agent(session_id, agent_id).and_then(|agent| agent.message(message_id));
        found.map(|message| shown(message, omit)).transpose()
    }

    /// Replaces the own fields of a message.
    pub fn replace_message(&mut self, session_id: &str, agent_id: &str, message_id: i64, body: Replacement, write: Write) -> Result<()> {
        let state = self.state(session_id)?;
        let stored = state.agent(agent_id)?.message(message_id).ok_or(Error::NotFound(Entity::Message))?;
        state.check(write)?;
        let body = body.fields.keeping(&body.keep, &stored.body)?;
        state.change_agent(agent_id, write.at, |agent| agent.replace(message_id, body, write.at));
        Ok(())
    }

    /// Lists a page of messages, oldest first, without the fields in `omit`.
    pub fn list_messages(&self, session_id: &str, agent_id: &str, page: Page, omit: &[String]) -> Result<Vec<Message>> {
        let agent = self.agent(session_id, agent_id);
        agent.into_iter().flat_map(|agent| agent.page(page)).map(|message| shown(message, omit)).collect()
    }

    /// Sets metadata fields.
    pub fn set_metadata(&mut self, session_id: &str, fields: &[Field], write: Write) -> Result<()> {
        self.change_metadata(session_id, write, fields.is_empty(), |metadata| paths::set_all(metadata, fields))
    }

    /// Finds all metadata of a session.
    pub fn get_metadata(&self, session_id: &str) -> Option<Object> {
        self.0.get(session_id).map(|state| state.metadata.clone())
    }

    /// Removes metadata fields.
    pub fn unset_metadata(&mut self, session_id: &str, paths: &[String], write: Write) -> Result<()> {
        self.change_metadata(session_id, write, paths.is_empty(), |metadata| paths::unset_all(metadata, paths))
    }

    fn change_metadata(
        &mut self,
        session_id: &str,
        write: Write,
        is_empty: bool,
        change: impl FnOnce(&Object) -> Result<Object>,
    ) -> Result<()> {
        let state = self.state(session_id)?;
        state.check(write)?;
        if !is_empty {
            state.metadata = change(&state.metadata)?;
            state.advance(write.at);
        }
        Ok(())
    }

    /// Appends a feedback entry.
    pub fn append_feedback(&mut self, session_id: &str, feedback: Feedback, expected: Option<u64>) -> Result<()> {
        let state = self.state(session_id)?;
        let at = feedback.created_at;
        state.check(Write { at, expected })?;
        let place = state.feedback.partition_point(|entry| entry.created_at <= at);
        state.feedback.insert(place, feedback);
        state.advance(at);
        Ok(())
    }

    /// Lists all feedback, oldest first.
    pub fn list_feedback(&self, session_id: &str) -> Vec<Feedback> {
        self.0.get(session_id).map(|state| state.feedback.clone()).unwrap_or_default()
    }
}

/// A message without some of its fields.
fn shown(message: &Message, omit: &[String]) -> Result<Message> {
    Ok(Message { body: message.body.without(omit)?, ..*message })
}
