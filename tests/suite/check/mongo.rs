//! What is found in MongoDB.

use super::check;
use crate::run::{Desk, Site, finish};
use anyhow::ensure;
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::{Client, IndexModel};
use serde_json::json;
use session_repository_tests::{COLLECTION, Database, Mongod};
use std::time::{Duration, Instant};

/// A session that was created so many minutes after the first.
fn session(id: &str, minutes: i64) -> Document {
    let created = DateTime::from_millis(1_706_265_045_123 + 60_000 * minutes);
    doc! { "_id": id, "session_id": id, "created_at": created, "updated_at": created, "metadata": {}, "feedbacks": [], "agents": {} }
}

/// A database with its indexes.
pub(crate) async fn indexed(documents: Vec<Document>) -> anyhow::Result<(Desk, Database, Site)> {
    let database = Database::fresh().await?;
    for field in ["created_at", "updated_at"] {
        database.documents().create_index(IndexModel::builder().keys(doc! { field: 1 }).build()).await?;
    }
    if !documents.is_empty() {
        database.documents().insert_many(documents).await?;
    }
    let site = Site::mongo(&database)?;
    Ok((Desk::new()?, database, site))
}

#[tokio::test]
async fn a_collection_that_is_not_there_is_missed_and_not_made() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let site = Site::mongo(&database)?;
    let (report, problems, _) = check(&desk, &site, &["--metadata-field", "priority"]).await?;
    let missing = |field: &str| json!({"field": field, "present": false});
    assert_eq!(report["indexes"], json!([missing("created_at"), missing("updated_at"), missing("metadata.priority")]));
    assert_eq!((&report["sessions"], &report["oldest"], problems.len()), (&json!(0), &json!(null), 3));
    assert!(problems[2].starts_with("no index on metadata.priority: "), "{problems:?}");
    let there = database.client.database(&database.name).list_collection_names().await?;
    assert!(there.is_empty(), "{there:?}");
    database.drop().await
}

#[tokio::test]
async fn indexes_are_named_and_not_made() -> anyhow::Result<()> {
    let (desk, database, site) = indexed(vec![session("a", 0)]).await?;
    database.documents().drop_index("updated_at_1").await?;
    let (report, problems, _) = check(&desk, &site, &["--metadata-field", "priority"]).await?;
    let expected = json!([
        {"field": "created_at", "present": true}, {"field": "updated_at", "present": false}, {"field": "metadata.priority", "present": false},
    ]);
    assert_eq!((&report["indexes"], problems.len()), (&expected, 2));
    assert_eq!(database.documents().list_index_names().await?, ["_id_", "created_at_1"]);
    // Opening the store for writing makes them.
    desk.run(&site, &["metadata", "set", "a", "{}", "--metadata-field", "priority"]).await?.ok()?;
    let begun = Instant::now();
    while check(&desk, &site, &["--metadata-field", "priority"]).await?.2 != Some(0) {
        ensure!(begun.elapsed() < Duration::from_secs(30), "the indexes are still missing");
    }
    database.drop().await
}

#[tokio::test]
async fn sessions_agents_and_messages_are_counted() -> anyhow::Result<()> {
    let mut used = session("used", 5);
    used.insert("agents", doc! { "a": { "messages": [{ "message_id": 1 }, { "message_id": 2 }] }, "b": { "messages": [] }, "c": {} });
    let mut odd = session("odd", 3);
    odd.insert("agents", doc! { "a": { "messages": "none" }, "b": 5 });
    let mut bare = session("bare", 4);
    bare.remove("agents");
    let (desk, database, site) = indexed(vec![used, odd, bare]).await?;
    let (report, problems, _) = check(&desk, &site, &[]).await?;
    assert_eq!((&report["sessions"], &report["agents"], &report["messages"]), (&json!(3), &json!(5), &json!(2)));
    let expected = [
        "agent \"a\" of session \"odd\": it has no agent_data",
        "agent \"a\" of session \"odd\": its messages cannot be read",
        "agent \"b\" of session \"odd\": it cannot be read",
        "agent \"a\" of session \"used\": it has no agent_data",
        "agent \"a\" of session \"used\": 2 messages have no created_at, and are listed last",
        "agent \"b\" of session \"used\": it has no agent_data",
        "agent \"c\" of session \"used\": it has no agent_data",
    ];
    let mut problems = problems;
    problems.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(problems, expected);
    assert!(report["server"].as_str().is_some_and(|server| server.starts_with("MongoDB 6.") || server.starts_with("MongoDB ")), "{report}");
    database.drop().await
}

#[tokio::test]
async fn the_oldest_and_the_newest_session_are_named() -> anyhow::Result<()> {
    let (desk, database, site) = indexed(vec![session("b", 5), session("c", 0), session("a", 9), session("\u{1b}[31m", 3)]).await?;
    let (report, ..) = check(&desk, &site, &[]).await?;
    assert_eq!(report["oldest"], json!({"session_id": "c", "created_at": "2024-01-26T10:30:45.123Z"}));
    assert_eq!(report["newest"], json!({"session_id": "a", "created_at": "2024-01-26T10:39:45.123Z"}));
    // Those whose time is not known are neither.
    let mut timeless = session("timeless", 0);
    timeless.remove("created_at");
    let mut null = session("null", 0);
    null.insert("created_at", Bson::Null);
    let mut number = session("number", 0);
    number.insert("created_at", 5);
    database.documents().insert_many([timeless, null, number]).await?;
    let (with_others, ..) = check(&desk, &site, &[]).await?;
    assert_eq!((&with_others["oldest"], &with_others["newest"]), (&report["oldest"], &report["newest"]));
    // Some programs write times as text.
    for (id, text) in [("text", "2024-01-26T10:35:00Z"), ("old text", "2023-01-26T10:35:00.000001Z"), ("nonsense", "zzz")] {
        let mut session = session(id, 0);
        session.insert("created_at", text);
        database.documents().insert_one(session).await?;
    }
    let (with_text, ..) = check(&desk, &site, &[]).await?;
    assert_eq!(with_text["oldest"], json!({"session_id": "old text", "created_at": "2023-01-26T10:35:00.000Z"}));
    assert_eq!(with_text["newest"], report["newest"]);
    database.drop().await
}

#[tokio::test]
async fn what_a_terminal_would_obey_is_not_printed() -> anyhow::Result<()> {
    let (desk, database, site) = indexed(vec![session("\u{1b}[31m", 3)]).await?;
    let ran = desk.run(&site, &["check"]).await?;
    assert!(ran.ok()?.contains("\u{fffd}[31m") && !ran.text()?.contains('\u{1b}'), "{}", ran.text()?);
    database.drop().await
}

#[tokio::test]
async fn documents_that_are_no_sessions_are_reported() -> anyhow::Result<()> {
    let (desk, database, site) = indexed(vec![session("a", 0), doc! { "n": 1 }, doc! { "_id": 5 }]).await?;
    let (report, problems, _) = check(&desk, &site, &[]).await?;
    assert_eq!((&report["sessions"], problems), (&json!(1), vec![String::from("2 documents are no sessions: their _id is no text")]));
    database.drop().await
}

#[tokio::test]
async fn a_session_that_is_nearly_full_is_reported() -> anyhow::Result<()> {
    let full = |id: &str, megabytes: usize| {
        let mut session = session(id, 0);
        session.insert("metadata", doc! { "text": "x".repeat(megabytes * 1024 * 1024) });
        session
    };
    let (desk, database, site) = indexed(vec![full("half", 8)]).await?;
    assert_eq!(check(&desk, &site, &[]).await?.2, Some(0));
    database.documents().insert_one(full("full", 14)).await?;
    let (_, problems, _) = check(&desk, &site, &[]).await?;
    assert!(
        problems.len() == 1 && problems[0].starts_with("session \"full\" has 146801") && problems[0].contains("of at most 16777216"),
        "{problems:?}"
    );
    database.drop().await
}

#[tokio::test]
async fn the_topology_is_told() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let alone = Mongod::start()?;
    let site = Site { url: alone.uri(), database: String::from("d") };
    assert_eq!(check(&desk, &site, &[]).await?.0["topology"], "a standalone server: what it loses is lost");
    let member = Mongod::start_with(&["--replSet", "rs0"])?;
    let uri = member.uri();
    let host = uri.trim_start_matches("mongodb://").trim_end_matches('/');
    let admin = Client::with_uri_str(format!("{uri}?directConnection=true")).await?.database("admin");
    admin.run_command(doc! { "replSetInitiate": { "_id": "rs0", "members": [{ "_id": 0, "host": host }] } }).await?;
    let begun = Instant::now();
    while !admin.run_command(doc! { "hello": 1 }).await?.get_bool("isWritablePrimary")? {
        ensure!(begun.elapsed() < Duration::from_secs(60), "no primary");
    }
    let site = Site { url: format!("{uri}?replicaSet=rs0"), database: String::from("d") };
    let (report, ..) = check(&desk, &site, &[]).await?;
    assert_eq!(report["topology"], "replica set rs0 with 1 member");
    Ok(())
}

#[tokio::test]
async fn a_server_that_cannot_be_asked_is_exit_status_1_and_no_password_is_printed() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    // A server without access control knows no user, so it refuses one.
    let server = Mongod::start()?;
    let refused = server.uri().replacen("mongodb://", "mongodb://alice:s3cret@", 1);
    for url in [refused.as_str(), "mongodb://alice:s3cret@127.0.0.1:1/?serverSelectionTimeoutMS=300"] {
        for options in [&["check"][..], &["check", "--json"]] {
            let mut command = desk.command(&Site { url: url.to_owned(), database: String::from("d") }, options).await?;
            let ran = finish(command.env("RUST_LOG", "debug"), None).await?;
            assert_eq!((ran.status, ran.text()?), (Some(1), ""));
            assert!(ran.stderr.contains("session-repo: cannot open the store: ") && !ran.stderr.contains("s3cret"), "{}", ran.stderr);
        }
    }
    let with_option = format!("{}?appName=s3cret", server.uri());
    let ran = desk.run(&Site { url: with_option, database: String::from("d") }, &["check"]).await?;
    assert!(ran.text()?.contains(&format!("MongoDB, collection d.{COLLECTION}")) && !ran.text()?.contains("s3cret"), "{}", ran.text()?);
    Ok(())
}

#[tokio::test]
async fn fields_of_a_session_that_cannot_be_read_are_named() -> anyhow::Result<()> {
    let odd = |field: &str, value: Bson| {
        let mut odd = session(field, 0);
        odd.insert(field, value);
        odd
    };
    let keyed = doc! { "a": { "agent_data": {}, "messages": [], "appends": 5 }, "b": 5 };
    let sessions = vec![
        odd("revision", "x".into()),
        odd("session_type", 7.into()),
        odd("metadata", "t".into()),
        odd("agents", vec![1].into()),
        odd("feedbacks", vec![Bson::from(5), doc! { "up": 1 }.into(), doc! { "created_at": DateTime::now() }.into()].into()),
        // Whole numbers of other types are numbers.
        doc! { "_id": "whole", "created_at": DateTime::now(), "revision": 3.0 },
        doc! { "_id": "half", "created_at": DateTime::now(), "revision": 3.5, "feedbacks": 5 },
        doc! { "_id": "keyed", "created_at": DateTime::now(), "agents": keyed },
    ];
    let (desk, database, site) = indexed(sessions).await?;
    let (report, mut problems, _) = check(&desk, &site, &[]).await?;
    let mut expected = vec![
        "session \"revision\": its revision cannot be read",
        "session \"session_type\": its session_type cannot be read",
        "session \"metadata\": its metadata cannot be read",
        "session \"agents\": its agents cannot be read",
        "session \"feedbacks\": 1 entries of its feedback cannot be read",
        "session \"feedbacks\": 1 entries of its feedback have no created_at, and are listed last",
        "session \"half\": its revision cannot be read",
        "session \"half\": its feedbacks cannot be read",
        "agent \"a\" of session \"keyed\": the keys of its appends cannot be read",
        "agent \"b\" of session \"keyed\": it cannot be read",
    ];
    problems.sort_unstable();
    expected.sort_unstable();
    assert_eq!((problems, &report["sessions"]), (expected.into_iter().map(str::to_owned).collect(), &json!(8)));
    database.drop().await
}
