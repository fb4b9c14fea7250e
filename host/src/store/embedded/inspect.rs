//! What state a store file is in: all of it is read.

use super::engine::Engine;
use super::fault::{Fault, Result};
use super::file::{Contents, StoreFile};
use super::numbers::{AgentNo, SessionNo};
use super::order;
use super::repair::Mend;
use super::rows::{AgentRow, SessionRow, bytes, damaged, raw};
use super::store::{EmbeddedStore, collection_name};
use super::tables::{Bytes, NEXT, ReadTables, agents_of};
use crate::error::{self, Error};
use crate::store::StoreOptions;
use crate::store::report::{Landmark, Repair, Report};
use crate::store::schema::read;
use crate::types::Timestamp;
use bson::raw::RawDocument;
use redb::ReadableTable;
use std::path::Path;

/// Something that is wrong in a file.
struct Finding {
    text: String,
    /// How it can be mended, if it can.
    mend: Option<Mend>,
}

impl EmbeddedStore {
    /// Looks at a file. Mends what can be mended, if it is to; else tells what could be.
    pub(crate) async fn inspect(path: &Path, options: StoreOptions, repair: Repair) -> error::Result<Report> {
        options.check()?;
        let (path, name) = (path.to_owned(), collection_name(&options));
        let looking = tokio::task::spawn_blocking(move || {
            let (file, contents) = StoreFile::open_read_only(&path)?;
            let engine = Engine::verified(file, contents)?;
            let server = match contents {
                Contents::Database { format } => format!("a file of format {format}, {} bytes", engine.file_size().unwrap_or_default()),
                Contents::Nothing => String::from("a file that has nothing in it yet"),
            };
            Ok((engine, server, path))
        });
        let looked = looking.await.map_err(|defect| Error::of_task("looking at the store", &defect, damaged().into_error()))?;
        let (engine, server, path) = looked.map_err(Fault::into_error)?;
        let mut report =
            Report { server, topology: String::from("embedded: one writer at a time, or any number of readers"), ..Report::default() };
        let looked = engine.read(move |tables| {
            let mut findings = Vec::new();
            look(tables, &name, &mut report, &mut findings)?;
            Ok((report, findings))
        });
        let looked = looked.await;
        engine.close().await;
        let (mut report, findings) = looked?;
        let writer = match repair {
            Repair::Yes if findings.iter().any(|finding| finding.mend.is_some()) => Some(Self::open(path, options).await?),
            _ => None,
        };
        for Finding { text, mend } in findings {
            // A mend that fails leaves its damage, and others can be mended all the same.
            let (is_mended, text) = match (mend.clone(), &writer) {
                (Some(mend), Some(writer)) => match writer.engine.write(move |tables| tables.mend(&mend)).await {
                    Ok(is_mended) => (is_mended, text),
                    Err(error) => (false, format!("{text}; it cannot be mended: {error}")),
                },
                _ => (false, text),
            };
            if is_mended || mend.is_some() && repair == Repair::DryRun {
                report.mended.push(text.clone());
            }
            if !is_mended {
                report.problems.push(text);
            }
        }
        if let Some(writer) = writer {
            writer.engine.close().await;
        }
        Ok(report)
    }

    pub(crate) fn inspect_memory() -> error::Result<Report> {
        let topology = String::from("embedded: gone with the process");
        Ok(Report { server: String::from("memory"), topology, agents: Some(0), messages: Some(0), ..Report::default() })
    }
}

fn look(tables: &ReadTables, collection: &str, report: &mut Report, findings: &mut Vec<Finding>) -> Result<()> {
    let next = tables.numbers()?.get(NEXT)?.map_or(0, |next| next.value().0);
    let (mut agents, mut messages) = (0, 0);
    let (mut oldest, mut newest) = (None, None);
    if let Some(number) = tables.collections()?.get(collection)?.map(|number| number.value()) {
        for entry in tables.sessions()?.range((number, "")..(number.next(), ""))? {
            let (key, row) = entry?;
            let session_id = key.value().1;
            let row = SessionRow::decode(row.value())?;
            report.sessions += 1;
            let document = bytes(&row.document)?;
            let created = read::stamp(&document, "created_at")?;
            let mut wrong = |text: String, mend| findings.push(Finding { text: format!("session {session_id:?}: {text}"), mend });
            if let Err(error) = read::session(session_id, &document) {
                wrong(format!("it cannot be read: {error}"), None);
            }
            if created.is_none() {
                wrong(String::from("it has no created_at"), None);
            }
            for entry in tables.feedback()?.range((row.number, 0)..(row.number, row.feedback))? {
                let (_, entry) = entry?;
                match raw(entry.value()).and_then(|entry| Ok(read::feedback(&document, entry)?)) {
                    Ok((Some(_), _)) => {}
                    Ok((None, _)) => wrong(String::from("an entry of its feedback has no created_at, and is listed last"), None),
                    Err(fault) => wrong(format!("an entry of its feedback cannot be read: {}", fault.into_error()), None),
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
            if u64::from(row.number) >= next {
                wrong(String::from("its number would be given to another one"), Some(Mend::Numbers { beyond: row.number.into() }));
            }
            for (agent_id, agent) in agents_of(&tables.agents()?, row.number)? {
                agents += 1;
                messages += agent.messages;
                let mut wrong = |text: &str, mend| {
                    findings.push(Finding { text: format!("agent {agent_id:?} of session {session_id:?}: {text}"), mend });
                };
                if u64::from(agent.number) >= next {
                    wrong("its number would be given to another one", Some(Mend::Numbers { beyond: agent.number.into() }));
                }
                let place = (row.number, agent_id.as_str());
                look_at_agent(tables, &document, place, &agent, &mut wrong)?;
            }
        }
    }
    let landmark = |found: Option<(Timestamp, String)>| found.map(|(created, session_id)| Landmark::new(&session_id, created));
    (report.oldest, report.newest) = (landmark(oldest), landmark(newest));
    (report.agents, report.messages) = (Some(agents), Some(messages));
    Ok(())
}

/// Reads an agent and all its messages; tells what cannot be read or is not as it was written.
fn look_at_agent(
    tables: &ReadTables,
    session: &RawDocument,
    (session_number, agent_id): (SessionNo, &str),
    agent: &AgentRow,
    wrong: &mut impl FnMut(&str, Option<Mend>),
) -> Result<()> {
    let data = tables.agent_data()?.get(agent.number)?;
    let data = match &data {
        Some(data) => Some(raw(data.value())?),
        None => None,
    };
    match (read::agent("", session, &bytes(&agent.document)?, data), data) {
        (Err(error), _) => wrong(&format!("it cannot be read: {error}"), None),
        (Ok(_), None) => wrong("it has no agent_data", None),
        (Ok(_), Some(_)) => {}
    }
    let (messages, ids) = (tables.messages()?, tables.message_ids()?);
    let (mut expected, mut unreadable, mut undated, mut lost) = (0, 0, 0, 0);
    for entry in messages.range((agent.number, 0)..(agent.number.next(), 0))? {
        let (key, stored) = entry?;
        let position = key.value().1;
        if position != expected {
            wrong(&format!("the messages from position {expected} to {} are missing", position - 1), None);
        }
        expected = position + 1;
        let Ok(stored) = raw(stored.value()) else {
            unreadable += 1;
            continue;
        };
        match read::message(stored, &[]) {
            Ok(message) => undated += u64::from(!message.has_time()),
            Err(_) => unreadable += 1,
        }
        if let Ok(Some(id)) = read::message_id(stored)
            && agent.told(id) != Some(position)
            && ids.get((agent.number, id, position))?.is_none()
        {
            lost += 1;
        }
    }
    if expected != agent.messages {
        wrong(&format!("it has {expected} messages of {}", agent.messages), None);
        return Ok(());
    }
    if unreadable > 0 {
        wrong(&format!("{unreadable} messages have no valid id, or cannot be read"), None);
    }
    if undated > 0 {
        wrong(&format!("{undated} messages have no created_at, and are listed last"), None);
    }
    let agent_of = || (session_number, agent_id.to_owned());
    if lost > 0 {
        wrong(&format!("{lost} messages cannot be found by their ids"), Some(Mend::Ids { agent: agent_of() }));
    }
    // Broken rows of the order are damage like any other.
    let places = order::page(&tables.message_order()?, agent.number, 0..agent.messages);
    let is_ordered = match places {
        Ok(Some(places)) => is_order(&messages, agent, &places)?,
        Ok(None) => is_order(&messages, agent, &(0..agent.messages).collect::<Vec<_>>())?,
        Err(Fault::Refused(_)) => false,
        Err(fault) => return Err(fault),
    };
    if !is_ordered {
        wrong("the order of its messages is damaged", Some(Mend::Order { agent: agent_of() }));
    }
    Ok(())
}

/// Whether positions are all of an agent's messages, in the order of their times.
fn is_order(messages: &impl ReadableTable<(AgentNo, u64), Bytes>, agent: &AgentRow, places: &[u64]) -> Result<bool> {
    let mut all = places.to_vec();
    all.sort_unstable();
    if !all.into_iter().eq(0..agent.messages) {
        return Ok(false);
    }
    let mut last = (i64::MIN, None);
    for position in places {
        let message = messages.get((agent.number, *position))?.ok_or_else(damaged)?;
        let place = (order::created(message.value())?, Some(*position));
        if place < last {
            return Ok(false);
        }
        last = place;
    }
    Ok(true)
}
