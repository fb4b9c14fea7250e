//! Loading a dump: sessions whose parts come one by one.

use super::append::are_remembered;
use super::compare::Comparison;
use super::fault::{Fault, Result};
use super::numbers::{AgentNo, CollectionNo, SessionNo};
use super::order;
use super::rows::{AgentRow, SessionRow};
use super::store::EmbeddedStore;
use super::tables::{WriteTables, agents_of, find_session};
use crate::error::{self, Error};
use crate::store::schema::{build, read};
use crate::store::transfer::Imported;
use crate::store::transfer::parts::Part;
use bson::{Array, Bson, Document};
use redb::ReadableTable;
use tokio::sync::mpsc;

impl EmbeddedStore {
    /// Stores the sessions whose parts come. Each batch is made durable together with the writes of others; what belongs to a session that
    /// is not complete is seen by nobody.
    pub(crate) async fn load(&self, mut batches: mpsc::Receiver<Vec<Part>>) -> error::Result<Imported> {
        let mut loading = Loading { collection: self.collection, imported: Imported::default(), session: Session::None };
        while let Some(parts) = batches.recv().await {
            let unfinished = loading.unfinished();
            let mut going_on = loading;
            let work = move |tables: &mut WriteTables<'_>| {
                going_on.check(tables)?;
                parts.into_iter().try_for_each(|part| going_on.take(tables, part))?;
                Ok(going_on)
            };
            loading = match self.engine.write(work).await {
                Ok(going_on) => going_on,
                Err(error) => {
                    if let Some(session) = unfinished {
                        // Where this fails, the session is removed when the store is opened next.
                        self.engine.write(move |tables| tables.remove_unfinished(session)).await.ok();
                    }
                    return Err(error);
                }
            };
        }
        // The reader may have gone away in the middle of a session.
        let end = move |tables: &mut WriteTables<'_>| {
            loading.forget(tables)?;
            Ok(loading.imported)
        };
        self.engine.write(end).await
    }
}

struct Loading {
    collection: CollectionNo,
    imported: Imported,
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
    /// The number of the session that is being stored.
    fn unfinished(&self) -> Option<SessionNo> {
        match &self.session {
            Session::New(new) => Some(new.row.number),
            _ => None,
        }
    }

    /// Checks that what was stored of the session is still there: a store that opens again after a failure has removed it.
    fn check(&self, tables: &WriteTables<'_>) -> Result<()> {
        match self.unfinished() {
            Some(session) if tables.unfinished.get(session)?.is_none() => {
                Err(Error::Unavailable(String::from("the store failed during the import")).into())
            }
            _ => Ok(()),
        }
    }

    fn take(&mut self, tables: &mut WriteTables<'_>, part: Part) -> Result<()> {
        match part {
            Part::Session(session_id) => {
                self.session = match find_session(&*tables.sessions, self.collection, &session_id)? {
                    Some(row) => Session::Known(Box::new(Comparison::new(session_id, row, tables)?)),
                    None => Session::New(Box::new(New::begin(tables, session_id)?)),
                };
                Ok(())
            }
            Part::End => self.end(tables),
            Part::Broken(why) => {
                if !matches!(self.session, Session::Refused) {
                    self.imported.refuse(why);
                }
                self.forget(tables)
            }
            part => match &mut self.session {
                Session::New(new) => match new.add(tables, part) {
                    Err(Fault::Refused(error)) => {
                        self.imported.refuse(format!("session {:?}: {error}", new.session_id));
                        self.forget(tables)?;
                        self.session = Session::Refused;
                        Ok(())
                    }
                    added => added,
                },
                Session::Known(known) => known.add(tables, part),
                Session::None | Session::Refused => Ok(()),
            },
        }
    }

    fn end(&mut self, tables: &mut WriteTables<'_>) -> Result<()> {
        if let Session::New(new) = &self.session
            && tables.sessions.get((self.collection, new.session_id.as_str()))?.is_some()
        {
            // Somebody else made one meanwhile.
            self.imported.differs(&new.session_id);
            return self.forget(tables);
        }
        match std::mem::replace(&mut self.session, Session::None) {
            Session::New(mut new) => {
                new.end_agent(tables)?;
                tables.unfinished.remove(new.row.number)?;
                tables.put_session(self.collection, &new.session_id, &new.row)?;
                self.imported.new += 1;
            }
            Session::Known(known) => match known.finish(tables)? {
                (_, true) => self.imported.same += 1,
                (session_id, false) => self.imported.differs(&session_id),
            },
            Session::None | Session::Refused => {}
        }
        Ok(())
    }

    /// Removes what was stored of a session that does not become complete.
    fn forget(&mut self, tables: &mut WriteTables<'_>) -> Result<()> {
        match std::mem::replace(&mut self.session, Session::None) {
            Session::New(new) => tables.remove_unfinished(new.row.number),
            _ => Ok(()),
        }
    }
}

impl New {
    fn begin(tables: &mut WriteTables<'_>, session_id: String) -> Result<Self> {
        let number = SessionNo::new(tables.next_number()?);
        tables.unfinished.insert(number, ())?;
        let document = Document::from_iter([(String::from("_id"), Bson::String(session_id.clone()))]);
        Ok(Self { session_id, row: SessionRow { number, agents: 0, feedback: 0, document }, agent: None, times: None })
    }

    fn add(&mut self, tables: &mut WriteTables<'_>, part: Part) -> Result<()> {
        match part {
            Part::Field(name, Bson::Document(metadata)) if name == "metadata" => {
                let stored = build::moved(&metadata)?;
                tables.metadata.insert(self.row.number, stored.as_bytes())?;
                self.row.document.insert(name, Document::new());
            }
            Part::Field(name, value) => {
                self.row.document.insert(name, value);
                build::moved(&self.row.document)?;
            }
            Part::Feedback(entry) => {
                let stored = build::moved(&entry)?;
                tables.feedback.insert((self.row.number, self.row.feedback), stored.as_bytes())?;
                self.row.feedback += 1;
            }
            Part::Agent(agent_id) => {
                self.end_agent(tables)?;
                let document = Document::new();
                let number = AgentNo::new(tables.next_number()?);
                let agent = AgentRow { number, place: self.row.agents, messages: 0, latest: i64::MIN, base: 0, document };
                self.row.agents += 1;
                // Known from the beginning, so that it is found if the session does not become complete.
                tables.put_agent(self.row.number, &agent_id, &agent)?;
                self.agent = Some((agent_id, agent));
            }
            Part::AgentField(name, value) => {
                let Some((_, agent)) = &mut self.agent else { return Ok(()) };
                match value {
                    Bson::Document(data) if name == "agent_data" => {
                        let stored = build::moved(&data)?;
                        tables.agent_data.insert(agent.number, stored.as_bytes())?;
                        agent.document.insert(name, Document::new());
                    }
                    Bson::Array(appends) if name == "appends" && are_remembered(&appends)? => {
                        for append in appends.iter().filter_map(Bson::as_document) {
                            let (stored, position) = (build::moved(append)?, tables.next_append(agent.number)?);
                            tables.appends.insert((agent.number, position), stored.as_bytes())?;
                        }
                        agent.document.insert(name, Array::new());
                    }
                    value => {
                        agent.document.insert(name, value);
                        build::moved(&agent.document)?;
                    }
                }
            }
            Part::Message(message) => {
                let Some((_, agent)) = &mut self.agent else { return Ok(()) };
                let stored = build::moved(&message)?;
                let id = read::message_id(&stored)?;
                let created = order::created(stored.as_bytes())?;
                if created < agent.latest && self.times.is_none() {
                    self.times = Some(tables.times(agent)?);
                }
                if let Some(times) = &mut self.times {
                    times.push(created);
                }
                let (position, untold) = agent.count(id);
                tables.messages.insert((agent.number, position), stored.as_bytes())?;
                if let Some(id) = untold {
                    tables.message_ids.insert((agent.number, id, position), ())?;
                }
                agent.latest = agent.latest.max(created);
            }
            Part::Session(_) | Part::End | Part::Broken(_) => {}
        }
        Ok(())
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

    /// Removes the sessions that no import completed.
    pub(super) fn remove_all_unfinished(&mut self) -> Result<()> {
        let unfinished = self.unfinished.iter()?.map(|entry| Ok(entry?.0.value())).collect::<Result<Vec<SessionNo>>>()?;
        unfinished.into_iter().try_for_each(|number| self.remove_unfinished(number))
    }

    /// Removes all that belongs to a session that has no row yet. If the work that does this is refused, the session is removed again when
    /// the store is opened next.
    fn remove_unfinished(&mut self, session: SessionNo) -> Result<()> {
        if self.unfinished.get(session)?.is_none() {
            return Ok(());
        }
        for (agent_id, agent) in agents_of(&*self.agents, session)? {
            self.agents.remove((session, agent_id.as_str()))?;
            let agent = agent.number;
            self.agent_data.remove(agent)?;
            self.messages.discard((agent, 0)..(agent.next(), 0))?;
            self.message_ids.discard((agent, i64::MIN, 0)..(agent.next(), i64::MIN, 0))?;
            self.message_order.discard((agent, 0)..(agent.next(), 0))?;
            self.appends.discard((agent, 0)..(agent.next(), 0))?;
        }
        self.metadata.remove(session)?;
        self.feedback.discard((session, 0)..(session.next(), 0))?;
        self.unfinished.remove(session)?;
        Ok(())
    }
}
