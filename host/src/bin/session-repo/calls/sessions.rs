//! Calls on sessions.

use super::answer::Answer;
use super::arguments::Arguments;
use crate::wire::Subject;
use serde::Deserialize;
use session_repository::{Entity, Repository, Result};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionsCreate {
    pub(crate) session_id: String,
    pub(crate) session_type: Option<String>,
    pub(crate) expected_revision: Option<u64>,
}

impl Arguments for SessionsCreate {
    fn subject(&self) -> Subject {
        Subject::session(&self.session_id)
    }

    async fn execute(self, repository: &Repository) -> Result<Answer> {
        let sessions = repository.sessions().if_revision(self.expected_revision);
        Ok(Answer::Session(sessions.create(self.session_id, self.session_type.as_deref()).await?))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionsRead {
    pub(crate) session_id: String,
}

impl Arguments for SessionsRead {
    fn subject(&self) -> Subject {
        Subject::session(&self.session_id)
    }

    async fn execute(self, repository: &Repository) -> Result<Answer> {
        Ok(Answer::found(repository.sessions().read(self.session_id).await?, Entity::Session, Answer::Session))
    }
}
