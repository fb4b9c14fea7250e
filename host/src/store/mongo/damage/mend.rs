//! Mending damage.

use super::finding::Mend;
use crate::error::Result;
use crate::store::mongo::archive::position;
use crate::store::mongo::archive::told::Owner;
use crate::store::mongo::error::{Failure, failed};
use crate::store::mongo::expressions::{AgentPath, are_in_order, in_order, on};
use crate::store::mongo::index;
use crate::store::mongo::store::MongoStore;
use mongodb::bson::{Bson, Document, doc};

impl MongoStore {
    /// Mends damage; tells whether it is gone.
    pub(crate) async fn mend(&self, mend: &Mend) -> Result<bool> {
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
            Mend::FinishMove { agent } => {
                self.finish_move(&AgentPath::of(agent)).await?;
                Ok(true)
            }
            Mend::Writes { agent, archive, told, writes } => {
                let path = AgentPath::of(agent);
                let mut filter = doc! { "_id": &agent.session };
                filter.extend(on(path.field("archive.id"), *archive));
                filter.extend(on(path.field("archive.writes"), *told));
                // What is pending is older than what the blocks have.
                let update = doc! { "$set": on(path.field("archive.writes"), *writes), "$unset": on(path.field("archive.redo"), "") };
                self.update_by_majority(filter, update).await.map_err(Failure::into_error)
            }
            Mend::Redo { agent } => {
                self.forget_pending(&AgentPath::of(agent)).await?;
                Ok(true)
            }
            Mend::Raise { agent, archive, top, latest } => {
                let path = AgentPath::of(agent);
                let mut filter = doc! { "_id": &agent.session };
                filter.extend(on(path.field("archive.id"), *archive));
                let mut max = on(path.field("archive.top"), *top);
                if let Some(latest) = latest {
                    max.extend(on(path.field("archive.latest"), *latest));
                }
                self.update_by_majority(filter, doc! { "$max": max }).await.map_err(Failure::into_error)
            }
            Mend::Sort { agent } => {
                let path = AgentPath::of(agent);
                let mut filter = doc! { "_id": &agent.session };
                filter.insert("$expr", are_in_order(&path));
                let sorted = on(path.field("messages"), in_order(path.value("messages"), |all| Bson::from(all)));
                self.update_by_majority(filter, vec![doc! { "$set": sorted }]).await.map_err(Failure::into_error)
            }
            Mend::EmptyNulls { session_id } => self.empty_nulls(session_id).await.map_err(Failure::into_error),
        }
    }
}
