//! Damage in a collection and its archive: finding it, naming it, and mending what can be mended.
//!
//! Blocks are looked at first and documents after them. So what a document does not tell of then is dead, and what it tells of was there.

use super::archive::moving::{Down, Haste};
use super::archive::{Archive, count, number, position};
use super::error::Failure;
use super::expressions::{AgentPath, are_in_order, array, highest, in_order, newest, on, time};
use super::{MongoStore, index, primary, questions};
use crate::error::{Error, Result};
use crate::store::schema::read::{corrupt, documents, member, object};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::{RawBsonRef, RawDocument};
use mongodb::bson::{Bson, DateTime, Document, RawDocumentBuf, doc};
use mongodb::options::Hint;
use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;

/// How long a mover may take before what it has sealed counts as left behind.
const MOVER: Duration = Duration::from_secs(5);

/// Missing positions that one finding names.
const NAMED: usize = 5;

/// Something that is wrong.
pub(super) struct Finding {
    pub(super) text: String,
    /// How it can be mended, if it can.
    pub(super) mend: Option<Mend>,
}

/// How often, and how far apart, `check` looks for an update that is not in its block: the writer of it needs some milliseconds.
const LOOKS: u32 = 5;
const LOOK: Duration = Duration::from_millis(100);

/// How damage is mended.
pub(super) enum Mend {
    /// Makes an index.
    Index { field: String },
    /// Makes the archive's index.
    ArchiveIndex,
    /// Removes the blocks of archives that nothing tells of.
    RemoveOrphans { session_id: String, archive: ObjectId },
    /// Removes blocks behind an archive's end that no mover will commit.
    RemoveUncommitted { session_id: String, archive: ObjectId, firsts: Vec<u64> },
    /// Completes a move.
    FinishMove { session_id: String, agent_id: String },
    /// Raises the number of an archive's updates to what its blocks have.
    Writes { session_id: String, agent_id: String, archive: ObjectId, told: i64, writes: i64 },
    /// Brings a block up to date.
    Redo { session_id: String, agent_id: String },
    /// Raises the highest id and the newest time of an archive to what its messages have.
    Raise { session_id: String, agent_id: String, archive: ObjectId, top: i64, latest: Option<DateTime> },
    /// Puts an agent's recent messages into the order of their times.
    Sort { session_id: String, agent_id: String },
    /// Puts what is empty in the place of nulls.
    EmptyNulls { session_id: String },
}

impl Finding {
    fn named(text: String) -> Self {
        Self { text, mend: None }
    }

    fn mendable(text: String, mend: Mend) -> Self {
        Self { text, mend: Some(mend) }
    }
}

/// The blocks of one archive, as they were read.
struct Blocks {
    archive: ObjectId,
    session_id: String,
    /// The positions of each block, in their order.
    places: Vec<Range<u64>>,
    top: i64,
    latest: Option<DateTime>,
    /// The last update that any of them has had.
    writes: i64,
    /// Messages that cannot be read.
    unreadable: u64,
}

/// An agent with an archive, as its session's document tells of it.
struct Owner {
    agent_id: String,
    archive: Archive,
    is_moving: bool,
}

impl MongoStore {
    /// Looks at all blocks and all documents, and hands over what is wrong.
    pub(super) async fn damage(&self, found: &mut impl FnMut(Finding)) -> Result<()> {
        let seen = self.damage_in_blocks(found).await?;
        self.damage_in_documents(&seen, found).await
    }

    /// Looks at all blocks, one archive after the other; returns the archives that have any.
    async fn damage_in_blocks(&self, found: &mut impl FnMut(Finding)) -> Result<HashSet<ObjectId>> {
        let failed = |error| Failure::of(error).into_error();
        let is_readable = doc! { "$and": [{ "$eq": [{ "$type": "$$this" }, "object"] }, { "$isNumber": "$$this.message_id" }] };
        let messages = array("$messages");
        let figures = doc! {
            "session_id": 1,
            "messages": { "$size": messages.clone() },
            "top": highest("$messages.message_id"),
            "latest": newest("$messages.created_at"),
            "writes": 1,
            "unreadable": { "$size": { "$filter": { "input": messages, "cond": { "$not": [is_readable] } } } },
        };
        // By `_id`, so the blocks of an archive come one after the other.
        let find = self.archive.find(doc! {}).projection(figures).sort(doc! { "_id": 1 }).hint(Hint::Keys(doc! { "_id": 1 }));
        let mut cursor = find.selection_criteria(primary()).await.map_err(failed)?;
        let mut seen = HashSet::new();
        let mut blocks: Option<Blocks> = None;
        while cursor.advance().await.map_err(failed)? {
            let block = cursor.current();
            let place = object(block, "_id").ok().flatten().map(|id| (id.get_object_id("archive"), count(id, "first")));
            let session_id = block.get_str("session_id");
            let (Some((Ok(archive), Ok(first))), Ok(session_id)) = (place, session_id) else {
                found(Finding::named(String::from("the archive holds a document that is no block")));
                continue;
            };
            if let Some(done) = blocks.take_if(|blocks| blocks.archive != archive || blocks.session_id != session_id) {
                self.damage_in_archive(done, found).await?;
            }
            seen.insert(archive);
            let blocks = blocks.get_or_insert_with(|| Blocks {
                archive,
                session_id: session_id.to_owned(),
                places: Vec::new(),
                top: -1,
                latest: None,
                writes: 0,
                unreadable: 0,
            });
            // One with an update that is no number cannot be read at all.
            let writes = number(block, "writes");
            blocks.places.push(first..first + if writes.is_ok() { count(block, "messages")? } else { 0 });
            blocks.writes = blocks.writes.max(writes.ok().flatten().unwrap_or(0));
            blocks.top = blocks.top.max(number(block, "top")?.unwrap_or(-1));
            blocks.latest = blocks.latest.max(block.get_datetime("latest").ok());
            blocks.unreadable += count(block, "unreadable")?;
        }
        if let Some(done) = blocks {
            self.damage_in_archive(done, found).await?;
        }
        Ok(seen)
    }

    /// Compares an archive's blocks with what the session's document tells of them.
    async fn damage_in_archive(&self, blocks: Blocks, found: &mut impl FnMut(Finding)) -> Result<()> {
        let Blocks { archive, session_id, places, top, latest, writes, unreadable } = blocks;
        let owner = match self.owner(&session_id, archive).await {
            // What the agent tells of it cannot be read, which is found with the agent.
            Err(Error::Corrupt(_)) => return Ok(()),
            owner => owner?,
        };
        let Some(owner) = owner else {
            let text = format!("session {session_id:?}: {} blocks of an archive that no agent has (orphans)", places.len());
            found(Finding::mendable(text, Mend::RemoveOrphans { session_id, archive }));
            return Ok(());
        };
        let Owner { agent_id, archive: told, is_moving } = owner;
        let named = |text: String| format!("agent {agent_id:?} of session {session_id:?}: {text}");
        let (committed, uncommitted): (Vec<_>, Vec<_>) = places.into_iter().partition(|place| place.start < told.count);
        let missing = missing(&committed, told.count);
        if !missing.is_empty() {
            found(Finding::named(named(format!("messages are missing in the archive, {}", described(&missing)))));
        }
        if !uncommitted.is_empty() && !is_moving {
            let text = named(format!("{} blocks that are not part of the archive", uncommitted.len()));
            let firsts = uncommitted.iter().map(|place| place.start).collect();
            found(Finding::mendable(text, Mend::RemoveUncommitted { session_id: session_id.clone(), archive, firsts }));
        }
        if unreadable > 0 {
            found(Finding::named(named(format!("{unreadable} archived messages have no valid id"))));
        }
        let stored = told.latest.map(|latest| DateTime::from_millis(latest.0));
        if top > told.top || latest > stored {
            let text = named(String::from("the archive has messages with a higher id or a later time than it tells"));
            let (session_id, agent_id) = (session_id.clone(), agent_id.clone());
            found(Finding::mendable(text, Mend::Raise { session_id, agent_id, archive, top, latest }));
        }
        if writes > told.writes {
            let text = named(String::from("its archive has updates that the session's document does not tell of"));
            let (session_id, agent_id) = (session_id.clone(), agent_id.clone());
            found(Finding::mendable(text, Mend::Writes { session_id, agent_id, archive, told: told.writes, writes }));
        } else if !told.redo.is_empty() && self.lacks_redo(&session_id, &told).await? {
            let text = named(String::from("a block lacks the last update of one of its messages"));
            found(Finding::mendable(text, Mend::Redo { session_id, agent_id }));
        }
        Ok(())
    }

    /// The agent that has an archive.
    async fn owner(&self, session_id: &str, archive: ObjectId) -> Result<Option<Owner>> {
        let has = doc! { "$eq": ["$$this.v.archive.id", archive] };
        let owner = doc! { "$first": { "$filter": { "input": questions::agents(), "cond": has } } };
        let question = doc! { "_id": 0, "owner": { "$let": { "vars": { "owner": owner }, "in": {
            "agent_id": "$$owner.k", "archive": "$$owner.v.archive", "moving": "$$owner.v.moving.cuts",
        } } } };
        let Some(found) = self.find(session_id, question, Some(primary())).await? else { return Ok(None) };
        let Some(owner) = object(&found, "owner")? else { return Ok(None) };
        let (Ok(agent_id), Some(archive)) = (owner.get_str("agent_id"), Archive::of(owner)?) else { return Ok(None) };
        Ok(Some(Owner { agent_id: agent_id.to_owned(), archive, is_moving: super::archive::is_moving(owner)? }))
    }

    /// Whether blocks lack the last update of an archive, and nobody is at work on that.
    async fn lacks_redo(&self, session_id: &str, told: &Archive) -> Result<bool> {
        for _ in 0..LOOKS {
            if self.has_redo(session_id, told).await? {
                return Ok(false);
            }
            tokio::time::sleep(LOOK).await;
            // An update in between was at work, and the next one may be.
            match self.owner(session_id, told.id).await? {
                Some(Owner { archive, .. }) if archive == *told => {}
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Whether the blocks have the last update of an archive.
    async fn has_redo(&self, session_id: &str, archive: &Archive) -> Result<bool> {
        let without = Archive { redo: Vec::new(), ..archive.clone() };
        for patch in &archive.redo {
            let messages = self.block_at(session_id, &without, patch.first).await?;
            let has = messages.get(patch.at).is_some_and(|stored| stored.as_document() == Some(&*patch.message));
            if !has && !messages.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Looks at the agents of all documents.
    async fn damage_in_documents(&self, seen: &HashSet<ObjectId>, found: &mut impl FnMut(Finding)) -> Result<()> {
        let failed = |error| Failure::of(error).into_error();
        let mut cursor = self.collection.aggregate(damaged()).with_type::<RawDocumentBuf>().await.map_err(failed)?;
        while cursor.advance().await.map_err(failed)? {
            let session = cursor.current();
            let Ok(session_id) = session.get_str("_id") else { continue };
            if flag(session, "nulls")? {
                let text = format!("session {session_id:?}: null in the place of agents, feedbacks, metadata or revision");
                found(Finding::mendable(text, Mend::EmptyNulls { session_id: session_id.to_owned() }));
            }
            let mut named = |text: &str| found(Finding::named(format!("session {session_id:?}: {text}")));
            if flag(session, "undated")? {
                named("it has no created_at");
            }
            for field in ["revision", "session_type", "metadata", "feedbacks", "agents"] {
                if flag(session, field)? {
                    named(&format!("its {field} cannot be read"));
                }
            }
            for (name, text) in [
                ("unreadable_feedback", "entries of its feedback cannot be read"),
                ("undated_feedback", "entries of its feedback have no created_at, and are listed last"),
            ] {
                let entries = count(session, name)?;
                if entries > 0 {
                    named(&format!("{entries} {text}"));
                }
            }
            for agent in documents(session, "damaged", "agents", |agent| Ok(agent.to_owned()))? {
                self.damage_in_agent(session_id, &agent, seen, found).await?;
            }
        }
        Ok(())
    }

    async fn damage_in_agent(
        &self,
        session_id: &str,
        agent: &RawDocument,
        seen: &HashSet<ObjectId>,
        found: &mut impl FnMut(Finding),
    ) -> Result<()> {
        let Ok(agent_id) = agent.get_str("id") else { return Err(corrupt("agents")) };
        let named = |text: String| format!("agent {agent_id:?} of session {session_id:?}: {text}");
        let ids = || (session_id.to_owned(), agent_id.to_owned());
        if flag(agent, "no_agent")? {
            found(Finding::named(named(String::from("it cannot be read"))));
            return Ok(());
        }
        if flag(agent, "no_appends")? {
            found(Finding::named(named(String::from("the keys of its appends cannot be read"))));
        }
        match agent.get_str("data") {
            Ok("object") => {}
            Ok("missing" | "null") => found(Finding::named(named(String::from("it has no agent_data")))),
            _ => found(Finding::named(named(String::from("its agent_data cannot be read")))),
        }
        for (name, text) in
            [("unreadable", "messages have no valid id, or are none"), ("undated", "messages have no created_at, and are listed last")]
        {
            let messages = count(agent, name)?;
            if messages > 0 {
                found(Finding::named(named(format!("{messages} {text}"))));
            }
        }
        if flag(agent, "no_list")? {
            found(Finding::named(named(String::from("its messages cannot be read"))));
        }
        if flag(agent, "unsorted")? {
            let (session_id, agent_id) = ids();
            let text = named(String::from("its messages count as ordered by time, and are not"));
            found(Finding::mendable(text, Mend::Sort { session_id, agent_id }));
        }
        let archive = match Archive::of(agent) {
            Ok(archive) => archive,
            Err(_) => {
                found(Finding::named(named(String::from("what it tells of its archive cannot be read"))));
                return Ok(());
            }
        };
        let Some(archive) = archive else { return Ok(()) };
        // One that was begun since the blocks were read has its own by now.
        if archive.count > 0 && !seen.contains(&archive.id) && self.blocks_of(session_id, archive.id, position(archive.count)).await?.0 == 0
        {
            found(Finding::named(named(format!("all {} archived messages are missing: the archive has no blocks", archive.count))));
        }
        let age = number(agent, "claimed")?.and_then(|millis| u64::try_from(millis).ok()).map(Duration::from_millis);
        if flag(agent, "moving")? && age.is_none_or(|age| age > MOVER) {
            let (session_id, agent_id) = ids();
            let text = named(String::from("a move to the archive was not completed"));
            found(Finding::mendable(text, Mend::FinishMove { session_id, agent_id }));
        }
        Ok(())
    }

    /// Mends damage; tells whether it is gone.
    pub(super) async fn mend(&self, mend: &Mend) -> Result<bool> {
        let failed = |error| Failure::of(error).into_error();
        match mend {
            Mend::Index { field } => Ok(index::make(&self.collection, field).await.is_ok()),
            Mend::ArchiveIndex => Ok(self.ensure_archive_index().await.is_ok()),
            Mend::RemoveOrphans { session_id, archive } => Ok(self.remove_dead(session_id, &[*archive]).await? > 0),
            Mend::RemoveUncommitted { session_id, archive, firsts } => {
                // A mover may have begun since; what it seals gets the same places.
                let Some(Owner { archive: told, is_moving: false, .. }) = self.owner(session_id, *archive).await? else { return Ok(false) };
                let ids: Vec<Document> = firsts
                    .iter()
                    .filter(|first| **first >= told.count)
                    .map(|first| doc! { "archive": archive, "first": position(*first) })
                    .collect();
                let filter = doc! { "session_id": session_id, "_id": { "$in": ids }, "fence": { "$lte": told.fence } };
                self.archive.delete_many(filter).await.map_err(failed)?;
                Ok(true)
            }
            Mend::FinishMove { session_id, agent_id } => {
                self.archive_down_to(session_id, agent_id, Down::to(u64::MAX), Haste::Now).await?;
                Ok(true)
            }
            Mend::Writes { session_id, agent_id, archive, told, writes } => {
                let path = AgentPath::new(agent_id);
                let mut filter = doc! { "_id": session_id };
                filter.extend(on(path.field("archive.id"), *archive));
                filter.extend(on(path.field("archive.writes"), *told));
                // What is pending is older than what the blocks have.
                let update = doc! { "$set": on(path.field("archive.writes"), *writes), "$unset": on(path.field("archive.redo"), "") };
                self.update_by_majority(filter, update).await.map_err(Failure::into_error)
            }
            Mend::Redo { session_id, agent_id } => {
                self.forget_pending(session_id, &AgentPath::new(agent_id)).await?;
                Ok(true)
            }
            Mend::Raise { session_id, agent_id, archive, top, latest } => {
                let path = AgentPath::new(agent_id);
                let mut filter = doc! { "_id": session_id };
                filter.extend(on(path.field("archive.id"), *archive));
                let mut max = on(path.field("archive.top"), *top);
                if let Some(latest) = latest {
                    max.extend(on(path.field("archive.latest"), *latest));
                }
                self.update_by_majority(filter, doc! { "$max": max }).await.map_err(Failure::into_error)
            }
            Mend::Sort { session_id, agent_id } => {
                let path = AgentPath::new(agent_id);
                let mut filter = doc! { "_id": session_id };
                filter.insert("$expr", are_in_order(&path));
                let sorted = on(path.field("messages"), in_order(path.value("messages"), |all| Bson::from(all)));
                self.update_by_majority(filter, vec![doc! { "$set": sorted }]).await.map_err(Failure::into_error)
            }
            Mend::EmptyNulls { session_id } => self.empty_nulls(session_id).await.map_err(Failure::into_error),
        }
    }
}

/// The positions below an archive's end that no block has.
fn missing(places: &[Range<u64>], count: u64) -> Vec<Range<u64>> {
    let (mut missing, mut next) = (Vec::new(), 0);
    for place in places {
        if place.start > next {
            missing.push(next..place.start);
        }
        next = next.max(place.end);
    }
    if next < count {
        missing.push(next..count);
    }
    missing
}

/// Positions, in words.
fn described(missing: &[Range<u64>]) -> String {
    let range = |range: &Range<u64>| {
        if range.end - range.start == 1 { format!("{}", range.start) } else { format!("{} to {}", range.start, range.end - 1) }
    };
    let mut text = format!("at the positions {}", missing.iter().take(NAMED).map(range).collect::<Vec<_>>().join(", "));
    if missing.len() > NAMED {
        text.push_str(", …");
    }
    text
}

fn flag(document: &RawDocument, name: &str) -> Result<bool> {
    Ok(matches!(member(document, name)?, Some(RawBsonRef::Boolean(true))))
}

/// The sessions and agents that have damage, or an archive.
fn damaged() -> Vec<Document> {
    let is = |value: &str, kinds: &[&str]| doc! { "$in": [{ "$type": value }, kinds] };
    let nulls = ["$agents", "$feedbacks", "$metadata", "$revision"].map(|field| Bson::from(is(field, &["null"])));
    let count = |messages: &str, damaged: Document| doc! { "$size": { "$filter": { "input": array(messages), "cond": damaged } } };
    let all = "$$agent.v.messages";
    let is_not = |value: &str, kinds: &[&str]| doc! { "$not": [is(value, kinds)] };
    let is_message = doc! { "$and": [is("$$this", &["object"]), { "$isNumber": "$$this.message_id" }] };
    let is_undated = doc! { "$and": [is("$$this", &["object"]), { "$eq": [time("$$this.created_at"), DateTime::MAX] }] };
    let times = doc! { "$map": { "input": array(all), "in": time("$$this.created_at") } };
    let counts_as_sorted = doc! { "$eq": ["$$agent.v.in_order", { "$size": array(all) }] };
    let unsorted = doc! { "$and": [
        counts_as_sorted,
        { "$let": { "vars": { "times": times }, "in": { "$ne": ["$$times", { "$sortArray": { "input": "$$times", "sortBy": 1 } }] } } },
    ] };
    let claimed = "$$agent.v.archive.claimed";
    let agent = doc! {
        "id": "$$agent.k",
        "no_agent": is_not("$$agent.v", &["object"]),
        "no_appends": is_not("$$agent.v.appends", &["array", "missing", "null"]),
        "data": { "$type": "$$agent.v.agent_data" },
        "no_list": { "$not": [is(all, &["array", "missing", "null"])] },
        "unreadable": count(all, doc! { "$not": [is_message] }),
        "undated": count(all, is_undated),
        "unsorted": unsorted,
        "archive": "$$agent.v.archive",
        "moving": { "$isArray": ["$$agent.v.moving.cuts"] },
        "claimed": { "$cond": [is(claimed, &["date"]), { "$subtract": ["$$NOW", claimed] }, Bson::Null] },
    };
    let has_damage = doc! { "$or": [
        "$$this.no_agent",
        "$$this.no_appends",
        { "$ne": ["$$this.data", "object"] },
        "$$this.no_list",
        { "$gt": ["$$this.unreadable", 0] },
        { "$gt": ["$$this.undated", 0] },
        "$$this.unsorted",
        is("$$this.archive", &["object"]),
    ] };
    let agents = doc! { "$map": { "input": questions::agents(), "as": "agent", "in": agent } };
    let feedback = |damaged: Document| count("$feedbacks", damaged);
    let is_undated_entry = doc! { "$and": [is("$$this", &["object"]), { "$eq": [time("$$this.created_at"), DateTime::MAX] }] };
    // A whole number may be a double; any other is none.
    let is_revision = doc! { "$or": [
        is("$revision", &["missing", "null"]),
        { "$and": [
            { "$isNumber": "$revision" },
            { "$gte": ["$revision", 0] },
            { "$eq": ["$revision", { "$trunc": { "$cond": [{ "$isNumber": "$revision" }, "$revision", 0] } }] },
        ] },
    ] };
    let of_session = doc! {
        "nulls": { "$or": nulls.to_vec() },
        "undated": { "$eq": [time("$created_at"), DateTime::MAX] },
        "revision": { "$not": [is_revision] },
        "session_type": is_not("$session_type", &["string", "missing", "null"]),
        "metadata": is_not("$metadata", &["object", "missing", "null"]),
        "feedbacks": is_not("$feedbacks", &["array", "missing", "null"]),
        "agents": is_not("$agents", &["object", "missing", "null"]),
        "unreadable_feedback": feedback(is_not("$$this", &["object"])),
        "undated_feedback": feedback(is_undated_entry),
        "damaged": { "$filter": { "input": agents, "cond": has_damage } },
    };
    let flags = ["nulls", "undated", "revision", "session_type", "metadata", "feedbacks", "agents"];
    let mut some: Vec<Document> = flags.into_iter().map(|flag| on(flag, true)).collect();
    some.extend(["unreadable_feedback", "undated_feedback"].map(|count| on(count, doc! { "$gt": 0 })));
    some.push(doc! { "damaged.0": { "$exists": true } });
    vec![doc! { "$match": { "_id": { "$type": "string" } } }, doc! { "$project": of_session }, doc! { "$match": { "$or": some } }]
}
