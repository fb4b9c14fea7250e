//! What stays of plugins that misbehaved: nothing.

use super::host::{HANDED_OVER, Plugin};
use super::site::Site;
use anyhow::{Context, ensure};
use session_repository::{Limits, Quotas};
use std::process::Stdio;
use tokio::process::Command;

/// Set in the process that does the rounds. It runs nothing else, so that its memory is that of the rounds.
const CHILD: &str = "HOSTILE_ROUNDS";

const NAME: &str = "hostile::leak::ten_rounds_of_every_misbehaviour_take_no_more_memory_than_one";

/// Every round ends plugins that have much more than this.
const MOST: usize = 24 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_rounds_of_every_misbehaviour_take_no_more_memory_than_one() -> anyhow::Result<()> {
    if std::env::var_os(CHILD).is_some() {
        return rounds().await;
    }
    session_repository_tests::test_plugins().await?;
    let mut child = Command::new(std::env::current_exe()?);
    child.args(["--exact", NAME, "--nocapture"]).env(CHILD, "1").stdin(Stdio::null()).kill_on_drop(true);
    // One arena, so that what is freed by one thread is there for the others.
    child.env("MALLOC_ARENA_MAX", "1").env("MALLOC_TRIM_THRESHOLD_", "0");
    let ran = child.output().await?;
    let told = String::from_utf8_lossy(&ran.stdout);
    ensure!(ran.status.success(), "{told}\n{}", String::from_utf8_lossy(&ran.stderr));
    ensure!(told.contains("1 passed"), "it ran nothing: {told}");
    Ok(())
}

/// Memory of this process that is in use, in bytes.
fn resident() -> anyhow::Result<usize> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<usize>()? * 1024)
}

async fn rounds() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let tenant = site.tenant(Quotas::default()).await?;
    tenant.messages().append("s", "a", format!(r#"{{"k":"{}"}}"#, "x".repeat(1 << 20)), None).await?;
    // Whatever a plugin appends is refused, so that the store does not grow.
    let tenant = site.tenant_with(Limits::default(), Quotas::default().bytes_per_call(1_000))?;
    let mut sizes = Vec::new();
    for _ in 0..12 {
        round(&tenant).await?;
        sizes.push(resident()?);
    }
    println!("resident after each round: {sizes:?}");
    let (warm, last) = (sizes[1], sizes[11]);
    ensure!(last <= warm + MOST, "{} bytes more after ten rounds: {sizes:?}", last - warm);
    site.all.close().await;
    Ok(())
}

async fn round(tenant: &session_repository::Repository) -> anyhow::Result<()> {
    for export in ["allocate", "recurse", "trap", "wait", "pass-malformed", "pass-beyond-memory"] {
        ensure!(Plugin::start(tenant).await?.run(export, ()).await.is_err(), "{export}");
    }
    for export in ["return-malformed", "return-beyond-memory"] {
        ensure!(Plugin::start(tenant).await?.call::<_, String>(export, ()).await.is_err(), "{export}");
    }
    let large = u32::try_from(HANDED_OVER / 2)?;
    Plugin::start(tenant).await?.call::<_, String>("return-large", (large,)).await.map_err(|trap| anyhow::anyhow!("{trap:?}"))?;
    for (export, calls, bytes) in [("flood", 200_u32, 2_000_u32), ("flood-at-once", 2_000, 10_000), ("flood-at-once", 100, 200_000)] {
        let arguments = (String::from("s"), calls, bytes);
        let flooded = Plugin::start(tenant).await?.call::<_, Vec<(String, u32)>>(export, arguments).await;
        flooded.map_err(|trap| anyhow::anyhow!("{export}: {trap:?}"))?;
    }
    // Each list answers with a megabyte.
    for (export, calls, is_err) in [("forget", 20_u32, false), ("drop-midway", 50, false), ("begin-and-spin", 20, true)] {
        let ended = Plugin::start(tenant).await?.run(export, (String::from("s"), calls)).await;
        ensure!(ended.is_err() == is_err, "{export}: {ended:?}");
    }
    Ok(())
}
