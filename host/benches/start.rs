//! How long a command takes from its start to its end: with the component compiled by an earlier one, without, and beside `sqlite3`.
//!
//! `make bench-start`

use anyhow::{Context, ensure};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 41;

fn main() -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("session-repository-start-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let measured = measure(&folder);
    std::fs::remove_dir_all(&folder)?;
    measured
}

fn measure(folder: &Path) -> anyhow::Result<()> {
    let store = format!("file:{}", folder.join("sessions.store").display());
    let ours = |cache: &Path, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_session-repo"));
        command.args(["--store", &store]).args(arguments).env("XDG_CACHE_HOME", cache);
        command
    };
    let (cache, none) = (folder.join("cache"), folder.join("none"));
    // A file in the place of the folder: no cache can be made there.
    std::fs::write(&none, "")?;
    run(&mut ours(&cache, &["session", "create", "s"]))?;
    let database = folder.join("sqlite");
    let sqlite = || {
        let mut command = Command::new("sqlite3");
        command.arg(&database).arg("create table if not exists t (x); select 1;");
        command
    };
    let has_sqlite = run(&mut sqlite()).is_ok();
    if !has_sqlite {
        eprintln!("sqlite3 is missing, so nothing stands beside the figures (apt-get install sqlite3)");
    }
    let mut rows = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        let [warm, cold, other] = &mut rows;
        warm.push(run(&mut ours(&cache, &["session", "read", "s"]))?);
        cold.push(run(&mut ours(&none, &["session", "read", "s"]))?);
        if has_sqlite {
            other.push(run(&mut sqlite())?);
        }
    }
    let names =
        ["session read, compiled by an earlier command", "session read, without a cache", "sqlite3 FILE 'create table …; select 1'"];
    println!("from start to end, ms: median, lower and upper quartile of {ROUNDS} runs in turns");
    for (name, times) in names.into_iter().zip(&mut rows) {
        times.sort();
        if let [Some(middle), Some(low), Some(high)] = [2, 1, 3].map(|quarter| times.get(times.len() * quarter / 4)) {
            println!("  {name:<46} {:>8.1} {:>8.1} {:>8.1}", ms(*middle), ms(*low), ms(*high));
        }
    }
    Ok(())
}

/// Runs a command to its end and tells how long that took.
fn run(command: &mut Command) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let status = command.stdout(Stdio::null()).status().context("cannot run it")?;
    let took = begun.elapsed();
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(took)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
