//! Acknowledgment: what must be acknowledged by a majority is, and a write concern that fails is no success.

use crate::driver::{Watch, watched_store};
use crate::samples::{Sample, samples_that};
use mongodb::Client;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::ClientOptions;
use serde_json::json;
use session_repository::{Error, MongoOptions, MongoStore, Repository, Store, StoreOptions};
use session_repository_tests::{COLLECTION, Database, Mongod};
use std::time::Duration;

/// A server that fails on command.
fn failing() -> anyhow::Result<Mongod> {
    Mongod::start_with(&["--setParameter", "enableTestCommands=1"])
}

/// Has the next command of these names on a collection end in a write concern error: it takes place, and is not acknowledged.
async fn fail_next_of(client: &Client, commands: &[&str], collection: &str, code: i32) -> anyhow::Result<()> {
    let error = doc! { "code": code, "codeName": "Named", "errmsg": "not acknowledged" };
    let namespace = format!("database_name.{collection}");
    let data = doc! { "failCommands": commands, "namespace": namespace, "writeConcernError": error };
    let point = doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": data };
    client.database("admin").run_command(point).await?;
    Ok(())
}

async fn fail_next(client: &Client, command: &str, collection: &str, code: i32) -> anyhow::Result<()> {
    fail_next_of(client, &[command], collection, code).await
}

const SESSIONS: &str = "collection_name";
const ARCHIVE: &str = "collection_name.archive";
/// `WriteConcernFailed`: a time limit passed. And a server that is stopping.
const CODES: [i32; 2] = [64, 91];

#[tokio::test]
async fn a_write_whose_concern_fails_is_not_acknowledged_and_can_be_repeated() -> anyhow::Result<()> {
    let server = failing()?;
    let client = Client::with_uri_str(server.uri()).await?;
    // Without retries of the driver's own, which would hide it.
    let uri = format!("{}?retryWrites=false&heartbeatFrequencyMS=500", server.uri());
    let repo = Repository::builder(MongoStore::connect(&uri, StoreOptions::default()).await?).build()?;
    let messages = repo.messages();
    let unknown = |result: Result<(), Error>, what: &str| {
        assert!(matches!(result, Err(Error::Timeout | Error::Unavailable(_))), "{what}: {result:?}");
    };
    for (round, code) in CODES.into_iter().enumerate() {
        let s = format!("s-{round}");
        let s = s.as_str();
        fail_next(&client, "insert", SESSIONS, code).await?;
        unknown(repo.sessions().create(s, None).await.map(drop), "session");
        assert!(repo.sessions().read(s).await?.is_some(), "it took place");
        fail_next(&client, "update", SESSIONS, code).await?;
        unknown(repo.agents().create(s, "a", "{}").await, "agent");
        // In a state that this process does not know: with an id from the store, and with one of the caller's.
        fail_next(&client, "findAndModify", SESSIONS, code).await?;
        unknown(messages.append(s, "a", json!({"n": 0}), Some("k")).await.map(drop), "append");
        assert_eq!(messages.append(s, "a", json!({"n": 0}), Some("k")).await?, 0, "a repeat finds what took place");
        fail_next(&client, "findAndModify", SESSIONS, code).await?;
        unknown(messages.create(s, "a", 1, json!({"n": 1})).await, "create");
        messages.create(s, "a", 1, json!({"n": 1})).await?;
        // In one that it knows.
        assert_eq!(messages.append(s, "a", json!({"n": 2}), None).await?, 2);
        fail_next(&client, "update", SESSIONS, code).await?;
        unknown(messages.append(s, "a", json!({"n": 3}), Some("l")).await.map(drop), "known append");
        assert_eq!(messages.append(s, "a", json!({"n": 3}), Some("l")).await?, 3);
        fail_next(&client, "update", SESSIONS, code).await?;
        unknown(messages.update(s, "a", 0, json!({"n": 9})).await, "update");
        fail_next(&client, "update", SESSIONS, code).await?;
        unknown(repo.metadata().update(s, json!({"k": 1})).await, "metadata");
        fail_next(&client, "update", SESSIONS, code).await?;
        unknown(repo.feedback().add(s, "{}").await, "feedback");
        let numbers: Vec<_> = messages.list(s, "a", None, 0).await?.iter().map(|message| message.body.to_string()).collect();
        assert_eq!(numbers, [r#"{"n":9}"#, r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":3}"#]);
    }
    repo.close().await;
    Ok(())
}

#[tokio::test]
async fn no_write_is_acknowledged_whose_concern_fails() -> anyhow::Result<()> {
    let server = failing()?;
    let client = Client::with_uri_str(server.uri()).await?;
    let uri = format!("{}?retryWrites=false&heartbeatFrequencyMS=500", server.uri());
    let repo = Repository::builder(MongoStore::connect(&uri, StoreOptions::default()).await?).build()?;
    for Sample { call, make, .. } in samples_that(true).await? {
        fail_next_of(&client, &["insert", "update", "findAndModify"], SESSIONS, CODES[0]).await?;
        let answer = make(&repo, "s").await;
        assert!(matches!(answer, Err(Error::Timeout | Error::Unavailable(_))), "{call}: {answer:?}");
    }
    let revision = repo.sessions().read("s").await?.map(|session| session.revision);
    assert_eq!(revision, Some(9), "each took place");
    repo.close().await;
    Ok(())
}

#[tokio::test]
async fn an_archive_whose_writes_are_not_acknowledged_loses_nothing() -> anyhow::Result<()> {
    let server = failing()?;
    let client = Client::with_uri_str(server.uri()).await?;
    let uri = format!("{}?retryWrites=false&heartbeatFrequencyMS=500", server.uri());
    let never = MongoStore::connect(&uri, StoreOptions::default().mongo(MongoOptions::default().archive_after(None))).await?;
    let store = MongoStore::connect(&uri, StoreOptions::default().mongo(MongoOptions::default().archive_after(Some(1024)))).await?;
    let repo = Repository::builder(never.clone()).build()?;
    let steps = [("findAndModify", SESSIONS), ("insert", ARCHIVE), ("update", SESSIONS)];
    for (round, (command, collection)) in steps.into_iter().enumerate() {
        for code in CODES {
            let s = format!("s-{round}-{code}");
            repo.sessions().create(&s, None).await?;
            repo.agents().create(&s, "a", "{}").await?;
            let bodies = (0..20).map(|n| json!({"n": n, "text": "x".repeat(150)}));
            repo.messages().append_many(&s, "a", bodies, None).await?;
            let before = repo.messages().list(&s, "a", None, 0).await?;
            fail_next(&client, command, collection, code).await?;
            let moved = store.archive_run(&s).await;
            assert!(matches!(moved, Err(Error::Timeout | Error::Unavailable(_))), "{command}: {moved:?}");
            // Whatever has become of the move, nobody has to wait for its mover.
            let claim = doc! { "_id": &s, "agents.a.archive.claimed": { "$exists": true } };
            let sessions = client.database("database_name").collection::<Document>(SESSIONS);
            assert_eq!(sessions.count_documents(claim).await?, 0, "{command}");
            assert_eq!(repo.messages().list(&s, "a", None, 0).await?, before, "{command}");
            store.archive_run(&s).await?;
            let status = store.archive_status(&s).await?.unwrap_or_default();
            assert!(status[0].archived_messages > 0 && status[0].moving_bytes == 0, "{command}: {status:?}");
            assert_eq!(repo.messages().list(&s, "a", None, 0).await?, before, "{command}");
            // An update in the archive: its commit, and its block.
            for (step, collection) in [("commit", SESSIONS), ("block", ARCHIVE)] {
                fail_next(&client, "update", collection, code).await?;
                let updated = repo.messages().update(&s, "a", 0, json!({ "new": step })).await;
                assert!(matches!(updated, Err(Error::Timeout | Error::Unavailable(_))), "{step}: {updated:?}");
                repo.messages().update(&s, "a", 0, json!({ "new": step })).await?;
                let read = repo.messages().read(&s, "a", 0).await?;
                assert_eq!(read.map(|message| message.body.to_string()), Some(format!(r#"{{"new":"{step}"}}"#)));
            }
            fail_next(&client, "update", SESSIONS, code).await?;
            let undone = store.archive_undo(&s).await;
            assert!(matches!(undone, Err(Error::Timeout | Error::Unavailable(_))), "{undone:?}");
            store.archive_undo(&s).await?;
            assert_eq!(repo.messages().list(&s, "a", None, 1).await?, before[1..]);
        }
    }
    repo.close().await;
    store.close().await;
    Ok(())
}

/// The write concern of a command.
fn concern(command: &Document) -> Option<&Bson> {
    command.get_document("writeConcern").ok()?.get("w")
}

#[tokio::test]
async fn updates_on_which_two_documents_depend_ask_for_a_majority_whatever_the_connection_string_says() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let mut options = ClientOptions::parse(session_repository_tests::mongodb_uri()?).await?;
    options.write_concern = Some(
        mongodb::options::WriteConcern::builder().w(mongodb::options::Acknowledgment::Nodes(1)).w_timeout(Duration::from_secs(90)).build(),
    );
    let watch = Watch::on(&mut options);
    let client = Client::with_options(options)?;
    let store = MongoStore::with_client(&client, database.archiving(Some(1024))).await?;
    let repo = Repository::builder(store.clone()).build()?;
    repo.sessions().create("s", None).await?;
    repo.agents().create("s", "a", "{}").await?;
    for n in 0..20 {
        repo.messages().append("s", "a", json!({"n": n, "text": "x".repeat(150)}), None).await?;
    }
    store.settled().await;
    for size in [10, 5_000] {
        repo.messages().update("s", "a", 0, json!({ "new": "y".repeat(size) })).await?;
    }
    store.archive_run("s").await?;
    store.archive_undo("s").await?;
    let mut kinds = std::collections::BTreeMap::new();
    for seen in watch.take() {
        let on_archive = seen.command.get_str(&seen.name).is_ok_and(|on| on != COLLECTION);
        if !["insert", "update", "delete", "findAndModify"].contains(&seen.name.as_str()) {
            continue;
        }
        let text = seen.command.to_string();
        // What is sealed, committed, updated or folded back; the rest is one document's own matter.
        let depends = on_archive || ["\"cuts\"", "archive.count", "$unset\": [\"agents.a.archive\""].iter().any(|part| text.contains(part));
        let depends = depends || text.contains("archive.redo") && !text.contains("\"$unset\": { \"agents.a.archive.redo\"");
        let expected = if depends { Bson::from("majority") } else { Bson::from(1) };
        assert_eq!(concern(&seen.command), Some(&expected), "{text}");
        // The rest of it is the connection string's own.
        let waits = seen.command.get_document("writeConcern").ok().and_then(|concern| concern.get("wtimeout"));
        assert_eq!(waits.map(ToString::to_string).as_deref(), Some("90000"), "{text}");
        *kinds.entry((seen.name, on_archive, depends)).or_insert(0) += 1;
    }
    for kind in [("findAndModify", false), ("insert", true), ("update", false), ("update", true), ("delete", true)] {
        assert!(kinds.contains_key(&(kind.0.to_owned(), kind.1, true)), "{kind:?}: {kinds:?}");
    }
    repo.close().await;
    database.drop().await
}

#[tokio::test]
async fn a_known_append_that_another_process_outran_finds_its_place() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let (one, watch) = watched_store(database.options()).await?;
    let one = Repository::builder(one).build()?;
    let other = database.repository().await?;
    one.sessions().create("s", None).await?;
    one.agents().create("s", "a", "{}").await?;
    let mut next = 0;
    for round in 0..6 {
        for repo in [&one, &one, &other, &one] {
            assert_eq!(repo.messages().append("s", "a", json!({"n": next}), None).await?, next, "round {round}");
            next += 1;
        }
        // What does not append is counted, too.
        other.metadata().update("s", json!({ "round": round })).await?;
        one.metadata().update("s", json!({ "one": round })).await?;
    }
    // One that the reference's class appends, without a revision.
    let foreign = doc! { "message_id": i32::try_from(next)?, "n": i32::try_from(next)?, "created_at": mongodb::bson::DateTime::now() };
    database.documents().update_one(doc! { "_id": "s" }, doc! { "$push": { "agents.a.messages": foreign } }).await?;
    next += 1;
    assert_eq!(one.messages().append("s", "a", json!({"n": next}), None).await?, next);
    let ids: Vec<i64> = one.messages().list("s", "a", None, 0).await?.iter().map(|message| message.message_id).collect();
    assert_eq!(ids, (0..=next).collect::<Vec<_>>());
    let revision = one.sessions().read("s").await?.map(|session| session.revision);
    // An agent, the appends through stores, twelve metadata updates.
    assert_eq!(revision, Some(1 + u64::try_from(next)? + 12));
    // A store that writes alone sends one plain update for each append.
    watch.take();
    for _ in 0..70 {
        next += 1;
        assert_eq!(one.messages().append("s", "a", json!({"n": next}), None).await?, next);
    }
    let last: Vec<String> = watch.take().into_iter().rev().take(5).map(|seen| seen.name).collect();
    assert_eq!(last, ["update"; 5]);
    one.close().await;
    other.close().await;
    database.drop().await
}
