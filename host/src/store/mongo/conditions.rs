//! Conditions of writes on the session: its revision and the room that is left.

use super::expressions::on;
use crate::error::Result;
use crate::store::schema::build::{self, MAX_DOCUMENT};
use mongodb::bson::{Bson, Document, doc};

/// What appends leave free of the largest document, in bytes, so that a full session stays usable: other writes, and what stands around
/// each, still fit.
pub(crate) const RESERVE: u64 = 64 * 1024;

/// A condition on a session: its id, and the revision that is expected. Without one, whatever is stored has to read as a revision, because
/// the write advances it.
pub(crate) fn session(session_id: &str, expected: Option<u64>) -> Document {
    let mut filter = doc! { "_id": session_id };
    match expected {
        None => {
            filter.insert("$and", vec![doc! { "$expr": has_revision() }]);
        }
        Some(revision) => {
            filter.insert("revision", is_revision(revision));
            // These equal a number and are no revision.
            filter.insert("$nor", vec![on("revision", doc! { "$type": ["decimal", "array"] })]);
        }
    }
    filter
}

/// A condition on a session whose revision this process has read or written itself.
pub(crate) fn known_session(session_id: &str, revision: u64) -> Document {
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
pub(crate) fn has_room(adds: u64) -> Document {
    let most = i64::try_from(MAX_DOCUMENT - RESERVE).unwrap_or(i64::MAX) - i64::try_from(adds).unwrap_or(i64::MAX);
    doc! { "$lte": [{ "$bsonSize": "$$ROOT" }, most] }
}

/// The size of a document as BSON, in bytes, if the server can take it at all.
pub(crate) fn checked_size(document: &Document) -> Result<u64> {
    Ok(build::bounded(document)?.as_bytes().len() as u64)
}
