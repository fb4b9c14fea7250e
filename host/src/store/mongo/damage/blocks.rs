//! Damage of blocks: what they lack, and what the session's document does not tell of.

use super::finding::{Finding, Mend};
use crate::error::{Error, Result};
use crate::store::AgentRef;
use crate::store::mongo::archive::told::Owner;
use crate::store::mongo::archive::{Archive, count, number};
use crate::store::mongo::error::failed;
use crate::store::mongo::expressions::{array, highest, newest};
use crate::store::mongo::store::{MongoStore, primary};
use crate::store::schema::read::object;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, doc};
use mongodb::options::Hint;
use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;

/// Missing positions that one finding names.
const NAMED_PLACES: usize = 5;

/// How often, and how far apart, `check` looks for an update that is not in its block: the writer of it needs some milliseconds.
const LOOKS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// The blocks of one archive, as they were read.
struct ArchiveBlocks {
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

impl MongoStore {
    /// Looks at all blocks, one archive after the other; returns the archives that have any.
    pub(super) async fn damage_in_blocks(&self, found: &mut impl FnMut(Finding)) -> Result<HashSet<ObjectId>> {
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
        let mut blocks: Option<ArchiveBlocks> = None;
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
            let blocks = blocks.get_or_insert_with(|| ArchiveBlocks {
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
    async fn damage_in_archive(&self, blocks: ArchiveBlocks, found: &mut impl FnMut(Finding)) -> Result<()> {
        let ArchiveBlocks { archive, session_id, places, top, latest, writes, unreadable } = blocks;
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
            let agent = AgentRef::new(&session_id, &agent_id);
            found(Finding::mendable(text, Mend::Raise { agent, archive, top, latest }));
        }
        if writes > told.writes {
            let text = named(String::from("its archive has updates that the session's document does not tell of"));
            let agent = AgentRef::new(&session_id, &agent_id);
            found(Finding::mendable(text, Mend::Writes { agent, archive, told: told.writes, writes }));
        } else if !told.redo.is_empty() && self.lacks_redo(&session_id, &told).await? {
            let text = named(String::from("a block lacks the last update of one of its messages"));
            found(Finding::mendable(text, Mend::Redo { agent: AgentRef::new(&session_id, &agent_id) }));
        }
        Ok(())
    }

    /// Whether blocks lack the last update of an archive, and nobody is at work on that.
    async fn lacks_redo(&self, session_id: &str, told: &Archive) -> Result<bool> {
        for _ in 0..LOOKS {
            if self.has_redo(session_id, told).await? {
                return Ok(false);
            }
            tokio::time::sleep(PAUSE).await;
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
    let mut text = format!("at the positions {}", missing.iter().take(NAMED_PLACES).map(range).collect::<Vec<_>>().join(", "));
    if missing.len() > NAMED_PLACES {
        text.push_str(", …");
    }
    text
}
