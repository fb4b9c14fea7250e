//! Writes made up at random, and what a session holds after each of them.

use super::random::Random;
use anyhow::Context;
use serde_json::{Map, Value, json};
use session_repository::{
    Agent, AgentRef, Appended, EmbeddedStore, Feedback, Message, Replacement, Result, Session, Store, Timestamp, Write,
};

/// What a session holds, but for the times.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Contents {
    /// In the order of their creation.
    pub(super) agents: Vec<AgentContents>,
    pub(super) metadata: Map<String, Value>,
    pub(super) feedback: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct AgentContents {
    pub(super) agent_id: String,
    pub(super) data: Value,
    /// In the order of their times.
    pub(super) messages: Vec<(i64, Value)>,
}

impl Contents {
    fn agent(&mut self, agent_id: &str) -> anyhow::Result<&mut AgentContents> {
        self.agents.iter_mut().find(|agent| agent.agent_id == agent_id).context("no agent")
    }
}

/// One write to a session.
#[derive(Debug, Clone)]
pub(super) enum Op {
    CreateSession,
    CreateAgent { agent_id: String, data: Value },
    UpdateAgent { agent_id: String, data: Value },
    CreateMessage { agent_id: String, id: i64, body: Value },
    UpdateMessage { agent_id: String, id: i64, body: Value },
    UpdateMetadata { fields: Map<String, Value> },
    DeleteMetadata { key: String },
    AddFeedback { entry: Value },
}

/// An object that is not like the one of any other write, and whose end shows that nothing is missing.
fn object(serial: u64, random: &mut Random) -> Value {
    // Mostly less than a page of the file, now and then several.
    let repeats = if random.once_in(30) { 2000 } else { random.below(20) };
    json!({"serial": serial, "filler": format!("{serial}-").repeat(repeats), "end": serial})
}

impl Op {
    /// A write that changes something in a session that holds `contents`.
    pub(super) fn random(contents: Option<&Contents>, serial: u64, random: &mut Random) -> Self {
        let Some(contents) = contents else { return Self::CreateSession };
        let count = contents.agents.len();
        let Some(agent) = contents.agents.get(random.below(count)).filter(|_| count >= 4 || !random.once_in(15)) else {
            return Self::CreateAgent { agent_id: format!("agent-{count}"), data: object(serial, random) };
        };
        let agent_id = agent.agent_id.clone();
        let replaced = agent.messages.get(random.below(agent.messages.len())).map(|(id, _)| *id);
        match (random.below(20), replaced) {
            (0..2, _) => Self::UpdateAgent { agent_id, data: object(serial, random) },
            (2, _) if !contents.metadata.is_empty() => {
                let key = contents.metadata.keys().nth(random.below(contents.metadata.len())).cloned().unwrap_or_default();
                Self::DeleteMetadata { key }
            }
            (3..6, _) => {
                let fields = [("first", json!(serial)), ("some.where.second", object(serial, random)), ("third", json!([serial]))];
                Self::UpdateMetadata { fields: fields.map(|(path, value)| (path.to_owned(), value)).into_iter().collect() }
            }
            (6..8, _) => Self::AddFeedback { entry: object(serial, random) },
            (8..11, Some(id)) => Self::UpdateMessage { agent_id, id, body: object(serial, random) },
            _ => {
                // Most ids count up by one; others take another way through the store.
                let next = agent.messages.iter().map(|(id, _)| id + 1).fold(1_000_000, i64::max);
                let id = match random.below(12) {
                    0 => next + 5,
                    1 => i64::try_from(serial).unwrap_or_default(),
                    _ => next,
                };
                Self::CreateMessage { agent_id, id, body: object(serial, random) }
            }
        }
    }

    /// What a session that held `contents` holds afterwards.
    pub(super) fn apply(&self, contents: &mut Option<Contents>) -> anyhow::Result<()> {
        if matches!(self, Self::CreateSession) {
            *contents = Some(Contents::default());
        }
        let contents = contents.as_mut().context("no session")?;
        match self.clone() {
            Self::CreateSession => {}
            Self::CreateAgent { agent_id, data } => contents.agents.push(AgentContents { agent_id, data, messages: Vec::new() }),
            Self::UpdateAgent { agent_id, data } => contents.agent(&agent_id)?.data = data,
            Self::CreateMessage { agent_id, id, body } => contents.agent(&agent_id)?.messages.push((id, body)),
            Self::UpdateMessage { agent_id, id, body } => {
                contents.agent(&agent_id)?.messages.iter_mut().find(|(known, _)| *known == id).context("no message")?.1 = body;
            }
            Self::UpdateMetadata { fields } => {
                for (path, value) in fields {
                    match path.as_str() {
                        "some.where.second" => contents.metadata.insert("some".to_owned(), json!({"where": {"second": value}})),
                        _ => contents.metadata.insert(path, value),
                    };
                }
            }
            Self::DeleteMetadata { key } => drop(contents.metadata.shift_remove(&key)),
            Self::AddFeedback { entry } => contents.feedback.push(entry),
        }
        Ok(())
    }

    /// The call of the `exec` protocol and its arguments.
    pub(super) fn request(&self, session_id: &str) -> (&'static str, Value) {
        let with_id = |name: &str, id: Value, fields: &Value| {
            let mut object = fields.clone();
            object[name] = id;
            object
        };
        let agent = |agent_id: &str, data: &Value| json!({"session_id": session_id, "agent": with_id("agent_id", agent_id.into(), data)});
        let message = |agent_id: &str, id: i64, body: &Value| json!({"session_id": session_id, "agent_id": agent_id, "message": with_id("message_id", id.into(), body)});
        match self {
            Self::CreateSession => ("sessions.create", json!({"session_id": session_id})),
            Self::CreateAgent { agent_id, data } => ("agents.create", agent(agent_id, data)),
            Self::UpdateAgent { agent_id, data } => ("agents.update", agent(agent_id, data)),
            Self::CreateMessage { agent_id, id, body } => ("messages.create", message(agent_id, *id, body)),
            Self::UpdateMessage { agent_id, id, body } => ("messages.update", message(agent_id, *id, body)),
            Self::UpdateMetadata { fields } => ("metadata.update", json!({"session_id": session_id, "metadata": fields})),
            Self::DeleteMetadata { key } => ("metadata.delete", json!({"session_id": session_id, "keys": [key]})),
            Self::AddFeedback { entry } => ("feedback.add", json!({"session_id": session_id, "feedback": entry})),
        }
    }

    /// Does it on a store.
    pub(super) async fn run(&self, store: &EmbeddedStore, session_id: &str, now: Timestamp) -> Result<()> {
        let new = |fields: &Value| Replacement::new(fields.clone());
        let (agent, write) = (|agent_id| AgentRef::new(session_id, agent_id), Write::at(now));
        match self.clone() {
            Self::CreateSession => {
                let (session_id, session_type) = (session_id.to_owned(), String::from("default"));
                store.insert_session(Session::new(session_id, session_type, now)).await
            }
            Self::CreateAgent { agent_id, data } => store.insert_agent(session_id, Agent::new(agent_id, data, now), write).await,
            Self::UpdateAgent { agent_id, data } => store.replace_agent(&agent(agent_id), new(&data), write).await,
            Self::CreateMessage { agent_id, id, body } => {
                let message = Message::new(id, body, now);
                let appended = store.append_message(&agent(agent_id), message, &[], write).await?;
                assert_eq!(appended, Appended::New, "the id {id} is new");
                Ok(())
            }
            Self::UpdateMessage { agent_id, id, body } => store.replace_message(&agent(agent_id), id, new(&body), write).await,
            Self::UpdateMetadata { fields } => {
                store.set_metadata(session_id, fields.into_iter().map(|(path, value)| (path, value.into())).collect(), write).await
            }
            Self::DeleteMetadata { key } => store.unset_metadata(session_id, vec![key], write).await,
            Self::AddFeedback { entry } => store.append_feedback(session_id, Feedback::new(entry, now), write).await,
        }
    }
}
