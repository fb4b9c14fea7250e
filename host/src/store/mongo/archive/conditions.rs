//! Conditions of writes on an agent's archive.

use super::{Archive, position};
use crate::store::mongo::expressions::{AgentPath, on};
use crate::store::mongo::known::Mover;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};

/// Matches if nobody has taken a higher number.
pub(crate) fn same_mover(path: &AgentPath, archive: ObjectId, fence: i64) -> Document {
    let mut same = on(path.field("archive.id"), archive);
    same.extend(on(path.field("archive.fence"), fence));
    same
}

/// Matches if no archived message has the id, by the highest one.
pub(crate) fn not_archived(path: &AgentPath, message_id: i64) -> Document {
    on(path.field("archive.top"), doc! { "$not": { "$gte": message_id } })
}

/// Matches if an archive has had no update and no move since it was found.
pub(crate) fn unmoved(path: &AgentPath, archive: &Archive) -> Document {
    let mut same = unwritten(path, archive);
    same.extend(on(path.field("archive.count"), position(archive.count)));
    same.extend(on(path.field("archive.fence"), archive.fence));
    same
}

/// Matches if the archive has had no update since it was found.
pub(crate) fn unwritten(path: &AgentPath, archive: &Archive) -> Document {
    let mut same = on(path.field("archive.id"), archive.id);
    same.extend(on(path.field("archive.writes"), archive.writes));
    same
}

/// Matches if nothing has moved since a mover; since there was no archive, if there is none.
pub(crate) fn last_mover(path: &AgentPath, mover: Option<Mover>) -> Document {
    match mover {
        Some(Mover { archive, fence }) => same_mover(path, archive, fence),
        None => on(path.field("archive.fence"), doc! { "$exists": false }),
    }
}

/// Matches if an archive has the same messages as when it was searched.
pub(crate) fn is_as_searched(path: &AgentPath, archive: &Archive) -> Document {
    let mut same = same_mover(path, archive.id, archive.fence);
    same.extend(on(path.field("archive.count"), position(archive.count)));
    same
}
