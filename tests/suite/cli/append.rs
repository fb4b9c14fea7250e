//! Appending messages, and writing at a revision.

use super::Cli;
use crate::run::{Desk, Site};
use anyhow::ensure;
use mongodb::bson::{DateTime, doc};
use serde_json::{Value, json};
use session_repository_tests::Database;

/// A file with a session `s` and an agent `a` in it.
async fn with_agent() -> anyhow::Result<(Desk, Site)> {
    let desk = Desk::new()?;
    let site = desk.file_site("sessions.store");
    desk.run(&site, &["session", "create", "s"]).await?.ok()?;
    desk.run(&site, &["agent", "create", "s", "a"]).await?.ok()?;
    Ok((desk, site))
}

async fn list(desk: &Desk, site: &Site) -> anyhow::Result<Vec<Value>> {
    let listed: Vec<Value> = serde_json::from_str(desk.run(site, &["message", "list", "s", "a", "--json"]).await?.ok()?)?;
    Ok(listed.iter().map(|message| json!([message["message_id"], message["n"]])).collect())
}

#[tokio::test]
async fn messages_are_appended_and_their_ids_printed() -> anyhow::Result<()> {
    let (desk, site) = with_agent().await?;
    let append = async |more: &[&str]| desk.run(&site, &[&["message", "append", "s", "a"], more].concat()).await;
    assert_eq!(append(&[r#"{"n": 0}"#]).await?.ok()?, "message_id: 0\n");
    assert_eq!(append(&[r#"{"n": 1}"#, "--json"]).await?.ok()?, "{\"message_id\":1}\n");
    assert_eq!(append(&[r#"{"n": 2}"#, r#"{"n": 3}"#]).await?.ok()?, "first_message_id: 2\n");
    std::fs::write(desk.path("four.json"), r#"{"n": 4}"#)?;
    let both = ["message", "append", "s", "a", "@four.json", "-", "--json"];
    assert_eq!(desk.feed(&site, &both, r#"{"n": 5}"#).await?.ok()?, "{\"first_message_id\":4}\n");
    for _ in 0..2 {
        assert_eq!(append(&[r#"{"n": 6}"#, "--idempotency-key", "k"]).await?.ok()?, "message_id: 6\n");
        assert_eq!(append(&[r#"{"n": 7}"#, r#"{"n": 8}"#, "--idempotency-key", "l"]).await?.ok()?, "first_message_id: 7\n");
    }
    assert_eq!(list(&desk, &site).await?, (0..9).map(|n| json!([n, n])).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_appended_stores_nothing() -> anyhow::Result<()> {
    let (desk, site) = with_agent().await?;
    for (arguments, status, said) in [
        (&["s", "a", "{}", "[]"][..], 1, "invalid-argument: messages[1]: must be a JSON object"),
        (&["s", "a", r#"{"message_id": 1}"#], 1, "invalid-argument: message"),
        (&["s", "b", "{}"], 1, "not-found: agent `b` of session `s` does not exist"),
        (&["t", "a", "{}", "{}"], 1, "not-found: session `t` does not exist"),
        (&["s", "a", "{}", "--if-revision", "2"], 1, "stale: the session is at revision 1 by now"),
        (&["s", "a", "{}", "--idempotency-key", ""], 1, "invalid-argument: idempotency_key: "),
        (&["s", "a", "{}", "@nowhere.json"], 1, "nowhere.json"),
        (&["s", "a", "-", "-"], 1, "stdin can stand for one argument only"),
        (&["s", "a"], 2, "<FIELDS>"),
        (&["s", "a", "{}", "--if-revision", "-1"], 2, "--if-revision"),
        (&["s", "a", "{}", "--if-revision", "1.0"], 2, "--if-revision"),
    ] {
        let ran = desk.feed(&site, &[&["message", "append"], arguments].concat(), "{}").await?;
        ensure!(ran.status == Some(status) && ran.stderr.contains(said), "{arguments:?}: {:?} {}", ran.status, ran.stderr);
    }
    assert_eq!(list(&desk, &site).await?, [0; 0]);
    Ok(())
}

#[tokio::test]
async fn every_subcommand_that_writes_can_expect_a_revision() -> anyhow::Result<()> {
    let (desk, site) = with_agent().await?;
    let writes: [&[&str]; 9] = [
        &["agent", "create", "s", "b", "{}"],
        &["agent", "update", "s", "a", "{}"],
        &["message", "append", "s", "a", "{}"],
        &["message", "append", "s", "a", "{}", "{}"],
        &["message", "create", "s", "a", "7", "{}"],
        &["message", "update", "s", "a", "7", r#"{"n": 7}"#],
        &["metadata", "set", "s", r#"{"k": 1}"#],
        &["metadata", "delete", "s", "k"],
        &["feedback", "add", "s", "{}"],
    ];
    for (current, write) in (1..).zip(writes) {
        let ran = desk.run(&site, &[write, &["--if-revision", &(current + 1).to_string()]].concat()).await?;
        let stale = format!("session-repo: stale: the session is at revision {current} by now\n");
        assert_eq!((ran.status, ran.text()?, ran.stderr.as_str()), (Some(1), "", stale.as_str()), "{write:?}");
        desk.run(&site, &[write, &["--if-revision", &current.to_string()]].concat()).await?.ok()?;
    }
    assert!(desk.run(&site, &["session", "read", "s"]).await?.ok()?.ends_with("\nrevision: 10\n"));
    let stale = desk.run(&site, &["session", "create", "t", "--if-revision", "1"]).await?;
    assert_eq!((stale.status, stale.stderr.as_str()), (Some(1), "session-repo: stale: the session is at revision 0 by now\n"));
    desk.run(&site, &["session", "create", "t", "--if-revision", "0"]).await?.ok()?;
    assert_eq!(desk.run(&site, &["session", "read", "s", "--if-revision", "0"]).await?.status, Some(2), "reads expect nothing");
    Ok(())
}

#[tokio::test]
async fn a_list_that_is_too_large_says_how_to_read_it() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    // Six times as large in JSON: together more than an answer may be.
    let large = "\u{1}".repeat(11 * 256 * 1024);
    let now = DateTime::from_millis(0);
    let messages: Vec<_> = (0..4).map(|id| doc! { "message_id": id, "content": &large, "created_at": now, "updated_at": now }).collect();
    let agent = doc! { "agent_data": {}, "messages": messages, "created_at": now, "updated_at": now };
    database.documents().insert_one(doc! { "_id": "s", "created_at": now, "updated_at": now, "agents": { "a": agent } }).await?;
    let told = ": list it page by page, with a limit and an offset";
    let (status, message) = Cli { database: &database }.failed(&["message", "list", "s", "a"]).await?;
    ensure!(status == Some(1) && message.starts_with("session-repo: too-large: ") && message.ends_with(told), "{message}");
    let request = r#"{"id": 1, "call": "messages.list", "args": {"session_id": "s", "agent_id": "a"}}"#;
    let ran = Desk::new()?.feed(&Site::mongo(&database)?, &["exec"], request).await?;
    let response: Value = serde_json::from_str(ran.ok()?)?;
    let (code, message) = (&response["error"]["code"], response["error"]["message"].as_str().unwrap_or_default());
    ensure!(code == "too-large" && message.ends_with(told), "{}", ran.text()?);
    database.drop().await
}
