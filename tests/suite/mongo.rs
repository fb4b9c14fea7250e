//! The MongoDB store itself: whose client it is, what it indexes, what it says when there is no server.

use mongodb::bson::{Bson, Document, doc};
use mongodb::options::ClientOptions;
use mongodb::{Client, IndexModel};
use session_repository::{Error, MongoStore, Repository, Store, StoreOptions};
use session_repository_tests::{Database, Mongod, mongodb_uri};
use std::collections::BTreeSet;
use std::net::TcpListener;

async fn index_keys(database: &Database) -> anyhow::Result<BTreeSet<String>> {
    let names = database.documents().list_index_names().await?;
    Ok(names.into_iter().collect())
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn indexes_are_ensured_at_start_and_found_by_the_next() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let fields = vec![String::from("priority"), String::from("customer.tier")];
    for _ in 0..2 {
        let options = database.options().metadata_fields(fields.clone());
        MongoStore::connect(&mongodb_uri()?, options).await?.close().await;
        let expected = names(&["_id_", "created_at_1", "updated_at_1", "metadata.priority_1", "metadata.customer.tier_1"]);
        assert_eq!(index_keys(&database).await?, expected);
    }
    database.drop().await
}

#[tokio::test]
async fn an_index_that_cannot_be_made_stops_nothing() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    // The name that ours would get, with other keys: the server refuses ours.
    let options = mongodb::options::IndexOptions::builder().name(String::from("created_at_1")).build();
    let taken = IndexModel::builder().keys(doc! { "something_else": 1 }).options(options).build();
    database.documents().create_index(taken).await?;
    let repo = database.repository().await?;
    repo.sessions().create("s", None).await?;
    assert_eq!(index_keys(&database).await?, names(&["_id_", "created_at_1", "updated_at_1"]));
    repo.close().await;
    database.drop().await
}

#[tokio::test]
async fn close_shuts_an_owned_client_down() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let store = MongoStore::connect(&mongodb_uri()?, database.options()).await?;
    assert_eq!(store.find_session("s").await?, None);
    store.close().await;
    assert!(matches!(store.find_session("s").await, Err(Error::Unavailable(_))));
    database.drop().await
}

/// The connection string, for an application of a name.
fn named(application: &str) -> anyhow::Result<String> {
    let uri = mongodb_uri()?;
    Ok(match uri.contains('?') {
        true => format!("{uri}&appName={application}"),
        false => format!("{}/?appName={application}", uri.trim_end_matches('/')),
    })
}

/// The drivers that the server says an application connects with.
async fn drivers(database: &Database, application: &str) -> anyhow::Result<Vec<String>> {
    let all = doc! { "$currentOp": { "allUsers": true, "idleConnections": true } };
    let ours = doc! { "$match": { "clientMetadata.application.name": application } };
    let mut found = database.client.database("admin").aggregate([all, ours]).await?;
    let mut drivers = Vec::new();
    while found.advance().await? {
        let driver = found.deserialize_current()?.get_document("clientMetadata")?.get_document("driver")?.clone();
        drivers.push(format!("{} {}", driver.get_str("name")?, driver.get_str("version")?));
    }
    Ok(drivers)
}

#[tokio::test]
async fn the_server_is_told_which_library_connects() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let names_us = |driver: &String| driver.contains("|session-repository ") && driver.ends_with(concat!("|", env!("CARGO_PKG_VERSION")));
    let own = format!("own-{}", database.name);
    let store = MongoStore::connect(&named(&own)?, database.options()).await?;
    let told = drivers(&database, &own).await?;
    assert!(!told.is_empty() && told.iter().all(names_us), "{told:?}");
    store.close().await;
    let borrowed = format!("borrowed-{}", database.name);
    let client = Client::with_uri_str(named(&borrowed)?).await?;
    let store = MongoStore::with_client(&client, database.options()).await?;
    assert_eq!(store.find_session("s").await?, None);
    let told = drivers(&database, &borrowed).await?;
    assert!(told.iter().any(names_us), "{told:?}");
    store.close().await;
    database.drop().await
}

#[tokio::test]
async fn close_leaves_a_borrowed_client_working() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let repo = Repository::builder(MongoStore::with_client(&database.client, database.options()).await?).build()?;
    repo.sessions().create("s", None).await?;
    repo.close().await;
    assert!(matches!(repo.sessions().read("s").await, Err(Error::Unavailable(_))), "the repository itself is closed");
    assert_eq!(database.document("s").await?.get_str("session_type")?, "default");
    database.drop().await
}

#[tokio::test]
async fn a_closed_repository_answers_the_calls_that_it_took() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let repo = Repository::builder(MongoStore::with_client(&database.client, database.options()).await?).instances(1).build()?;
    let creates: Vec<_> = (0..64)
        .map(|n| {
            let repo = repo.clone();
            tokio::spawn(async move { (n, repo.sessions().create(format!("s-{n}"), None).await) })
        })
        .collect();
    tokio::task::yield_now().await;
    repo.close().await;
    for create in creates {
        let (n, created) = create.await?;
        let stored = database.documents().find_one(doc! { "_id": format!("s-{n}") }).await?.is_some();
        assert_eq!(created.is_ok(), stored, "session {n}: {created:?}");
    }
    database.drop().await
}

#[tokio::test]
async fn writes_are_acknowledged_by_a_majority_unless_the_connection_string_says_otherwise() -> anyhow::Result<()> {
    // A server of its own: the one that is shared may be named with options already.
    let server = Mongod::start()?;
    for (option, expected) in
        [("", doc! { "w": "majority" }), ("?w=1", doc! { "w": 1 }), ("?journal=true", doc! { "w": "majority", "j": true })]
    {
        let mut options = ClientOptions::parse(format!("{}{option}", server.uri())).await?;
        let watch = super::driver::Watch::on(&mut options);
        let store = MongoStore::with_client(&Client::with_options(options)?, StoreOptions::default()).await?;
        let repo = Repository::builder(store).build()?;
        repo.sessions().create(format!("s{option}"), None).await?;
        let sent: Vec<Document> = watch.commands().into_iter().filter(|c| c.name == "insert").map(|c| c.command).collect();
        for command in &sent {
            let concern = command.get_document("writeConcern")?;
            for (key, value) in &expected {
                assert_eq!(concern.get(key), Some(value), "{option}: {concern}");
            }
        }
        assert_eq!(sent.len(), 1);
        repo.close().await;
    }
    Ok(())
}

#[tokio::test]
async fn no_server_is_unavailable_and_named() -> anyhow::Result<()> {
    let closed = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let uri = format!("mongodb://alice:s3cret@{closed}/?serverSelectionTimeoutMS=200");
    match MongoStore::connect(&uri, StoreOptions::default()).await {
        Err(Error::Unavailable(message)) => {
            assert!(message.contains(&closed.to_string()), "{message}");
            assert!(!message.contains("s3cret"), "{message}");
        }
        other => panic!("expected unavailable, got {other:?}"),
    }
    Ok(())
}

#[tokio::test]
async fn bad_connection_strings_and_options_are_refused_without_credentials() -> anyhow::Result<()> {
    for uri in [
        "",
        "mongodb://",
        "http://localhost",
        "mongodb://alice:s3cret@@h:1/",
        "mongodb://alice:s3/cret@h",
        "mongodb://alice:s3cret@h/?w=x&w",
    ] {
        match MongoStore::connect(uri, StoreOptions::default()).await {
            Err(Error::InvalidArgument(message)) => assert!(!message.contains("s3") && !message.contains("alice"), "{uri}: {message}"),
            other => panic!("{uri}: expected invalid-argument, got {other:?}"),
        }
    }
    let with = |change: fn(&mut StoreOptions)| {
        let mut options = StoreOptions::default();
        change(&mut options);
        options.check()
    };
    for bad in [
        with(|o| o.database = Some(String::new())),
        with(|o| o.database = Some(String::from("a.b"))),
        with(|o| o.collection = String::from("system.users")),
        with(|o| o.collection = String::from("a$b")),
        with(|o| o.metadata_fields = vec![String::from("a..b")]),
        with(|o| o.metadata_fields = vec![String::from("$a")]),
    ] {
        assert!(matches!(bad, Err(Error::InvalidArgument(_))), "{bad:?}");
    }
    assert_eq!(StoreOptions::default().check(), Ok(()));
    Ok(())
}

#[tokio::test]
async fn a_session_that_would_outgrow_a_document_is_too_large_and_stays_usable() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let store = MongoStore::connect(&mongodb_uri()?, database.archiving(None)).await?;
    let repo = Repository::builder(store).build()?;
    repo.sessions().create("s", None).await?;
    repo.agents().create("s", "a", "{}").await?;
    let large = format!(r#"{{"content": "{}"}}"#, "x".repeat(6 * 1024 * 1024));
    repo.messages().create("s", "a", 1, large.as_str()).await?;
    repo.messages().create("s", "a", 2, large.as_str()).await?;
    let refused = [
        repo.messages().create("s", "a", 3, large.as_str()).await,
        repo.agents().update("s", "a", large.as_str()).await,
        repo.metadata().update("s", format!(r#"{{"k": {large}}}"#)).await,
        repo.feedback().add("s", large.as_str()).await,
    ];
    for refused in refused {
        match refused {
            Err(Error::TooLarge { size, limit }) => assert!(limit == 16 * 1024 * 1024 && size > limit && size < 19 * 1024 * 1024, "{size}"),
            other => panic!("expected too-large, got {other:?}"),
        }
    }
    repo.messages().create("s", "a", 3, r#"{"content": "small"}"#).await?;
    assert_eq!(repo.messages().list("s", "a", Some(5), 1).await?.len(), 2);
    // Small as JSON, and too large as BSON.
    let many = format!(r#"{{"n": [{}1]}}"#, "1,".repeat(2_000_000));
    assert!(matches!(repo.messages().create("s", "a", 4, many).await, Err(Error::TooLarge { .. })));
    repo.close().await;
    database.drop().await
}

#[tokio::test]
async fn what_the_server_cannot_do_is_not_blamed_on_the_caller_or_the_data() -> anyhow::Result<()> {
    let server = Mongod::start()?;
    let repo = Repository::builder(MongoStore::connect(&server.uri(), StoreOptions::default()).await?).build()?;
    repo.sessions().create("s", None).await?;
    repo.metadata().update("s", r#"{"list": [1]}"#).await?;
    let far = repo.metadata().update("s", r#"{"list.2000000": 1}"#).await;
    assert!(matches!(far, Err(Error::InvalidArgument(_))), "{far:?}");
    repo.close().await;
    // A single server cannot have two acknowledge, and does not know a tag set of this name.
    for option in ["?w=2", "?w=nobody"] {
        let store = MongoStore::connect(&format!("{}{option}", server.uri()), StoreOptions::default()).await?;
        let repo = Repository::builder(store).build()?;
        for refused in [repo.metadata().update("s", r#"{"a": 1}"#).await, repo.agents().create("s", "a", "{}").await] {
            assert!(matches!(refused, Err(Error::Internal(_) | Error::Unavailable(_))), "{option}: {refused:?}");
        }
        repo.close().await;
    }
    let options = ClientOptions::parse(format!("{}?w=0", server.uri())).await?;
    let unacknowledged = MongoStore::with_client(&Client::with_options(options)?, StoreOptions::default()).await;
    assert!(matches!(unacknowledged, Err(Error::InvalidArgument(_))));
    Ok(())
}

#[tokio::test]
async fn the_agents_of_a_session_are_listed_in_their_order() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let store = MongoStore::with_client(&database.client, database.options()).await?;
    let repo = Repository::builder(store.clone()).build()?;
    assert_eq!(store.agent_ids("s").await?, None);
    repo.sessions().create("s", None).await?;
    assert_eq!(store.agent_ids("s").await?, Some(vec![]));
    for id in ["z", "a", "m n"] {
        repo.agents().create("s", id, "{}").await?;
    }
    assert_eq!(store.agent_ids("s").await?, Some(["z", "a", "m n"].map(str::to_owned).to_vec()));
    // What other programs left.
    let with = async |id: &str, agents: Bson| -> anyhow::Result<_> {
        database.documents().insert_one(doc! { "_id": id, "agents": agents }).await?;
        Ok(store.agent_ids(id).await)
    };
    assert_eq!(with("odd", doc! { "a.b": 1, "$c": {}, "": [] }.into()).await?, Ok(Some(["a.b", "$c", ""].map(str::to_owned).to_vec())));
    assert_eq!(with("null", Bson::Null).await?, Ok(Some(vec![])));
    for (id, agents) in [("text", Bson::from("a")), ("array", Bson::from(vec!["a"])), ("number", Bson::from(1))] {
        let listed = with(id, agents).await?;
        assert!(matches!(listed, Err(Error::Corrupt(_))), "{id}: {listed:?}");
    }
    database.documents().insert_one(doc! { "_id": "none" }).await?;
    assert_eq!(store.agent_ids("none").await?, Some(vec![]));
    repo.close().await;
    database.drop().await
}

#[tokio::test]
async fn an_error_of_the_connection_string_names_its_option() -> anyhow::Result<()> {
    for (options, expected) in [
        ("serverSelectionTimeoutMS=soon", "option `serverSelectionTimeoutMS`"),
        ("w=majority&serverSelectionTimeoutMS=soon", "option `serverSelectionTimeoutMS`"),
        ("w=0", "option `w`"),
    ] {
        match MongoStore::connect(&format!("mongodb://alice:s3cret@localhost/?{options}"), StoreOptions::default()).await {
            Err(Error::InvalidArgument(message)) => {
                assert!(message.contains(expected) && !message.contains("s3cret"), "{options}: {message}")
            }
            other => panic!("{options}: expected invalid-argument, got {other:?}"),
        }
    }
    Ok(())
}
