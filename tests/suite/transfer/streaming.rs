//! Memory does not grow with the data: twice as much of it goes through in the same memory, and a bound holds for large histories.

use crate::run::{Desk, Site};
use anyhow::{Context, ensure};
use session_repository_tests::Database;
use std::fs;
use std::io::Write;
use std::process::Stdio;
use tokio::process::Command;

const MIB: u64 = 1024 * 1024;

/// The most memory that a program had, in bytes.
async fn peak(mut command: Command) -> anyhow::Result<u64> {
    command.stdout(Stdio::null()).stderr(Stdio::inherit());
    let mut child = command.spawn()?;
    let status = format!("/proc/{}/status", child.id().context("no process")?);
    let mut peak = 0;
    loop {
        // The system keeps the maximum, so it does not matter when it is read; what the last milliseconds add is missed at most.
        let line = fs::read_to_string(&status)?;
        let high = line.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        peak = high.map_or(peak, |high| peak.max(high * 1024));
        if let Some(status) = child.try_wait()? {
            ensure!(status.success() && peak > 0, "{status}, {peak} bytes");
            return Ok(peak);
        }
        tokio::task::yield_now().await;
    }
}

/// A dump of so many sessions with so many messages of four kilobytes each, the last of which is the oldest.
fn dump(sessions: usize, messages: usize) -> String {
    let text = "x".repeat(4_000);
    let mut dump = String::new();
    for session in 0..sessions {
        dump.push_str(&format!(r#"{{"_id":"{session:06}","metadata":{{}},"agents":{{"a":{{"agent_data":{{}},"messages":["#));
        for id in 0..messages {
            let year = if id + 1 == messages { 2023 } else { 2024 };
            let comma = if id > 0 { "," } else { "" };
            dump.push_str(&format!(
                r#"{comma}{{"message_id":{id},"content":"{text}","created_at":{{"$date":"{year}-01-26T10:30:45.123Z"}}}}"#
            ));
        }
        dump.push_str("]}}}\n");
    }
    dump
}

/// The memory of an import, of the same again, and of an export, whose dump is the same.
async fn peaks(desk: &Desk, site: &Site, name: &str, dump: String) -> anyhow::Result<[u64; 3]> {
    let [file, out] = [name, "out"].map(|name| desk.argument(name));
    fs::write(&file, dump)?;
    let peak = async |arguments: &[&str]| {
        let mut command = desk.command(site, arguments).await?;
        // With a heap for each thread, what one of them gave back stays with the process until that thread asks again.
        command.env("MALLOC_ARENA_MAX", "1");
        peak(command).await
    };
    let import = peak(&["import", &file]).await?;
    let again = peak(&["import", &file]).await?;
    let export = peak(&["export", &out]).await?;
    ensure!(fs::read(&file)? == fs::read(&out)?, "not the same dump");
    fs::remove_file(out)?;
    Ok([import, again, export])
}

async fn same_memory(desk: &Desk, sites: [&Site; 2], dumps: [String; 2]) -> anyhow::Result<()> {
    let [small, large] = dumps;
    let more = (large.len() - small.len()) as u64;
    // Less than this is noise.
    let may_grow = more / 4;
    let (small, large) = (peaks(desk, sites[0], "small", small).await?, peaks(desk, sites[1], "large", large).await?);
    for ((what, small), large) in ["import", "import again", "export"].iter().zip(small).zip(large) {
        eprintln!("{what}: {} MiB, with {} MiB more of data {} MiB", small / MIB, more / MIB, large / MIB);
        assert!(large < small + may_grow, "{what}: {} MiB grew to {} MiB with {} MiB more of data", small / MIB, large / MIB, more / MIB);
    }
    Ok(())
}

#[tokio::test]
async fn one_session_of_any_size_moves_between_files_in_the_same_memory() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    // The smaller one fills the store's cache of pages, too.
    let dumps = [dump(1, 16_000), dump(1, 24_000)];
    same_memory(&desk, [&desk.file_site("small.store"), &desk.file_site("large.store")], dumps).await
}

#[tokio::test]
async fn any_number_of_sessions_moves_between_files_in_the_same_memory() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let dumps = [dump(800, 20), dump(1_300, 20)];
    same_memory(&desk, [&desk.file_site("small.store"), &desk.file_site("large.store")], dumps).await
}

#[tokio::test]
async fn any_number_of_sessions_moves_between_mongodb_and_a_file_in_the_same_memory() -> anyhow::Result<()> {
    let (desk, small, large) = (Desk::new()?, Database::fresh().await?, Database::fresh().await?);
    let dumps = [dump(800, 20), dump(1_600, 20)];
    same_memory(&desk, [&Site::mongo(&small)?, &Site::mongo(&large)?], dumps).await?;
    small.drop().await?;
    large.drop().await
}

/// How much more memory than a command that has nothing to do a transfer may need, whatever a session holds.
const BOUND: u64 = 64 * MIB;

/// A history of 400 messages of a megabyte each. Nearly all of it lies in the archive.
#[tokio::test]
async fn a_large_archived_history_is_exported_and_imported_in_bounded_memory() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let site = Site::mongo(&database)?;
    let [file, out] = ["dump", "out"].map(|name| desk.argument(name));
    let mut dump = std::io::BufWriter::new(fs::File::create(&file)?);
    let (text, date) = ("x".repeat(1_000_000), r#"{"$date":"2024-01-26T10:30:45.123Z"}"#);
    write!(dump, r#"{{"_id":"s","metadata":{{}},"agents":{{"a":{{"agent_data":{{}},"messages":["#)?;
    for id in 0..400 {
        let comma = if id > 0 { "," } else { "" };
        write!(dump, r#"{comma}{{"message_id":{id},"content":"{text}","created_at":{date}}}"#)?;
    }
    writeln!(dump, "]}}}}}}")?;
    dump.into_inner()?.sync_all()?;
    let peak = async |arguments: &[&str]| peak(desk.command(&site, arguments).await?).await;
    let idle = peak(&["export", &desk.argument("nothing")]).await?;
    let import = peak(&["import", &file]).await?;
    let again = peak(&["import", &file]).await?;
    let export = peak(&["export", &out]).await?;
    ensure!(fs::read(&file)? == fs::read(&out)?, "not the same dump");
    for (what, peak) in [("import", import), ("import again", again), ("export", export)] {
        let more = peak.saturating_sub(idle);
        eprintln!("{what}: {} MiB over {} MiB", more / MIB, idle / MIB);
        assert!(more <= BOUND, "{what} takes {} MiB over {} MiB", more / MIB, idle / MIB);
    }
    database.drop().await
}
