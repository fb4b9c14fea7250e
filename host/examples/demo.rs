//! The complete usage example of the reference, step by step, through the component on a real MongoDB.
//!
//! `make demo` runs it; by hand: `MONGODB_URI=mongodb://localhost:27017 cargo run --example demo`

use anyhow::Context;
use mongodb::Client;
use mongodb::bson::{Bson, Document, doc};
use serde_json::json;
use session_repository::{MongoStore, Repository, StoreOptions};

const DATABASE: &str = "session_repository_demo";
const COLLECTION: &str = "sessions";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let uri = std::env::var("MONGODB_URI").context("set MONGODB_URI to a MongoDB connection string, or run `make demo`")?;
    let client = Client::with_uri_str(&uri).await?;
    let documents = client.database(DATABASE).collection::<Document>(COLLECTION);
    // A demo can be run again: its own session, in its own database, goes first.
    documents.delete_one(doc! { "_id": "user-123" }).await?;

    step("a repository on a client that it borrows, with two metadata fields indexed");
    let options = StoreOptions {
        database: DATABASE.to_owned(),
        collection: COLLECTION.to_owned(),
        metadata_fields: vec![String::from("priority"), String::from("status")],
    };
    let repo = Repository::builder(MongoStore::with_client(&client, options).await?).build()?;
    println!("   indexes: {}", documents.list_index_names().await?.join(", "));

    step("create a session");
    let session = repo.sessions().create("user-123", Some("chat")).await?;
    println!("   {} of type {}, created at {}", session.session_id, session.session_type, session.created_at);

    step("set metadata");
    repo.metadata().update("user-123", json!({"user_name": "Alice", "priority": "high"})).await?;

    step("create an agent");
    let agent = json!({"model": "claude-3-sonnet", "system_prompt": "You are a helpful assistant"});
    repo.agents().create("user-123", "assistant-1", agent).await?;

    step("add messages");
    let messages = repo.messages();
    messages.create("user-123", "assistant-1", 1, json!({"role": "user", "content": "Hello!"})).await?;
    messages.create("user-123", "assistant-1", 2, json!({"role": "assistant", "content": "Hi! How can I help?"})).await?;

    step("add feedback");
    repo.feedback().add("user-123", json!({"rating": "up", "comment": "Great service!"})).await?;

    step("retrieve it all");
    let listed = messages.list("user-123", "assistant-1", None, 0).await?;
    println!("   messages: {}", listed.len());
    for message in &listed {
        println!("     {} {}", message.message_id, message.body);
    }
    println!("   metadata: {}", repo.metadata().get("user-123").await?.context("the session is gone")?);
    println!("   feedback: {}", repo.feedback().list("user-123").await?.len());

    step("close the repository; the borrowed client goes on");
    repo.close().await;
    let stored = documents.find_one(doc! { "_id": "user-123" }).await?.context("the document is gone")?;
    println!("   the stored document, as relaxed Extended JSON:");
    println!("{}", serde_json::to_string_pretty(&Bson::Document(stored).into_relaxed_extjson())?);
    client.shutdown().await;
    Ok(())
}

fn step(what: &str) {
    println!("-- {what}");
}
