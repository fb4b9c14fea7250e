//! Dumps of a collection.

use super::EmbeddedStore;
use super::fault::Result;
use super::tables::{AgentRow, Bytes, Number, ReadTables, SessionRow, agents_of, bytes, raw};
use crate::error;
use crate::store::schema::extended;
use crate::store::schema::json::{broken, write_text};
use crate::transfer::Dumped;
use bson::Document;
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
        let wanted = self.members(&row.document, |out, name, value| match name {
            "metadata" => out.part(tables.metadata()?.get(row.number)?, value),
            // What has no parts stands there as it was written: empty or null.
            "feedbacks" if row.feedback > 0 => {
                let entries = tables.feedback()?;
                out.list(entries.range((row.number, 0)..(row.number, row.feedback))?.map(|entry| Ok(entry?.1)))
            }
            "agents" if row.agents > 0 => out.agents(tables, row.number),
            _ => out.part(None, value),
        });
        if !wanted? {
            return Ok(false);
        }
        self.text.push('\n');
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
        self.members(&agent.document, |out, name, value| match name {
            "agent_data" => out.part(tables.agent_data()?.get(agent.number)?, value),
            "messages" if agent.messages > 0 => {
                let messages = tables.messages()?;
                out.list(messages.range((agent.number, 0)..(agent.number, agent.messages))?.map(|entry| Ok(entry?.1)))
            }
            "appends" if matches!(value, RawBsonRef::Array(items) if items.is_empty()) => {
                let appends = tables.appends()?;
                out.list(appends.range((agent.number, 0)..(agent.number + 1, 0))?.map(|entry| Ok(entry?.1)))
            }
            _ => out.part(None, value),
        })
    }

    /// Writes the fields of a row's document, the value of each by `write`.
    fn members(&mut self, document: &Document, mut write: impl FnMut(&mut Self, &str, RawBsonRef<'_>) -> Result<bool>) -> Result<bool> {
        let document = bytes(document)?;
        self.text.push('{');
        for (index, member) in document.into_iter().enumerate() {
            let (name, value) = member.map_err(broken)?;
            self.name(index, name.as_str())?;
            if !write(self, name.as_str(), value)? {
                return Ok(false);
            }
        }
        self.text.push('}');
        Ok(true)
    }

    /// Writes the document that is stored apart, or else what stands in its place.
    fn part(&mut self, stored: Option<redb::AccessGuard<'_, Bytes>>, value: RawBsonRef<'_>) -> Result<bool> {
        match stored {
            Some(stored) => extended::write_document(&mut self.text, raw(stored.value())?)?,
            None => extended::write_value(&mut self.text, value)?,
        }
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
}
