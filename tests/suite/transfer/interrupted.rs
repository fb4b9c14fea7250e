//! Programs that are killed in the middle: what they began is completed by running them again.

use crate::run::{Desk, Ran, Site, finish};
use anyhow::{Context, ensure};
use mongodb::bson::doc;
use session_repository_tests::Database;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

const SESSIONS: usize = 60;

/// Sessions of a megabyte each, more than an import stores at once.
fn dump() -> String {
    let text = "x".repeat(100_000);
    let messages: Vec<_> = (0..10).map(|id| format!(r#"{{"message_id":{id},"content":"{text}"}}"#)).collect();
    let agents = format!(r#"{{"a":{{"agent_data":{{}},"messages":[{}]}}}}"#, messages.join(","));
    (0..SESSIONS).map(|id| format!("{{\"_id\":\"{id:03}\",\"session_type\":\"default\",\"agents\":{agents}}}\n")).collect()
}

/// Feeds most of a dump to an import and kills it.
async fn kill_import(desk: &Desk, site: &Site, dump: &str) -> anyhow::Result<()> {
    let mut import = desk.command(site, &["import"]).await?.stdin(Stdio::piped()).spawn()?;
    let mut stdin = import.stdin.take().context("no stdin")?;
    // All of this was read when it is written, but for what the pipe and two buffers hold.
    stdin.write_all(&dump.as_bytes()[..dump.len() * 3 / 4]).await?;
    import.kill().await?;
    drop(stdin);
    Ok(())
}

fn counts(ran: &Ran) -> anyhow::Result<(usize, usize)> {
    let numbers: Vec<usize> = ran.ok()?.split(' ').filter_map(|word| word.parse().ok()).collect();
    ensure!(numbers.len() == 2, "{}", ran.text()?);
    Ok((numbers[0], numbers[1]))
}

#[tokio::test]
async fn an_import_that_was_killed_is_completed_by_the_next() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let dump = dump();
    for site in [desk.file_site("sessions.store"), Site::mongo(&database)?] {
        kill_import(&desk, &site, &dump).await?;
        let stored = desk.dump(&site).await?;
        ensure!(dump.starts_with(&stored), "what is there is whole sessions, in the order of the dump");
        let there = stored.lines().count();
        ensure!((1..SESSIONS).contains(&there), "{there} sessions were there");
        let ran = desk.feed(&site, &["import"], dump.clone()).await?;
        assert_eq!(counts(&ran)?, (SESSIONS - there, there));
        ensure!(desk.dump(&site).await? == dump, "not the same dump");
        let check = desk.run(&site, &["check"]).await?;
        assert!(check.text()?.contains("sessions  60\nagents    60\nmessages  600\n"), "{}", check.text()?);
    }
    database.drop().await
}

#[tokio::test]
async fn an_import_of_a_dump_that_ends_within_a_line_is_completed_by_the_next() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let dump: String = ["a", "b", "c"].map(|id| format!("{}\n", super::line(id, "é 😀"))).concat();
    let third = dump.rmatch_indices('\n').nth(1).map_or(0, |(at, _)| at + 1);
    let character = dump.char_indices().rfind(|(_, c)| *c == '😀').map_or(0, |(at, _)| at);
    let (two, _) = dump.split_at(third);
    let database_of = |site: &Site| site.url.starts_with("mongodb");
    // Within a message, within a character, before the last bracket, and before the line's end, where nothing is missing.
    for (index, cut) in [third + 1, character, character + 2, dump.len() - 12, dump.len() - 2, dump.len() - 1].into_iter().enumerate() {
        for site in [desk.file_site(&format!("{index}")), Site::mongo(&database)?] {
            let ran = desk.feed(&site, &["import"], &dump.as_bytes()[..cut]).await?;
            let whole = cut == dump.len() - 1;
            assert_eq!(ran.status, Some(i32::from(!whole)), "{}", ran.stderr);
            assert_eq!(ran.stderr.contains("session-repo: line 3: "), !whole, "{}", ran.stderr);
            assert_eq!(desk.dump(&site).await?, if whole { dump.as_str() } else { two });
            let ran = desk.feed(&site, &["import"], dump.clone()).await?;
            assert_eq!(counts(&ran)?, if whole { (0, 3) } else { (1, 2) });
            assert_eq!(desk.dump(&site).await?, dump);
            if database_of(&site) {
                database.documents().delete_many(doc! {}).await?;
            }
        }
    }
    database.drop().await
}

#[tokio::test]
async fn an_export_that_was_killed_is_completed_by_a_resumed_one() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let dump = dump();
    for site in [desk.file_site("sessions.store"), Site::mongo(&database)?] {
        desk.feed(&site, &["import"], dump.clone()).await?.ok()?;
        let (file, path) = (desk.argument(&site.database), desk.path(&site.database));
        let mut export = desk.command(&site, &["export", &file]).await?.spawn()?;
        let begun = Instant::now();
        while fs::metadata(&path).map_or(0, |file| file.len()) < 5_000_000 {
            ensure!(begun.elapsed() < Duration::from_secs(60), "nothing is written");
            tokio::task::yield_now().await;
        }
        export.kill().await?;
        let left = fs::read(&path)?;
        ensure!(dump.as_bytes().starts_with(&left) && left.len() < dump.len(), "{} bytes were written", left.len());
        let ran = finish(&mut desk.command(&site, &["export", &file, "--resume"]).await?, None).await?;
        ensure!(ran.ok()?.is_empty() && ran.stderr.contains(" more session"), "{}", ran.stderr);
        ensure!(fs::read(&path)? == dump.as_bytes(), "not the same dump");
    }
    database.drop().await
}
