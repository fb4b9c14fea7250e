//! An export that was cut off is completed, and an export never destroys what is there.

use super::line;
use crate::run::{Desk, Site};
use mongodb::bson::doc;
use session_repository_tests::Database;
use std::fs;

const IDS: [&str; 6] = ["1", "20", "é", "ключ", "😀", "😀😀"];

/// Stores with the same sessions, and their dump.
async fn stores(desk: &Desk, database: &Database) -> anyhow::Result<([Site; 2], String)> {
    let dump: String = IDS.iter().map(|id| format!("{}\n", line(id, "é {\\\"_id\\\":\\\"x\\\"} 😀"))).collect();
    let sites = [desk.file_site("sessions.store"), Site::mongo(database)?];
    for site in &sites {
        desk.feed(site, &["import"], dump.clone()).await?.ok()?;
        assert_eq!(desk.dump(site).await?, dump);
    }
    Ok((sites, dump))
}

#[tokio::test]
async fn a_file_that_was_cut_anywhere_is_completed_to_what_a_whole_export_is() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let (sites, dump) = stores(&desk, &database).await?;
    let bytes = dump.as_bytes();
    let ends: Vec<usize> = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect();
    let character = dump.char_indices().find(|(_, c)| *c == '😀').map_or(0, |(at, _)| at);
    // Nothing, part of the first line, at, before and behind the ends of lines, within a character, almost all, all.
    let mut cuts = vec![0, 1, 9, ends[0] - 1, character + 1, character + 3, bytes.len() - 1, bytes.len()];
    cuts.extend(ends.iter().flat_map(|end| [*end, end + 1, end + 2]).filter(|cut| *cut < bytes.len()));
    let (file, path) = (desk.argument("dump.ndjson"), desk.path("dump.ndjson"));
    for (index, cut) in cuts.into_iter().enumerate() {
        fs::write(&path, &bytes[..cut])?;
        let ran = desk.run(&sites[index % 2], &["export", &file, "--resume"]).await?;
        assert_eq!(ran.ok()?, "", "cut at {cut}");
        let there = bytes[..cut].iter().filter(|byte| **byte == b'\n').count();
        let more = if there > 0 { " more" } else { "" };
        assert_eq!(
            ran.stderr,
            format!(
                "exported {}{more} {} to {file}: complete\n",
                IDS.len() - there,
                if IDS.len() - there == 1 { "session" } else { "sessions" }
            ),
            "cut at {cut}"
        );
        assert_eq!(fs::read_to_string(&path)?, dump, "cut at {cut}");
    }
    fs::remove_file(&path)?;
    assert_eq!(desk.run(&sites[0], &["export", "--resume", &file]).await?.status, Some(0), "there need not be a file");
    assert_eq!(fs::read_to_string(&path)?, dump);
    database.drop().await
}

#[tokio::test]
async fn a_resumed_export_goes_on_with_sessions_that_came_since() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let (sites, dump) = stores(&desk, &database).await?;
    let (file, path) = (desk.argument("dump.ndjson"), desk.path("dump.ndjson"));
    for site in &sites {
        fs::write(&path, &dump)?;
        desk.run(site, &["session", "create", "😀😀😀"]).await?.ok()?;
        desk.run(site, &["export", &file, "--resume"]).await?.ok()?;
        assert_eq!(fs::read_to_string(&path)?, desk.dump(site).await?);
    }
    database.drop().await
}

/// What an earlier run left out stands in front of where a later one goes on.
#[tokio::test]
async fn a_file_that_lacks_a_session_in_front_of_its_end_is_not_called_complete() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let (sites, dump) = stores(&desk, &database).await?;
    let (file, path) = (desk.argument("dump.ndjson"), desk.path("dump.ndjson"));
    let without: String = dump.lines().filter(|line| !line.starts_with(r#"{"_id":"20""#)).map(|line| format!("{line}\n")).collect();
    for site in &sites {
        fs::write(&path, &without)?;
        let ran = desk.run(site, &["export", &file, "--resume"]).await?;
        let why = format!("exported 0 more sessions to {file}, which has 5 sessions now; the store has 6: not complete, so export it anew");
        assert_eq!((ran.status, ran.stderr), (Some(1), format!("session-repo: {why}\n")));
        assert_eq!(fs::read_to_string(&path)?, without);
    }
    database.drop().await
}

#[tokio::test]
async fn a_file_that_exists_is_left_alone_unless_it_is_to_be_completed() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let (sites, dump) = stores(&desk, &database).await?;
    let (file, path) = (desk.argument("dump.ndjson"), desk.path("dump.ndjson"));
    for content in ["", "theirs", &dump] {
        fs::write(&path, content)?;
        let ran = desk.run(&sites[0], &["export", &file]).await?;
        assert_eq!((ran.status, ran.text()?), (Some(1), ""));
        assert!(ran.stderr.contains(&format!("{file} exists already")) && ran.stderr.contains("--resume"), "{}", ran.stderr);
        assert_eq!(fs::read_to_string(&path)?, content);
    }
    // What no export wrote is not completed either, nor cut.
    for content in
        ["theirs", "theirs\n", "theirs\nmore", "{\"my\": 1}", "{\"session_id\":\"x\"}\n", "{\"_id\":5}\n", "{\"_id\":\"x\",…\n", "\n"]
    {
        fs::write(&path, content)?;
        let ran = desk.run(&sites[0], &["export", &file, "--resume"]).await?;
        assert!(ran.status == Some(1) && ran.stderr.contains("this is no file that export wrote"), "{content}: {}", ran.stderr);
        assert_eq!(fs::read_to_string(&path)?, content);
    }
    for arguments in [&["export", "--resume"][..], &["export", "--resume", "-"]] {
        let ran = desk.run(&sites[0], arguments).await?;
        assert_eq!((ran.status, ran.text()?), (Some(1), ""));
        assert!(ran.stderr.contains("--resume needs the file"), "{}", ran.stderr);
    }
    let ran = desk.run(&sites[0], &["export", &desk.argument("no/such/folder")]).await?;
    assert!(ran.status == Some(1) && ran.stderr.contains("no/such/folder"), "{}", ran.stderr);
    database.drop().await
}

#[cfg(unix)]
#[tokio::test]
async fn a_dump_is_its_owners_business() -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new()?;
    for arguments in [&["export"][..], &["export", "--resume"]] {
        let name = arguments.join("");
        desk.run(&Site::memory(), &[arguments, &[&desk.argument(&name)]].concat()).await?.ok()?;
        assert_eq!(fs::metadata(desk.path(&name))?.permissions().mode() & 0o777, 0o600);
    }
    Ok(())
}

#[tokio::test]
async fn a_dump_goes_to_stdout_or_to_a_file_and_says_its_verdict_on_stderr() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let (sites, dump) = stores(&desk, &database).await?;
    for site in &sites {
        for arguments in [&["export"][..], &["export", "-"]] {
            let ran = desk.run(site, arguments).await?;
            assert_eq!((ran.ok()?, ran.stderr.as_str()), (dump.as_str(), "exported 6 sessions to stdout: complete\n"));
        }
        let name = format!("{}.ndjson", site.database);
        let ran = desk.run(site, &["export", &desk.argument(&name)]).await?;
        assert_eq!((ran.ok()?, fs::read_to_string(desk.path(&name))?), ("", dump.clone()));
        let ran = desk.run(&desk.file_site(&site.database), &["import", &desk.argument(&name)]).await?;
        assert_eq!(ran.ok()?, format!("imported from {}: 6 new, 0 there already: complete\n", desk.argument(&name)));
    }
    let empty = desk.run(&Site::memory(), &["export"]).await?;
    assert_eq!((empty.ok()?, empty.stderr.as_str()), ("", "exported 0 sessions to stdout: complete\n"));
    let mut full = desk.command(&sites[0], &["export"]).await?;
    full.stdout(fs::OpenOptions::new().write(true).open("/dev/full")?);
    assert_eq!(full.spawn()?.wait().await?.code(), Some(1), "what cannot be written is no complete dump");
    database.drop().await
}

#[tokio::test]
async fn what_is_no_session_is_not_dumped() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let (sites, dump) = stores(&desk, &database).await?;
    database.documents().insert_many([doc! { "n": 1 }, doc! { "_id": 5 }, doc! { "_id": { "a": 1 } }]).await?;
    assert_eq!(desk.dump(&sites[1]).await?, dump);
    database.drop().await
}
