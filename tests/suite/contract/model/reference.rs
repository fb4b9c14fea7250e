//! The repository as it is documented, on plain values in memory.

use super::body::Body;
use super::operation::{AGENTS, Call, Operation, SESSIONS};
use super::paths;
use super::told::{Answer, Told};
use serde_json::{Map, Value, json};
use session_repository::{Entity, Error};
use std::collections::BTreeMap;

/// A point in time: the number of the operation that happened then.
pub(super) type Tick = usize;

type Fields = Map<String, Value>;

const HIDDEN: [&str; 6] = ["event_loop_metrics", "latency_ms", "input_tokens", "output_tokens", "guardrail_event", "storage_id"];
const CONFIG: [&str; 3] = ["model", "system_prompt", "prompt_metadata"];

/// All sessions, and the time of the operation that is under way.
#[derive(Default)]
pub(super) struct Reference {
    sessions: BTreeMap<String, Session>,
    now: Tick,
    /// The revision that the operation expects.
    expected: Option<u64>,
}

struct Session {
    revision: u64,
    session_type: String,
    created_at: Tick,
    updated_at: Tick,
    agents: BTreeMap<String, Agent>,
    metadata: Fields,
    feedback: Vec<(Fields, Tick)>,
}

struct Agent {
    data: Fields,
    created_at: Tick,
    updated_at: Tick,
    messages: Vec<Message>,
    /// The keys of appends, the first id of each, and what was appended. No sequence has so many that one is forgotten.
    keys: BTreeMap<&'static str, (i64, Vec<Fields>)>,
}

/// Without the fields that nothing returns.
struct Message {
    id: i64,
    body: Fields,
    created_at: Tick,
    updated_at: Tick,
}

impl Reference {
    /// Performs an operation, at a time that is later than all before it.
    pub(super) fn answer(&mut self, now: Tick, Operation { on, call, .. }: &Operation, expected: Option<u64>) -> Answer<Tick> {
        (self.now, self.expected) = (now, expected);
        check(!on.is_empty() && on.len() <= 512 && !on.contains('\0'))?;
        match call {
            Call::CreateSession(session_type) => self.create_session(on, session_type.unwrap_or("default")),
            Call::ReadSession => Ok(self.sessions.get(*on).map_or_else(Told::nothing, |session| session.told(on))),
            Call::CreateAgent(agent, body) => self.create_agent(on, agent, body),
            Call::ReadAgent(agent) => Ok(self.agent(on, agent)?.map_or_else(Told::nothing, |found| found.told(agent))),
            Call::UpdateAgent(agent, body) => self.update_agent(on, agent, body),
            Call::CreateMessage(agent, id, body) => self.create_message(on, agent, *id, body),
            Call::Append { agent, body, key } => self.append(on, agent, &[body], *key),
            Call::AppendMany { agent, bodies, key } => self.append(on, agent, &bodies.iter().collect::<Vec<_>>(), *key),
            Call::ReadMessage(agent, id) => {
                let agent = self.agent(on, agent)?;
                check(*id >= 0)?;
                let found = agent.and_then(|agent| agent.messages.iter().find(|message| message.id == *id));
                Ok(found.map_or_else(Told::nothing, Message::told))
            }
            Call::UpdateMessage(agent, id, body) => self.update_message(on, agent, *id, body),
            Call::ListMessages { agent, limit, offset } => self.list_messages(on, agent, *limit, *offset),
            Call::UpdateMetadata(fields) => self.update_metadata(on, fields),
            Call::GetMetadata => Ok(Told::metadata(self.sessions.get(*on).map_or(Value::Null, |session| json!(session.metadata)))),
            Call::DeleteMetadata(keys) => self.delete_metadata(on, keys),
            Call::AddFeedback(body) => {
                let fields = own(body, &["created_at"])?;
                let now = self.now;
                self.written(on)?.feedback.push((fields, now));
                Ok(Told::nothing())
            }
            Call::ListFeedback => {
                let entries = self.sessions.get(*on).into_iter().flat_map(|session| &session.feedback);
                Ok(Told::list(entries.map(|(body, created_at)| Told::feedback(json!(body), *created_at))))
            }
        }
    }

    /// The revision of a session; 0 if there is none.
    pub(super) fn revision(&self, on: &str) -> u64 {
        self.sessions.get(on).map_or(0, |session| session.revision)
    }

    /// Reads of all that is there, and of agents and sessions that are not.
    pub(super) fn reads(&self) -> Vec<Operation> {
        let mut reads = Vec::new();
        for on in SESSIONS {
            let Some(session) = self.sessions.get(on) else {
                reads.push(Operation::new(on, Call::ReadSession));
                continue;
            };
            reads.extend([Call::ReadSession, Call::GetMetadata, Call::ListFeedback].map(|call| Operation::new(on, call)));
            for agent in AGENTS {
                reads.push(Operation::new(on, Call::ReadAgent(agent)));
                if let Some(found) = session.agents.get(agent) {
                    reads.push(Operation::new(on, Call::ListMessages { agent, limit: None, offset: 0 }));
                    reads.extend(found.messages.iter().map(|message| Operation::new(on, Call::ReadMessage(agent, message.id))));
                }
            }
        }
        reads
    }

    fn create_session(&mut self, on: &str, session_type: &str) -> Answer<Tick> {
        check(session_type.len() <= 512)?;
        if self.sessions.contains_key(on) {
            return Err(Error::AlreadyExists(Entity::Session));
        }
        if let Some(1..) = self.expected {
            return Err(Error::Stale { current: 0 });
        }
        let session = Session {
            revision: 0,
            session_type: session_type.to_owned(),
            created_at: self.now,
            updated_at: self.now,
            agents: BTreeMap::new(),
            metadata: Map::new(),
            feedback: Vec::new(),
        };
        let told = session.told(on);
        self.sessions.insert(on.to_owned(), session);
        Ok(told)
    }

    fn create_agent(&mut self, on: &str, id: &str, body: &Body) -> Answer<Tick> {
        check_agent(id)?;
        let data = named(body, "agent_id", &json!(id))?;
        let now = self.now;
        if self.session(on)?.agents.contains_key(id) {
            return Err(Error::AlreadyExists(Entity::Agent));
        }
        self.written(on)?
            .agents
            .insert(id.to_owned(), Agent { data, created_at: now, updated_at: now, messages: Vec::new(), keys: BTreeMap::new() });
        Ok(Told::nothing())
    }

    fn update_agent(&mut self, on: &str, id: &str, body: &Body) -> Answer<Tick> {
        check_agent(id)?;
        let mut data = named(body, "agent_id", &json!(id))?;
        let agent = self.written_agent(on, id)?;
        for field in CONFIG {
            match (data.get(field), agent.data.get(field)) {
                (Some(Value::Null), _) => drop(data.remove(field)),
                (None, Some(stored)) => drop(data.insert(field.to_owned(), stored.clone())),
                _ => {}
            }
        }
        agent.data = data;
        Ok(Told::nothing())
    }

    fn create_message(&mut self, on: &str, agent: &str, id: i64, body: &Body) -> Answer<Tick> {
        check_agent(agent)?;
        let body = message_body(body, id)?;
        let now = self.now;
        let found = self.session(on)?.agents.get(agent).ok_or(Error::NotFound(Entity::Agent))?;
        match found.messages.iter().find(|message| message.id == id) {
            Some(stored) if stored.body == body => {}
            Some(_) => return Err(Error::AlreadyExists(Entity::Message)),
            None => self.written_agent(on, agent)?.messages.push(Message { id, body, created_at: now, updated_at: now }),
        }
        Ok(Told::nothing())
    }

    fn append(&mut self, on: &str, agent: &str, bodies: &[&Body], key: Option<&'static str>) -> Answer<Tick> {
        check_agent(agent)?;
        check(key.is_none_or(|key| !key.is_empty() && !key.contains('\0')) && !bodies.is_empty())?;
        let mut fields = Vec::new();
        for body in bodies {
            check(!own(body, &[])?.contains_key("message_id"))?;
            fields.push(message_body(body, 0)?);
        }
        let found = self.session(on)?.agents.get(agent).ok_or(Error::NotFound(Entity::Agent))?;
        match key.and_then(|key| found.keys.get(key)) {
            Some((first, stored)) if *stored == fields => return Ok(Told::number(*first)),
            Some(_) => return Err(Error::AlreadyExists(Entity::Message)),
            None => {}
        }
        self.expect(on)?;
        let highest = found.messages.iter().map(|message| message.id).max();
        let first = highest.map_or(Some(0), |highest| highest.checked_add(1)).ok_or_else(invalid)?;
        let last = i64::try_from(fields.len()).ok().and_then(|count| first.checked_add(count - 1)).ok_or_else(invalid)?;
        let now = self.now;
        let agent = self.written_agent(on, agent)?;
        agent.keys.extend(key.map(|key| (key, (first, fields.clone()))));
        agent.messages.extend((first..=last).zip(fields).map(|(id, body)| Message { id, body, created_at: now, updated_at: now }));
        Ok(Told::number(first))
    }

    fn update_message(&mut self, on: &str, agent: &str, id: i64, body: &Body) -> Answer<Tick> {
        check_agent(agent)?;
        let body = message_body(body, id)?;
        let now = self.now;
        let found = self.session(on)?.agents.get(agent).ok_or(Error::NotFound(Entity::Agent))?;
        let at = found.messages.iter().position(|message| message.id == id).ok_or(Error::NotFound(Entity::Message))?;
        let stored = &mut self.written_agent(on, agent)?.messages[at];
        (stored.body, stored.updated_at) = (body, now);
        Ok(Told::nothing())
    }

    fn list_messages(&self, on: &str, agent: &str, limit: Option<i64>, offset: i64) -> Answer<Tick> {
        let messages = self.agent(on, agent)?.into_iter().flat_map(|agent| &agent.messages);
        let size = |number: i64| usize::try_from(number).map_err(|_| invalid());
        let (limit, offset) = (limit.map_or(Ok(usize::MAX), size)?, size(offset)?);
        Ok(Told::list(messages.skip(offset).take(limit).map(Message::told)))
    }

    fn update_metadata(&mut self, on: &str, fields: &Body) -> Answer<Tick> {
        let fields = own(fields, &[])?;
        let mut sorted = Vec::new();
        for (path, value) in &fields {
            sorted.push((paths::segments(path).ok_or_else(invalid)?, value));
        }
        sorted.sort_by(|(one, _), (other, _)| paths::order(one, other));
        check(!paths::overlap(&sorted.iter().map(|(path, _)| path).collect::<Vec<_>>()))?;
        self.expect(on)?;
        let mut metadata = self.session(on)?.metadata.clone();
        for (path, value) in sorted {
            paths::set(&mut metadata, &path, value.clone()).ok_or_else(invalid)?;
        }
        if !fields.is_empty() {
            self.written(on)?.metadata = metadata;
        }
        Ok(Told::nothing())
    }

    fn delete_metadata(&mut self, on: &str, keys: &[String]) -> Answer<Tick> {
        let paths = keys.iter().map(|path| paths::segments(path)).collect::<Option<Vec<_>>>().ok_or_else(invalid)?;
        let paths = paths::outermost(paths);
        if paths::overlap(&paths.iter().collect::<Vec<_>>()) {
            return Err(invalid());
        }
        self.expect(on)?;
        if !paths.is_empty() {
            let session = self.written(on)?;
            paths.iter().for_each(|path| paths::unset(&mut session.metadata, path));
        }
        Ok(Told::nothing())
    }

    fn session(&self, on: &str) -> Result<&Session, Error> {
        self.sessions.get(on).ok_or(Error::NotFound(Entity::Session))
    }

    fn agent(&self, on: &str, id: &str) -> Result<Option<&Agent>, Error> {
        check_agent(id)?;
        Ok(self.sessions.get(on).and_then(|session| session.agents.get(id)))
    }

    /// Whether a session is at the revision that the operation expects.
    fn expect(&self, on: &str) -> Result<(), Error> {
        let current = self.session(on)?.revision;
        if self.expected.is_some_and(|expected| expected != current) { Err(Error::Stale { current }) } else { Ok(()) }
    }

    /// A session that is written to now.
    fn written(&mut self, on: &str) -> Result<&mut Session, Error> {
        self.expect(on)?;
        let session = self.sessions.get_mut(on).ok_or(Error::NotFound(Entity::Session))?;
        session.updated_at = self.now;
        session.revision += 1;
        Ok(session)
    }

    /// An agent that is written to now, in a session that exists.
    fn written_agent(&mut self, on: &str, id: &str) -> Result<&mut Agent, Error> {
        if !self.session(on)?.agents.contains_key(id) {
            return Err(Error::NotFound(Entity::Agent));
        }
        let now = self.now;
        let agent = self.written(on)?.agents.get_mut(id).ok_or(Error::NotFound(Entity::Agent))?;
        agent.updated_at = now;
        Ok(agent)
    }
}

impl Session {
    fn told(&self, id: &str) -> Told<Tick> {
        Told::session(id, &self.session_type, self.revision, self.created_at, self.updated_at)
    }
}

impl Agent {
    fn told(&self, id: &str) -> Told<Tick> {
        Told::agent(id, json!(self.data), self.created_at, self.updated_at)
    }
}

impl Message {
    fn told(&self) -> Told<Tick> {
        Told::message(self.id, json!(self.body), self.created_at, self.updated_at)
    }
}

fn invalid() -> Error {
    Error::InvalidArgument(String::new())
}

fn check(valid: bool) -> Result<(), Error> {
    if valid { Ok(()) } else { Err(invalid()) }
}

fn check_agent(id: &str) -> Result<(), Error> {
    check(!id.is_empty() && id.len() <= 256 && !id.contains(['\0', '.']) && !id.starts_with('$'))
}

/// The members of a body, without those that are not its own.
fn own(body: &Body, foreign: &[&str]) -> Result<Fields, Error> {
    let Body::Sound(members) = body else { return Err(invalid()) };
    let own = members.iter().filter(|(name, _)| !foreign.contains(&name.as_str()));
    Ok(own.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// The own fields of what has an id; an id in its body must be the same.
fn named(body: &Body, id_field: &str, id: &Value) -> Result<Fields, Error> {
    let fields = own(body, &["created_at", "updated_at"])?;
    check(fields.get(id_field).is_none_or(|brought| brought == id))?;
    Ok(fields.into_iter().filter(|(name, _)| name != id_field).collect())
}

fn message_body(body: &Body, id: i64) -> Result<Fields, Error> {
    check(id >= 0)?;
    let fields = named(body, "message_id", &json!(id))?;
    Ok(fields.into_iter().filter(|(name, _)| !HIDDEN.contains(&name.as_str())).collect())
}
