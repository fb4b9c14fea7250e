//! All sessions of the storage. Each write decides first and then changes everything at once.

use crate::agent::Agent;
use session_repository_storage::appends::{self, Batch};
use session_repository_storage::error::{Entity, Error, Result};
use session_repository_storage::object::Object;
use session_repository_storage::paths;
use session_repository_storage::storage::Storage;
use session_repository_storage::types::{self, AppendKey, Appended, Feedback, Field, Message, Page, Replacement, Session, Write};
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
    fn agent(&self, agent_id: &str) -> Result<&Agent> {
        self.agents.get(agent_id).ok_or(Error::NotFound(Entity::Agent))
    }

    /// Changes an agent by a write that is decided.
    fn change_agent(&mut self, agent_id: &str, at: i64, change: impl FnOnce(&mut Agent)) {
        if let Some(agent) = self.agents.get_mut(agent_id) {
            change(agent);
            agent.updated_at = agent.updated_at.max(at);
        }
        self.session.advance(at);
    }
}

impl Sessions {
    pub(crate) fn state(&mut self, session_id: &str) -> Result<&mut State> {
        self.0.get_mut(session_id).ok_or(Error::NotFound(Entity::Session))
    }

    fn agent(&self, session_id: &str, agent_id: &str) -> Option<&Agent> {
        self.0.get(session_id)?.agents.get(agent_id)
    }

    fn change_metadata(
        &mut self,
        session_id: &str,
        write: Write,
        is_empty: bool,
        change: impl FnOnce(&Object) -> Result<Object>,
    ) -> Result<()> {
        let state = self.state(session_id)?;
        state.session.check(write)?;
        if !is_empty {
            state.metadata = change(&state.metadata)?;
            state.session.advance(write.at);
        }
        Ok(())
    }
}

impl Storage for Sessions {
    fn insert_session(&mut self, session: Session) -> Result<()> {
        if self.0.contains_key(&session.session_id) {
            return Err(Error::AlreadyExists(Entity::Session));
        }
        let session = Session { revision: 0, ..session };
        let state = State { agents: HashMap::new(), metadata: Object::default(), feedback: Vec::new(), session };
        self.0.insert(state.session.session_id.clone(), state);
        Ok(())
    }

    fn find_session(&self, session_id: &str) -> Result<Option<Session>> {
        Ok(self.0.get(session_id).map(|state| state.session.clone()))
    }

    fn insert_agent(&mut self, session_id: &str, agent: types::Agent, expected: Option<u64>) -> Result<()> {
        let state = self.state(session_id)?;
        if state.agents.contains_key(&agent.agent_id) {
            return Err(Error::AlreadyExists(Entity::Agent));
        }
        state.session.check(Write { at: agent.updated_at, expected })?;
        state.session.advance(agent.updated_at);
        state.agents.insert(agent.agent_id, Agent::new(agent.data, agent.created_at, agent.updated_at));
        Ok(())
    }

    fn find_agent(&self, session_id: &str, agent_id: &str) -> Result<Option<types::Agent>> {
        Ok(self.agent(session_id, agent_id).map(|Agent { data, created_at, updated_at, .. }| types::Agent {
            agent_id: agent_id.to_owned(),
            data: data.clone(),
            created_at: *created_at,
            updated_at: *updated_at,
        }))
    }

    fn replace_agent(&mut self, session_id: &str, agent_id: &str, data: Replacement, write: Write) -> Result<()> {
        let state = self.state(session_id)?;
        let stored = &state.agent(agent_id)?.data;
        state.session.check(write)?;
        let data = data.fields.keeping(&data.keep, stored)?;
        state.change_agent(agent_id, write.at, |agent| agent.data = data);
        Ok(())
    }

    fn append_message(
        &mut self,
        session_id: &str,
        agent_id: &str,
        message: Message,
        omit: &[String],
        expected: Option<u64>,
    ) -> Result<Appended> {
        let state = self.state(session_id)?;
        if let Some(taken) = state.agent(agent_id)?.message(message.message_id) {
            return Ok(Appended::Taken(taken.without(omit)?));
        }
        let at = message.created_at;
        state.session.check(Write { at, expected })?;
        state.change_agent(agent_id, at, |agent| agent.add(message));
        Ok(Appended::New)
    }

    fn append_messages(
        &mut self,
        session_id: &str,
        agent_id: &str,
        bodies: Vec<Object>,
        key: Option<AppendKey>,
        write: Write,
    ) -> Result<i64> {
        appends::check(&bodies)?;
        let state = self.state(session_id)?;
        let agent = state.agent(agent_id)?;
        if let Some(first) = agent.appends.remembered(key.as_ref())? {
            return Ok(first);
        }
        state.session.check(write)?;
        let Batch { first, at, messages } = Batch::new(bodies.into_iter(), agent.highest(), agent.newest(), write.at)?;
        state.change_agent(agent_id, at, |agent| {
            for message in messages {
                agent.add(message);
            }
            if let Some(key) = key {
                agent.appends.remember(key, first);
            }
        });
        Ok(first)
    }

    fn find_message(&self, session_id: &str, agent_id: &str, message_id: i64, omit: &[String]) -> Result<Option<Message>> {
        let found = self.agent(session_id, agent_id).and_then(|agent| agent.message(message_id));
        found.map(|message| message.without(omit)).transpose()
    }

    fn replace_message(&mut self, session_id: &str, agent_id: &str, message_id: i64, body: Replacement, write: Write) -> Result<()> {
        let state = self.state(session_id)?;
        let stored = state.agent(agent_id)?.message(message_id).ok_or(Error::NotFound(Entity::Message))?;
        state.session.check(write)?;
        let body = body.fields.keeping(&body.keep, &stored.body)?;
        state.change_agent(agent_id, write.at, |agent| agent.replace(message_id, body, write.at));
        Ok(())
    }

    fn list_messages(&self, session_id: &str, agent_id: &str, page: Page, omit: &[String]) -> Result<Vec<Message>> {
        let agent = self.agent(session_id, agent_id);
        agent.into_iter().flat_map(|agent| agent.page(page)).map(|message| message.without(omit)).collect()
    }

    fn set_metadata(&mut self, session_id: &str, fields: &[Field], write: Write) -> Result<()> {
        self.change_metadata(session_id, write, fields.is_empty(), |metadata| paths::set_all(metadata, fields))
    }

    fn get_metadata(&self, session_id: &str) -> Result<Option<Object>> {
        Ok(self.0.get(session_id).map(|state| state.metadata.clone()))
    }

    fn unset_metadata(&mut self, session_id: &str, paths: &[String], write: Write) -> Result<()> {
        self.change_metadata(session_id, write, paths.is_empty(), |metadata| paths::unset_all(metadata, paths))
    }

    fn append_feedback(&mut self, session_id: &str, feedback: Feedback, expected: Option<u64>) -> Result<()> {
        let state = self.state(session_id)?;
        let at = feedback.created_at;
        state.session.check(Write { at, expected })?;
        let place = state.feedback.partition_point(|entry| entry.created_at <= at);
        state.feedback.insert(place, feedback);
        state.session.advance(at);
        Ok(())
    }

    fn list_feedback(&self, session_id: &str) -> Result<Vec<Feedback>> {
        Ok(self.0.get(session_id).map(|state| state.feedback.clone()).unwrap_or_default())
    }
}
