//! A store: its collections, what it remembers of them, and the plain commands on a session's document.

use super::archive::memory::Memory;
use super::error::{Failure, failed};
use super::known::Sessions;
use super::upkeep::Upkeep;
use crate::error::Result;
use crate::store::{Overdue, StoreOptions};
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::options::{Acknowledgment, CollectionOptions, ReadPreference, SelectionCriteria, UpdateModifications, WriteConcern};
use mongodb::{Client, Collection, Database};
use std::fmt;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// Sessions in a MongoDB collection.
///
/// Documents have the schema of the Python `MongoDBSessionRepository`, so both can work on one collection. Writes are acknowledged by a
/// majority unless the connection string says otherwise. Needs MongoDB 6.0 or newer.
///
/// One session is one document, exactly as the reference has it, until the messages of an agent outgrow
/// [`MongoOptions::archive_after`](crate::MongoOptions::archive_after). Then the oldest ones move, in blocks, to documents of a second collection, `<collection>.archive`, and
/// no call tells the difference; programs that read the documents themselves see the recent messages. Without an archive, and for what else
/// is in a session, the document's limit of 16 MiB holds: a write that would exceed it is refused as `too-large`, and all else goes on.
#[derive(Clone)]
pub struct MongoStore {
    pub(crate) collection: Collection<RawDocumentBuf>,
    /// Where the oldest messages of long histories are.
    pub(crate) archive: Collection<RawDocumentBuf>,
    /// How much of an agent's messages stays in the session's document, in bytes.
    pub(crate) archive_after: Option<u64>,
    /// Whether the archive's index is there.
    pub(crate) archive_index: Arc<OnceCell<()>>,
    /// What updates ask for on which two documents depend: the collection's write concern, by a majority.
    pub(crate) majority: WriteConcern,
    pub(crate) memory: Arc<Memory>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) upkeep: Arc<Upkeep>,
    pub(crate) overdue: Overdue,
    /// The client, if it was made here and is to be shut down here.
    pub(crate) owned: Option<Client>,
}

impl fmt::Debug for MongoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No client in it: its options hold credentials.
        f.debug_struct("MongoStore")
            .field("collection", &self.collection.namespace().to_string())
            .field("owns_client", &self.owned.is_some())
            .finish_non_exhaustive()
    }
}

/// Reads that a write or an archive stands on are of the primary's state.
pub(crate) fn primary() -> SelectionCriteria {
    SelectionCriteria::ReadPreference(ReadPreference::Primary)
}

impl MongoStore {
    /// A store on a session collection; its archive is beside it.
    pub(crate) fn new(database: &Database, collection: Collection<RawDocumentBuf>, options: &StoreOptions, owned: Option<Client>) -> Self {
        let mut majority = collection.write_concern().cloned().unwrap_or_default();
        majority.w = Some(Acknowledgment::Majority);
        let beside = CollectionOptions::builder().write_concern(majority.clone()).selection_criteria(primary()).build();
        let archive = database.collection_with_options(&format!("{}.archive", collection.name()), beside);
        Self {
            collection,
            archive,
            archive_after: options.mongo.archive_after,
            archive_index: Arc::default(),
            majority,
            memory: Arc::default(),
            sessions: Arc::default(),
            upkeep: Arc::default(),
            overdue: Overdue::default(),
            owned,
        }
    }

    /// The one document that an aggregation yields, if any.
    pub(crate) async fn aggregate(&self, pipeline: Vec<Document>) -> Result<Option<RawDocumentBuf>> {
        let mut cursor = self.collection.aggregate(pipeline).with_type::<RawDocumentBuf>().await.map_err(failed)?;
        if cursor.advance().await.map_err(failed)? { Ok(Some(cursor.current().to_owned())) } else { Ok(None) }
    }

    /// Finds fields of a session.
    pub(crate) async fn find(
        &self,
        session_id: &str,
        projection: Document,
        from: Option<SelectionCriteria>,
    ) -> Result<Option<RawDocumentBuf>> {
        let find = self.collection.find_one(doc! { "_id": session_id }).projection(projection);
        let find = match from {
            Some(from) => find.selection_criteria(from),
            None => find,
        };
        find.await.map_err(failed)
    }

    /// Applies an update to the session if `filter` matches it; tells whether it did.
    pub(crate) async fn update(&self, filter: Document, update: impl Into<UpdateModifications>) -> Result<bool, Failure> {
        let updated = self.collection.update_one(filter, update).await.map_err(Failure::of)?;
        Ok(updated.matched_count > 0)
    }

    /// The same, acknowledged by a majority whatever the connection string says: two documents depend on each other, and a failover must
    /// not take back one of them.
    pub(crate) async fn update_by_majority(&self, filter: Document, update: impl Into<UpdateModifications>) -> Result<bool, Failure> {
        let updated = self.collection.update_one(filter, update).write_concern(self.majority.clone());
        Ok(updated.await.map_err(Failure::of)?.matched_count > 0)
    }
}
