//! Dumps have whole sessions, wherever their messages lie; loading one archives what belongs in the archive.

use super::{History, body};
use crate::transfer::{dump, load};
use mongodb::bson::{Document, doc};
use session_repository::{AnyStore, EmbeddedStore, MongoStore, Repository, StoreOptions};
use session_repository_tests::{Database, mongodb_uri};

async fn blocks(database: &Database) -> anyhow::Result<u64> {
    Ok(database.blocks().count_documents(doc! {}).await?)
}

async fn file(folder: &tempfile::TempDir, name: &str) -> anyhow::Result<AnyStore> {
    Ok(AnyStore::Embedded(EmbeddedStore::open(folder.path().join(name), StoreOptions::default()).await?))
}

fn edited(dump: &str) -> String {
    dump.replacen("message 000", "Message 000", 1)
}

#[tokio::test]
async fn a_history_moves_to_a_file_and_back() -> anyhow::Result<()> {
    let history = History::of(4096, 300).await?;
    // One whose block may lack it.
    history.repo.messages().update("s", "a", 5, body(5)).await?;
    let source = AnyStore::Mongo(history.store(Some(4096)).await?);
    let text = dump(&source).await?;
    assert_eq!(text.lines().count(), 1);
    assert!(!text.contains("archive"), "it does not tell where messages lie");

    let folder = tempfile::tempdir()?;
    let copy = file(&folder, "copy").await?;
    assert_eq!(load(&copy, text.clone()).await?.new, 1);
    assert_eq!(dump(&copy).await?, text);
    let listed = Repository::builder_on(copy.clone().into_store()).build()?.messages().list("s", "a", None, 0).await?;
    assert_eq!(listed, history.repo.messages().list("s", "a", None, 0).await?);

    let target = Database::fresh().await?;
    for archive_after in [Some(1024), Some(64 * 1024), None] {
        let options = target.archiving(archive_after);
        let store = AnyStore::Mongo(session_repository::MongoStore::connect(&session_repository_tests::mongodb_uri()?, options).await?);
        assert_eq!(load(&store, text.clone()).await?.new, 1);
        assert_eq!(dump(&store).await?, text, "{archive_after:?}");
        assert_eq!(blocks(&target).await? > 0, archive_after == Some(1024), "{archive_after:?}");
        let there = target.document("s").await?;
        let before = blocks(&target).await?;

        // Again, it is there; another one is not stored. Neither leaves anything behind.
        let again = load(&store, text.clone()).await?;
        assert_eq!((again.new, again.same), (0, 1), "{archive_after:?}: {again:?}");
        let other = load(&store, edited(&text)).await?;
        assert_eq!((other.new, other.same, other.different), (0, 0, 1), "{archive_after:?}: {other:?}");
        let cut = load(&store, text.as_bytes()[..text.len() - 500].to_vec()).await?;
        assert_eq!((cut.new, cut.refused), (0, 1), "{archive_after:?}: {cut:?}");
        assert_eq!(target.document("s").await?, there);
        assert_eq!(blocks(&target).await?, before);

        // It goes on as any other.
        let repo = Repository::builder_on(store.clone().into_store()).build()?;
        assert_eq!(repo.messages().append("s", "a", body(300), None).await?, 300);
        repo.messages().update("s", "a", 7, body(70)).await?;
        assert_eq!(repo.messages().read("s", "a", 7).await?.map(|message| message.body), Some(body(70)));
        repo.close().await;
        target.documents().delete_many(doc! {}).await?;
        target.blocks().delete_many(doc! {}).await?;
    }
    source.into_store().close().await;
    target.drop().await?;
    history.end().await
}

#[tokio::test]
async fn a_session_larger_than_a_document_moves_into_mongodb() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let source = file(&folder, "source").await?;
    let repo = Repository::builder_on(source.clone().into_store()).build()?;
    repo.sessions().create("s", None).await?;
    for agent in ["a", "b"] {
        repo.agents().create("s", agent, "{}").await?;
        for number in 0..40 {
            let text = format!("{number}{}", "x".repeat(256 * 1024));
            repo.messages().append("s", agent, serde_json::json!({ "content": text }), None).await?;
        }
    }
    let text = dump(&source).await?;
    let target = Database::fresh().await?;
    let store = |archive_after| {
        let options = target.archiving(archive_after);
        async move {
            session_repository::MongoStore::connect(&session_repository_tests::mongodb_uri()?, options).await.map_err(anyhow::Error::from)
        }
    };
    let never = AnyStore::Mongo(store(None).await?);
    assert_eq!(load(&never, text.clone()).await?.refused, 1);
    assert_eq!(blocks(&target).await?, 0);
    let archiving = AnyStore::Mongo(store(StoreOptions::default().mongo.archive_after).await?);
    assert_eq!(load(&archiving, text.clone()).await?.new, 1);
    assert_eq!(dump(&archiving).await?, text);
    assert_eq!(load(&archiving, text).await?.same, 1);
    never.into_store().close().await;
    archiving.into_store().close().await;
    repo.close().await;
    target.drop().await
}

#[tokio::test]
async fn a_document_that_was_copied_without_its_archive_is_refused() -> anyhow::Result<()> {
    let history = History::of(4096, 100).await?;
    let document: Document = history.database.document("s").await?;
    let line = mongodb::bson::Bson::from(document).into_relaxed_extjson().to_string();
    let folder = tempfile::tempdir()?;
    let other = Database::fresh().await?;
    let mongo = session_repository::MongoStore::connect(&session_repository_tests::mongodb_uri()?, other.options()).await?;
    for store in [file(&folder, "store").await?, AnyStore::Mongo(mongo)] {
        let imported = load(&store, line.clone()).await?;
        assert_eq!((imported.new, imported.refused), (0, 1), "{imported:?}");
        assert!(format!("{imported:?}").contains("archive"), "{imported:?}");
        store.into_store().close().await;
    }
    other.drop().await?;
    history.end().await
}

/// Messages without a time come last and text times are read, wherever the messages come to lie.
#[tokio::test]
async fn messages_of_other_programs_are_in_the_same_order_in_the_archive() -> anyhow::Result<()> {
    let time = |n: i64| match n {
        5 => String::new(),
        12 => String::from(r#","created_at":"2024-01-26T10:30:12.000000+00:00""#),
        n => format!(r#","created_at":{{"$date":"2024-01-26T10:30:{n:0>2}Z"}}"#),
    };
    let text = "x".repeat(200);
    let messages: Vec<_> = (0..20).map(|n| format!(r#"{{"message_id":{n},"content":"{text}"{}}}"#, time(n))).collect();
    let date = r#""created_at":{"$date":"2024-01-26T10:30:00Z"}"#;
    let line = format!(r#"{{"_id":"s",{date},"agents":{{"a":{{"agent_data":{{}},{date},"messages":[{}]}}}}}}"#, messages.join(","));
    let expected: Vec<i64> = (0..20).filter(|n| *n != 5).chain([5]).collect();
    for archive_after in [None, Some(1024)] {
        let target = Database::fresh().await?;
        let options = target.archiving(archive_after);
        let store = session_repository::MongoStore::connect(&session_repository_tests::mongodb_uri()?, options).await?;
        assert_eq!(load(&AnyStore::Mongo(store.clone()), line.clone()).await?.new, 1);
        assert_eq!(blocks(&target).await? > 0, archive_after.is_some());
        let repo = Repository::builder(store.clone()).build()?;
        let ids = async || -> anyhow::Result<Vec<i64>> {
            Ok(repo.messages().list("s", "a", None, 0).await?.iter().map(|message| message.message_id).collect())
        };
        assert_eq!(ids().await?, expected, "{archive_after:?}");
        assert_eq!(repo.messages().append("s", "a", body(20), None).await?, 20);
        store.archive_undo("s").await?;
        assert_eq!(ids().await?, [&expected[..19], &[20, 5]].concat(), "{archive_after:?}");
        repo.close().await;
        target.drop().await?;
    }
    Ok(())
}

/// A session of which a block is gone is left out of a dump and not compared; those behind it are dumped and stored.
#[tokio::test]
async fn a_session_that_lacks_a_block_costs_itself() -> anyhow::Result<()> {
    let history = History::of(4096, 100).await?;
    let store = AnyStore::Mongo(history.store(Some(4096)).await?);
    for session in ["r", "t"] {
        history.repo.sessions().create(session, None).await?;
    }
    let whole = dump(&store).await?;
    history.database.blocks().delete_one(doc! {}).await?;
    let (mut text, mut skipped) = (String::new(), Vec::new());
    let mut pieces = store.export(None);
    while let Some(piece) = pieces.recv().await {
        match piece? {
            session_repository::Dumped::Text(piece) => text.push_str(&piece),
            session_repository::Dumped::Skipped { session_id, why } => skipped.push((session_id, why)),
            _ => {}
        }
    }
    let without: String = whole.lines().filter(|line| !line.starts_with(r#"{"_id":"s""#)).map(|line| format!("{line}\n")).collect();
    assert_eq!(text, without);
    let why = String::from("blocks of the archive of session \"s\" are missing");
    assert_eq!(skipped, [(String::from("s"), why)]);
    let again = load(&store, whole).await?;
    assert_eq!((again.new, again.same, again.refused), (0, 2, 1), "{again:?}");
    store.into_store().close().await;
    history.end().await
}

/// Many agents, none of which has much, are together more than a document takes.
#[tokio::test]
async fn a_session_of_many_agents_moves_into_mongodb() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let created = r#""created_at":{"$date":"2024-01-26T10:00:00Z"}"#;
    let message = |id: u32| format!(r#"{{"message_id":{id},"text":"{}",{created}}}"#, "x".repeat(10_000));
    let messages = (0..6).map(message).collect::<Vec<_>>().join(",");
    let agent = |n: u32| format!(r#""a{n}":{{"agent_data":{{}},{created},"messages":[{messages}]}}"#);
    let agents = (0..300).map(agent).collect::<Vec<_>>().join(",");
    let text = format!("{{\"_id\":\"s\",{created},\"agents\":{{{agents}}}}}\n");
    let store = AnyStore::Mongo(MongoStore::connect(&mongodb_uri()?, database.options()).await?);
    let imported = load(&store, text.clone()).await?;
    assert_eq!((imported.new, imported.refused), (1, 0), "{imported:?}");
    let again = load(&store, dump(&store).await?).await?;
    assert_eq!((again.new, again.same), (0, 1), "{again:?}");
    store.into_store().close().await;
    database.drop().await
}

/// A session whose archive cannot be put in its place costs itself, too.
#[tokio::test]
async fn a_session_whose_messages_are_no_list_costs_itself() -> anyhow::Result<()> {
    let history = History::of(4096, 100).await?;
    let store = AnyStore::Mongo(history.store(Some(4096)).await?);
    for session in ["r", "t"] {
        history.repo.sessions().create(session, None).await?;
    }
    history.database.documents().update_one(doc! { "_id": "s" }, doc! { "$set": { "agents.a.messages": "text" } }).await?;
    let text = dump(&store).await?;
    assert_eq!(text.lines().map(|line| line.get(..10)).collect::<Vec<_>>(), [Some(r#"{"_id":"r""#), Some(r#"{"_id":"t""#)]);
    store.into_store().close().await;
    history.end().await
}
