//! The real program, killed at random moments.

use super::child::Exec;
use super::open;
use super::random::Random;
use super::seen::Track;
use anyhow::Context;
use serde_json::{Value, json};
use session_repository::Store;
use std::io::Read;
use std::path::Path;

/// How often the program is killed while it writes to the one file.
const KILLS: usize = 50;

/// How often it is killed while it makes a new file.
const STARTS: usize = 60;

/// Sessions that are written to all the time.
const LONG: usize = 4;

/// Sessions that begin anew in each round.
const NEW: usize = 3;

/// Requests of all tracks, mixed at random, those of each track in their order. Each has the index of its track and its own as its id.
fn requests(tracks: &[&mut Track], random: &mut Random) -> String {
    let mut next = vec![0; tracks.len()];
    let mut lines = String::new();
    loop {
        let open: Vec<usize> = (0..tracks.len()).filter(|track| next[*track] < tracks[*track].pending.len()).collect();
        let Some(&track) = open.get(random.below(open.len())) else { return lines };
        let (call, args) = tracks[track].pending[next[track]].request(&tracks[track].session_id);
        lines.push_str(&format!("{}\n", json!({"id": [track, next[track]], "call": call, "args": args})));
        next[track] += 1;
    }
}

fn acknowledge(tracks: &mut [&mut Track], id: &Value) -> anyhow::Result<()> {
    let (track, index): (usize, usize) = serde_json::from_value(id.clone())?;
    tracks[track].acknowledge(index);
    Ok(())
}

#[tokio::test]
async fn after_a_kill_at_any_moment_each_acknowledged_write_is_there_and_none_in_part() -> anyhow::Result<()> {
    let mut random = Random::seeded();
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store");
    let mut long: Vec<Track> = (0..LONG).map(|n| Track::new(format!("long-{n}"))).collect();
    let mut ended = Vec::new();
    for round in 0..KILLS {
        let mut new: Vec<Track> = (0..NEW).map(|n| Track::new(format!("new-{round}-{n}"))).collect();
        let mut tracks: Vec<&mut Track> = long.iter_mut().chain(&mut new).collect();
        for track in &mut tracks {
            track.plan(5 + random.below(20), &mut random)?;
        }
        let count: usize = tracks.iter().map(|track| track.pending.len()).sum();
        let mut exec = Exec::start(&file, &requests(&tracks, &mut random)).await?;
        for _ in 0..random.below(count + 1) {
            let id = exec.result().await?.context("the program ended by itself")?;
            acknowledge(&mut tracks, &id)?;
        }
        exec.kill().await?;
        while let Some(id) = exec.result().await? {
            acknowledge(&mut tracks, &id)?;
        }
        // Looking at a copy leaves it to the next program to find the file as this one left it.
        let looked_at = if random.once_in(2) { folder.path().join("copy") } else { file.clone() };
        if looked_at != file && file.exists() {
            std::fs::copy(&file, &looked_at)?;
        }
        let store = open(&looked_at).await?;
        for track in &mut tracks {
            track.settle(&store).await.with_context(|| format!("after kill {round}"))?;
        }
        store.close().await;
        ended.extend(new);
    }
    // Those that were long untouched are as they were.
    let store = open(&file).await?;
    for track in &mut ended {
        track.settle(&store).await?;
    }
    store.close().await;
    Ok(())
}

/// How far the program has come in making a file.
#[derive(Debug, PartialEq, PartialOrd)]
enum Stage {
    Nothing,
    Made,
    Header,
    Database,
    Ready,
}

fn stage(file: &Path) -> Stage {
    let mut header = [0; 4096];
    let Ok(mut file) = std::fs::File::open(file) else { return Stage::Nothing };
    match (file.metadata().map_or(0, |metadata| metadata.len()), file.read_exact(&mut header)) {
        (_, Ok(())) if header[64] != 0 => Stage::Ready,
        (length, _) if length > 4096 => Stage::Database,
        (4096, _) => Stage::Header,
        _ => Stage::Made,
    }
}

#[tokio::test]
async fn after_a_kill_at_any_moment_of_its_making_a_file_opens() -> anyhow::Result<()> {
    let mut random = Random::seeded();
    let folder = tempfile::tempdir()?;
    let (mut file, mut track) = (folder.path().join("store"), Track::new("s"));
    for start in 0..STARTS {
        track.plan(3, &mut random)?;
        let mut exec = Exec::start(&file, &requests(&[&mut track], &mut random)).await?;
        let stages = [Stage::Nothing, Stage::Made, Stage::Header, Stage::Database, Stage::Ready];
        let wanted = stages.get(random.below(stages.len() + 1));
        match wanted {
            Some(wanted) => {
                while stage(&file) < *wanted && exec.child.try_wait()?.is_none() {
                    tokio::task::yield_now().await;
                }
                // Some way into the stage.
                for _ in 0..random.below(200) {
                    tokio::task::yield_now().await;
                }
            }
            None => {
                let id = exec.result().await?.context("the program ended by itself")?;
                acknowledge(&mut [&mut track], &id)?;
            }
        }
        exec.kill().await?;
        while let Some(id) = exec.result().await? {
            acknowledge(&mut [&mut track], &id)?;
        }
        // Looking at a copy leaves the file to another start, as it is.
        let looked_at = folder.path().join("copy");
        if file.exists() {
            std::fs::copy(&file, &looked_at)?;
        }
        let store = open(&looked_at).await.with_context(|| format!("after start {start}, killed at {wanted:?}"))?;
        track.settle(&store).await.with_context(|| format!("after start {start}, killed at {wanted:?}"))?;
        store.close().await;
        std::fs::remove_file(&looked_at)?;
        if random.once_in(3) {
            (file, track) = (folder.path().join(format!("store-{start}")), Track::new("s"));
        }
    }
    Ok(())
}
