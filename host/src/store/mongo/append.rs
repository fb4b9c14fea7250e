//! Appending messages, under ids of the caller's or the next ones.

use super::archive::blocks::Found;
use super::archive::{number, position};
use super::pipeline::{self, AgentPath, Question};
use super::write::{ATTEMPTS, checked_size, contended, has_room, make_way, session};
use super::{MongoStore, is_object, on};
use crate::error::{Error, Result};
use crate::store::mongo::error::Failure;
use crate::store::schema::build;
use crate::store::schema::json::{date, integer, parse_object};
use crate::store::schema::read::{self, corrupt};
use crate::store::{Appended, NewMessages, REMEMBERED_APPENDS, no_next_id};
use crate::types::Message;
use mongodb::bson::raw::RawDocument;
use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;

/// What the fields that the server adds to a new message may take, in bytes.
const ADDED: u64 = 64;

/// The size of the agent's messages after an append, if it was to measure them.
fn measured(found: &RawDocument) -> Result<Option<u64>> {
    Ok(number(found, "size")?.map(|size| u64::try_from(size).unwrap_or_default()))
}

impl MongoStore {
    /// Appends a message unless its id is taken, in the session's document or in the archive.
    pub(super) async fn append_one(
        &self,
        session_id: &str,
        agent_id: &str,
        mut message: Message,
        omit: &[String],
        expected: Option<u64>,
    ) -> Result<Appended> {
        let path = AgentPath::new(agent_id);
        // An archive in which the id is not, whatever ids it has.
        let mut searched: Option<Document> = None;
        for attempt in 0..ATTEMPTS {
            make_way(attempt).await;
            let stored = build::message(&message)?;
            let adds = checked_size(&stored)?;
            let mut filter = session(session_id, expected);
            filter.extend(on(path.agent(), is_object()));
            filter.insert(path.field("messages.message_id"), doc! { "$ne": integer(message.message_id) });
            match &searched {
                Some(archive) => filter.extend(archive.clone()),
                None => filter.extend(on(path.field("archive.top"), doc! { "$not": { "$gte": message.message_id } })),
            }
            // Nothing is older than the archive, so that what lies there stays where it is.
            filter.extend(on(path.field("archive.latest"), doc! { "$not": { "$gt": date(message.created_at) } }));
            filter.insert("$expr", has_room(adds));
            let mut push = Document::new();
            // `$each`, because `$push` takes the members of a bare document for modifiers of its own.
            push.insert(path.field("messages"), doc! { "$each": [stored] });
            let mut latest = doc! { "updated_at": date(message.updated_at) };
            latest.insert(path.field("updated_at"), date(message.updated_at));
            let update = doc! { "$push": push, "$max": latest, "$inc": { "revision": 1_i64 } };
            let measures = self.measures(session_id, agent_id, adds);
            let append = self.collection.find_one_and_update(filter, update);
            match append
                .projection(pipeline::appended(&path, measures))
                .return_document(ReturnDocument::After)
                .await
                .map_err(Failure::of_update)
            {
                Ok(Some(found)) => {
                    self.appended((session_id, agent_id), 1, adds, measured(&found)?).await;
                    return Ok(Appended::New);
                }
                Ok(None) => {}
                Err(failure) => {
                    self.relieve(failure, session_id, adds).await.map_err(Failure::into_error)?;
                    continue;
                }
            }
            let look =
                self.look(session_id, Some(&path), Question { message_id: Some(message.message_id), omit, key: None, grows: true }).await?;
            look.require_agent()?;
            searched = None;
            if let Some(archive) = look.archive.as_ref().filter(|archive| archive.may_hold(message.message_id)) {
                match self.archived(session_id, archive, message.message_id, omit).await? {
                    Found::Changed => continue,
                    Found::Read(found) => match found.first() {
                        Some(taken) => return Ok(Appended::Taken(read::message(&taken.message, omit)?)),
                        None => {
                            let mut same = Document::new();
                            same.insert(path.field("archive.id"), archive.id);
                            same.insert(path.field("archive.count"), position(archive.count));
                            searched = Some(same);
                        }
                    },
                }
            }
            if let Some(taken) = look.message {
                return Ok(Appended::Taken(taken));
            }
            self.settle(session_id, &look, expected, adds).await?;
            if let Some(latest) = look.archive.and_then(|archive| archive.latest) {
                message.created_at = message.created_at.max(latest);
                message.updated_at = message.updated_at.max(latest);
            }
        }
        Err(contended())
    }

    /// Appends messages under the next ids.
    pub(super) async fn append_next(&self, session_id: &str, agent_id: &str, new: NewMessages, expected: Option<u64>) -> Result<i64> {
        let path = AgentPath::new(agent_id);
        let NewMessages { bodies, created_at, idempotency_key } = new;
        if bodies.is_empty() {
            return Err(Error::InvalidArgument(String::from("messages: must not be empty")));
        }
        let (mut fields, mut adds) = (Vec::with_capacity(bodies.len()), 0);
        for body in &bodies {
            let body = parse_object(body)?;
            adds += checked_size(&body)? + ADDED;
            fields.push(body);
        }
        let key = idempotency_key.as_deref();
        adds += key.map_or(0, |key| key.len() as u64 + ADDED);
        let count = i64::try_from(fields.len()).unwrap_or(i64::MAX);
        let last_free = i64::MAX - count;
        let update = pipeline::append_messages(&path, fields, created_at, key, REMEMBERED_APPENDS);
        for attempt in 0..ATTEMPTS {
            make_way(attempt).await;
            let mut filter = session(session_id, expected);
            filter.extend(on(path.agent(), is_object()));
            let runs_out = doc! { "$elemMatch": { "message_id": { "$gt": last_free, "$lte": i64::MAX } } };
            filter.extend(on(path.field("messages"), doc! { "$not": runs_out }));
            filter.extend(on(path.field("archive.top"), doc! { "$not": { "$gt": last_free } }));
            if let Some(key) = key {
                filter.extend(on(path.field("appends.key"), doc! { "$ne": key }));
            }
            filter.insert("$expr", has_room(adds));
            let measures = self.measures(session_id, agent_id, adds);
            let append = self.collection.find_one_and_update(filter, update.clone());
            match append
                .projection(pipeline::appended(&path, measures))
                .return_document(ReturnDocument::After)
                .await
                .map_err(Failure::of_update)
            {
                Ok(Some(found)) => {
                    let last = number(&found, "last")?.ok_or_else(|| corrupt("message"))?;
                    self.appended((session_id, agent_id), bodies.len(), adds, measured(&found)?).await;
                    return Ok(last - (count - 1));
                }
                Ok(None) => {}
                Err(failure) => {
                    self.relieve(failure, session_id, adds).await.map_err(Failure::into_error)?;
                    continue;
                }
            }
            let look = self.look(session_id, Some(&path), Question { key, grows: true, ..Question::default() }).await?;
            look.require_agent()?;
            if let Some(first) = look.repeat {
                return Ok(first);
            }
            self.settle(session_id, &look, expected, adds).await?;
            if look.highest > last_free {
                return Err(no_next_id());
            }
        }
        Err(contended())
    }
}
