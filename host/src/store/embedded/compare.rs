//! Whether a session whose parts come is the one that is stored, field by field and byte by byte.

use super::append::are_remembered;
use super::fault::Result;
use super::rows::{AgentRow, SessionRow, bytes, raw};
use super::tables::{WriteTables, agents_of};
use crate::store::transfer::parts::Part;
use bson::{Array, Bson, Document};
use redb::ReadableTable;

/// A stored session and as much as came of the other one.
pub(super) struct Comparison {
    session_id: String,
    stored: SessionRow,
    document: Document,
    feedback: u64,
    agents: std::vec::IntoIter<(String, AgentRow)>,
    agent: Option<Agent>,
    is_same: bool,
}

struct Agent {
    stored: AgentRow,
    document: Document,
    messages: u64,
    /// How many appends it remembers.
    appends: usize,
}

impl Comparison {
    pub(super) fn new(session_id: String, stored: SessionRow, tables: &WriteTables<'_>) -> Result<Self> {
        let agents = agents_of(&*tables.agents, stored.number)?;
        let document = Document::from_iter([(String::from("_id"), Bson::String(session_id.clone()))]);
        Ok(Self { session_id, stored, document, feedback: 0, agents: agents.into_iter(), agent: None, is_same: true })
    }

    pub(super) fn add(&mut self, tables: &WriteTables<'_>, part: Part) -> Result<()> {
        if self.is_same {
            self.is_same = self.fits(tables, part)?;
        }
        Ok(())
    }

    fn fits(&mut self, tables: &WriteTables<'_>, part: Part) -> Result<bool> {
        let number = self.stored.number;
        Ok(match part {
            Part::Field(name, Bson::Document(metadata)) if name == "metadata" => {
                self.document.insert(name, Document::new());
                match tables.metadata.get(number)? {
                    Some(stored) => equal(stored.value(), &metadata)?,
                    None => metadata.is_empty(),
                }
            }
            Part::Field(name, value) => {
                self.document.insert(name, value);
                true
            }
            Part::Feedback(entry) => {
                self.feedback += 1;
                match tables.feedback.get((number, self.feedback - 1))? {
                    Some(stored) => equal(stored.value(), &entry)?,
                    None => false,
                }
            }
            Part::Agent(agent_id) => {
                let was_same = self.end_agent(tables)?;
                match self.agents.next() {
                    Some((stored_id, stored)) if stored_id == agent_id => {
                        self.agent = Some(Agent { stored, document: Document::new(), messages: 0, appends: 0 });
                        was_same
                    }
                    _ => false,
                }
            }
            Part::AgentField(name, value) => {
                let Some(agent) = &mut self.agent else { return Ok(false) };
                match value {
                    Bson::Document(data) if name == "agent_data" => {
                        agent.document.insert(name, Document::new());
                        match tables.agent_data.get(agent.stored.number)? {
                            Some(stored) => equal(stored.value(), &data)?,
                            None => data.is_empty(),
                        }
                    }
                    Bson::Array(appends) if name == "appends" && are_remembered(&appends)? => {
                        agent.document.insert(name, Array::new());
                        agent.appends = appends.len();
                        let mut is_same = true;
                        let stored = tables.appends.range((agent.stored.number, 0)..(agent.stored.number.next(), 0))?;
                        for (entry, coming) in stored.zip(appends.iter().filter_map(Bson::as_document)) {
                            is_same &= equal(entry?.1.value(), coming)?;
                        }
                        is_same
                    }
                    value => {
                        agent.document.insert(name, value);
                        true
                    }
                }
            }
            Part::Message(message) => {
                let Some(agent) = &mut self.agent else { return Ok(false) };
                agent.messages += 1;
                match tables.messages.get((agent.stored.number, agent.messages - 1))? {
                    Some(stored) => equal(stored.value(), &message)?,
                    None => false,
                }
            }
            Part::Session(_) | Part::End | Part::Broken(_) => true,
        })
    }

    /// Whether the agent that ends was the stored one.
    fn end_agent(&mut self, tables: &WriteTables<'_>) -> Result<bool> {
        let Some(agent) = self.agent.take() else { return Ok(true) };
        let number = agent.stored.number;
        let is_same = agent.messages == agent.stored.messages && same_fields(&agent.document, &agent.stored.document);
        Ok(is_same && agent.appends == tables.appends.range((number, 0)..(number.next(), 0))?.count())
    }

    /// The session's id, and whether all was the same.
    pub(super) fn finish(mut self, tables: &WriteTables<'_>) -> Result<(String, bool)> {
        let is_same = self.is_same
            && self.end_agent(tables)?
            && self.agents.next().is_none()
            && self.feedback == self.stored.feedback
            && same_fields(&self.document, &self.stored.document);
        Ok((self.session_id, is_same))
    }
}

/// A stored document and one that comes, compared as they are written.
fn equal(stored: &[u8], coming: &Document) -> Result<bool> {
    Ok(raw(stored)?.as_bytes() == bytes(coming)?.as_bytes())
}

/// Whether the fields are the same and in the same order.
fn same_fields(one: &Document, other: &Document) -> bool {
    match (bytes(one), bytes(other)) {
        (Ok(one), Ok(other)) => one.as_bytes() == other.as_bytes(),
        _ => false,
    }
}
