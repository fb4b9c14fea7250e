//! The index of the archive.

use crate::error::{Error, Result};
use crate::store::mongo::error::failed;
use crate::store::mongo::index;
use crate::store::mongo::store::MongoStore;
use mongodb::IndexModel;
use mongodb::bson::{Document, doc};

impl MongoStore {
    /// Messages in the archive are found by their ids through this index, and so are all blocks of a session. Nothing is moved before it
    /// is there.
    pub(crate) async fn ensure_archive_index(&self) -> Result<()> {
        let ensure = async || {
            // A task of its own, because a driver call must not be dropped midway.
            let archive = self.archive.clone();
            let ensuring = tokio::spawn(async move { archive.create_index(IndexModel::builder().keys(index_keys()).build()).await });
            match ensuring.await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(failed(error)),
                Err(defect) => Err(Error::of_task("ensuring an index", &defect, Error::Internal(String::from("the store failed")))),
            }
        };
        self.archive_index.get_or_try_init(ensure).await.map(drop)
    }

    /// Whether that index is there.
    pub(crate) async fn has_archive_index(&self) -> Result<bool> {
        Ok(index::list(&self.archive).await?.contains(&index_keys()))
    }
}

fn index_keys() -> Document {
    doc! { "session_id": 1, "messages.message_id": 1, "_id.archive": 1 }
}
