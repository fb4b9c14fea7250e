//! What state a store file is in: all of it is read.

use super::engine::Engine;
use super::fault::{Fault, Result};
use super::file::{Contents, StoreFile};
use super::order;
use super::tables::{AgentRow, NEXT, ReadTables, SessionRow, agents_of, bytes, damaged, positions, raw};
use super::{EmbeddedStore, collection_name};
use crate::error::{self, Error};
use crate::inspect::{Landmark, Report};
use crate::store::StoreOptions;
use crate::store::schema::read;
use crate::types::Timestamp;
use std::path::Path;

impl EmbeddedStore {
    pub(crate) async fn inspect(path: &Path, options: StoreOptions) -> error::Result<Report> {
        options.check()?;
        let (path, name) = (path.to_owned(), collection_name(&options));
        let looking = tokio::task::spawn_blocking(move || {
            let (file, contents) = StoreFile::open_read_only(&path)?;
            let engine = Engine::verified(file, contents)?;
            let server = match contents {
                Contents::Database { format } => format!("a file of format {format}, {} bytes", engine.file_size().unwrap_or_default()),
                Contents::Nothing => String::from("a file that has nothing in it yet"),
            };
            Ok((engine, server))
        });
        let (engine, server) = looking.await.unwrap_or_else(|_| Err(damaged())).map_err(Fault::into_error)?;
        let mut report =
            Report { server, topology: String::from("embedded: one writer at a time, or any number of readers"), ..Report::default() };
        let report = engine.read(move |tables| {
            look(tables, &name, &mut report)?;
            Ok(report)
        });
        let report = report.await;
        engine.close().await;
        report
    }

    pub(crate) fn inspect_memory() -> error::Result<Report> {
        let topology = String::from("embedded: gone with the process");
        Ok(Report { server: String::from("memory"), topology, agents: Some(0), messages: Some(0), ..Report::default() })
    }
}

fn look(tables: &ReadTables, collection: &str, report: &mut Report) -> Result<()> {
    let next = tables.numbers()?.get(NEXT)?.map_or(0, |next| next.value());
    let (mut agents, mut messages) = (0, 0);
    let (mut oldest, mut newest) = (None, None);
    if let Some(number) = tables.collections()?.get(collection)?.map(|number| number.value()) {
        for entry in tables.sessions()?.range((number, "")..(number + 1, ""))? {
            let (key, row) = entry?;
            let session_id = key.value().1;
            let row = SessionRow::decode(row.value())?;
            report.sessions += 1;
            let document = bytes(&row.document)?;
            let created = read::stamp(&document, "created_at")?;
            let mut wrong = |what: &str, error: &Error| report.problems.push(format!("session {session_id:?}: {what}: {error}"));
            if let Err(error) = read::session(session_id, &document) {
                wrong("it cannot be read", &error);
            }
            for entry in tables.feedback()?.range((row.number, 0)..(row.number, row.feedback))? {
                if let Err(error) = read::feedback(&document, raw(entry?.1.value())?) {
                    wrong("its feedback cannot be read", &error);
                }
            }
            if let Some(created) = created {
                if oldest.as_ref().is_none_or(|(time, _)| created < *time) {
                    oldest = Some((created, session_id.to_owned()));
                }
                if newest.as_ref().is_none_or(|(time, _)| created >= *time) {
                    newest = Some((created, session_id.to_owned()));
                }
            }
            if row.number >= next {
                report.problems.push(format!("session {session_id:?}: its number will be given to another one"));
            }
            for (agent_id, agent) in agents_of(&tables.agents()?, row.number)? {
                agents += 1;
                messages += agent.messages;
                if let Some(wrong) = wrong_with(tables, &agent)? {
                    report.problems.push(format!("agent {agent_id:?} of session {session_id:?}: {wrong}"));
                }
            }
        }
    }
    let landmark = |found: Option<(Timestamp, String)>| found.map(|(created, session_id)| Landmark::new(&session_id, created));
    (report.oldest, report.newest) = (landmark(oldest), landmark(newest));
    (report.agents, report.messages) = (Some(agents), Some(messages));
    Ok(())
}

/// Reads an agent and all its messages; tells what cannot be read or is not as it was written.
fn wrong_with(tables: &ReadTables, agent: &AgentRow) -> Result<Option<String>> {
    let data = tables.agent_data()?.get(agent.number)?;
    let data = match &data {
        Some(data) => Some(raw(data.value())?),
        None => None,
    };
    if let Err(error) = read::agent("", &bson::RawDocumentBuf::new(), &bytes(&agent.document)?, data) {
        return Ok(Some(format!("it cannot be read: {error}")));
    }
    let messages = tables.messages()?;
    let ids = tables.message_ids()?;
    let mut expected = 0;
    for entry in messages.range((agent.number, 0)..(agent.number + 1, 0))? {
        let (key, stored) = entry?;
        let position = key.value().1;
        if position != expected {
            return Ok(Some(format!("message {expected} of {} is missing", agent.messages)));
        }
        expected += 1;
        if let Err(error) = read::message(raw(stored.value())?, &[]) {
            return Ok(Some(format!("message {position} cannot be read: {error}")));
        }
        if let Some(id) = read::message_id(raw(stored.value())?)?
            && !positions(&ids, &messages, agent, id)?.contains(&position)
        {
            return Ok(Some(format!("the message with id {id} cannot be found by it")));
        }
    }
    if expected != agent.messages {
        return Ok(Some(format!("it has {expected} messages of {}", agent.messages)));
    }
    let mut places = order::page(&tables.message_order()?, agent.number, 0..agent.messages)?.unwrap_or_default();
    places.sort_unstable();
    let is_complete = places.is_empty() || places.iter().copied().eq(0..agent.messages);
    Ok((!is_complete).then(|| String::from("the order of its messages is damaged")))
}
