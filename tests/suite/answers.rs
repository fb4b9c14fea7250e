//! Answers share the memory of an instance: however many there are and however large, no instance is lost.

use super::held::Held;
use futures_util::future::{BoxFuture, join_all};
use session_repository::{EmbeddedStore, Error, Limits, Repository, Result, StoreOptions};
use std::sync::Arc;

const MIB: usize = 1024 * 1024;

/// Messages of two bytes in a page that nearly fills the room for answers.
const TINY: usize = 34_000;

/// Bytes of a message that nearly is too large.
const LARGE: usize = 280_000;

/// A small instance: room for answers of 2.6 MiB and messages of 340 KiB.
fn small() -> Limits {
    Limits::default().instance_memory_bytes(16 * MIB)
}

fn text(bytes: usize) -> String {
    format!(r#"{{"k":"{}"}}"#, "x".repeat(bytes - 8))
}

/// An object of members of a few bytes each: the component needs most for those.
fn members(bytes: usize) -> String {
    let mut object = String::from("{\"0\":1");
    for n in 1.. {
        if object.len() + 12 > bytes {
            break;
        }
        object.push_str(&format!(",\"{n:x}\":1"));
    }
    object + "}"
}

/// A store with a session `s` in it, whose agents have many tiny messages and a few large ones, and large data of all kinds.
async fn filled() -> anyhow::Result<Held> {
    let store = Held::new().await?;
    let repo = Repository::builder(store.clone()).build()?;
    repo.sessions().create("s", None).await?;
    for agent in ["tiny", "large", "grows"] {
        repo.agents().create("s", agent, text(LARGE)).await?;
    }
    for _ in 0..TINY / 1000 {
        repo.messages().append_many("s", "tiny", vec!["{}"; 1000], None).await?;
    }
    for n in 0..8 {
        repo.messages().create("s", "large", n, members(LARGE)).await?;
        repo.feedback().add("s", text(LARGE)).await?;
    }
    repo.metadata().update("s", text(LARGE)).await?;
    Ok(store)
}

/// A call of some kind.
fn call(repo: &Repository, n: i64) -> BoxFuture<'_, Result<usize>> {
    Box::pin(async move {
        Ok(match n % 10 {
            0 | 1 => repo.messages().list("s", "tiny", None, n).await?.len(),
            2 | 3 => repo.messages().list("s", "large", None, 0).await?.len(),
            4 => repo.feedback().list("s").await?.len(),
            5 => usize::from(repo.agents().read("s", "tiny").await?.is_some()),
            6 => repo.metadata().get("s").await?.map_or(0, |metadata| metadata.as_str().len()),
            7 => usize::from(repo.messages().read("s", "large", n % 8).await?.is_some()),
            // The id is taken, so the stored message comes back and is compared.
            8 => repo.messages().create("s", "large", n % 8, members(LARGE)).await.map(|()| 1)?,
            _ => repo.messages().append("s", "grows", members(LARGE), Some(&n.to_string())).await.map(|_| 1)?,
        })
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_large_answers_at_once_wait_for_each_other() -> anyhow::Result<()> {
    let store = filled().await?;
    let repo = Repository::builder(store.clone()).limits(small()).instances(1).build()?;
    for kinds in [vec![0], vec![2], vec![4], (0..10).collect()] {
        store.hold_answers();
        let calls = join_all((0..40).map(|n| call(&repo, n / 10 * 10 + kinds[n as usize % kinds.len()])));
        let released = async {
            // What calls bring has to fit as well, so some of the mixed calls come to the store after others have been answered.
            store.has_answers(if kinds.len() > 1 { 15 } else { 40 }).await?;
            store.release();
            anyhow::Ok(())
        };
        let (answers, released) = tokio::join!(calls, released);
        released?;
        for answer in answers {
            assert!(answer.as_ref().is_ok_and(|size| *size > 0), "{answer:?}");
        }
    }
    repo.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_instance_cannot_hold_is_too_large() -> anyhow::Result<()> {
    let store: Arc<Held> = Arc::new(filled().await?);
    let repo = Repository::builder_on(store.clone()).limits(small()).instances(1).build()?;
    let limit = |answer: Error| match answer {
        Error::TooLarge { size, limit } if size > limit => Ok(limit),
        other => Err(other),
    };
    for _ in 0..10 {
        repo.messages().append_many("s", "tiny", vec!["{}"; 1000], None).await?;
    }
    let page = repo.messages().list("s", "tiny", None, 0).await.err().map(limit).transpose()?;
    assert_eq!(page, Some(2_883_584), "a fifth of what is not the instance's own");
    let message = repo.messages().append("s", "grows", text(MIB), None).await.err().map(limit).transpose()?;
    assert_eq!(message, Some(360_448), "a fortieth of it");
    assert_eq!(repo.messages().list("s", "grows", None, 0).await?, [], "nothing is stored");
    repo.close().await;
    Ok(())
}

#[tokio::test]
async fn an_instance_needs_some_memory() -> anyhow::Result<()> {
    let build = async |instance_memory_bytes| -> Result<()> {
        let store = EmbeddedStore::in_memory(StoreOptions::default()).await?;
        // As many calls as there may be: the memory bounds them, too.
        let limits = Limits::default().instance_memory_bytes(instance_memory_bytes).calls_per_instance(usize::MAX);
        let repo = Repository::builder(store).limits(limits).build()?;
        repo.sessions().create("s", None).await?;
        repo.agents().create("s", "a", text(40_000)).await?;
        repo.close().await;
        Ok(())
    };
    assert_eq!(build(4 * MIB - 1).await, Err(Error::InvalidArgument(String::from("instance_memory_bytes: must be at least 4194304"))));
    build(4 * MIB).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_page_of_the_default_limits_is_answered() -> anyhow::Result<()> {
    let store = EmbeddedStore::in_memory(StoreOptions::default()).await?;
    let repo = Repository::builder(store).instances(1).build()?;
    repo.sessions().create("s", None).await?;
    repo.agents().create("s", "a", "{}").await?;
    // With the 64 bytes that count for each item, the five of them are 64 MiB.
    for bytes in [16_711_680, 16_711_680, 16_711_680, 16_711_680, 261_824] {
        repo.messages().append("s", "a", text(bytes), None).await?;
    }
    assert_eq!(repo.messages().list("s", "a", None, 0).await?.len(), 5);
    repo.messages().append("s", "a", "{}", None).await?;
    let refused = repo.messages().list("s", "a", None, 0).await;
    assert!(matches!(refused, Err(Error::TooLarge { limit: 67_108_864, .. })), "{refused:?}");
    repo.close().await;
    Ok(())
}
