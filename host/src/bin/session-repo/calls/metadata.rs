//! Calls on metadata.

use super::answer::Answer;
use super::arguments::{Arguments, json};
use crate::wire::Subject;
use serde::Deserialize;
use session_repository::{Entity, Json, Repository, Result};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetadataUpdate {
    pub(crate) session_id: String,
    #[serde(deserialize_with = "json")]
    pub(crate) metadata: Json,
    pub(crate) expected_revision: Option<u64>,
}

impl Arguments for MetadataUpdate {
    fn subject(&self) -> Subject {
        Subject::session(&self.session_id)
    }

    async fn execute(self, repository: &Repository) -> Result<Answer> {
        repository.metadata().if_revision(self.expected_revision).update(self.session_id, self.metadata).await?;
        Ok(Answer::Done)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetadataGet {
    pub(crate) session_id: String,
}

impl Arguments for MetadataGet {
    fn subject(&self) -> Subject {
        Subject::session(&self.session_id)
    }

    async fn execute(self, repository: &Repository) -> Result<Answer> {
        Ok(Answer::found(repository.metadata().get(self.session_id).await?, Entity::Session, Answer::Metadata))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetadataDelete {
    pub(crate) session_id: String,
    pub(crate) keys: Vec<String>,
    pub(crate) expected_revision: Option<u64>,
}

impl Arguments for MetadataDelete {
    fn subject(&self) -> Subject {
        Subject::session(&self.session_id)
    }

    async fn execute(self, repository: &Repository) -> Result<Answer> {
        repository.metadata().if_revision(self.expected_revision).delete(self.session_id, self.keys).await?;
        Ok(Answer::Done)
    }
}
