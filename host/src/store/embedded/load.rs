//! Loading a dump: sessions whose parts come one by one.

use super::EmbeddedStore;
use super::compare::Comparison;
use super::fault::{Fault, Result};
use super::order;
use super::tables::{AgentRow, Number, SessionRow, WriteTables, raw};
use crate::error;
use crate::store::schema::{build, read};
use crate::transfer::Imported;
use crate::transfer::parts::Part;
use bson::{Bson, Document};
use redb::ReadableTable;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// Bytes of documents after which a transaction ends with the session: what was stored until then stays, whatever comes.
const TRANSACTION: usize = 16 * 1024 * 1024;

impl EmbeddedStore {
    /// Stores the sessions whose parts come. Other writes wait meanwhile, at most as long as it takes to read what one transaction holds.
    pub(crate) async fn load(&self, parts: mpsc::Receiver<Part>) -> error::Result<Imported> {
        let (collection, parts) = (self.collection, Arc::new(Mutex::new(parts)));
        let mut imported = Imported::default();
        loop {
            let (parts, so_far) = (Arc::clone(&parts), imported.clone());
            let work = move |tables: &mut WriteTables<'_>| {
                let mut parts = parts.lock().unwrap_or_else(PoisonError::into_inner);
                let mut loading = Loading { collection, imported: so_far, bytes: 0, session: Session::None };
                while let Some(part) = parts.blocking_recv() {
                    let ended = matches!(part, Part::End | Part::Broken(_));
                    loading.take(tables, part)?;
                    if ended && loading.bytes >= TRANSACTION {
                        return Ok((loading.imported, true));
                    }
                }
                // The reader went away in the middle of a session.
                loading.forget(tables)?;
                Ok((loading.imported, false))
            };
            let going_on;
            (imported, going_on) = self.engine.write(work).await?;
            if !going_on {
                return Ok(imported);
            }
        }
    }
}

struct Loading {
    collection: Number,
    imported: Imported,
    bytes: usize,
    session: Session,
}

/// What happens to the session whose parts come.
enum Session {
    None,
    New(Box<New>),
    /// There is one with its id.
    Known(Box<Comparison>),
    /// It is refused; its other parts count for nothing.
    Refused,
}

/// A session that is being stored. Nothing leads to it before it is complete.
struct New {
    session_id: String,
    row: SessionRow,
    agent: Option<(String, AgentRow)>,
    /// The times of the agent's messages, once they are not in the order of the messages.
    times: Option<Vec<i64>>,
}

impl Loading {
    fn take(&mut self, tables: &mut WriteTables<'_>, part: Part) -> Result<()> {
        match part {
            Part::Session(session_id) => {
                self.session = match super::tables::find_session(&tables.sessions, self.collection, &session_id)? {
                    Some(row) => Session::Known(Box::new(Comparison::new(session_id, row, tables)?)),
                    None => {
                        let row = SessionRow { number: tables.next_number()?, agents: 0, feedback: 0, document: Document::new() };
                        Session::New(Box::new(New { session_id, row, agent: None, times: None }))
                    }
                };
                if let Session::New(new) = &mut self.session {
                    new.row.document.insert("_id", new.session_id.clone());
                }
                Ok(())
            }
            Part::End => {
                match std::mem::replace(&mut self.session, Session::None) {
                    Session::New(mut new) => {
                        new.end_agent(tables)?;
                        tables.put_session(self.collection, &new.session_id, &new.row)?;
                        self.imported.new += 1;
                    }
                    Session::Known(known) => match known.finish() {
                        (_, true) => self.imported.same += 1,
                        (session_id, false) => self.imported.differs(&session_id),
                    },
                    Session::None | Session::Refused => {}
                }
                Ok(())
            }
            Part::Broken(why) => {
                if !matches!(self.session, Session::Refused) {
                    self.imported.refuse(why);
                }
                self.forget(tables)
            }
            part => match &mut self.session {
                Session::New(new) => match new.add(tables, part) {
                    Ok(size) => {
                        self.bytes += size;
                        Ok(())
                    }
                    Err(Fault::Refused(error)) => {
                        self.imported.refuse(format!("session {:?}: {error}", new.session_id));
                        self.forget(tables)?;
                        self.session = Session::Refused;
                        Ok(())
                    }
                    Err(broken) => Err(broken),
                },
                Session::Known(known) => known.add(tables, part),
                Session::None | Session::Refused => Ok(()),
            },
        }
    }

    /// Removes what was stored of a session that does not become complete.
    fn forget(&mut self, tables: &mut WriteTables<'_>) -> Result<()> {
        if let Session::New(mut new) = std::mem::replace(&mut self.session, Session::None) {
            new.end_agent(tables)?;
            tables.remove_parts(new.row.number)?;
        }
        Ok(())
    }
}

impl New {
    /// Stores a part; tells its size.
    fn add(&mut self, tables: &mut WriteTables<'_>, part: Part) -> Result<usize> {
        match part {
            Part::Field(name, Bson::Document(metadata)) if name == "metadata" => {
                let stored = build::moved(&metadata)?;
                tables.metadata.insert(self.row.number, stored.as_bytes())?;
                self.row.document.insert(name, Document::new());
                Ok(stored.as_bytes().len())
            }
            Part::Field(name, value) => {
                self.row.document.insert(name, value);
                Ok(build::moved(&self.row.document)?.as_bytes().len())
            }
            Part::Feedback(entry) => {
                let stored = build::moved(&entry)?;
                tables.feedback.insert((self.row.number, self.row.feedback), stored.as_bytes())?;
                self.row.feedback += 1;
                Ok(stored.as_bytes().len())
            }
            Part::Agent(agent_id) => {
                self.end_agent(tables)?;
                let document = Document::new();
                let number = tables.next_number()?;
                let agent = AgentRow { number, place: self.row.agents, messages: 0, latest: i64::MIN, base: 0, document };
                self.row.agents += 1;
                self.agent = Some((agent_id, agent));
                Ok(0)
            }
            Part::AgentField(name, value) => {
                let Some((_, agent)) = &mut self.agent else { return Ok(0) };
                match value {
                    Bson::Document(data) if name == "agent_data" => {
                        let stored = build::moved(&data)?;
                        tables.agent_data.insert(agent.number, stored.as_bytes())?;
                        agent.document.insert(name, Document::new());
                        Ok(stored.as_bytes().len())
                    }
                    value => {
                        agent.document.insert(name, value);
                        Ok(build::moved(&agent.document)?.as_bytes().len())
                    }
                }
            }
            Part::Message(message) => {
                let Some((_, agent)) = &mut self.agent else { return Ok(0) };
                let stored = build::moved(&message)?;
                let id = read::message_id(&stored)?;
                let created = order::created(stored.as_bytes())?;
                if created < agent.latest && self.times.is_none() {
                    self.times = Some(tables.times(agent)?);
                }
                if let Some(times) = &mut self.times {
                    times.push(created);
                }
                tables.add_message(agent, id, stored.as_bytes())?;
                agent.latest = agent.latest.max(created);
                Ok(stored.as_bytes().len())
            }
            Part::Session(_) | Part::End | Part::Broken(_) => Ok(0),
        }
    }

    fn end_agent(&mut self, tables: &mut WriteTables<'_>) -> Result<()> {
        let Some((agent_id, agent)) = self.agent.take() else { return Ok(()) };
        if let Some(times) = self.times.take() {
            tables.place_all(agent.number, &times)?;
        }
        tables.put_agent(self.row.number, &agent_id, &agent)
    }
}

impl WriteTables<'_> {
    /// When each message of an agent was created, in the order of their positions.
    fn times(&self, agent: &AgentRow) -> Result<Vec<i64>> {
        let messages = self.messages.range((agent.number, 0)..(agent.number, agent.messages))?;
        messages.map(|entry| order::created(entry?.1.value())).collect()
    }

    /// Removes all that belongs to a session but its own row.
    fn remove_parts(&mut self, session: Number) -> Result<()> {
        let agents: Vec<Number> = {
            let rows = self.agents.range((session, "")..(session + 1, ""))?;
            rows.map(|entry| Ok(AgentRow::decode(entry?.1.value())?.number)).collect::<Result<_>>()?
        };
        self.agents.retain_in((session, "")..(session + 1, ""), |_, _| false)?;
        self.metadata.remove(session)?;
        self.feedback.retain_in((session, 0)..(session + 1, 0), |_, _| false)?;
        for agent in agents {
            self.agent_data.remove(agent)?;
            self.messages.retain_in((agent, 0)..(agent + 1, 0), |_, _| false)?;
            self.message_ids.retain_in((agent, i64::MIN, 0)..(agent + 1, i64::MIN, 0), |_, _| false)?;
            self.message_order.retain_in((agent, 0)..(agent + 1, 0), |_, _| false)?;
        }
        Ok(())
    }
}

/// A stored document and one that comes, compared as they are written.
pub(super) fn equal(stored: &[u8], coming: &Document) -> Result<bool> {
    Ok(raw(stored)?.as_bytes() == super::tables::bytes(coming)?.as_bytes())
}
