//! The writes but appends of messages. Each is decided on the tables as they are, which gives the [`Change`] that it stores.

use super::change::Change;
use super::fault::{Fault, Result};
use super::numbers::{AgentNo, CollectionNo, SessionNo};
use super::rows::{AgentRow, SessionRow, bytes, damaged, owned, raw};
use super::tables::{WriteTables, find_agent, find_session, positions};
use crate::error::{Entity, Error};
use crate::store::schema::build::{self, MAX_DOCUMENT};
use crate::store::schema::json::date;
use crate::store::schema::path::{self, Unfit};
use crate::store::schema::read;
use crate::store::{AgentRef, Write};
use crate::types::{Json, Timestamp};
use bson::{Array, Bson, Document, RawBson, RawDocumentBuf};
use redb::ReadableTable;

/// New fields of an agent or a message, and what stays of the stored ones.
pub(super) struct Fields {
    pub(super) document: Document,
    pub(super) keep: Vec<String>,
}

/// Moves a session's revision on by one, if it is the expected one. Counts once the row is stored.
pub(super) fn advance(session: &mut SessionRow, expected: Option<u64>) -> Result<()> {
    let stored = session.document.get("revision").filter(|stored| **stored != Bson::Null).cloned();
    let stored = stored.map(RawBson::try_from).transpose().map_err(|_| damaged())?;
    let current = read::revision(stored.as_ref().map(RawBson::as_raw_bson_ref))?;
    if expected.is_some_and(|expected| expected != current) {
        return Err(Error::Stale { current }.into());
    }
    let next = i64::try_from(current).ok().and_then(|current| current.checked_add(1)).ok_or_else(|| read::corrupt("revision"))?;
    session.document.insert("revision", next);
    Ok(())
}

/// Moves the time of the last write on; never back.
fn touch(document: &mut Document, now: Timestamp) {
    document.insert("updated_at", later(document.get("updated_at"), now));
}

/// Makes the field that stands for a part, where it is missing or null.
pub(super) fn make_room(document: &mut Document, name: &str, empty: impl Into<Bson>) {
    if matches!(document.get(name), None | Some(Bson::Null)) {
        document.insert(name, empty);
    }
}

/// The stored time, or `now` if that is later.
fn later(stored: Option<&Bson>, now: Timestamp) -> Bson {
    match stored {
        Some(Bson::DateTime(time)) => Bson::DateTime((*time).max(date(now))),
        _ => Bson::DateTime(date(now)),
    }
}

/// The row of a session that is written to.
fn written(collection: CollectionNo, session_id: &str, mut session: SessionRow, now: Timestamp) -> Result<Change> {
    touch(&mut session.document, now);
    Ok(Change { session: Some((collection, session_id.to_owned(), session.encode()?)), ..Change::default() })
}

/// The rows of an agent that is written to and of its session.
pub(super) fn written_agent(
    collection: CollectionNo,
    agent: &AgentRef,
    session: SessionRow,
    mut row: AgentRow,
    now: Timestamp,
) -> Result<Change> {
    touch(&mut row.document, now);
    let row = (session.number, agent.agent.clone(), row.encode()?);
    Ok(Change { agent: Some(row), ..written(collection, &agent.session, session, now)? })
}

impl WriteTables<'_> {
    fn require_session(&self, collection: CollectionNo, session_id: &str) -> Result<SessionRow> {
        find_session(&*self.sessions, collection, session_id)?.ok_or(Fault::Refused(Error::NotFound(Entity::Session)))
    }

    pub(super) fn require_agent(&self, collection: CollectionNo, agent: &AgentRef) -> Result<(SessionRow, AgentRow)> {
        let session = self.require_session(collection, &agent.session)?;
        let agent = find_agent(&*self.agents, session.number, &agent.agent)?.ok_or(Fault::Refused(Error::NotFound(Entity::Agent)))?;
        Ok((session, agent))
    }

    /// The number of a collection, given at its first use.
    pub(super) fn collection(&mut self, name: &str) -> Result<CollectionNo> {
        if let Some(number) = self.collections.get(name)?.map(|number| number.value()) {
            return Ok(number);
        }
        let number = CollectionNo::new(self.next_number()?);
        self.collections.insert(name, number)?;
        Ok(number)
    }

    pub(super) fn insert_session(&self, collection: CollectionNo, session_id: &str, document: Document) -> Result<Change> {
        if self.sessions.get((collection, session_id))?.is_some() {
            return Err(Error::AlreadyExists(Entity::Session).into());
        }
        let number = self.free_number()?;
        let row = SessionRow { number: SessionNo::new(number), agents: 0, feedback: 0, document };
        let session = Some((collection, session_id.to_owned(), row.encode()?));
        Ok(Change { next_number: Some(number + 1), session, ..Change::default() })
    }

    pub(super) fn insert_agent(&self, collection: CollectionNo, agent: &AgentRef, mut document: Document, write: Write) -> Result<Change> {
        let mut session = self.require_session(collection, &agent.session)?;
        if self.agents.get((session.number, agent.agent.as_str()))?.is_some() {
            return Err(Error::AlreadyExists(Entity::Agent).into());
        }
        advance(&mut session, write.expected)?;
        let data = bytes(&take_part(&mut document, "agent_data").unwrap_or_default())?;
        let number = self.free_number()?;
        let row = AgentRow { number: AgentNo::new(number), place: session.agents, messages: 0, latest: i64::MIN, base: 0, document };
        let agent_data = Some((row.number, data));
        let row = Some((session.number, agent.agent.clone(), row.encode()?));
        session.agents += 1;
        make_room(&mut session.document, "agents", Document::new());
        let rows = written(collection, &agent.session, session, write.at)?;
        Ok(Change { next_number: Some(number + 1), agent: row, agent_data, ..rows })
    }

    pub(super) fn replace_agent(
        &self,
        collection: CollectionNo,
        agent: &AgentRef,
        Fields { mut document, keep }: Fields,
        write: Write,
    ) -> Result<Change> {
        let (mut session, mut row) = self.require_agent(collection, agent)?;
        advance(&mut session, write.expected)?;
        let stored = self.agent_data.get(row.number)?.map(|data| owned(raw(data.value())?)).transpose()?.unwrap_or_default();
        let created = match (stored.get("created_at"), row.document.get("created_at")) {
            (Some(created), _) if *created != Bson::Null => created.clone(),
            // An agent of the reference can be without data; its own creation counts.
            (_, Some(Bson::DateTime(created))) => Bson::String(build::text(Timestamp(created.timestamp_millis()))?),
            _ => Bson::String(build::text(write.at)?),
        };
        document.insert("created_at", created);
        document.insert("updated_at", build::text(write.at)?);
        keep_fields(&mut document, &stored, &keep);
        let data = build::bounded(&document)?;
        let agent_data = Some((row.number, data));
        make_room(&mut row.document, "agent_data", Document::new());
        if matches!(row.document.get("created_at"), None | Some(Bson::Null)) {
            row.document.insert("created_at", date(write.at));
        }
        Ok(Change { agent_data, ..written_agent(collection, agent, session, row, write.at)? })
    }

    pub(super) fn replace_message(
        &self,
        collection: CollectionNo,
        agent: &AgentRef,
        message_id: i64,
        Fields { document, keep }: Fields,
        write: Write,
    ) -> Result<Change> {
        let (mut session, row) = self.require_agent(collection, agent)?;
        let mut replaced: Vec<(u64, Document)> = Vec::new();
        let mut first = None;
        for position in positions(&*self.message_ids, &*self.messages, &row, message_id)? {
            let stored = self.messages.get((row.number, position))?.ok_or_else(damaged)?;
            let stored = owned(raw(stored.value())?)?;
            // Programs that retry by hand may have stored it twice: each copy is replaced, so that a redaction leaves none behind. Another
            // message that took the same id by mistake stays.
            let own = own_fields(&stored)?;
            if first.get_or_insert_with(|| own.clone()).as_bytes() != own.as_bytes() {
                continue;
            }
            let mut new = document.clone();
            if let Some(created) = stored.get("created_at") {
                new.insert("created_at", created.clone());
            }
            new.insert("updated_at", later(stored.get("updated_at"), write.at));
            keep_fields(&mut new, &stored, &keep);
            replaced.push((position, new));
        }
        if replaced.is_empty() {
            return Err(Error::NotFound(Entity::Message).into());
        }
        advance(&mut session, write.expected)?;
        let bounded = |(position, new): (u64, Document)| Ok((row.number, position, build::bounded(&new)?));
        let messages = replaced.into_iter().map(bounded).collect::<Result<_>>()?;
        Ok(Change { messages, ..written_agent(collection, agent, session, row, write.at)? })
    }

    pub(super) fn set_metadata(
        &self,
        collection: CollectionNo,
        session_id: &str,
        fields: Vec<(String, Json)>,
        values: Vec<(String, Bson)>,
        write: Write,
    ) -> Result<Change> {
        let mut session = self.require_session(collection, session_id)?;
        advance(&mut session, write.expected)?;
        if values.is_empty() {
            return Ok(Change::default());
        }
        let mut metadata = self.stored_metadata(&session)?;
        path::set_all(&mut metadata, values).map_err(|unfit| match unfit {
            Unfit::Path => path::unfit(&fields),
            Unfit::Size => Error::TooLarge { size: MAX_DOCUMENT + 1, limit: MAX_DOCUMENT },
        })?;
        let metadata = Some((session.number, build::bounded(&metadata)?));
        make_room(&mut session.document, "metadata", Document::new());
        Ok(Change { metadata, ..written(collection, session_id, session, write.at)? })
    }

    pub(super) fn unset_metadata(&self, collection: CollectionNo, session_id: &str, paths: &[String], write: Write) -> Result<Change> {
        let mut session = self.require_session(collection, session_id)?;
        advance(&mut session, write.expected)?;
        if paths.is_empty() {
            return Ok(Change::default());
        }
        let mut metadata = self.stored_metadata(&session)?;
        for path in paths {
            path::unset(&mut metadata, path);
        }
        let metadata = match session.document.get("metadata") {
            Some(_) => Some((session.number, bytes(&metadata)?)),
            None => None,
        };
        Ok(Change { metadata, ..written(collection, session_id, session, write.at)? })
    }

    fn stored_metadata(&self, session: &SessionRow) -> Result<Document> {
        self.metadata.get(session.number)?.map(|metadata| owned(raw(metadata.value())?)).transpose().map(Option::unwrap_or_default)
    }

    pub(super) fn append_feedback(
        &self,
        collection: CollectionNo,
        session_id: &str,
        entry: RawDocumentBuf,
        write: Write,
    ) -> Result<Change> {
        let mut session = self.require_session(collection, session_id)?;
        advance(&mut session, write.expected)?;
        let feedback = Some((session.number, session.feedback, entry));
        session.feedback += 1;
        make_room(&mut session.document, "feedbacks", Array::new());
        Ok(Change { feedback, ..written(collection, session_id, session, write.at)? })
    }
}

/// Takes the document out of a field and leaves an empty one in its place.
fn take_part(document: &mut Document, field: &str) -> Option<Document> {
    match document.get_mut(field) {
        Some(Bson::Document(part)) => Some(std::mem::take(part)),
        _ => None,
    }
}

fn keep_fields(new: &mut Document, stored: &Document, keep: &[String]) {
    for name in keep {
        if let Some(value) = stored.get(name) {
            new.insert(name, value.clone());
        }
    }
}

/// All of a message but its times, as it is written: a number that is none (NaN) equals itself here.
fn own_fields(stored: &Document) -> Result<RawDocumentBuf> {
    let own = stored.iter().filter(|(name, _)| !matches!(name.as_str(), "created_at" | "updated_at" | "storage_id"));
    bytes(&own.map(|(name, value)| (name.clone(), value.clone())).collect())
}
