//! The commands of moves, as documents. All data stands in `$literal`.

use super::position;
use crate::error::Result;
use crate::store::mongo::pipeline::{AgentPath, in_order, messages_size};
use crate::store::mongo::{is_object, on};
use crate::store::schema::json::broken;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, RawDocumentBuf, doc};
use std::time::Duration;

/// How long others leave a mover alone. Its death costs no more than that, and its life does not depend on it.
const TURN: Duration = Duration::from_secs(5);

/// Matches if the agent has more than `after` bytes of messages and nobody moves them, or `mine` is the number of who does.
pub(super) fn claimable(session_id: &str, path: &AgentPath, after: u64, anyway: bool, mine: Option<i64>) -> Document {
    let mut filter = doc! { "_id": session_id };
    filter.extend(on(path.agent(), is_object()));
    filter.extend(on(path.field("messages.0"), doc! { "$exists": true }));
    let mut conditions = vec![doc! { "$gt": [messages_size(path), i64::try_from(after).unwrap_or(i64::MAX)] }];
    if !anyway {
        let claimed = doc! { "$ifNull": [path.value("archive.claimed"), DateTime::from_millis(0)] };
        let turn = i64::try_from(TURN.as_millis()).unwrap_or(i64::MAX);
        let is_over = doc! { "$lt": [claimed, { "$subtract": ["$$NOW", turn] }] };
        let is_mine = doc! { "$eq": [path.value("archive.fence"), mine.map_or(Bson::Null, Bson::Int64)] };
        conditions.push(if mine.is_some() {
            doc! { "$or": [is_over, is_mine] }
        } else {
            is_over
        });
    }
    filter.insert("$expr", doc! { "$and": conditions });
    filter
}

/// Takes the next number, makes the archive where there is none, and puts the messages in their order.
pub(super) fn claim(path: &AgentPath, new: ObjectId) -> Vec<Document> {
    let archive = |name: &str| path.value(&format!("archive.{name}"));
    let claimed = doc! {
        "id": { "$ifNull": [archive("id"), new] },
        "count": { "$ifNull": [archive("count"), 0_i64] },
        "writes": { "$ifNull": [archive("writes"), 0_i64] },
        "fence": { "$add": [{ "$ifNull": [archive("fence"), 0_i64] }, 1_i64] },
        "claimed": "$$NOW",
    };
    let mut set = Document::new();
    set.insert(path.field("archive"), doc! { "$mergeObjects": [path.value("archive"), claimed] });
    set.insert(path.field("messages"), in_order(path, |all| Bson::from(all)));
    vec![doc! { "$set": set }]
}

/// The archive, and the oldest messages: as many as fit in a block of so many bytes, and one at least.
pub(super) fn claimed(path: &AgentPath, block: u64) -> Document {
    let most = i32::try_from(super::moving::BLOCK_MESSAGES).unwrap_or(i32::MAX);
    let size = doc! { "$cond": [{ "$eq": [{ "$type": "$$this" }, "object"] }, { "$bsonSize": "$$this" }, 0] };
    let fits = doc! { "$lte": [{ "$add": ["$$value.bytes", "$$this"] }, i64::try_from(block).unwrap_or(i64::MAX)] };
    let taken = doc! { "$reduce": {
        "input": { "$map": { "input": "$$oldest", "in": size } },
        "initialValue": { "bytes": 0, "messages": 0 },
        "in": {
            "bytes": { "$add": ["$$value.bytes", "$$this"] },
            "messages": { "$add": ["$$value.messages", { "$cond": [fits, 1, 0] }] },
        },
    } };
    let oldest = doc! { "$let": {
        "vars": { "oldest": { "$slice": [path.value("messages"), most] } },
        "in": { "$let": { "vars": { "taken": taken }, "in": { "$slice": ["$$oldest", { "$max": [1, "$$taken.messages"] }] } } },
    } };
    doc! { "_id": 0, "archive": path.value("archive"), "oldest": oldest }
}

/// Matches if the archive is as the mover found it, the oldest messages are the given ones, and none of the others is older than the
/// newest of them.
pub(super) fn unchanged(
    session_id: &str,
    path: &AgentPath,
    (archive, fence, count): (ObjectId, i64, u64),
    oldest: &[RawDocumentBuf],
) -> Result<Document> {
    let messages = oldest.iter().map(|message| Document::try_from(message).map(Bson::from).map_err(broken)).collect::<Result<Vec<_>>>()?;
    let newest = messages.last().and_then(|message| message.as_document()).and_then(|message| message.get("created_at")).cloned();
    let moved = i32::try_from(messages.len()).unwrap_or(i32::MAX);
    let mut conditions = vec![doc! { "$eq": [{ "$slice": [path.value("messages"), moved] }, { "$literal": messages }] }];
    if let Some(newest) = newest {
        let is_older = doc! { "$lt": ["$$this.created_at", { "$literal": newest }] };
        let others = doc! { "$slice": [path.value("messages"), moved, i32::MAX] };
        conditions.push(doc! { "$not": [{ "$anyElementTrue": [{ "$map": { "input": others, "in": is_older } }] }] });
    }
    let mut filter = doc! { "_id": session_id };
    filter.insert(path.field("archive.id"), archive);
    filter.insert(path.field("archive.fence"), fence);
    filter.insert(path.field("archive.count"), position(count));
    filter.insert("$expr", doc! { "$and": conditions });
    Ok(filter)
}

/// Makes the oldest messages, whose block is written, part of the archive.
pub(super) fn archive_oldest(path: &AgentPath, count: u64, moved: usize, top: i64, latest: Option<i64>) -> Vec<Document> {
    let moved = i32::try_from(moved).unwrap_or(i32::MAX);
    let archive = |name: &str| path.value(&format!("archive.{name}"));
    let latest = latest.map_or(Bson::Null, |latest| Bson::DateTime(DateTime::from_millis(latest)));
    let grown = doc! {
        "count": position(count),
        "top": { "$max": [archive("top"), top] },
        "latest": { "$max": [archive("latest"), latest] },
    };
    let mut set = Document::new();
    set.insert(path.field("messages"), doc! { "$slice": [path.value("messages"), moved, i32::MAX] });
    set.insert(path.field("archive"), doc! { "$mergeObjects": [path.value("archive"), grown] });
    vec![doc! { "$set": set }, doc! { "$unset": path.field("archive.claimed") }]
}
