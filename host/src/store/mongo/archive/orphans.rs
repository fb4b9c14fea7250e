//! Orphans: blocks of archives that no session's document tells of. A process that dies within an import or an undo leaves them, and so does
//! another program that removes an agent. No reader sees them.

use super::{Archive, position};
use crate::error::Result;
use crate::store::mongo::error::failed;
use crate::store::mongo::expressions::array;
use crate::store::mongo::questions;
use crate::store::mongo::store::{MongoStore, primary};
use crate::store::schema::read::member;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::RawBsonRef;
use mongodb::bson::{Bson, RawDocumentBuf, doc};

/// The field that marks a block which is about to be removed.
pub(crate) const ORPHAN: &str = "orphan";

impl MongoStore {
    /// Those of some archives that the session's document does not tell of.
    ///
    /// Archives that were listed first and are no longer referenced are dead: an archive is referenced before its first block is written.
    /// Only an import writes blocks first.
    async fn dead_archives(&self, session_id: &str, listed: &[ObjectId]) -> Result<Vec<ObjectId>> {
        if listed.is_empty() {
            return Ok(Vec::new());
        }
        let is = |value: &str, kinds: &[&str]| doc! { "$in": [{ "$type": value }, kinds] };
        let is_archive = doc! { "$and": [
            is("$$this.v.archive", &["object", "missing", "null"]),
            is("$$this.v.archive.id", &["objectId", "missing"]),
        ] };
        let question = doc! {
            "_id": 0,
            "archives": { "$map": { "input": questions::agents(), "in": "$$this.v.archive.id" } },
            "readable": { "$and": [
                is("$agents", &["object", "missing", "null"]),
                { "$allElementsTrue": [{ "$map": { "input": questions::agents(), "in": is_archive } }] },
            ] },
        };
        let found = self.find(session_id, question, Some(primary())).await?;
        let mut dead = listed.to_vec();
        if let Some(found) = &found
            && !matches!(member(found, "readable")?, Some(RawBsonRef::Boolean(true)))
        {
            tracing::warn!("the archives of a session cannot be read, so none of its blocks counts as an orphan; `check` names it");
            tracing::debug!(session_id, "archives of a session cannot be read");
            return Ok(Vec::new());
        }
        if let Some(RawBsonRef::Array(referenced)) = found.as_deref().map(|found| member(found, "archives")).transpose()?.flatten() {
            for archive in referenced {
                if let Ok(RawBsonRef::ObjectId(used)) = archive {
                    dead.retain(|archive| *archive != used);
                }
            }
        }
        Ok(dead)
    }

    /// Removes the blocks of those of some archives that the session's document does not tell of; tells how many.
    ///
    /// An import that completes meanwhile keeps its blocks, or finds out that it has lost them: it looks for the mark once its session is
    /// stored, and here the session is looked for once the mark is there.
    pub(crate) async fn remove_dead(&self, session_id: &str, listed: &[ObjectId]) -> Result<u64> {
        let dead = self.dead_archives(session_id, listed).await?;
        if dead.is_empty() {
            return Ok(0);
        }
        let blocks = doc! { "session_id": session_id, "_id.archive": { "$in": &dead } };
        let mark = self.archive.update_many(blocks, doc! { "$set": { ORPHAN: true } });
        mark.await.map_err(failed)?;
        let dead = self.dead_archives(session_id, &dead).await?;
        self.remove_blocks(session_id, &dead).await
    }

    /// Removes the blocks of some archives of a session.
    pub(crate) async fn remove_blocks(&self, session_id: &str, archives: &[ObjectId]) -> Result<u64> {
        if archives.is_empty() {
            return Ok(0);
        }
        let filter = doc! { "session_id": session_id, "_id.archive": { "$in": archives } };
        let removed = self.archive.delete_many(filter).await.map_err(failed)?;
        Ok(removed.deleted_count)
    }

    /// Removes a session's orphans; tells how many blocks. The session need not exist.
    pub(crate) async fn remove_orphans(&self, session_id: &str) -> Result<u64> {
        let group = vec![doc! { "$match": { "session_id": session_id } }, doc! { "$group": { "_id": "$_id.archive" } }];
        let grouped = self.archive.aggregate(group).selection_criteria(primary()).with_type::<RawDocumentBuf>();
        let mut cursor = grouped.await.map_err(failed)?;
        let mut listed = Vec::new();
        while cursor.advance().await.map_err(failed)? {
            if let Some(RawBsonRef::ObjectId(archive)) = member(cursor.current(), "_id")? {
                listed.push(archive);
            }
        }
        self.remove_dead(session_id, &listed).await
    }

    /// How many messages the blocks of an archive hold.
    pub(crate) async fn messages_of(&self, session_id: &str, archive: &Archive) -> Result<u64> {
        let blocks = vec![
            doc! { "$match": {
                "session_id": session_id,
                "_id.archive": archive.id,
                "_id.first": { "$lt": position(archive.count) },
                "$or": [{ "writes": { "$type": "number" } }, { "writes": Bson::Null }],
            } },
            doc! { "$group": { "_id": Bson::Null, "messages": { "$sum": { "$size": array("$messages") } } } },
        ];
        let counted = self.archive.aggregate(blocks).selection_criteria(primary()).with_type::<RawDocumentBuf>();
        let mut cursor = counted.await.map_err(failed)?;
        if cursor.advance().await.map_err(failed)? { super::count(cursor.current(), "messages") } else { Ok(0) }
    }

    /// How many blocks of an archive are in place, and their size in bytes.
    pub(crate) async fn blocks_of(&self, session_id: &str, archive: ObjectId, count: i64) -> Result<(u64, u64)> {
        let blocks = vec![
            doc! { "$match": { "session_id": session_id, "_id.archive": archive, "_id.first": { "$lt": count } } },
            doc! { "$group": { "_id": Bson::Null, "blocks": { "$sum": 1_i64 }, "bytes": { "$sum": { "$bsonSize": "$$ROOT" } } } },
        ];
        let mut cursor = self.archive.aggregate(blocks).with_type::<RawDocumentBuf>().await.map_err(failed)?;
        if !cursor.advance().await.map_err(failed)? {
            return Ok((0, 0));
        }
        Ok((super::count(cursor.current(), "blocks")?, super::count(cursor.current(), "bytes")?))
    }
}
