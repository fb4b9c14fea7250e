//! What people are shown holds nothing that a terminal obeys or hides, whatever ids, paths and bodies hold.

use crate::run::{Desk, Ran, Site, finish};
use anyhow::{Context, ensure};
use mongodb::bson::{DateTime, doc};
use serde_json::{Value, json};
use session_repository_tests::Database;
use std::fs;

/// What is hostile: sequences of a terminal, their one-byte forms, overrides of direction, and what cannot be seen.
const HOSTILE: [char; 20] = [
    '\u{1b}',
    '\u{7}',
    '\u{8}',
    '\r',
    '\u{7f}',
    '\u{85}',
    '\u{9b}',
    '\u{ad}',
    '\u{200b}',
    '\u{200d}',
    '\u{200f}',
    '\u{2028}',
    '\u{202e}',
    '\u{2066}',
    '\u{3164}',
    '\u{feff}',
    '\u{fe01}',
    '\u{e0001}',
    '\u{e0041}',
    '\u{e0100}',
];

/// All of them in one text that may be an id, and a line feed.
fn hostile() -> String {
    HOSTILE.iter().map(|c| format!("1{c}")).collect::<String>() + "1\n1]0;owned"
}

/// Checks that nothing of it is there in stdout and stderr, and that stderr has so many lines.
fn assert_clean(ran: &Ran, lines: usize, what: &str) -> anyhow::Result<()> {
    for text in [ran.text()?, &ran.stderr] {
        let found: Vec<_> = text.chars().filter(|c| HOSTILE.contains(c) || c.is_control() && *c != '\n').collect();
        ensure!(found.is_empty(), "{what}: {found:?} in {text:?}");
    }
    ensure!(!ran.stderr.contains("\n1]0;") && !ran.text()?.contains("\n1]0;"), "{what}: a line begins with what is an argument's");
    ensure!(ran.stderr.lines().count() == lines, "{what}: {lines} lines expected: {}", ran.stderr);
    Ok(())
}

#[tokio::test]
async fn ids_in_errors() -> anyhow::Result<()> {
    let (desk, database, id) = (Desk::new()?, Database::fresh().await?, hostile());
    let id = id.as_str();
    for site in [desk.file_site("sessions.store"), Site::mongo(&database)?] {
        desk.run(&site, &["session", "create", "s"]).await?.ok()?;
        for command in [
            &["session", "read", id][..],
            &["agent", "read", "s", id],
            &["message", "read", id, id, "1"],
            &["metadata", "set", id, "{}"],
            &["metadata", "delete", "s", id, "$a"],
            &["metadata", "set", "s", &json!({ id: {"$x": 1}, format!("{id}.b"): 1 }).to_string()],
            &["agent", "create", "s", "a", &format!("{{\"{id}\": }}")],
            &["message", "append", "s", id, "{}"],
            &["show", id],
            &["archive", "status", id],
            &["message", "append", "s", "a", &format!("@{id}")],
        ] {
            let ran = desk.run(&site, command).await?;
            ensure!(ran.status == Some(1), "{command:?}: {}", ran.stderr);
            assert_clean(&ran, 1, &format!("{command:?}"))?;
        }
    }
    database.drop().await
}

#[tokio::test]
async fn what_is_stored_in_text_tables_and_conversations_and_exactly_in_json() -> anyhow::Result<()> {
    let (desk, database, text) = (Desk::new()?, Database::fresh().await?, hostile());
    let id = text.as_str();
    for site in [desk.file_site("sessions.store"), Site::mongo(&database)?] {
        let body = json!({"role": text, "content": [{"text": text}, {"toolUse": {"name": text, "toolUseId": text, "input": {id: text}}}], id: text});
        let body = body.to_string();
        for command in [
            &["session", "create", id, "--type", id][..],
            &["agent", "create", id, id, &json!({"model": text, "system_prompt": text, id: text}).to_string()],
            &["message", "create", id, id, "1", &body],
            &["metadata", "set", id, &json!({ id: {id: text} }).to_string()],
            &["feedback", "add", id, &json!({ id: text }).to_string()],
        ] {
            assert_clean(&desk.run(&site, command).await?, 0, &format!("{command:?}"))?;
        }
        for command in [
            &["session", "read", id][..],
            &["agent", "read", id, id],
            &["message", "read", id, id, "1"],
            &["message", "list", id, id],
            &["metadata", "get", id],
            &["feedback", "list", id],
            &["show", id],
            &["check"],
        ] {
            let ran = desk.run(&site, command).await?;
            ran.ok()?;
            assert_clean(&ran, 0, &format!("{command:?}"))?;
        }
        let read = desk.run(&site, &["message", "read", id, id, "1", "--json"]).await?;
        let read: Value = serde_json::from_str(read.ok()?)?;
        assert_eq!((&read["role"], &read[id], &read["content"][0]["text"]), (&json!(text), &json!(text), &json!(text)));
        let request = json!({"id": text, "call": "messages.read", "args": {"session_id": id, "agent_id": id, "message_id": 1}});
        let answer: Value = serde_json::from_str(desk.feed(&site, &["exec"], request.to_string()).await?.ok()?)?;
        assert_eq!((&answer["id"], &answer["result"]), (&json!(text), &read));
        let missing = json!({"id": 1, "call": "messages.list", "args": {"session_id": id, "agent_id": id, "limit": -1}});
        let answer: Value = serde_json::from_str(desk.feed(&site, &["exec"], missing.to_string()).await?.ok()?)?;
        assert_eq!(answer["error"]["code"], "invalid-argument");
    }
    database.drop().await
}

#[cfg(unix)]
#[tokio::test]
async fn paths() -> anyhow::Result<()> {
    let (desk, name) = (Desk::new()?, hostile());
    let name = name.as_str();
    let site = desk.file_site(name);
    let missing = format!("@no{name}");
    desk.run(&site, &["session", "create", "s"]).await?.ok()?;
    let dump = desk.argument(&format!("dump{name}"));
    for (command, status, lines) in [
        (&["check"][..], 0, 0),
        (&["compact"], 0, 0),
        (&["export", &dump], 0, 1),
        (&["export", &dump], 1, 1),
        (&["import", &dump], 0, 0),
        (&["import", &missing], 1, 1),
        (&["metadata", "set", "s", &missing], 1, 1),
        (&["metadata", "get", "s", "--archive-after", "1KiB"], 0, 1),
    ] {
        let ran = desk.run(&site, command).await?;
        ensure!(ran.status == Some(status), "{command:?}: {}", ran.stderr);
        assert_clean(&ran, lines, &format!("{command:?}"))?;
    }
    fs::write(desk.path(name), "no store\n")?;
    for site in [&site, &desk.file_site(&format!("no{name}/sessions.store"))] {
        for command in [&["session", "create", "s"][..], &["session", "read", "s"], &["check"], &["compact"], &["export"], &["show", "s"]] {
            let ran = desk.run(site, command).await?;
            ensure!(ran.status == Some(1), "{command:?}: {}", ran.stderr);
            assert_clean(&ran, 1, &format!("{command:?}"))?;
        }
    }
    let mut command = desk.bare(&["session", "read", "s"]).await?;
    let ran = finish(command.env("XDG_DATA_HOME", desk.path(name)).env("HOME", desk.path(name)), None).await?;
    assert_clean(&ran, 3, "the default file")?;
    Ok(())
}

#[tokio::test]
async fn the_command_line_and_the_environment() -> anyhow::Result<()> {
    let (desk, text) = (Desk::new()?, hostile());
    let text = text.as_str();
    let with_value = format!("--concurrency={text}");
    let flag = format!("--{text}");
    for arguments in [
        &[text][..],
        &["session", text],
        &["session", "read", "s", text],
        &["session", "read", "s", &flag],
        &["exec", &with_value],
        &["exec", "--concurrency", text],
        &["message", "read", "s", "a", text],
        &["completions", text],
        &["session", "read", "s", "--archive-after", text],
        &["session", "read", "s", "--store", text],
        &["session", "read", "s", "--store", &format!("http://{text}")],
        &["session", "read", "s", "--database", text],
        &["--store", "memory:", &format!("{text}://s3cret")],
    ] {
        let ran = finish(&mut desk.bare(arguments).await?, None).await?;
        ensure!(ran.status == Some(2), "{arguments:?}: {}", ran.stderr);
        assert_clean(&ran, ran.stderr.lines().count(), &format!("{arguments:?}"))?;
        ensure!(!ran.stderr.contains("s3cret"), "{}", ran.stderr);
    }
    for (name, status) in [("SESSION_REPO_ARCHIVE_AFTER", 2), ("SESSION_REPO_STORE", 2), ("RUST_LOG", 0)] {
        let value = format!("a=b={text}");
        let help = finish(desk.bare(&["session", "read", "--help"]).await?.env(name, &value), None).await?;
        assert_clean(&help, 0, name)?;
        let ran = finish(desk.bare(&["feedback", "list", "s", "--json"]).await?.env(name, value), None).await?;
        ensure!(ran.status == Some(status), "{name}: {}", ran.stderr);
        assert_clean(&ran, ran.stderr.lines().count(), name)?;
    }
    Ok(())
}

#[tokio::test]
async fn dumps_and_documents_of_other_programs() -> anyhow::Result<()> {
    let (desk, database, text) = (Desk::new()?, Database::fresh().await?, hostile());
    let id = text.as_str();
    let line =
        |id: &str, kind: &str| json!({"_id": id, "session_type": kind, "created_at": {"$date": "2024-01-26T10:30:45Z"}}).to_string() + "\n";
    let dump =
        line(id, "a") + &line(id, "b") + &json!({"_id": "t", id: {"$date": id}}).to_string() + "\n" + &format!("{{\"_id\": \"{id}\n");
    for site in [desk.file_site("sessions.store"), Site::mongo(&database)?] {
        let ran = desk.feed(&site, &["import"], dump.clone()).await?;
        ensure!(ran.status == Some(1), "{}", ran.stderr);
        assert_clean(&ran, ran.stderr.lines().count(), "import")?;
    }
    let now = DateTime::from_millis(1_706_265_045_123);
    let mut agents = doc! {};
    agents
        .insert(id, doc! { "agent_data": { "agent_id": id }, "created_at": now, "updated_at": now, "messages": [5, { "message_id": id }] });
    agents.insert(format!("{id}.x"), 5);
    let foreign =
        doc! { "_id": format!("{id}f"), "session_type": id, "created_at": now, "updated_at": id, "agents": agents, "metadata": { id: id } };
    database.documents().insert_one(foreign).await?;
    let site = Site::mongo(&database)?;
    for command in
        [&["check"][..], &["show", &format!("{id}f")], &["archive", "status", &format!("{id}f")], &["check", "--repair", "--dry-run"]]
    {
        for log in ["", "session_repository=trace"] {
            let ran = finish(desk.command(&site, command).await?.env("RUST_LOG", log), None).await?;
            assert_clean(&ran, ran.stderr.lines().count(), &format!("{command:?}"))?;
        }
    }
    let ran = finish(desk.command(&site, &["message", "list", &format!("{id}f"), id]).await?.env("RUST_LOG", "trace"), None).await?;
    assert_clean(&ran, ran.stderr.lines().count(), "log")?;
    let ran = desk.run(&site, &["check", "--json"]).await?;
    let report: Value = serde_json::from_str(ran.text()?)?;
    report["problems"].as_array().context("no problems")?;
    database.drop().await
}
