//! Dumps of a collection.

use super::EmbeddedStore;
use super::fault::Result;
use super::tables::{AgentRow, Bytes, Number, ReadTables, SessionRow, agents_of, bytes, raw};
use crate::error;
use crate::store::schema::extended;
use crate::store::schema::json::{broken, write_text};
use crate::transfer::Dumped;
use bson::raw::RawBsonRef;
use tokio::sync::mpsc;

/// How much text goes out at once, in bytes.
const CHUNK: usize = 64 * 1024;

impl EmbeddedStore {
    pub(crate) async fn count_sessions(&self) -> error::Result<u64> {
        let collection = self.collection;
        let work = move |tables: &ReadTables| Ok(tables.sessions()?.range((collection, "")..(collection + 1, ""))?.count() as u64);
        self.engine.read(work).await
    }

    /// Sends all sessions after an id, as they are when this begins.
    pub(crate) async fn dump(&self, after: Option<String>, chunks: mpsc::Sender<error::Result<Dumped>>) -> error::Result<()> {
        let collection = self.collection;
        let work = move |tables: &ReadTables| {
            let sessions = tables.sessions()?;
            // The least id after an id is the id and a NUL, which no id has.
            let first = after.map_or_else(String::new, |after| after + "\0");
            let mut out = Out { text: String::new(), chunks };
            for entry in sessions.range((collection, first.as_str())..(collection + 1, ""))? {
                let (key, row) = entry?;
                let going_on = out.session(tables, &SessionRow::decode(row.value())?)?;
                if !going_on || !out.send(Dumped::Session(key.value().1.to_owned())) {
                    break;
                }
            }
            Ok(())
        };
        self.engine.read(work).await
    }
}

/// Text on its way out. Each function tells whether anybody still wants it.
struct Out {
    text: String,
    chunks: mpsc::Sender<error::Result<Dumped>>,
}

impl Out {
    fn send(&self, piece: Dumped) -> bool {
        self.chunks.blocking_send(Ok(piece)).is_ok()
    }

    fn flush(&mut self, from: usize) -> bool {
        if self.text.len() <= from {
            return true;
        }
        let text = std::mem::take(&mut self.text);
        self.send(Dumped::Text(text))
    }

    fn session(&mut self, tables: &ReadTables, row: &SessionRow) -> Result<bool> {
        let document = bytes(&row.document)?;
        self.text.push('{');
        for (index, member) in document.into_iter().enumerate() {
            let (name, value) = member.map_err(broken)?;
            self.name(index, name.as_str())?;
            let wanted = match name.as_str() {
                "metadata" => {
                    match tables.metadata()?.get(row.number)? {
                        Some(metadata) => extended::write_document(&mut self.text, raw(metadata.value())?)?,
                        None => extended::write_value(&mut self.text, value)?,
                    }
                    true
                }
                // What has no parts stands there as it was written: empty or null.
                "feedbacks" if row.feedback > 0 => {
                    let entries = tables.feedback()?;
                    self.list(entries.range((row.number, 0)..(row.number, row.feedback))?.map(|entry| Ok(entry?.1)))?
                }
                "agents" if row.agents > 0 => self.agents(tables, row.number)?,
                _ => self.value(value)?,
            };
            if !wanted {
                return Ok(false);
            }
        }
        self.text.push_str("}\n");
        Ok(self.flush(0))
    }

    fn agents(&mut self, tables: &ReadTables, session: Number) -> Result<bool> {
        self.text.push('{');
        for (index, (agent_id, agent)) in agents_of(&tables.agents()?, session)?.into_iter().enumerate() {
            self.name(index, &agent_id)?;
            if !self.agent(tables, &agent)? {
                return Ok(false);
            }
        }
        self.text.push('}');
        Ok(true)
    }

    fn agent(&mut self, tables: &ReadTables, agent: &AgentRow) -> Result<bool> {
        let document = bytes(&agent.document)?;
        self.text.push('{');
        for (index, member) in document.into_iter().enumerate() {
            let (name, value) = member.map_err(broken)?;
            self.name(index, name.as_str())?;
            let wanted = match name.as_str() {
                "agent_data" => {
                    match tables.agent_data()?.get(agent.number)? {
                        Some(data) => extended::write_document(&mut self.text, raw(data.value())?)?,
                        None => extended::write_value(&mut self.text, value)?,
                    }
                    true
                }
                "messages" if agent.messages > 0 => {
                    let messages = tables.messages()?;
                    self.list(messages.range((agent.number, 0)..(agent.number, agent.messages))?.map(|entry| Ok(entry?.1)))?
                }
                _ => self.value(value)?,
            };
            if !wanted {
                return Ok(false);
            }
        }
        self.text.push('}');
        Ok(true)
    }

    fn list<'a>(&mut self, items: impl Iterator<Item = Result<redb::AccessGuard<'a, Bytes>>>) -> Result<bool> {
        self.text.push('[');
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            extended::write_document(&mut self.text, raw(item?.value())?)?;
            if !self.flush(CHUNK) {
                return Ok(false);
            }
        }
        self.text.push(']');
        Ok(true)
    }

    fn name(&mut self, index: usize, name: &str) -> Result<()> {
        if index > 0 {
            self.text.push(',');
        }
        write_text(&mut self.text, name)?;
        self.text.push(':');
        Ok(())
    }

    fn value(&mut self, value: RawBsonRef<'_>) -> Result<bool> {
        extended::write_value(&mut self.text, value)?;
        Ok(true)
    }
}
