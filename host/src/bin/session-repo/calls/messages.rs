//! Calls on messages.

use super::answer::Answer;
use super::arguments::{self, Arguments, jsons, object};
use crate::wire::Subject;
use serde::Deserialize;
use serde_json::json;
use session_repository::{Entity, Json, Repository, Result};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessagesCreate {
    pub(crate) session_id: String,
    pub(crate) agent_id: String,
    #[serde(skip)]
    pub(crate) message_id: i64,
    #[serde(deserialize_with = "arguments::json")]
    pub(crate) message: Json,
    pub(crate) expected_revision: Option<u64>,
}

impl Arguments for MessagesCreate {
    fn look_up_ids(&mut self) -> Result<(), String> {
        self.message_id = message_id(&self.message)?;
        Ok(())
    }

    fn subject(&self) -> Subject {
        Subject::message(&self.session_id, &self.agent_id, self.message_id)
    }

    async fn execute(self, repository: &Repository) -> Result<Answer> {
        let messages = repository.messages().if_revision(self.expected_revision);
        messages.create(self.session_id, self.agent_id, self.message_id, self.message).await?;
        Ok(Answer::Done)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessagesAppend {
    pub(crate) session_id: String,
    pub(crate) agent_id: String,
    #[serde(deserialize_with = "arguments::json")]
    pub(crate) message: Json,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) expected_revision: Option<u64>,
}

impl Arguments for MessagesAppend {
    fn subject(&self) -> Subject {
        Subject::agent(&self.session_id, &self.agent_id)
    }

    async fn execute(self, repository: &Repository) -> Result<Answer> {
        let messages = repository.messages().if_revision(self.expected_revision);
        let appended = messages.append(self.session_id, self.agent_id, self.message, self.idempotency_key.as_deref());
        Ok(Answer::Object(json!({"message_id": appended.await?})))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessagesAppendMany {
    pub(crate) session_id: String,
    pub(crate) agent_id: String,
    #[serde(deserialize_with = "jsons")]
    pub(crate) messages: Vec<Json>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) expected_revision: Option<u64>,
}

impl Arguments for MessagesAppendMany {
    fn subject(&self) -> Subject {
        Subject::agent(&self.session_id, &self.agent_id)
    }

    async fn execute(self, repository: &Repository) -> Result<Answer> {
        let messages = repository.messages().if_revision(self.expected_revision);
        let appended = messages.append_many(self.session_id, self.agent_id, self.messages, self.idempotency_key.as_deref());
        Ok(Answer::Object(json!({"first_message_id": appended.await?})))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessagesRead {
    pub(crate) session_id: String,
    pub(crate) agent_id: String,
    pub(crate) message_id: i64,
}

impl Arguments for MessagesRead {
    fn subject(&self) -> Subject {
        Subject::message(&self.session_id, &self.agent_id, self.message_id)
    }

    async fn execute(self, repository: &Repository) -> Result<Answer> {
        let found = repository.messages().read(self.session_id, self.agent_id, self.message_id).await?;
        Ok(Answer::found(found, Entity::Message, Answer::Message))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessagesUpdate {
    pub(crate) session_id: String,
    pub(crate) agent_id: String,
    #[serde(skip)]
    pub(crate) message_id: i64,
    #[serde(deserialize_with = "arguments::json")]
    pub(crate) message: Json,
    pub(crate) expected_revision: Option<u64>,
}

impl Arguments for MessagesUpdate {
    fn look_up_ids(&mut self) -> Result<(), String> {
        self.message_id = message_id(&self.message)?;
        Ok(())
    }

    fn subject(&self) -> Subject {
        Subject::message(&self.session_id, &self.agent_id, self.message_id)
    }

    async fn execute(self, repository: &Repository) -> Result<Answer> {
        let messages = repository.messages().if_revision(self.expected_revision);
        messages.update(self.session_id, self.agent_id, self.message_id, self.message).await?;
        Ok(Answer::Done)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessagesList {
    pub(crate) session_id: String,
    pub(crate) agent_id: String,
    pub(crate) limit: Option<i64>,
    #[serde(default)]
    pub(crate) offset: i64,
}

impl Arguments for MessagesList {
    fn subject(&self) -> Subject {
        Subject { is_page: true, ..Subject::agent(&self.session_id, &self.agent_id) }
    }

    async fn execute(self, repository: &Repository) -> Result<Answer> {
        Ok(Answer::Messages(repository.messages().list(self.session_id, self.agent_id, self.limit, self.offset).await?))
    }
}

/// In the protocol a message has its id among its own fields.
fn message_id(message: &Json) -> Result<i64, String> {
    #[derive(Deserialize)]
    struct Named {
        message_id: i64,
    }
    object("message", message.as_str()).map(|Named { message_id }| message_id)
}
