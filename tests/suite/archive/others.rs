//! Programs that know nothing of the archive, beside it: the reference, in its older and its newer versions.

use super::history::{Place, SMALL, Said};
use super::proxy::{Command, Moment, Plan, Proxy, Step, at_step};
use crate::transfer::{dump, load};
use anyhow::{Context, ensure};
use mongodb::bson::{Bson, DateTime, Document, doc};
use serde_json::{Value, json};
use session_repository::{AnyStore, EmbeddedStore, Repository, StoreOptions};
use session_repository_tests::Database;

/// How many messages the sessions of these tests have.
const MESSAGES: i32 = 24;

/// The versions of the reference, by how they store a message.
#[derive(Debug, Clone, Copy)]
enum Reference {
    /// Metric fields of its own on each, nothing else.
    Older,
    /// Each message has a `storage_id`, and the metrics lie in an object.
    Newer,
}

impl Reference {
    fn date(offset: i32) -> DateTime {
        DateTime::from_millis(1_706_265_045_123 + i64::from(offset))
    }

    fn message(self, n: i32) -> Document {
        let text = format!("{}{n}", "x".repeat(150));
        let mut message = doc! {
            "message_id": n,
            "message": { "role": "user", "content": [{ "text": text }] },
            "redact_message": Bson::Null,
            "created_at": Self::date(n),
            "updated_at": Self::date(n),
        };
        match self {
            Self::Older => message.extend(doc! { "latency_ms": 5, "input_tokens": 6, "output_tokens": 7 }),
            Self::Newer => {
                message.insert("storage_id", format!("id-{n}"));
                message.insert("event_loop_metrics", doc! { "accumulated_usage": { "inputTokens": 6_i64 } });
            }
        }
        message
    }

    fn session(self) -> Document {
        let messages: Vec<_> = (0..MESSAGES).map(|n| self.message(n)).collect();
        let date = Self::date(0);
        let data = match self {
            Self::Older => {
                doc! { "agent_id": "a", "created_at": "2024-01-26T10:30:45.123000+00:00", "updated_at": "2024-01-26T10:30:45.123000+00:00" }
            }
            Self::Newer => doc! { "agent_id": "a", "created_at": date, "updated_at": date, "prompt_metadata": Bson::Null },
        };
        let mut session = doc! {
            "_id": "s", "session_id": "s", "session_type": "AGENT", "created_at": date, "updated_at": date,
            "agents": { "a": { "agent_data": data, "messages": messages, "created_at": date, "updated_at": date } },
            "metadata": {}, "feedbacks": [],
        };
        if matches!(self, Self::Newer) {
            session.extend(doc! { "application_name": "app", "session_viewer_password": "p", "guardrail_events": [] });
        }
        session
    }

    /// What is read of its messages.
    fn said(self) -> Said {
        let own = |n| {
            let text = format!("{}{n}", "x".repeat(150));
            json!({"message": {"role": "user", "content": [{"text": text}]}, "redact_message": null})
        };
        (0..MESSAGES).map(|n| (i64::from(n), own(n))).collect()
    }

    /// Whether all messages that are stored have what is hidden, as it was written.
    fn is_kept(self, stored: &[Document]) -> anyhow::Result<()> {
        for message in stored {
            let n = message.get_i32("message_id")?;
            let expected = self.message(n);
            for name in ["storage_id", "event_loop_metrics", "latency_ms", "input_tokens", "output_tokens"] {
                ensure!(message.get(name) == expected.get(name), "{name} of {message}");
            }
        }
        ensure!(i32::try_from(stored.len())? == MESSAGES, "{} messages", stored.len());
        Ok(())
    }
}

/// All messages as they are stored, the archive's first.
async fn stored(database: &Database) -> anyhow::Result<Vec<Document>> {
    let mut lists = Vec::new();
    let mut blocks = database.blocks().find(doc! {}).sort(doc! { "_id": 1 }).await?;
    while blocks.advance().await? {
        lists.push(blocks.deserialize_current()?.get_array("messages")?.clone());
    }
    let document = database.document("s").await?;
    lists.push(document.get_document("agents")?.get_document("a")?.get_array("messages")?.clone());
    let messages = lists.into_iter().flatten().map(|message| message.as_document().cloned().context("no message"));
    messages.collect()
}

/// What both ways of reading find; none of what is hidden.
async fn read(repo: &Repository) -> anyhow::Result<Said> {
    let mut said = Said::new();
    for message in repo.messages().list("s", "a", None, 0).await? {
        ensure!(repo.messages().read("s", "a", message.message_id).await?.as_ref() == Some(&message), "{message:?}");
        said.push((message.message_id, message.body.parse()?));
    }
    Ok(said)
}

#[tokio::test]
async fn what_versions_of_the_reference_stored_is_read_and_kept_wherever_it_goes() -> anyhow::Result<()> {
    for reference in [Reference::Older, Reference::Newer] {
        let database = Database::fresh().await?;
        database.documents().insert_one(reference.session()).await?;
        let place = Place::open(&database, Some(SMALL)).await?;
        let mut said = reference.said();
        ensure!(read(&place.repo).await? == said, "{reference:?}");
        // In the document, in the archive, and folded back: an update keeps what is hidden, and cannot set it.
        let mut n = 0_usize;
        let mut updated = async |repo: &Repository| {
            for id in [0, n, 23] {
                let body = json!({"message": {"role": "user", "content": [{"text": format!("updated {n}")}]}, "storage_id": "mine"});
                repo.messages().update("s", "a", i64::try_from(id)?, body.to_string()).await?;
                said[id].1 = json!({"message": {"role": "user", "content": [{"text": format!("updated {n}")}]}});
                n += 1;
            }
            ensure!(read(repo).await? == said, "{reference:?}: {said:?}");
            anyhow::Ok(())
        };
        updated(&place.repo).await?;
        reference.is_kept(&stored(&database).await?)?;
        let moved = place.store.archive_run("s").await?.context("no session")?;
        ensure!(moved > 10, "{moved}");
        updated(&place.repo).await?;
        reference.is_kept(&stored(&database).await?)?;
        // A dump has it, and a file that it is loaded into hides it and keeps it.
        let text = dump(&AnyStore::Mongo(place.store.clone())).await?;
        let folder = tempfile::tempdir()?;
        let file = AnyStore::Embedded(EmbeddedStore::open(folder.path().join("copy"), StoreOptions::default()).await?);
        ensure!(load(&file, text.clone()).await?.new == 1);
        updated(&Repository::builder_on(file.clone().into_store()).build()?).await?;
        let text = dump(&file).await?;
        place.store.archive_undo("s").await?.context("no session")?;
        ensure!(database.documents().delete_many(doc! {}).await?.deleted_count == 1);
        ensure!(load(&AnyStore::Mongo(place.store.clone()), text).await?.new == 1);
        reference.is_kept(&stored(&database).await?)?;
        updated(&place.repo).await?;
        place.store.archive_undo("s").await?.context("no session")?;
        updated(&place.repo).await?;
        reference.is_kept(&stored(&database).await?)?;
        let document = database.document("s").await?;
        let expected = reference.session();
        for name in ["application_name", "session_viewer_password", "guardrail_events"] {
            ensure!(document.get(name) == expected.get(name), "{name} of {document}");
        }
        file.into_store().close().await;
        place.close().await;
        database.drop().await?;
    }
    Ok(())
}

/// The update of the reference's newer versions: one command, which finds the message by its `storage_id` in the document.
async fn update_of_the_reference(database: &Database, n: i32, field: &str, value: Bson) -> anyhow::Result<bool> {
    let filter = doc! { "_id": "s", "agents.a.messages.storage_id": format!("id-{n}") };
    let mut set = doc! { "agents.a.messages.$.updated_at": Reference::date(1000) };
    set.insert(format!("agents.a.messages.$.{field}"), value);
    Ok(database.documents().update_one(filter, doc! { "$set": set }).await?.matched_count == 1)
}

/// It comes while a move is held at a step. Either it finds the message, and then what it wrote stays; or it finds nothing and knows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_of_the_reference_during_a_move_is_kept_or_finds_nothing() -> anyhow::Result<()> {
    let mut outcomes = Vec::new();
    for (step, moment) in [
        (Step::Seal, Moment::Before),
        (Step::Seal, Moment::After),
        (Step::WriteBlocks, Moment::Before),
        (Step::CommitMove, Moment::Before),
        (Step::CommitMove, Moment::After),
    ] {
        let database = Database::fresh().await?;
        let mut session = Reference::Newer.session();
        let messages = session.get_document_mut("agents")?.get_document_mut("a")?.get_array_mut("messages")?;
        for message in messages.iter_mut().filter_map(Bson::as_document_mut) {
            message.insert("n", 1);
        }
        database.documents().insert_one(session).await?;
        let mut proxy = Proxy::start(at_step(step, 0, Plan::Hold(moment))).await?;
        let place = Place::through(&proxy.uri(), &database, Some(SMALL)).await?;
        let store = place.store.clone();
        let moving = tokio::spawn(async move { store.archive_run("s").await });
        let held = proxy.held().await?;
        // A number that is equal, and another value: the server takes 1 and 1.0 as the same.
        let changes = [(2, Bson::from(1.0)), (3, Bson::from(1_i64)), (4, Bson::from("new")), (MESSAGES - 1, Bson::from(1.0))];
        let mut found = Vec::new();
        for (n, value) in changes.clone() {
            found.push(update_of_the_reference(&database, n, "n", value).await?);
        }
        held.resume();
        moving.await??.context("no session")?;
        let stored = stored(&database).await?;
        for ((n, value), found) in changes.into_iter().zip(&found) {
            let message = stored.iter().find(|message| message.get_i32("message_id").ok() == Some(n)).context("it is gone")?;
            let expected = if *found { value } else { Bson::from(1) };
            ensure!(message.get("n") == Some(&expected), "{step:?} {moment:?}: {message}, {found}");
        }
        Reference::Newer.is_kept(&stored)?;
        outcomes.push(found);
        place.close().await;
        database.drop().await?;
    }
    ensure!(outcomes[0].iter().all(|found| *found), "before anything is moved all are found: {outcomes:?}");
    ensure!(outcomes[1..].iter().all(|found| found == &[false, false, false, true]), "then only those that stay: {outcomes:?}");
    Ok(())
}

/// A dump reads the session's document, then its archive, which is folded back meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_folded_back_while_it_is_dumped_is_dumped_whole() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let others = Place::open(&database, Some(SMALL)).await?;
    for n in 0..4 {
        for again in [false, true] {
            let said = others.seed("s", 40).await?;
            let expected = dump(&AnyStore::Mongo(others.store.clone())).await?;
            let mut reads = 0;
            let rule = move |command: &Command| {
                let is_read = matches!(command.name.as_str(), "aggregate" | "find" | "getMore") && command.collection.ends_with(".archive");
                reads += usize::from(is_read);
                if is_read && reads == n + 1 { Plan::Hold(Moment::Before) } else { Plan::Pass }
            };
            let mut proxy = Proxy::start(rule).await?;
            let place = Place::through(&proxy.uri(), &database, Some(SMALL)).await?;
            let store = AnyStore::Mongo(place.store.clone());
            let dumping = tokio::spawn(async move { dump(&store).await });
            tokio::pin!(dumping);
            // Where it reads the archive less often, there is nothing to hold.
            let text = tokio::select! {
                held = proxy.held() => {
                    others.store.archive_undo("s").await?.context("no session")?;
                    if again {
                        others.store.archive_run("s").await?.context("no session")?;
                    }
                    held?.resume();
                    dumping.await??
                }
                dumped = &mut dumping => {
                    ensure!(n > 0, "the archive was not read");
                    dumped??
                }
            };
            ensure!(text == expected, "{n} {again}");
            ensure!(others.read("s").await? == said);
            place.close().await;
            others.store.archive_undo("s").await?.context("no session")?;
            database.documents().delete_many(doc! {}).await?;
        }
    }
    others.close().await;
    database.drop().await
}

/// Programs that retry by hand have stored a message twice; the copies have their fields in different places.
#[tokio::test]
async fn an_update_replaces_each_copy_of_a_message_wherever_its_storage_id_stands() -> anyhow::Result<()> {
    let date = Reference::date(0);
    let copies = vec![
        doc! { "message_id": 1, "text": "secret", "created_at": date, "updated_at": date },
        doc! { "message_id": 1, "storage_id": "x", "text": "secret", "created_at": Reference::date(1), "updated_at": date },
        doc! { "message_id": 1, "text": "secret", "storage_id": "y", "updated_at": date, "created_at": Reference::date(2) },
        doc! { "message_id": 1, "text": "another", "storage_id": "z", "created_at": Reference::date(3), "updated_at": date },
    ];
    let mut document = Reference::Newer.session();
    document.get_document_mut("agents")?.get_document_mut("a")?.insert("messages", copies);
    let database = Database::fresh().await?;
    database.documents().insert_one(document).await?;
    let place = Place::open(&database, Some(SMALL)).await?;
    let folder = tempfile::tempdir()?;
    let file = AnyStore::Embedded(EmbeddedStore::open(folder.path().join("copy"), StoreOptions::default()).await?);
    load(&file, dump(&AnyStore::Mongo(place.store.clone())).await?).await?;
    for store in [AnyStore::Mongo(place.store.clone()), file.clone()] {
        let repo = Repository::builder_on(store.clone().into_store()).build()?;
        repo.messages().update("s", "a", 1, json!({"text": "redacted"}).to_string()).await?;
        let text = dump(&store).await?;
        ensure!(!text.contains("secret") && text.contains("another"), "{text}");
        ensure!(["x", "y", "z"].iter().all(|id| text.contains(&format!("\"storage_id\":\"{id}\""))), "{text}");
    }
    file.into_store().close().await;
    place.close().await;
    database.drop().await
}

/// A body as the program prints it has no text that is not the message's.
#[tokio::test]
async fn a_storage_id_inside_of_other_fields_is_an_own_field() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let place = Place::open(&database, Some(SMALL)).await?;
    place.seed_empty("s").await?;
    let body: Value = json!({"storage_id": "x", "inner": {"storage_id": "y"}, "list": [{"storage_id": "z"}]});
    place.repo.messages().append("s", "a", body.to_string(), None).await?;
    ensure!(read(&place.repo).await? == [(0, json!({"inner": {"storage_id": "y"}, "list": [{"storage_id": "z"}]}))]);
    place.close().await;
    database.drop().await
}
