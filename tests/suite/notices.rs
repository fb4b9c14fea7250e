//! What does not work as expected is said on stderr, once, and what a command fails with is not said twice.

use crate::check::check;
use crate::run::{Desk, Ran, Site, finish};
use mongodb::bson::{Document, doc};
use mongodb::options::IndexOptions;
use mongodb::{Client, IndexModel};
use serde_json::json;
use session_repository_tests::{COLLECTION, Database, Mongod};

/// The lines of stderr that begin like this.
fn said<'a>(ran: &'a Ran, beginning: &str) -> Vec<&'a str> {
    let beginning = format!("session-repo: {beginning}");
    ran.stderr.lines().filter(|line| line.starts_with(&beginning)).collect()
}

/// A site whose user has some rights on a server that asks for them, and a client that has all.
async fn with_rights(server: &Mongod, resource: Document, actions: &[&str]) -> anyhow::Result<(Site, Client)> {
    let host = server.uri().replace("mongodb://", "");
    // Nobody is there yet, so the first user may be made from this machine.
    let admin = Client::with_uri_str(server.uri()).await?.database("admin");
    admin.run_command(doc! { "createUser": "root", "pwd": "s3cret", "roles": ["root"] }).await?;
    let root = Client::with_uri_str(format!("mongodb://root:s3cret@{host}")).await?;
    let admin = root.database("admin");
    let privilege = doc! { "resource": resource, "actions": actions };
    admin.run_command(doc! { "createRole": "writer", "privileges": [privilege], "roles": [] }).await?;
    admin.run_command(doc! { "createUser": "w", "pwd": "s3cret", "roles": ["writer"] }).await?;
    Ok((Site { url: format!("mongodb://w:s3cret@{host}?authSource=admin"), database: String::from("chat") }, root))
}

/// A request that appends a message of some size.
fn append(id: usize, session: &str) -> String {
    let args = json!({"session_id": session, "agent_id": "a", "message": {"content": "x".repeat(400)}});
    json!({"id": id, "call": "messages.append", "args": args}).to_string() + "\n"
}

#[tokio::test]
async fn an_index_that_cannot_be_made_is_said_once() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let site = Site::mongo(&database)?;
    // The name that ours would get, with other keys.
    let options = IndexOptions::builder().name(String::from("created_at_1")).build();
    database.documents().create_index(IndexModel::builder().keys(doc! { "other": 1 }).options(options).build()).await?;
    let requests: String = (0..20).map(|id| append(id, "s")).collect();
    for (command, input) in [(&["session", "create", "s"][..], ""), (&["agent", "create", "s", "a"], ""), (&["exec"], requests.as_str())] {
        let ran = desk.feed(&site, command, input).await?;
        ran.ok()?;
        let warnings = said(&ran, "warning: cannot ensure an index (");
        assert!(warnings.len() == 1 && warnings[0].contains("field: created_at"), "{command:?}: {}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    }
    // Commands that read make no index.
    assert_eq!(desk.run(&site, &["session", "read", "s"]).await?.stderr, "");
    database.drop().await
}

#[tokio::test]
async fn an_archive_that_cannot_be_filled_is_said_once_however_many_appends_there_are() -> anyhow::Result<()> {
    let (desk, server) = (Desk::new()?, Mongod::start_with(&["--auth"])?);
    let resource = doc! { "db": "chat", "collection": "" };
    let (site, _) = with_rights(&server, resource, &["find", "insert", "update", "remove", "listIndexes", "listCollections"]).await?;
    let mut requests = String::new();
    for session in ["s", "t"] {
        let args = json!({"session_id": session});
        requests += &(json!({"call": "sessions.create", "args": args}).to_string() + "\n");
        let args = json!({"session_id": session, "agent": {"agent_id": "a"}});
        requests += &(json!({"call": "agents.create", "args": args}).to_string() + "\n");
        requests.extend((0..20).map(|id| append(id, session)));
    }
    let ran = desk.feed(&site, &["exec", "--archive-after", "1KiB"], requests).await?;
    assert_eq!(ran.ok()?.matches("\"result\"").count(), 44, "{}", ran.text()?);
    let moves = said(&ran, "warning: messages cannot be moved to the archive");
    assert_eq!(moves.len(), 1, "{}", ran.stderr);
    let fields: Vec<_> = ["created_at", "updated_at"].into_iter().map(|field| format!("field: {field}")).collect();
    let indexes = said(&ran, "warning: cannot ensure an index (");
    assert!(indexes.len() == 2 && fields.iter().zip(&indexes).all(|(field, line)| line.contains(field)), "{}", ran.stderr);
    assert!(ran.stderr.lines().count() == 3 && !ran.stderr.contains("s3cret"), "{}", ran.stderr);
    assert!(ran.stderr.lines().all(|line| line.len() < 400), "the server's answer is not repeated byte by byte: {}", ran.stderr);
    Ok(())
}

/// A user who may use the sessions' collection and has no right on the archive.
#[tokio::test]
async fn an_archive_that_may_not_be_read_is_said_and_hinders_nothing_else() -> anyhow::Result<()> {
    let (desk, server) = (Desk::new()?, Mongod::start_with(&["--auth"])?);
    let resource = doc! { "db": "chat", "collection": COLLECTION };
    let (site, root) = with_rights(&server, resource, &["find", "insert", "update", "remove", "listIndexes", "createIndex"]).await?;
    let commands: [&[&str]; 4] = [
        &["session", "create", "s"],
        &["agent", "create", "s", "a"],
        &["message", "append", "s", "a", r#"{"content":"before"}"#],
        &["message", "update", "s", "a", "0", r#"{"content":"after"}"#],
    ];
    for command in commands {
        let ran = desk.run(&site, command).await?;
        ran.ok()?;
        let expected = if command[1] == "update" { 1 } else { 0 };
        assert_eq!(said(&ran, "warning: the archive may not be read, so blocks").len(), expected, "{command:?}: {}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), expected, "{command:?}: {}", ran.stderr);
    }
    assert!(desk.run(&site, &["message", "read", "s", "a", "0"]).await?.ok()?.contains("after"));
    // What else there is to find is found, and mended.
    let sessions = root.database("chat").collection::<Document>(COLLECTION);
    sessions.drop_index("updated_at_1").await?;
    let denied = "damage was not looked for, because the archive may not be read by this user";
    let (report, problems, _) = check(&desk, &site, &["--repair", "--dry-run"]).await?;
    assert!(problems.len() == 2 && problems[0].starts_with("no index on updated_at: ") && problems[1] == denied, "{problems:?}");
    assert_eq!(report["mended"], json!([problems[0]]));
    let (report, problems, _) = check(&desk, &site, &["--repair"]).await?;
    assert_eq!((problems, report["mended"].as_array().map(Vec::len)), (vec![denied.to_owned()], Some(1)));
    assert!(sessions.list_index_names().await?.contains(&String::from("updated_at_1")));
    Ok(())
}

#[tokio::test]
async fn missing_blocks_are_said_once_and_damage_that_is_the_answer_is_not_said_twice() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let site = Site::mongo(&database)?;
    for command in [&["session", "create", "s"][..], &["agent", "create", "s", "a"]] {
        desk.run(&site, command).await?.ok()?;
    }
    let requests: String = (0..20).map(|id| append(id, "s")).collect();
    desk.feed(&site, &["exec", "--archive-after", "1KiB"], requests).await?.ok()?;
    assert!(database.blocks().delete_many(doc! {}).await?.deleted_count > 0);
    for command in [&["message", "list", "s", "a"][..], &["show", "s"]] {
        let ran = desk.run(&site, command).await?;
        let warning = "session-repo: warning: blocks of the archive are missing; `check` names them\n";
        assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), warning), "{command:?}");
    }
    // What cannot be read is the answer itself.
    database.client.database(&database.name).collection::<Document>("sessions").insert_one(doc! { "_id": "broken", "metadata": 5 }).await?;
    let ran = desk.run(&site, &["metadata", "get", "broken"]).await?;
    assert!(ran.status == Some(1) && ran.stderr.lines().count() == 1 && said(&ran, "corrupt: ").len() == 1, "{}", ran.stderr);
    database.drop().await
}

#[tokio::test]
async fn a_failed_call_is_said_once() -> anyhow::Result<()> {
    let (desk, server) = (Desk::new()?, Mongod::start_with(&["--setParameter", "enableTestCommands=1"])?);
    let client = Client::with_uri_str(server.uri()).await?;
    let site = Site { url: format!("{}?retryReads=false&retryWrites=false", server.uri()), database: String::from("d") };
    let data = doc! { "failCommands": ["find"], "errorCode": 13 };
    client.database("admin").run_command(doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": data }).await?;
    let ran = desk.run(&site, &["session", "read", "s"]).await?;
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(1), "session-repo: access-denied: the store refuses the host's credentials\n"));
    Ok(())
}

#[tokio::test]
async fn rust_log_asks_for_something_else() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let site = Site::mongo(&database)?;
    let options = IndexOptions::builder().name(String::from("created_at_1")).build();
    database.documents().create_index(IndexModel::builder().keys(doc! { "other": 1 }).options(options).build()).await?;
    let run = async |log: &str| -> anyhow::Result<Ran> {
        finish(desk.command(&site, &["feedback", "list", "s"]).await?.env("RUST_LOG", log), None).await
    };
    let create = async |log: &str, id: &str| -> anyhow::Result<Ran> {
        finish(desk.command(&site, &["session", "create", id]).await?.env("RUST_LOG", log), None).await
    };
    assert_eq!(create("off", "a").await?.stderr, "");
    let ran = create("session_repository=warn", "b").await?;
    assert!(ran.stderr.contains("WARN session_repository::store::mongo::index: cannot ensure an index"), "{}", ran.stderr);
    let ran = create("", "c").await?;
    assert_eq!(said(&ran, "warning: cannot ensure an index").len(), 1, "empty is as if it was not there: {}", ran.stderr);
    for bad in ["session_repository=loud", "a=b=c", "[unclosed"] {
        let ran = run(bad).await?;
        assert_eq!(ran.status, Some(0));
        assert!(
            ran.stderr.starts_with("session-repo: warning: RUST_LOG has no effect: ") && ran.stderr.lines().count() == 1,
            "{}",
            ran.stderr
        );
    }
    database.drop().await
}
