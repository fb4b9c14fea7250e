//! Indexes: made when a store opens, found to be there already by the next one.

use super::error::{failed, is_missing_namespace, server_code};
use crate::error::Result;
use futures_util::TryStreamExt;
use mongodb::bson::{Document, RawDocumentBuf};
use mongodb::error::ErrorKind;
use mongodb::{Collection, IndexModel};
use std::time::Duration;

/// How long opening a store waits for its indexes. They go on being built after that.
const INDEX_PATIENCE: Duration = Duration::from_secs(10);

/// Ensures the indexes on `created_at`, `updated_at` and each metadata field. The repository works without them, so an index that cannot
/// be made is logged and does not stop anything.
pub(crate) async fn ensure(collection: &Collection<RawDocumentBuf>, metadata_fields: Vec<String>) {
    // A task of its own, because a driver call must not be dropped midway.
    let ensuring = tokio::spawn(ensure_all(collection.clone(), metadata_fields));
    if tokio::time::timeout(INDEX_PATIENCE, ensuring).await.is_err() {
        tracing::warn!("the indexes are not there yet; they are ensured in the background");
    }
}

/// The fields that are indexed.
pub(crate) fn fields(metadata_fields: &[String]) -> Vec<String> {
    let always = ["created_at", "updated_at"].into_iter().map(str::to_owned);
    always.chain(metadata_fields.iter().map(|field| format!("metadata.{field}"))).collect()
}

async fn ensure_all(collection: Collection<RawDocumentBuf>, metadata_fields: Vec<String>) {
    for field in fields(&metadata_fields) {
        if let Err(error) = make(&collection, &field).await {
            let code = server_code(&error);
            tracing::warn!(field, ?code, "cannot ensure an index");
            tracing::debug!(%error, field, "the driver says");
            if let ErrorKind::ServerSelection { .. } = error.kind.as_ref() {
                break;
            }
        }
    }
}

/// The keys of each index of a collection; none where there is no collection yet.
pub(crate) async fn list(collection: &Collection<RawDocumentBuf>) -> Result<Vec<Document>> {
    let listed = async {
        let indexes: Vec<IndexModel> = collection.list_indexes().await?.try_collect().await?;
        Ok(indexes.into_iter().map(|index| index.keys).collect())
    };
    match listed.await {
        Err(error) if is_missing_namespace(&error) => Ok(Vec::new()),
        listed => listed.map_err(failed),
    }
}

/// Makes an index on a field, if it is not there.
pub(crate) async fn make(collection: &Collection<RawDocumentBuf>, field: &str) -> mongodb::error::Result<()> {
    let mut keys = Document::new();
    keys.insert(field, 1);
    collection.create_index(IndexModel::builder().keys(keys).build()).await.map(drop)
}
