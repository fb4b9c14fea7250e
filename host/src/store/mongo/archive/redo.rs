//! The last update of an archive: bringing it to the blocks, and taking it out of the session's document.

use super::Archive;
use super::blocks::block_id;
use super::conditions::unwritten;
use crate::error::Result;
use crate::store::mongo::conditions::session;
use crate::store::mongo::error::{Failure, failed};
use crate::store::mongo::expressions::{AgentPath, on};
use crate::store::mongo::store::MongoStore;
use crate::store::schema::json::broken;
use mongodb::bson::{Document, doc};

impl MongoStore {
    /// Brings the blocks up to date with the last update of the archive. A block that has had a later one stays as it is.
    pub(crate) async fn redo(&self, session_id: &str, archive: &Archive) -> Result<()> {
        for patch in &archive.redo {
            let mut set = doc! { "writes": archive.writes };
            set.insert(format!("messages.{}", patch.at), Document::try_from(&patch.message).map_err(broken)?);
            // Several messages of one block are brought up to date one after the other, all by the same update.
            let mut filter =
                doc! { "_id": block_id(archive.id, patch.first), "session_id": session_id, "writes": { "$lte": archive.writes } };
            // The server would fill up an array that is shorter.
            filter.insert(format!("messages.{}", patch.at), doc! { "$exists": true });
            self.archive.update_one(filter, doc! { "$set": set }).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Brings the blocks up to date and takes the last update of an archive out of the session's document.
    pub(crate) async fn forget_pending(&self, path: &AgentPath) -> Result<()> {
        let told = self.read_archive(path).await?;
        let Some(archive) = told.archive.filter(|archive| !archive.redo.is_empty()) else { return Ok(()) };
        self.redo(path.session_id(), &archive).await?;
        self.forget_redo(path, &archive).await
    }

    /// Takes an update that the blocks have out of the session's document.
    pub(crate) async fn forget_redo(&self, path: &AgentPath, archive: &Archive) -> Result<()> {
        let mut filter = session(path.session_id(), None);
        filter.extend(unwritten(path, archive));
        let unset = doc! { "$unset": on(path.field("archive.redo"), "") };
        self.update(filter, unset).await.map(drop).map_err(Failure::into_error)
    }
}
