//! Power that is lost and disks that fail, at random moments.

use super::disk::{Disk, Fate};
use super::random::Random;
use super::seen::Track;
use super::unavailable;
use anyhow::{Context, ensure};
use session_repository::{EmbeddedStore, Store, StoreOptions, Timestamp};
use std::io::ErrorKind;
use tokio::task::JoinSet;

const ROUNDS: usize = 120;

/// After so many rounds an empty disk takes the place of the old one.
const LIFE: usize = 30;

const WRITERS: usize = 5;

async fn open(disk: &Disk) -> session_repository::Result<EmbeddedStore> {
    EmbeddedStore::on_backend(disk.clone(), StoreOptions::default()).await
}

/// Each track's writer writes until the store fails.
async fn write(store: &EmbeddedStore, tracks: &mut Vec<Track>, random: &mut Random, now: &mut i64) -> anyhow::Result<()> {
    let mut writers = JoinSet::new();
    for mut track in tracks.drain(..) {
        track.plan(random.below(40), random)?;
        let (store, now) = (store.clone(), *now);
        writers.spawn(async move {
            let (mut begun, count) = (0, track.pending.len());
            while begun < count {
                begun += 1;
                let time = Timestamp(now + i64::try_from(begun).unwrap_or_default());
                match track.pending[begun - 1].run(&store, &track.session_id, time).await {
                    Ok(()) => track.acknowledge(begun - 1),
                    Err(error) => {
                        unavailable::<()>(Err(error));
                        break;
                    }
                }
            }
            track.begun(begun);
            track
        });
    }
    while let Some(track) = writers.join_next().await {
        tracks.push(track?);
    }
    *now += 100;
    Ok(())
}

/// Checks all tracks in what a disk holds: for readers first, who must not write to it.
async fn settle(image: Vec<u8>, tracks: &mut [Track], random: &mut Random) -> anyhow::Result<()> {
    let disk = Disk::of(image.clone());
    disk.doom(0, Fate::Failure(ErrorKind::ReadOnlyFilesystem));
    let reader = EmbeddedStore::on_backend_read_only(disk.clone(), StoreOptions::default()).await?;
    for track in &mut *tracks {
        track.clone().settle(&reader).await.context("for a reader")?;
    }
    reader.close().await;
    ensure!(!disk.has_failed(), "a reader has written");
    let store = open(&Disk::holding(image, random)).await?;
    for track in tracks {
        track.settle(&store).await?;
    }
    store.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_loss_of_power_each_acknowledged_write_is_there_and_none_in_part() -> anyhow::Result<()> {
    let mut random = Random::seeded();
    let (mut tracks, mut image, mut now, mut losses) = (Vec::new(), Vec::new(), 0, 0);
    for round in 0..ROUNDS {
        if round % LIFE == 0 {
            (tracks, image) = ((0..WRITERS).map(|n| Track::new(format!("s-{n}"))).collect(), Vec::new());
        }
        let disk = Disk::holding(image, &mut random);
        let calls = random.below(200);
        // Now and then while it is being opened, which repairs it. An empty disk holds nothing yet that could be repaired.
        let opening = round % LIFE > 0 && random.once_in(4);
        if opening {
            disk.doom(calls / 4, Fate::PowerLoss);
        }
        match open(&disk).await {
            Ok(store) => {
                if !opening {
                    disk.doom(calls, Fate::PowerLoss);
                }
                write(&store, &mut tracks, &mut random, &mut now).await.with_context(|| format!("round {round}"))?;
                if random.once_in(2) {
                    store.close().await;
                }
            }
            opened => drop(unavailable(opened)),
        }
        losses += usize::from(disk.has_failed());
        image = disk.wreck();
        settle(image.clone(), &mut tracks, &mut random).await.with_context(|| format!("round {round}"))?;
    }
    assert!(losses >= ROUNDS / 2, "only {losses} losses hit a store at work");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failure_of_the_disk_each_acknowledged_write_is_there_and_none_in_part() -> anyhow::Result<()> {
    let mut random = Random::seeded();
    let (mut tracks, mut image, mut now, mut failures) = (Vec::new(), Vec::new(), 0, 0);
    for round in 0..ROUNDS {
        if round % LIFE == 0 {
            (tracks, image) = ((0..WRITERS).map(|n| Track::new(format!("s-{n}"))).collect(), Vec::new());
        }
        let disk = Disk::holding(image, &mut random);
        let kind = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::Other][random.below(3)];
        let fate = if random.once_in(2) { Fate::Failure(kind) } else { Fate::OneFailure(kind) };
        let calls = random.below(200);
        let opening = round % LIFE > 0 && random.once_in(4);
        if opening {
            disk.doom(calls / 4, fate);
        }
        match open(&disk).await {
            Ok(store) => {
                if !opening {
                    disk.doom(calls, fate);
                }
                write(&store, &mut tracks, &mut random, &mut now).await.with_context(|| format!("round {round}"))?;
                store.close().await;
            }
            opened => drop(unavailable(opened)),
        }
        failures += usize::from(disk.has_failed());
        // The program that comes next finds what the system has cached, or the machine was restarted in between.
        let cached = disk.cached();
        settle(cached.clone(), &mut tracks.clone(), &mut random).await.with_context(|| format!("cached, round {round}"))?;
        image = if random.once_in(2) { cached } else { disk.wreck() };
        settle(image.clone(), &mut tracks, &mut random).await.with_context(|| format!("round {round}"))?;
    }
    assert!(failures >= ROUNDS / 2, "only {failures} failures hit a store at work");
    Ok(())
}
