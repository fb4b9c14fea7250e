//! Damage is local: what another program or an accident left is read as far as it can be, alike in every store, and costs itself only.

use crate::transfer::{dump, load};
use anyhow::Context;
use mongodb::bson::{Bson, DateTime, Document, doc};
use serde_json::{Value, json};
use session_repository::{AnyStore, EmbeddedStore, Error, MongoStore, Repository, StoreOptions, Timestamp};
use session_repository_tests::{Database, mongodb_uri};

fn date(millis: i64) -> DateTime {
    DateTime::from_millis(millis)
}

fn session(fields: Document) -> Document {
    let mut session = doc! { "_id": "s", "session_id": "s" };
    session.extend(fields);
    session
}

/// A repository on a session document that somebody else has left in MongoDB.
async fn seeded(document: &Document) -> anyhow::Result<(Database, MongoStore, Repository)> {
    let database = Database::fresh().await?;
    database.documents().insert_one(document).await?;
    let store = MongoStore::connect(&mongodb_uri()?, database.options()).await?;
    Ok((database, store.clone(), Repository::builder(store).build()?))
}

/// Looks at a session document in MongoDB, and in memory as far as it can get there.
async fn everywhere(document: Document, look: impl AsyncFn(&Repository) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let (database, store, repo) = seeded(&document).await?;
    let text = dump(&AnyStore::Mongo(store)).await?;
    look(&repo).await.context("MongoDB")?;
    let embedded = EmbeddedStore::in_memory(StoreOptions::default()).await?;
    let imported = load(&AnyStore::Embedded(embedded.clone()), text).await?;
    assert_eq!(imported.new, 1, "{imported:?}");
    let memory = Repository::builder(embedded).build()?;
    look(&memory).await.context("memory")?;
    memory.close().await;
    repo.close().await;
    database.drop().await
}

fn agent(messages: Vec<Document>) -> Document {
    doc! { "agent_data": { "agent_id": "a" }, "created_at": date(7), "updated_at": date(9), "messages": messages }
}

#[tokio::test]
async fn times_are_dates_or_text_and_messages_without_one_come_last() -> anyhow::Result<()> {
    let messages = vec![
        doc! { "message_id": 1, "n": "no time" },
        doc! { "message_id": 2, "created_at": date(5), "updated_at": date(6) },
        doc! { "message_id": 3, "created_at": "1970-01-01T00:00:00.004Z" },
        doc! { "message_id": 4, "created_at": "1970-01-01T02:00:00.003+02:00", "updated_at": "1970-01-01T00:00:00.008" },
        doc! { "message_id": 5, "created_at": Bson::Null },
        doc! { "message_id": 6, "created_at": date(1) },
        doc! { "message_id": 7, "created_at": "yesterday", "updated_at": 5 },
        // The server would take these for times.
        doc! { "message_id": 10, "created_at": "1970-01-01" },
        doc! { "message_id": 11, "created_at": "Jan 1 1970 00:00:01" },
        doc! { "message_id": 12, "created_at": "1970-01-01 00:00:00.002" },
        doc! { "message_id": 13, "created_at": "1970-01-01_00:00:00Z" },
        doc! { "message_id": 14, "created_at": "1970-01-01T00:00:00Z\n" },
    ];
    let document = session(doc! { "created_at": date(0), "updated_at": date(9), "agents": { "a": agent(messages) } });
    everywhere(document, async |repo| {
        // A time of its own, or else that of the agent.
        let expected = [
            (6, 1, 1),
            (12, 2, 2),
            (4, 3, 8),
            (3, 4, 4),
            (2, 5, 6),
            (1, 7, 7),
            (5, 7, 7),
            (7, 7, 7),
            (10, 7, 7),
            (11, 7, 7),
            (13, 7, 7),
            (14, 7, 7),
        ];
        let list = repo.messages().list("s", "a", None, 0).await?;
        let times = list.iter().map(|message| (message.message_id, message.created_at.0, message.updated_at.0)).collect::<Vec<_>>();
        assert_eq!(times, expected);
        for (at, message) in list.iter().enumerate() {
            let page = repo.messages().list("s", "a", Some(1), i64::try_from(at)?).await?;
            assert_eq!(page, std::slice::from_ref(message), "the page at {at}");
            assert_eq!(repo.messages().read("s", "a", message.message_id).await?, Some(message.clone()));
        }
        // New ones come behind those that have a time, and those without stay the last.
        assert_eq!(repo.messages().append("s", "a", json!({"n": "new"}), None).await?, 15);
        repo.messages().create("s", "a", 16, json!({"n": "newer"})).await?;
        repo.messages().update("s", "a", 5, json!({"n": "updated"})).await?;
        let ids: Vec<_> = repo.messages().list("s", "a", None, 0).await?.iter().map(|message| message.message_id).collect();
        assert_eq!(ids, [6, 12, 4, 3, 2, 15, 16, 1, 5, 7, 10, 11, 13, 14]);
        Ok(())
    })
    .await
}

/// A new message is never older than the last one, also where that has its time as text.
#[tokio::test]
async fn new_messages_come_behind_a_time_to_come_that_is_text() -> anyhow::Result<()> {
    for separator in ["T", " "] {
        let messages = vec![doc! { "message_id": 1, "created_at": format!("2100-01-01{separator}00:00:00Z") }, doc! { "message_id": 2 }];
        let document = session(doc! { "created_at": date(0), "updated_at": date(9), "agents": { "a": agent(messages) } });
        everywhere(document, async |repo| {
            for id in 3..6 {
                assert_eq!(repo.messages().append("s", "a", json!({"n": id}), None).await?, id);
            }
            let ids: Vec<_> = repo.messages().list("s", "a", None, 0).await?.iter().map(|message| message.message_id).collect();
            assert_eq!(ids, [1, 3, 4, 5, 2]);
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_message_that_cannot_be_read_costs_itself() -> anyhow::Result<()> {
    let message = |id: Bson, n: i32| doc! { "message_id": id, "n": n, "created_at": date(1), "updated_at": date(1) };
    let messages = vec![
        message(1.into(), 1),
        message("x".into(), 2),
        message(Bson::Null, 3),
        message(2.5.into(), 4),
        message(2_i64.into(), 5),
        message(3.0.into(), 6),
        message(Bson::Array(vec![4.into()]), 7),
        doc! { "created_at": date(1) },
        message(4.into(), 8),
    ];
    let document = session(doc! { "created_at": date(0), "updated_at": date(9), "agents": { "a": agent(messages) } });
    everywhere(document, async |repo| {
        let list = async || -> anyhow::Result<Vec<(i64, Value)>> {
            let list = repo.messages().list("s", "a", None, 0).await?;
            list.iter().map(|message| Ok((message.message_id, message.body.parse()?))).collect()
        };
        let mut readable = vec![(1, json!({"n": 1})), (2, json!({"n": 5})), (3, json!({"n": 6})), (4, json!({"n": 8}))];
        assert_eq!(list().await?, readable);
        for (id, body) in &readable {
            assert_eq!(repo.messages().read("s", "a", *id).await?.map(|message| message.body.parse().ok()), Some(Some(body.clone())));
        }
        // The history goes on.
        assert_eq!(repo.messages().append("s", "a", json!({"n": 9}), None).await?, 5);
        repo.messages().update("s", "a", 2, json!({"n": "new"})).await?;
        readable[1].1 = json!({"n": "new"});
        readable.push((5, json!({"n": 9})));
        assert_eq!(list().await?, readable);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_history_with_unreadable_messages_is_archived_all_the_same() -> anyhow::Result<()> {
    let mut messages: Vec<Bson> = Vec::new();
    for id in 0..100 {
        messages.push(doc! { "message_id": id, "text": "x".repeat(100), "created_at": date(i64::from(id)), "updated_at": date(0) }.into());
    }
    messages[3] = Bson::from("no object");
    messages[5] = doc! { "text": "no id", "created_at": date(5) }.into();
    messages[7] = doc! { "message_id": 7, "text": "no time" }.into();
    messages[9] = Bson::Null;
    let mut a = agent(Vec::new());
    a.insert("messages", messages);
    let document = session(doc! { "created_at": date(0), "updated_at": date(9), "agents": { "a": a } });
    let (database, _, plain) = seeded(&document).await?;
    let options = database.archiving(Some(1024));
    let store = MongoStore::connect(&mongodb_uri()?, options).await?;
    let repo = Repository::builder(store.clone()).build()?;
    let before = plain.messages().list("s", "a", None, 0).await?;
    // The one without a time is the last, and reads with the time of the agent.
    let expected: Vec<i64> = (0..100).filter(|id| ![3, 5, 7, 9].contains(id)).chain([7]).collect();
    assert_eq!(before.iter().map(|message| message.message_id).collect::<Vec<_>>(), expected);
    assert!(store.archive_run("s").await?.is_some_and(|moved| moved > 80));
    assert_eq!(repo.messages().list("s", "a", None, 0).await?, before);
    for message in &before {
        assert_eq!(repo.messages().read("s", "a", message.message_id).await?.as_ref(), Some(message));
    }
    // Everything comes back, also what cannot be read.
    assert!(store.archive_undo("s").await?.is_some());
    let document = database.document("s").await?;
    assert_eq!(document.get_document("agents")?.get_document("a")?.get_array("messages")?.len(), 100);
    assert_eq!(repo.messages().list("s", "a", None, 0).await?, before);
    plain.close().await;
    repo.close().await;
    database.drop().await
}

#[tokio::test]
async fn agents_feedback_and_sessions_are_read_as_far_as_they_go() -> anyhow::Result<()> {
    let document = session(doc! {
        "updated_at": date(8),
        "agents": {
            "bare": { "messages": [{ "message_id": 1, "k": 1 }] },
            "text": { "agent_data": { "created_at": "1970-01-01T00:00:00.002Z", "model": "m" }, "messages": Bson::Null },
            "outer": { "agent_data": Bson::Null, "created_at": date(3) },
        },
        "feedbacks": [{ "up": 1 }, { "up": 2, "created_at": date(4) }, { "up": 3, "created_at": "1970-01-01T00:00:00.001Z" }],
        "metadata": Bson::Null,
        "revision": Bson::Null,
    });
    everywhere(document, async |repo| {
        let session = repo.sessions().read("s").await?.context("no session")?;
        assert_eq!((session.session_type.as_str(), session.created_at, session.updated_at), ("default", Timestamp(8), Timestamp(8)));
        assert_eq!(session.revision, 0);
        for (id, time, data) in [("bare", 8, "{}"), ("text", 2, r#"{"model":"m"}"#), ("outer", 3, "{}")] {
            let agent = repo.agents().read("s", id).await?.context(id)?;
            assert_eq!((agent.created_at, agent.updated_at, agent.data.as_str()), (Timestamp(time), Timestamp(time), data), "{id}");
            assert_eq!(repo.messages().list("s", id, None, 0).await?.len(), usize::from(id == "bare"));
        }
        assert_eq!(repo.messages().read("s", "bare", 1).await?.map(|message| message.created_at), Some(Timestamp(8)));
        let feedback = repo.feedback().list("s").await?;
        let entries: Vec<_> = feedback.iter().map(|entry| (entry.body.as_str(), entry.created_at.0)).collect();
        assert_eq!(entries, [(r#"{"up":3}"#, 1), (r#"{"up":2}"#, 4), (r#"{"up":1}"#, 8)]);
        assert_eq!(repo.metadata().get("s").await?.map(session_repository::Json::into_string), Some(String::from("{}")));
        // What is null takes writes as if it was not there.
        repo.metadata().if_revision(0).update("s", r#"{"k.l": 1}"#).await?;
        repo.feedback().add("s", r#"{"up": 4}"#).await?;
        assert_eq!(repo.messages().append("s", "text", "{}", None).await?, 0);
        repo.agents().create("s", "new", "{}").await?;
        repo.agents().update("s", "bare", r#"{"model": "n"}"#).await?;
        let session = repo.sessions().read("s").await?.context("no session")?;
        assert_eq!(session.revision, 5);
        assert_eq!(repo.metadata().get("s").await?.map(session_repository::Json::into_string), Some(String::from(r#"{"k":{"l":1}}"#)));
        assert_eq!(repo.feedback().list("s").await?.len(), 4);
        Ok(())
    })
    .await?;
    // Nothing at all.
    everywhere(doc! { "_id": "s" }, async |repo| {
        let session = repo.sessions().read("s").await?.context("no session")?;
        assert_eq!((session.created_at, session.updated_at, session.revision), (Timestamp(0), Timestamp(0), 0));
        assert_eq!(repo.feedback().list("s").await?, []);
        assert_eq!(repo.messages().list("s", "a", None, 0).await?, []);
        repo.agents().create("s", "a", "{}").await?;
        repo.feedback().add("s", "{}").await?;
        repo.metadata().update("s", r#"{"k": 1}"#).await?;
        assert_eq!(repo.sessions().read("s").await?.map(|session| session.revision), Some(3));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_null_in_the_place_of_agents_takes_an_agent() -> anyhow::Result<()> {
    let document = session(doc! { "created_at": date(1), "updated_at": date(1), "agents": Bson::Null, "feedbacks": Bson::Null });
    everywhere(document, async |repo| {
        repo.agents().create("s", "a", "{}").await?;
        repo.messages().create("s", "a", 3, r#"{"k": 1}"#).await?;
        repo.feedback().add("s", r#"{"up": 1}"#).await?;
        assert_eq!(repo.messages().list("s", "a", None, 0).await?.len(), 1);
        assert_eq!(repo.feedback().list("s").await?.len(), 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_has_no_reading_is_corrupt_and_says_where() -> anyhow::Result<()> {
    let corrupt = |error: Option<Error>, place: &str| match error {
        Some(Error::Corrupt(message)) => assert!(message.contains(place), "{place}: {message}"),
        other => panic!("{place}: {other:?}"),
    };
    let document = session(doc! {
        "created_at": date(1),
        "session_type": 5,
        "feedbacks": "text",
        "metadata": 5,
        "revision": "x",
        "agents": {
            "data": { "agent_data": "text", "created_at": date(1) },
            "list": { "agent_data": {}, "messages": "text" },
            "thing": 5,
        },
    });
    let (database, _, repo) = seeded(&document).await?;
    corrupt(repo.sessions().read("s").await.err(), "session_type");
    corrupt(repo.agents().read("s", "data").await.err(), "agent_data");
    corrupt(repo.agents().read("s", "thing").await.err(), "thing");
    corrupt(repo.messages().list("s", "list", None, 0).await.err(), "messages");
    corrupt(repo.feedback().list("s").await.err(), "feedbacks");
    corrupt(repo.metadata().get("s").await.err(), "metadata");
    for refused in [
        repo.messages().create("s", "list", 1, "{}").await,
        repo.messages().create("s", "thing", 1, "{}").await,
        repo.agents().create("s", "new", "{}").await,
        repo.feedback().add("s", "{}").await,
        repo.metadata().update("s", r#"{"k": 1}"#).await,
    ] {
        corrupt(refused.err(), "");
    }
    // Nothing of it was touched.
    assert_eq!(database.document("s").await?, document);
    repo.close().await;
    database.drop().await
}
