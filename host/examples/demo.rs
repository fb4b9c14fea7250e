//! The complete usage example of the reference, step by step, through the component: on a file, or on a real MongoDB.
//!
//! `make demo` and `make demo-mongo` run it; by hand: `DEMO_STORE=mongodb://localhost:27017 cargo run --example demo`

use anyhow::Context;
#[cfg(feature = "mongodb")]
use mongodb::Client;
#[cfg(feature = "mongodb")]
use mongodb::bson::{Document, doc};
use serde_json::json;
use session_repository::{AnyStore, Dumped, Repository, StoreOptions, StoreUrl};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("session-repository-demo-{}", std::process::id()));
    let url = match std::env::var("DEMO_STORE") {
        Ok(url) => url.parse()?,
        Err(_) => StoreUrl::File(folder.join("sessions.store")),
    };
    let options =
        StoreOptions::default().database("session_repository_demo").collection("sessions").metadata_fields(["priority", "status"]);
    match &url {
        #[cfg(feature = "mongodb")]
        StoreUrl::Mongo(uri) => forget_last_time(uri, &url.database(&options), &options.collection).await?,
        _ => std::fs::create_dir(&folder)?,
    }
    step("a store, and a repository on it");
    let store = AnyStore::open(&url, options).await?;
    println!("   {url:?}");
    let repo = Repository::builder_on(store.clone().into_store()).limits(url.limits()).build()?;
    let shown = usage(&repo).await;
    let dumped = dump(&store).await;
    step("close the repository, and the store with it");
    repo.close().await;
    if let StoreUrl::File(_) = url {
        std::fs::remove_dir_all(folder)?;
    }
    shown.and(dumped)
}

async fn usage(repo: &Repository) -> anyhow::Result<()> {
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
    Ok(())
}

/// Prints what is stored: the document of the reference's schema, whatever the store.
async fn dump(store: &AnyStore) -> anyhow::Result<()> {
    step("export the stored document, as Extended JSON");
    let mut dump = store.export(None);
    let mut text = String::new();
    while let Some(piece) = dump.recv().await {
        if let Dumped::Text(more) = piece? {
            text.push_str(&more);
        }
    }
    for line in text.lines() {
        println!("{}", serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(line)?)?);
    }
    Ok(())
}

/// A demo can be run again: its own session, in its own database, goes first.
#[cfg(feature = "mongodb")]
async fn forget_last_time(uri: &str, database: &str, collection: &str) -> anyhow::Result<()> {
    let client = Client::with_uri_str(uri).await?;
    let documents = client.database(database).collection::<Document>(collection);
    documents.delete_one(doc! { "_id": "user-123" }).await?;
    client.shutdown().await;
    Ok(())
}

fn step(what: &str) {
    println!("-- {what}");
}
