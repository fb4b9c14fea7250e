//! Sessions move between stores as text, and are afterwards what they were, byte by byte.

mod appends;
mod broken;
mod idempotent;
mod interrupted;
mod large;
mod mongoexport;
mod random;
mod resume;
mod round_trip;
mod streaming;
mod zoo;

use mongodb::bson::{DateTime, Document, RawDocumentBuf, doc};
use session_repository::{AnyStore, Dumped, Imported};
use session_repository_tests::{COLLECTION, Database};
use std::io::Cursor;

/// 2024-01-26T10:30:45.123Z, and some seconds.
fn at(seconds: i64) -> DateTime {
    DateTime::from_millis(1_706_265_045_123 + 1_000 * seconds)
}

/// A session of the reference.
fn session(id: &str, agents: Document) -> Document {
    doc! {
        "_id": id, "session_id": id, "session_type": "default", "created_at": at(0), "updated_at": at(9),
        "metadata": { "priority": "high" }, "feedbacks": [{ "rating": "up", "created_at": at(5) }], "agents": agents,
    }
}

fn agent(id: &str, messages: Vec<Document>) -> Document {
    doc! {
        "agent_data": { "agent_id": id, "model": "m", "created_at": "2024-01-26T10:30:45.123456Z" },
        "created_at": at(0), "updated_at": at(9), "messages": messages,
    }
}

fn message(id: i32, body: Document) -> Document {
    let mut message = doc! { "message_id": id };
    message.extend(body);
    message.extend(doc! { "created_at": at(i64::from(id)), "updated_at": at(i64::from(id)) });
    message
}

/// A line of a dump, for sessions that need no more than one message.
fn line(id: &str, text: &str) -> String {
    format!(
        r#"{{"_id":"{id}","session_id":"{id}","metadata":{{}},"agents":{{"a":{{"agent_data":{{}},"messages":[{{"message_id":1,"content":"{text}"}}]}}}}}}"#
    )
}

/// The bytes of all documents of a collection, in the order of their ids.
async fn raw(database: &Database) -> anyhow::Result<Vec<RawDocumentBuf>> {
    let documents = database.client.database(&database.name).collection::<RawDocumentBuf>(COLLECTION);
    let (mut found, mut all) = (documents.find(doc! {}).sort(doc! { "_id": 1 }).await?, Vec::new());
    while found.advance().await? {
        all.push(found.current().to_owned());
    }
    Ok(all)
}

/// The dump of a store, through the library.
pub(crate) async fn dump(store: &AnyStore) -> anyhow::Result<String> {
    let (mut text, mut pieces) = (String::new(), store.export(None));
    while let Some(piece) = pieces.recv().await {
        if let Dumped::Text(piece) = piece? {
            text.push_str(&piece);
        }
    }
    Ok(text)
}

/// Imports a dump, through the library.
pub(crate) async fn load(store: &AnyStore, text: impl Into<Vec<u8>>) -> anyhow::Result<Imported> {
    Ok(store.import(Cursor::new(text.into())).await?)
}
