//! What all writes share: the conditions on the session, and the look at it when an attempt has matched nothing.

use super::error::Failure;
use super::expressions::{AgentPath, on};
use super::known;
use super::questions::{self, Question};
use super::{MongoStore, answer, primary};
use crate::error::{Entity, Error, Result};
use crate::store::schema::build::{self, MAX_DOCUMENT};
use crate::store::schema::read::corrupt;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::UpdateModifications;
use std::time::Duration;

/// Attempts of a write whose filter matches nothing while the look that follows finds no cause. Another writer has to slip in between the
/// two each time for this to run out.
pub(super) const ATTEMPTS: usize = 32;

/// What appends leave free of the largest document, in bytes, so that a full session stays usable: other writes, and what stands around
/// each, still fit.
pub(super) const RESERVE: u64 = 64 * 1024;

/// What a look at a session tells about a write that matched nothing.
pub(super) struct Look {
    pub(super) revision: u64,
    /// The size of the session's document, in bytes.
    pub(super) size: u64,
    /// Whether the agent is there; a thing in its place that is no agent is `corrupt`.
    pub(super) agent: bool,
    /// The message in the document that has the id.
    pub(super) message: Option<RawDocumentBuf>,
    /// Whether that message is on its way to the archive.
    pub(super) is_sealed: bool,
    /// What the agent remembers of the append with the key.
    pub(super) repeat: Option<Repeat>,
    /// The highest id of a message of the agent.
    pub(super) highest: i64,
}

/// What an agent remembers of an append with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repeat {
    pub(super) first: i64,
    /// The digest of what was appended; none if an older version stored it.
    pub(super) digest: Option<String>,
}

impl Look {
    pub(super) fn require_agent(&self) -> Result<()> {
        if self.agent { Ok(()) } else { Err(Error::NotFound(Entity::Agent)) }
    }
}

/// A condition on a session: its id, and the revision that is expected. Without one, whatever is stored has to read as a revision, because
/// the write advances it.
pub(super) fn session(session_id: &str, expected: Option<u64>) -> Document {
    let mut filter = doc! { "_id": session_id };
    match expected {
        None => {
            filter.insert("$and", vec![doc! { "$expr": has_revision() }]);
        }
        Some(revision) => {
            filter.insert("revision", is_revision(revision));
            // Equal to a number, and no revision all the same.
            filter.insert("$nor", vec![on("revision", doc! { "$type": ["decimal", "array"] })]);
        }
    }
    filter
}

/// A condition on a session whose revision this process has read or written itself.
pub(super) fn known_session(session_id: &str, revision: u64) -> Document {
    doc! { "_id": session_id, "revision": is_revision(revision) }
}

fn is_revision(revision: u64) -> Bson {
    match revision {
        // Nobody has written through this store yet.
        0 => Bson::from(doc! { "$in": [0_i64, Bson::Null] }),
        // What cannot be advanced is no session's revision.
        revision => Bson::from(i64::try_from(revision).ok().filter(|revision| *revision < i64::MAX).unwrap_or(-1)),
    }
}

/// A condition on what is stored as a revision: nothing, or a whole number that can be advanced.
fn has_revision() -> Document {
    /// Below this a double stands for one whole number only.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let kind = doc! { "$type": "$revision" };
    let is = |name: &str| doc! { "$eq": ["$$kind", name] };
    let is_whole = doc! { "$and": [
        { "$gte": ["$revision", 0] },
        { "$lt": ["$revision", EXACT] },
        { "$eq": ["$revision", { "$trunc": "$revision" }] },
    ] };
    let branches = vec![
        doc! { "case": { "$in": ["$$kind", ["missing", "null"]] }, "then": true },
        doc! { "case": { "$in": ["$$kind", ["long", "int"]] }, "then": { "$and": [{ "$gte": ["$revision", 0] }, { "$lt": ["$revision", i64::MAX] }] } },
        doc! { "case": is("double"), "then": is_whole },
    ];
    doc! { "$let": { "vars": { "kind": kind }, "in": { "$switch": { "branches": branches, "default": false } } } }
}

/// A condition on the size of a session's document: there is room for an append of so many bytes.
pub(super) fn has_room(adds: u64) -> Document {
    let most = i64::try_from(MAX_DOCUMENT - RESERVE).unwrap_or(i64::MAX) - i64::try_from(adds).unwrap_or(i64::MAX);
    doc! { "$lte": [{ "$bsonSize": "$$ROOT" }, most] }
}

/// The size of a document as BSON, in bytes, if the server can take it at all.
pub(super) fn checked_size(document: &Document) -> Result<u64> {
    Ok(build::bounded(document)?.as_bytes().len() as u64)
}

/// Checks that a session is at the revision that a write expects.
pub(super) fn require_revision(expected: Option<u64>, current: u64) -> Result<()> {
    if expected.is_some_and(|expected| expected != current) {
        return Err(Error::Stale { current });
    }
    // As long as it can be advanced.
    if current < i64::MAX.unsigned_abs() { Ok(()) } else { Err(corrupt("revision")) }
}

/// Why a call gave up.
pub(super) fn contended() -> Error {
    Error::Unavailable(String::from("the session changed at each attempt, because of others who write to it"))
}

/// Waits before another attempt, the longer the more there have been, so that those who are in each other's way get out of it.
pub(super) async fn make_way(attempt: usize) {
    const FREE: usize = 2;
    if let Some(more) = attempt.checked_sub(FREE) {
        tokio::time::sleep(Duration::from_micros(500).saturating_mul(u32::try_from(more).unwrap_or(u32::MAX))).await;
    }
}

impl MongoStore {
    /// Applies an update to the session if `filter` matches it; tells whether it did.
    pub(super) async fn update(&self, filter: Document, update: impl Into<UpdateModifications>) -> Result<bool, Failure> {
        let updated = self.collection.update_one(filter, update).await.map_err(Failure::of)?;
        Ok(updated.matched_count > 0)
    }

    /// The same, acknowledged by a majority whatever the connection string says: two documents depend on each other, and a failover must
    /// not take back one of them.
    pub(super) async fn update_by_majority(&self, filter: Document, update: impl Into<UpdateModifications>) -> Result<bool, Failure> {
        let updated = self.collection.update_one(filter, update).write_concern(self.majority.clone());
        Ok(updated.await.map_err(Failure::of)?.matched_count > 0)
    }

    /// Looks, on the primary, why a write matched nothing; a session that is not there is the answer already.
    pub(super) async fn look(&self, session_id: &str, path: Option<&AgentPath>, question: &Question<'_>) -> Result<Look> {
        let found = self.find(session_id, questions::look(path, question), Some(primary())).await?;
        answer::look(&found.ok_or(Error::NotFound(Entity::Session))?)
    }

    /// Judges by a look what else stands in the way of a write that adds so many bytes; makes room for it where that is possible. If it
    /// returns, the write could go through now.
    pub(super) async fn settle(&self, session_id: &str, look: &Look, expected: Option<u64>, adds: u64) -> Result<()> {
        require_revision(expected, look.revision)?;
        let needs = adds.saturating_add(RESERVE);
        if adds > 0 && look.size.saturating_add(needs) > MAX_DOCUMENT { self.make_room(session_id, needs, adds).await } else { Ok(()) }
    }

    /// Applies an update that needs no more than the session. One that is an append minds the room that is left.
    pub(super) async fn update_session(
        &self,
        state: &mut known::State,
        session_id: &str,
        update: Document,
        expected: Option<u64>,
        adds: u64,
        is_append: bool,
    ) -> Result<(), Failure> {
        for attempt in 0..ATTEMPTS {
            make_way(attempt).await;
            let mut filter = session(session_id, expected);
            if is_append {
                filter.insert("$expr", has_room(adds));
            }
            match self.update(filter, update.clone()).await {
                Ok(true) => {
                    state.wrote(adds);
                    return Ok(());
                }
                Ok(false) => {
                    let question = Question { grows: true, ..Question::default() };
                    let look = self.look(session_id, None, &question).await.map_err(Failure::Other)?;
                    self.settle(session_id, &look, expected, if is_append { adds } else { 0 }).await.map_err(Failure::Other)?;
                }
                Err(failure) => self.relieve(failure, session_id, adds).await?,
            }
        }
        Err(Failure::Other(contended()))
    }

    /// Takes away what a write failed for, if that is possible: makes room where the server found that a session would outgrow its limit,
    /// and empties fields that are null. Any other failure stays one.
    pub(super) async fn relieve(&self, failure: Failure, session_id: &str, adds: u64) -> Result<(), Failure> {
        match failure {
            Failure::TooLarge => {
                let question = Question { grows: true, ..Question::default() };
                let look = self.look(session_id, None, &question).await.map_err(Failure::Other)?;
                let needs = adds.max((MAX_DOCUMENT + 1).saturating_sub(look.size));
                self.make_room(session_id, needs, adds).await.map_err(Failure::Other)
            }
            Failure::Refused if self.empty_nulls(session_id).await? => Ok(()),
            failure => Err(failure),
        }
    }

    /// Puts what is empty in the place of fields that another program has left null: a null reads as if the field was absent, but the
    /// server's operators refuse it. Tells whether there was any.
    pub(super) async fn empty_nulls(&self, session_id: &str) -> Result<bool, Failure> {
        const NULL: i32 = 10;
        let empty =
            [("agents", doc! {}.into()), ("feedbacks", Bson::Array(Vec::new())), ("metadata", doc! {}.into()), ("revision", 0_i64.into())];
        let nulls: Vec<Document> = empty.iter().map(|(field, _)| on(*field, doc! { "$type": NULL })).collect();
        let emptied = |(field, empty): (&str, Bson)| {
            let stored = format!("${field}");
            let value = doc! { "$cond": [{ "$eq": [{ "$type": &stored }, "null"] }, { "$literal": empty }, &stored] };
            // A field that is missing stays so.
            (field.to_owned(), Bson::from(value))
        };
        let set: Document = empty.into_iter().map(emptied).collect();
        self.update(doc! { "_id": session_id, "$or": nulls }, vec![doc! { "$set": set }]).await
    }
}
