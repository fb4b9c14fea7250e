//! Calls on agents.

use super::answer::Answer;
use super::arguments::{Arguments, json, object};
use crate::wire::Subject;
use serde::Deserialize;
use session_repository::{Entity, Json, Repository, Result};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentsCreate {
    pub(crate) session_id: String,
    #[serde(skip)]
    pub(crate) agent_id: String,
    #[serde(deserialize_with = "json")]
    pub(crate) agent: Json,
    pub(crate) expected_revision: Option<u64>,
}

impl Arguments for AgentsCreate {
    fn look_up_ids(&mut self) -> Result<(), String> {
        self.agent_id = agent_id(&self.agent)?;
        Ok(())
    }

    fn subject(&self) -> Subject {
        Subject::agent(&self.session_id, &self.agent_id)
    }

    async fn execute(self, repository: &Repository) -> Result<Answer> {
        repository.agents().if_revision(self.expected_revision).create(self.session_id, self.agent_id, self.agent).await?;
        Ok(Answer::Done)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentsRead {
    pub(crate) session_id: String,
    pub(crate) agent_id: String,
}

impl Arguments for AgentsRead {
    fn subject(&self) -> Subject {
        Subject::agent(&self.session_id, &self.agent_id)
    }

    async fn execute(self, repository: &Repository) -> Result<Answer> {
        Ok(Answer::found(repository.agents().read(self.session_id, self.agent_id).await?, Entity::Agent, Answer::Agent))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentsUpdate {
    pub(crate) session_id: String,
    #[serde(skip)]
    pub(crate) agent_id: String,
    #[serde(deserialize_with = "json")]
    pub(crate) agent: Json,
    pub(crate) expected_revision: Option<u64>,
}

impl Arguments for AgentsUpdate {
    fn look_up_ids(&mut self) -> Result<(), String> {
        self.agent_id = agent_id(&self.agent)?;
        Ok(())
    }

    fn subject(&self) -> Subject {
        Subject::agent(&self.session_id, &self.agent_id)
    }

    async fn execute(self, repository: &Repository) -> Result<Answer> {
        repository.agents().if_revision(self.expected_revision).update(self.session_id, self.agent_id, self.agent).await?;
        Ok(Answer::Done)
    }
}

/// In the protocol an agent has its id among its own fields.
fn agent_id(agent: &Json) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Named {
        agent_id: String,
    }
    object("agent", agent.as_str()).map(|Named { agent_id }| agent_id)
}
