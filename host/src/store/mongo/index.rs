//! Indexes: made when a store opens, found to be there already by the next one.

use mongodb::bson::{Document, RawDocumentBuf};
use mongodb::{Collection, IndexModel};

/// Ensures the indexes on `created_at`, `updated_at` and each metadata field. The repository works without them, so an index that cannot
/// be made is logged and does not stop anything.
pub(super) async fn ensure(collection: &Collection<RawDocumentBuf>, metadata_fields: &[String]) {
    let fields = ["created_at", "updated_at"].into_iter().map(str::to_owned);
    for field in fields.chain(metadata_fields.iter().map(|field| format!("metadata.{field}"))) {
        let mut keys = Document::new();
        keys.insert(&field, 1);
        if let Err(error) = collection.create_index(IndexModel::builder().keys(keys).build()).await {
            tracing::warn!(%error, field, "cannot ensure an index");
        }
    }
}
