//! `--archive-after` and `session-repo archive`.

use crate::run::{Desk, Ran, Site, finish};
use anyhow::ensure;
use mongodb::bson::doc;
use mongodb::bson::oid::ObjectId;
use serde_json::{Value, json};
use session_repository_tests::Database;

/// Appends messages of about 100 bytes each to the agent `a` of a session `s`, which has an agent `b` without messages.
async fn seed(desk: &Desk, site: &Site, messages: usize, options: &[&str]) -> anyhow::Result<()> {
    let mut calls = vec![
        ("sessions.create", json!({"session_id": "s"})),
        ("agents.create", json!({"session_id": "s", "agent": {"agent_id": "a"}})),
        ("agents.create", json!({"session_id": "s", "agent": {"agent_id": "b"}})),
    ];
    let append = |n| ("messages.append", json!({"session_id": "s", "agent_id": "a", "message": {"n": n, "content": "x".repeat(30)}}));
    calls.extend((0..messages).map(append));
    let lines: String = calls.iter().map(|(call, args)| format!("{}\n", json!({"id": 0, "call": call, "args": args}))).collect();
    let ran = desk.feed(site, &[&["exec"], options].concat(), lines).await?;
    ensure!(!ran.ok()?.contains("\"error\"") && ran.stderr.is_empty(), "{}", ran.stderr);
    Ok(())
}

async fn status(desk: &Desk, site: &Site) -> anyhow::Result<Value> {
    Ok(serde_json::from_str(desk.run(site, &["archive", "status", "s", "--json"]).await?.ok()?)?)
}

/// How many messages the agent `a` has in the document and in the archive.
fn places(status: &Value) -> (u64, u64) {
    let count = |name: &str| status[0][name].as_u64().unwrap_or_default();
    (count("messages"), count("archived_messages"))
}

/// Whether a status as people read it has the numbers of one as programs do.
fn assert_same(text: &str, status: &Value) {
    let rows: Vec<Vec<_>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["AGENT", "MESSAGES", "BYTES", "ARCHIVED", "BLOCKS", "ARCHIVED", "BYTES"]);
    let names = ["agent_id", "messages", "bytes", "archived_messages", "archived_blocks", "archived_bytes"];
    for (row, agent) in rows[1..].iter().zip(status.as_array().into_iter().flatten()) {
        let numbers = names.map(|name| agent[name].as_str().map_or(agent[name].to_string(), str::to_owned));
        assert_eq!(*row, numbers);
    }
    assert_eq!(rows.len() - 1, status.as_array().map_or(0, Vec::len));
}

#[tokio::test]
async fn the_archive_is_told_filled_and_emptied() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let site = Site::mongo(&database)?;
    let archive = async |arguments: &[&str]| desk.run(&site, &[&["archive"], arguments].concat()).await;
    seed(&desk, &site, 50, &["--archive-after", "never"]).await?;
    let in_document = status(&desk, &site).await?;
    assert_eq!((places(&in_document), &in_document[0]["archived_blocks"]), ((50, 0), &json!(0)));
    assert_same(archive(&["status", "s"]).await?.ok()?, &in_document);
    assert_eq!(archive(&["run", "s"]).await?.ok()?, "moved 0 messages\n", "this is far from a mebibyte");
    let listed = desk.run(&site, &["message", "list", "s", "a", "--json"]).await?.ok()?.to_owned();

    let moved: Value = serde_json::from_str(archive(&["run", "s", "--json", "--archive-after", "1KiB"]).await?.ok()?)?;
    let moved = moved["moved"].as_u64().unwrap_or_default();
    let in_archive = status(&desk, &site).await?;
    assert_eq!(places(&in_archive), (50 - moved, moved));
    let size = |agent: &Value, name: &str| agent[name].as_u64().unwrap_or_default();
    let agent = &in_archive[0];
    ensure!(moved > 30 && size(agent, "bytes") <= 1024 && size(agent, "archived_bytes") > 2000, "{in_archive}");
    ensure!(size(agent, "archived_blocks") > 0 && in_archive[1]["agent_id"] == "b" && size(&in_archive[1], "archived_blocks") == 0);
    assert_same(archive(&["status", "s"]).await?.ok()?, &in_archive);
    assert_eq!(archive(&["run", "s", "--archive-after", "1KiB"]).await?.ok()?, "moved 0 messages\n");
    assert_eq!(desk.run(&site, &["message", "list", "s", "a", "--json"]).await?.ok()?, listed);

    assert_eq!(archive(&["undo", "s"]).await?.ok()?, format!("folded {moved} messages back\n"));
    assert_eq!(status(&desk, &site).await?, in_document);
    assert_eq!(archive(&["undo", "s", "--json"]).await?.ok()?, "{\"folded\":0,\"orphans\":0}\n");
    assert_eq!(desk.run(&site, &["message", "list", "s", "a", "--json"]).await?.ok()?, listed);
    database.drop().await
}

#[tokio::test]
async fn appends_archive_by_the_size_that_is_named_and_never_by_never() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let site = Site::mongo(&database)?;
    seed(&desk, &site, 40, &["--archive-after", "never"]).await?;
    let append = |more: &'static [&'static str]| [&["message", "append", "s", "a", r#"{"n": 1}"#], more].concat();
    for (arguments, environment) in [(append(&["--archive-after", "never"]), "1KiB"), (append(&[]), "never"), (append(&[]), "8MiB")] {
        let mut command = desk.command(&site, &arguments).await?;
        finish(command.env("SESSION_REPO_ARCHIVE_AFTER", environment), None).await?.ok()?;
    }
    assert_eq!(places(&status(&desk, &site).await?), (43, 0));
    let run = desk.run(&site, &["archive", "run", "s", "--archive-after", "never"]).await?;
    let said = "session-repo: invalid-argument: archive after: is never, so there is nothing to move\n";
    assert_eq!((run.status, run.stderr.as_str()), (Some(1), said));
    let mut command = desk.command(&site, &append(&[])).await?;
    finish(command.env("SESSION_REPO_ARCHIVE_AFTER", "1 kib"), None).await?.ok()?;
    let (left, moved) = places(&status(&desk, &site).await?);
    ensure!(moved > 20 && left + moved == 44, "{left} {moved}");
    database.drop().await
}

#[tokio::test]
async fn a_session_that_is_not_there_has_no_archive() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let site = Site::mongo(&database)?;
    for command in ["status", "run", "undo"] {
        for options in [&[][..], &["--json"]] {
            let ran = desk.run(&site, &[&["archive", command, "nobody"], options].concat()).await?;
            let said = "session-repo: not-found: session `nobody` does not exist\n";
            assert_eq!((ran.status, ran.text()?, ran.stderr.as_str()), (Some(1), "", said), "{command}");
        }
    }
    desk.run(&site, &["session", "create", "s"]).await?.ok()?;
    assert_eq!(desk.run(&site, &["archive", "status", "s"]).await?.ok()?.lines().count(), 1);
    assert_eq!(status(&desk, &site).await?, json!([]));
    database.drop().await
}

#[tokio::test]
async fn a_file_needs_no_archive() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let site = desk.file_site("sessions.store");
    let nothing = desk.run(&site, &["archive", "status", "s"]).await?;
    ensure!(nothing.status == Some(1) && nothing.stderr.contains("there is no store file") && !desk.path("sessions.store").exists());
    seed(&desk, &site, 40, &[]).await?;
    for site in [site, Site::memory()] {
        for command in ["status", "run", "undo"] {
            let ran = desk.run(&site, &["archive", command, "s"]).await?;
            let said = "session-repo: invalid-argument: only MongoDB needs an archive: ";
            ensure!(ran.status == Some(1) && ran.text()?.is_empty() && ran.stderr.starts_with(said), "{command}: {}", ran.stderr);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_size_that_cannot_be_is_a_bad_command_line() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let refused = |ran: Ran, value: &str, said: &str| {
        ensure!(ran.status == Some(2) && ran.text()?.is_empty() && ran.stderr.contains(said), "{value}: {:?} {}", ran.status, ran.stderr);
        Ok(())
    };
    let (form, bounds) = ("must be a size like 128KiB, or never", "archive after: must be 1KiB to 8MiB, or never");
    for (value, said) in [
        ("", form),
        ("x", form),
        ("-1", form),
        ("1 mebibyte", form),
        ("Never", form),
        ("1KiB 2KiB", form),
        ("inf", form),
        ("0", bounds),
        ("1023", bounds),
        ("1KB", bounds),
        ("8388609", bounds),
        ("9MiB", bounds),
        ("99999999999999999999EiB", bounds),
    ] {
        let create = ["session", "create", "s", "--store", "file:sessions.store"];
        let by_option = finish(&mut desk.bare(&[&create[..], &["--archive-after", value]].concat()).await?, None).await?;
        refused(by_option, value, said)?;
        refused(finish(desk.bare(&create).await?.env("SESSION_REPO_ARCHIVE_AFTER", value), None).await?, value, said)?;
    }
    let secret = finish(&mut desk.bare(&["exec", "--archive-after", "mongodb://alice:s3cret@host"]).await?, None).await?;
    ensure!(secret.status == Some(2) && !secret.stderr.contains("s3cret"), "{}", secret.stderr);
    ensure!(!desk.path("sessions.store").exists() && !desk.path("home").exists(), "nothing was made");
    for value in ["1024", "1KiB", "1.5 kib", "8MiB", "0.5MB", "never"] {
        let create = ["session", "create", value, "--store", "file:sessions.store", "--archive-after", value];
        finish(&mut desk.bare(&create).await?, None).await?.ok()?;
    }
    Ok(())
}

#[tokio::test]
async fn an_undo_tells_of_blocks_that_belonged_to_no_archive() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let site = Site::mongo(&database)?;
    desk.run(&site, &["session", "create", "s"]).await?.ok()?;
    for session in ["s", "never"] {
        for (options, said) in [
            (&[][..], "folded 0 messages back\nremoved 2 blocks that belonged to no archive\n"),
            (&["--json"], "{\"folded\":0,\"orphans\":2}\n"),
        ] {
            let archive = ObjectId::new();
            for first in [0_i64, 5] {
                let block = doc! { "_id": { "archive": archive, "first": first }, "session_id": session, "fence": 1_i64, "messages": [] };
                database.blocks().insert_one(block).await?;
            }
            assert_eq!(desk.run(&site, &[&["archive", "undo", session], options].concat()).await?.ok()?, said);
            assert_eq!(database.blocks().count_documents(doc! {}).await?, 0);
        }
    }
    let again = desk.run(&site, &["archive", "undo", "never"]).await?;
    assert_eq!((again.status, again.stderr.as_str()), (Some(1), "session-repo: not-found: session `never` does not exist\n"));
    database.drop().await
}
