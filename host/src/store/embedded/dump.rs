//! Dumps of a collection.

use super::fault::Result;
use super::numbers::SessionNo;
use super::rows::{AgentRow, SessionRow, bytes, raw};
use super::store::EmbeddedStore;
use super::tables::{Bytes, ReadTables, agents_of};
use crate::error;
use crate::store::schema::extended::{self, write_members, write_name};
use crate::store::schema::json::put;
use crate::store::transfer::out::Out;
use bson::raw::RawBsonRef;

impl EmbeddedStore {
    pub(crate) async fn count_sessions(&self) -> error::Result<u64> {
        let collection = self.collection;
        let work = move |tables: &ReadTables| Ok(tables.sessions()?.range((collection, "")..(collection.next(), ""))?.count() as u64);
        self.engine.read(work).await
    }

    /// Writes all sessions after an id, as they are when this begins.
    pub(crate) async fn dump(&self, after: Option<String>, mut out: Out) -> error::Result<()> {
        let collection = self.collection;
        let work = move |tables: &ReadTables| {
            let sessions = tables.sessions()?;
            // The least id after an id is the id and a NUL, which no id has.
            let first = after.map_or_else(String::new, |after| after + "\0");
            for entry in sessions.range((collection, first.as_str())..(collection.next(), ""))? {
                let (key, row) = entry?;
                let written = write_session(&mut out, tables, &SessionRow::decode(row.value())?);
                if out.is_unwanted() {
                    break;
                }
                written?;
                if out.end(key.value().1).is_err() {
                    break;
                }
            }
            Ok(())
        };
        self.engine.read(work).await
    }
}

fn write_session(out: &mut Out, tables: &ReadTables, row: &SessionRow) -> Result<()> {
    write_members(out, &bytes(&row.document)?, |out, name, value| match name {
        "metadata" => part(out, tables.metadata()?.get(row.number)?, value),
        // What has no parts stands there as it was written: empty or null.
        "feedbacks" if row.feedback > 0 => {
            let entries = tables.feedback()?;
            list(out, entries.range((row.number, 0)..(row.number, row.feedback))?.map(|entry| Ok(entry?.1)))
        }
        "agents" if row.agents > 0 => write_agents(out, tables, row.number),
        _ => part(out, None, value),
    })
}

fn write_agents(out: &mut Out, tables: &ReadTables, session: SessionNo) -> Result<()> {
    put(out, "{")?;
    let mut is_first = true;
    for (agent_id, agent) in agents_of(&tables.agents()?, session)? {
        write_name(out, &agent_id, &mut is_first)?;
        write_agent(out, tables, &agent)?;
    }
    Ok(put(out, "}")?)
}

fn write_agent(out: &mut Out, tables: &ReadTables, agent: &AgentRow) -> Result<()> {
    write_members(out, &bytes(&agent.document)?, |out, name, value| match name {
        "agent_data" => part(out, tables.agent_data()?.get(agent.number)?, value),
        "messages" if agent.messages > 0 => {
            let messages = tables.messages()?;
            list(out, messages.range((agent.number, 0)..(agent.number, agent.messages))?.map(|entry| Ok(entry?.1)))
        }
        "appends" if matches!(value, RawBsonRef::Array(items) if items.is_empty()) => {
            let appends = tables.appends()?;
            list(out, appends.range((agent.number, 0)..(agent.number.next(), 0))?.map(|entry| Ok(entry?.1)))
        }
        _ => part(out, None, value),
    })
}

/// Writes the document that is stored apart, or else what stands in its place.
fn part(out: &mut Out, stored: Option<redb::AccessGuard<'_, Bytes>>, value: RawBsonRef<'_>) -> Result<()> {
    match stored {
        Some(stored) => extended::write_document(out, raw(stored.value())?)?,
        None => extended::write_value(out, value)?,
    }
    Ok(())
}

fn list<'a>(out: &mut Out, items: impl Iterator<Item = Result<redb::AccessGuard<'a, Bytes>>>) -> Result<()> {
    put(out, "[")?;
    for (index, item) in items.enumerate() {
        if index > 0 {
            put(out, ",")?;
        }
        extended::write_document(out, raw(item?.value())?)?;
    }
    Ok(put(out, "]")?)
}
