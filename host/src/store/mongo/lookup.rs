//! Reading messages.

use super::expressions::AgentPath;
use super::history::{Reading, Wanted};
use super::questions;
use super::store::MongoStore;
use crate::error::Result;
use crate::store::schema::read::{self, Undated, object};
use crate::store::{AgentRef, Page};
use crate::types::{Message, Timestamp};

impl MongoStore {
    /// Finds the message with an id.
    pub(crate) async fn find_one(&self, agent: &AgentRef, message_id: i64, omit: &[String]) -> Result<Option<Message>> {
        let path = AgentPath::of(agent);
        let reading = Reading { path: &path, wanted: Wanted::Message { id: message_id, omit } };
        let Some(history) = self.read(&reading).await? else { return Ok(None) };
        let Some(message) = history.message()? else { return Ok(None) };
        let found = read::message(message, omit)?;
        if found.has_omitted() {
            self.memory.saw_hidden(path.agent_ref());
        }
        Ok(self.dated(&path, vec![found]).await?.pop())
    }

    /// Lists a page of the history.
    pub(crate) async fn list_page(&self, agent: &AgentRef, page: Page, omit: &[String]) -> Result<Vec<Message>> {
        let path = AgentPath::of(agent);
        let Page { offset, limit, max_bytes } = page;
        let reading = Reading { path: &path, wanted: Wanted::Page { offset, limit, omit, max_bytes } };
        let Some(history) = self.read(&reading).await? else { return Ok(Vec::new()) };
        let recent = history.recent(offset, limit)?.into_iter().flatten().filter_map(Result::ok);
        let recent = read::messages(recent, omit);
        if recent.iter().any(Undated::has_omitted) {
            self.memory.saw_hidden(path.agent_ref());
        }
        let mut page = history.blocks.page();
        page.extend(recent);
        self.dated(&path, page).await
    }

    /// Gives messages without a time that of their agent.
    pub(crate) async fn dated(&self, path: &AgentPath, messages: Vec<Undated>) -> Result<Vec<Message>> {
        let otherwise = if messages.iter().all(Undated::has_time) { None } else { self.time_of_agent(path).await? };
        Ok(messages.into_iter().map(|message| message.dated(otherwise)).collect())
    }

    /// The time from which a message without one takes its own.
    async fn time_of_agent(&self, path: &AgentPath) -> Result<Option<Timestamp>> {
        let Some(found) = self.find(path.session_id(), questions::times(path), None).await? else { return Ok(None) };
        let agents = object(&found, "agents").unwrap_or_default();
        let agent = agents.and_then(|agents| object(agents, path.agent_id()).ok().flatten());
        read::time_of_agent(&found, agent)
    }
}
