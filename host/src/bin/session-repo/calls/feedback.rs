//! Calls on feedback.

use super::answer::Answer;
use super::arguments::{Arguments, json};
use crate::wire::Subject;
use serde::Deserialize;
use session_repository::{Json, Repository, Result};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeedbackAdd {
    pub(crate) session_id: String,
    #[serde(deserialize_with = "json")]
    pub(crate) feedback: Json,
    pub(crate) expected_revision: Option<u64>,
}

impl Arguments for FeedbackAdd {
    fn subject(&self) -> Subject {
        Subject::session(&self.session_id)
    }

    async fn execute(self, repository: &Repository) -> Result<Answer> {
        repository.feedback().if_revision(self.expected_revision).add(self.session_id, self.feedback).await?;
        Ok(Answer::Done)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeedbackList {
    pub(crate) session_id: String,
}

impl Arguments for FeedbackList {
    fn subject(&self) -> Subject {
        Subject::session(&self.session_id)
    }

    async fn execute(self, repository: &Repository) -> Result<Answer> {
        Ok(Answer::Feedback(repository.feedback().list(self.session_id).await?))
    }
}
