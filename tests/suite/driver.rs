//! What goes over the wire, watched through the driver's command events.

use crate::samples::samples;
use mongodb::Client;
use mongodb::bson::{Bson, Document, doc};
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use mongodb::options::ClientOptions;
use serde_json::json;
use session_repository::{MongoStore, Repository, StoreOptions};
use session_repository_tests::{COLLECTION, Database, mongodb_uri};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A command that the driver sent, and the reply.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) command: Document,
    request_id: i32,
    pub(crate) reply: Option<Document>,
}

/// A watch on the commands of a client.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch {
    seen: Arc<Mutex<Vec<Seen>>>,
    started: Arc<Notify>,
}

impl Watch {
    pub(crate) fn on(options: &mut ClientOptions) -> Self {
        let watch = Self::default();
        let seen = watch.clone();
        options.command_event_handler = Some(EventHandler::callback(move |event| match event {
            CommandEvent::Started(started) => {
                let (name, command) = (started.command_name, started.command);
                seen.lock().push(Seen { name, command, request_id: started.request_id, reply: None });
                seen.started.notify_one();
            }
            CommandEvent::Succeeded(done) => {
                if let Some(command) = seen.lock().iter_mut().find(|command| command.request_id == done.request_id) {
                    command.reply = Some(done.reply);
                }
            }
            _ => {}
        }));
        watch
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn commands(&self) -> Vec<Seen> {
        self.lock().clone()
    }

    /// Waits until a command is on its way that was not looked at yet.
    pub(crate) async fn command_started(&self) {
        while self.lock().is_empty() {
            self.started.notified().await;
        }
    }

    /// What was seen since the last look.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.lock())
    }
}

pub(crate) async fn watched(database: &Database) -> anyhow::Result<(Repository, Watch)> {
    let mut options = ClientOptions::parse(mongodb_uri()?).await?;
    let watch = Watch::on(&mut options);
    let store = MongoStore::with_client(&Client::with_options(options)?, database.options()).await?;
    watch.take();
    Ok((Repository::builder(store).build()?, watch))
}

/// A store of its own, with its commands watched.
pub(crate) async fn watched_store(options: StoreOptions) -> anyhow::Result<(MongoStore, Watch)> {
    let mut client = ClientOptions::parse(mongodb_uri()?).await?;
    let watch = Watch::on(&mut client);
    let store = MongoStore::with_client(&Client::with_options(client)?, options).await?;
    watch.take();
    Ok((store, watch))
}

/// The `_id` to which a command is addressed, if it is to one.
pub(crate) fn addressed_to(seen: &Seen) -> Option<&Bson> {
    filter(seen)?.get("_id")
}

/// What a command looks for, or the document that it brings.
pub(crate) fn filter(seen: &Seen) -> Option<&Document> {
    let first = |list: &str| seen.command.get_array(list).ok()?.first()?.as_document();
    match seen.name.as_str() {
        "insert" => first("documents"),
        "update" => first("updates")?.get_document("q").ok(),
        "delete" => first("deletes")?.get_document("q").ok(),
        "find" => seen.command.get_document("filter").ok(),
        "findAndModify" => seen.command.get_document("query").ok(),
        "aggregate" => first("pipeline")?.get_document("$match").ok(),
        _ => None,
    }
}

#[tokio::test]
async fn every_command_addresses_one_session_and_every_call_is_one_command_on_it() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let (repo, watch) = watched(&database).await?;
    let check = |call: &str, commands: usize| {
        let seen = watch.take();
        assert_eq!(seen.len(), commands, "{call}: {seen:#?}");
        for command in &seen {
            // A string, not a condition on it: that is what a sharded cluster routes to one shard.
            let shard = match command.command.get_str(&command.name) {
                Ok(COLLECTION) => addressed_to(command),
                Ok("sessions.archive") => filter(command).and_then(|filter| filter.get("session_id")),
                other => panic!("{call}: a command on {other:?}"),
            };
            assert_eq!(shard, Some(&Bson::from("s")), "{call}: {command:?}");
        }
    };
    for sample in samples() {
        (sample.make)(&repo, "s").await?;
        check(sample.call, sample.commands);
    }
    let (agents, messages) = (repo.agents(), repo.messages());
    // A write that matched nothing is followed by one look at why.
    messages.create("s", "a", 1, r#"{"k": 1}"#).await?;
    check("messages.create, again", 2);
    messages.update("s", "a", 9, "{}").await.err();
    check("messages.update of an unknown message", 3);
    agents.create("s", "a", "{}").await.err();
    check("agents.create, again", 2);
    agents.update("s", "b", "{}").await.err();
    check("agents.update of an unknown agent", 2);
    let mut options = ClientOptions::parse(mongodb_uri()?).await?;
    let own = Watch::on(&mut options);
    let store = MongoStore::with_client(&Client::with_options(options)?, database.options()).await?;
    own.take();
    store.agent_ids("s").await?;
    assert_eq!(own.take().iter().map(addressed_to).collect::<Vec<_>>(), [Some(&Bson::from("s"))]);
    repo.close().await;
    database.drop().await
}

#[tokio::test]
async fn a_page_costs_a_page_and_metrics_stay_in_the_database() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let (store, watch) = watched_store(database.archiving(None)).await?;
    let repo = Repository::builder(store).build()?;
    repo.sessions().create("s", None).await?;
    repo.agents().create("s", "a", "{}").await?;
    let stored: Vec<_> = (0..10_000_i32)
        .map(|id| {
            let at = mongodb::bson::DateTime::from_millis(1_700_000_000_000 + i64::from(id));
            doc! { "message_id": id, "role": "user", "content": "x".repeat(200), "created_at": at, "updated_at": at,
            "event_loop_metrics": { "trace": "y".repeat(800) } }
        })
        .collect();
    database.documents().update_one(doc! { "_id": "s" }, doc! { "$set": { "agents.a.messages": stored } }).await?;
    watch.take();
    let reply_bytes = |watch: &Watch| -> anyhow::Result<usize> {
        let replies = watch.take().into_iter().filter_map(|seen| seen.reply);
        Ok(replies.map(|reply| mongodb::bson::serialize_to_vec(&reply).map(|bytes| bytes.len())).sum::<Result<_, _>>()?)
    };
    for offset in [0, 5_000, 9_990] {
        let page = repo.messages().list("s", "a", Some(10), offset).await?;
        let ids: Vec<_> = page.iter().map(|message| message.message_id).collect();
        assert_eq!(ids, (offset..offset + 10).collect::<Vec<_>>());
        let bytes = reply_bytes(&watch)?;
        assert!((10 * 200..10 * 400).contains(&bytes), "ten messages of about 300 bytes, without their metrics: {bytes} bytes");
    }
    let one = repo.messages().read("s", "a", 7_777).await?;
    assert_eq!(one.map(|message| message.message_id), Some(7_777));
    let bytes = reply_bytes(&watch)?;
    assert!((200..600).contains(&bytes), "one message: {bytes} bytes");
    repo.messages().update("s", "a", 7_777, json!({"role": "user"})).await?;
    repo.messages().create("s", "a", 10_000, json!({"role": "user"})).await?;
    let bytes = reply_bytes(&watch)?;
    assert!(bytes < 600, "two acknowledgements: {bytes} bytes");
    repo.close().await;
    database.drop().await
}
