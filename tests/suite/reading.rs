//! Commands that only read: they change nothing where the sessions are, and go on beside each other.

use crate::embedded::reading::{denied, writes_are_denied};
use crate::run::{Desk, Ran, Site, finish};
use crate::samples::{Sample, of_nothing, samples_that};
use anyhow::{Context, ensure};
use mongodb::bson::{DateTime, Document, doc};
use serde_json::Value;
use session_repository::{AgentRef, AnyStore};
use session_repository_tests::{COLLECTION, Database};
use std::fs::{self, File};
use std::io::Cursor;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin};

/// A command line, and how its output on what [`fill`] stores begins.
type Command = (&'static [&'static str], &'static str);

/// Each command that reads.
async fn commands() -> anyhow::Result<Vec<Command>> {
    let calls = samples_that(false).await?.into_iter().map(|sample| (sample.line, sample.output));
    let others: [Command; 3] = [(&["show", "s"], "s (default)\n"), (&["export"], "{\"_id\":\"s\","), (&["check"], "store     ")];
    Ok(calls.chain(others).collect())
}

/// Stores a session with everything in it.
async fn fill(desk: &Desk, site: &Site) -> anyhow::Result<()> {
    for Sample { line, output, .. } in samples_that(true).await? {
        let ran = desk.run(site, line).await?;
        ensure!(ran.ok()?.starts_with(output), "{line:?}: {}", ran.text()?);
    }
    Ok(())
}

/// An `exec` that has answered a request and waits for more.
async fn exec(desk: &Desk, site: &Site) -> anyhow::Result<(Child, ChildStdin)> {
    let mut exec = desk.command(site, &["exec"]).await?.stdin(Stdio::piped()).spawn()?;
    let (mut stdin, stdout) = (exec.stdin.take().context("no stdin")?, exec.stdout.take().context("no stdout")?);
    stdin
        .write_all(b"{\"id\": 1, \"call\": \"metadata.update\", \"args\": {\"session_id\": \"s\", \"metadata\": {\"late\": 1}}}\n")
        .await?;
    let mut answer = String::new();
    BufReader::new(stdout).read_line(&mut answer).await?;
    ensure!(answer.starts_with("{\"id\":1,\"result\":"), "{answer}");
    Ok((exec, stdin))
}

/// What a folder and its files hold and when they were written, by name.
fn seen(folder: &Path) -> anyhow::Result<Vec<(String, SystemTime, Vec<u8>)>> {
    let mut seen = vec![(String::from("."), fs::metadata(folder)?.modified()?, Vec::new())];
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|name| anyhow::anyhow!("{name:?}"))?;
        seen.push((name, entry.metadata()?.modified()?, fs::read(entry.path())?));
    }
    seen.sort();
    Ok(seen)
}

/// Makes a folder and its files look as if nobody had written to them for a day, so that every write shows.
fn let_rest(folder: &Path) -> anyhow::Result<()> {
    let yesterday = SystemTime::now() - Duration::from_secs(86_400);
    for entry in fs::read_dir(folder)? {
        File::options().write(true).open(entry?.path())?.set_modified(yesterday)?;
    }
    Ok(File::open(folder)?.set_modified(yesterday)?)
}

/// A folder with a store file in it that was closed, or whose writer was killed.
async fn store_file(desk: &Desk, is_closed: bool) -> anyhow::Result<Site> {
    fs::create_dir(desk.path("data"))?;
    let site = desk.file_site("data/sessions.store");
    fill(desk, &site).await?;
    if !is_closed {
        let (mut exec, _stdin) = exec(desk, &site).await?;
        exec.kill().await?;
    }
    let_rest(&desk.path("data"))?;
    Ok(site)
}

#[tokio::test]
async fn commands_that_read_write_nothing_to_a_file_or_beside_it() -> anyhow::Result<()> {
    for is_closed in [true, false] {
        let desk = Desk::new()?;
        let site = store_file(&desk, is_closed).await?;
        let before = seen(&desk.path("data"))?;
        for (arguments, output) in commands().await? {
            for _ in 0..2 {
                let ran = desk.run(&site, arguments).await?;
                assert!(ran.ok()?.starts_with(output), "{arguments:?}: {}", ran.text()?);
                assert!(seen(&desk.path("data"))? == before, "{arguments:?}, closed {is_closed}: the file or its folder has changed");
            }
        }
        // What was acknowledged before the kill is there.
        let ran = desk.run(&site, &["metadata", "get", "s"]).await?;
        assert_eq!(ran.ok()?.contains("late: 1"), !is_closed);
        let missing = desk.run(&site, &["session", "read", "t"]).await?;
        assert_eq!((missing.status, missing.stderr.as_str()), (Some(1), "session-repo: not-found: session `t` does not exist\n"));
        assert!(seen(&desk.path("data"))? == before);
    }
    Ok(())
}

#[tokio::test]
async fn commands_that_read_share_a_file_and_keep_writers_out() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let site = store_file(&desk, true).await?;
    let reader = AnyStore::open_read_only(&site.url.parse()?, site.options()).await?;
    for (arguments, output) in commands().await? {
        let ran = desk.run(&site, arguments).await?;
        assert!(ran.ok()?.starts_with(output), "{arguments:?}: {}", ran.text()?);
    }
    let refused = desk.run(&site, &["session", "create", "t"]).await?;
    let by = if cfg!(target_os = "linux") {
        format!("being read by process {} (", std::process::id())
    } else {
        String::from("held by another process")
    };
    let said = format!("session-repo: cannot open the store: unavailable: the store file {} is {by}", desk.argument("data/sessions.store"));
    assert!(refused.status == Some(1) && refused.stderr.starts_with(&said), "{}", refused.stderr);
    reader.into_store().close().await;
    desk.run(&site, &["session", "create", "t"]).await?.ok()?;
    Ok(())
}

#[tokio::test]
async fn a_command_that_reads_waits_for_a_writer() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let site = store_file(&desk, true).await?;
    let (mut holder, stdin) = exec(&desk, &site).await?;
    let mut waiting = desk.command(&site, &["metadata", "get", "s"]).await?;
    let mut waiting = waiting.env("RUST_LOG", "session_repo=debug").spawn()?;
    let mut log = BufReader::new(waiting.stderr.take().context("no stderr")?);
    let mut said = String::new();
    while !said.contains("waiting for the store") {
        ensure!(log.read_line(&mut said).await? > 0, "it does not wait: {said}");
    }
    drop(stdin);
    let output = waiting.wait_with_output().await?;
    assert!(output.status.success() && String::from_utf8(output.stdout)?.contains("late: 1"));
    assert_eq!(holder.wait().await?.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn a_conversation_in_a_file_is_followed_beside_readers_and_writers() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let site = store_file(&desk, true).await?;
    let before = seen(&desk.path("data"))?;
    let reader = AnyStore::open_read_only(&site.url.parse()?, site.options()).await?;
    let mut following = desk.command(&site, &["show", "s", "--follow"]).await?.spawn()?;
    let mut lines = BufReader::new(following.stdout.take().context("no stdout")?).lines();
    let mut until = async |text: &str| -> anyhow::Result<()> {
        while !lines.next_line().await?.context("it has ended")?.contains(text) {}
        Ok(())
    };
    until("Hello!").await?;
    reader.into_store().close().await;
    assert!(seen(&desk.path("data"))? == before, "the file or its folder has changed");
    for text in ["Good morning!", "Good night!"] {
        let message = format!(r#"{{"content": "{text}"}}"#);
        // Whoever follows has the file open now and then, and commands wait for each other.
        desk.run(&site, &["message", "append", "s", "a", &message]).await?.ok()?;
        until(text).await?;
    }
    following.kill().await?;
    Ok(())
}

/// Runs a command in a folder where nothing was stored.
async fn on_nothing(desk: &Desk, arguments: &[&str]) -> anyhow::Result<Ran> {
    let ran = finish(&mut desk.bare(arguments).await?, None).await?;
    ensure!(!desk.path("home").exists() && !desk.path("sessions.store").exists(), "{arguments:?} has made something");
    Ok(ran)
}

#[tokio::test]
async fn a_command_that_reads_makes_no_file_and_says_that_there_is_none() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    // As an empty store answers; only what shows or copies a store has nothing to work on.
    let reads = samples_that(false).await?;
    let default_file = desk.path("home/data/session-repository/sessions.store").display().to_string();
    for (store, file) in [(None, default_file.as_str()), (Some("file:sessions.store"), "sessions.store")] {
        let on_store = |arguments: &[&'static str]| [arguments, &store.map_or(vec![], |store| vec!["--store", store])].concat();
        let missing = format!("session-repo: there is no store file {file} yet: nothing was ever stored there\n");
        for Sample { call, line, .. } in &reads {
            let ran = on_nothing(&desk, &on_store(&[*line, &["--json"]].concat())).await?;
            let said = ran.stderr.strip_prefix(&format!("session-repo: no --store is named, so this works on file:{file}\n"));
            let said = said.unwrap_or(&ran.stderr).strip_prefix(&missing).with_context(|| format!("{call}: {}", ran.stderr))?;
            match of_nothing(call) {
                Value::Null => {
                    let is_said = said.starts_with("session-repo: not-found: ") && said.ends_with("session `s` does not exist\n");
                    assert!(is_said && (ran.status, ran.text()?) == (Some(1), ""), "{call}: {said}");
                }
                answer => assert_eq!((ran.status, ran.text()?, said), (Some(0), format!("{answer}\n").as_str(), ""), "{call}"),
            }
        }
        for arguments in [&["show", "s"][..], &["export"], &["export", "dump.ndjson"], &["check"]] {
            let ran = on_nothing(&desk, &on_store(arguments)).await?;
            assert_eq!((ran.status, ran.text()?), (Some(1), ""), "{arguments:?}");
            assert!(ran.stderr.contains(&format!("there is no store file {file}")), "{arguments:?}: {}", ran.stderr);
            assert!(!desk.path("dump.ndjson").exists());
        }
    }
    Ok(())
}

#[tokio::test]
async fn commands_that_read_make_nothing_in_mongodb() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let site = Site::mongo(&database)?;
    let mut commands = commands().await?;
    commands.push((&["archive", "status", "s"], "AGENT"));
    for (arguments, _) in &commands {
        desk.run(&site, arguments).await?;
    }
    let collections = database.client.database(&database.name).list_collection_names().await?;
    assert!(collections.is_empty(), "{collections:?}");
    // What another program has stored is read without an index.
    database.documents().insert_one(foreign()).await?;
    for (arguments, output) in commands {
        let ran = desk.run(&site, arguments).await?;
        // The check tells that the indexes are missing.
        assert!(ran.text()?.starts_with(output), "{arguments:?}: {} {}", ran.text()?, ran.stderr);
    }
    let indexes = database.documents().list_index_names().await?;
    let collections = database.client.database(&database.name).list_collection_names().await?;
    assert_eq!((indexes, collections), (vec![String::from("_id_")], vec![String::from(COLLECTION)]));
    database.drop().await
}

#[tokio::test]
async fn writes_to_mongodb_through_a_store_for_reading_are_denied() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    database.documents().insert_one(foreign()).await?;
    let before = database.document("s").await?;
    let site = Site::mongo(&database)?;
    let store = AnyStore::open_read_only(&site.url.parse()?, site.options()).await?;
    denied(store.archive_run("s").await);
    denied(store.archive_undo("s").await);
    denied(store.import(Cursor::new(r#"{"_id":"t"}"#)).await);
    assert_eq!((store.count_sessions().await?, store.agent_ids("s").await?), (1, Some(vec![String::from("a")])));
    let store = store.into_store();
    writes_are_denied(store.clone()).await?;
    assert!(store.find_message(&AgentRef::new("s", "a"), 0, &[]).await?.is_some());
    store.close().await;
    assert_eq!((database.document("s").await?, database.documents().count_documents(doc! {}).await?), (before, 1));
    database.drop().await
}

/// A session with everything in it, as the reference stores it.
fn foreign() -> Document {
    let now = DateTime::from_millis(1_706_265_045_123);
    let message = doc! { "message_id": 0, "content": "Hello!", "created_at": now, "updated_at": now };
    let agent = doc! { "agent_data": { "agent_id": "a" }, "created_at": now, "updated_at": now, "messages": [message] };
    doc! {
        "_id": "s", "session_id": "s", "session_type": "default", "created_at": now, "updated_at": now,
        "metadata": { "priority": "high" }, "feedbacks": [{ "rating": "up", "created_at": now }], "agents": { "a": agent },
    }
}
