//! What only Rust says: the clock around a call, calls that depend on what others answered.

use super::{body, ids, value, with_agent};
use anyhow::{Context, bail};
use serde_json::json;
use session_repository::{Entity, Error, Repository};

async fn revision(repo: &Repository) -> anyhow::Result<u64> {
    Ok(repo.sessions().read("s").await?.context("no session")?.revision)
}

contract! {
    async fn a_session_is_stamped_with_the_time_of_the_call(repo) {
        let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map(|d| i64::try_from(d.as_millis()).unwrap_or(0));
        let before = now()?;
        let created = repo.sessions().create("s", None).await?.created_at.0;
        assert!((before..=now()?).contains(&created), "{created} is not between {before} and now");
    }

    async fn an_object_that_is_the_bytes_marker_as_a_whole_stays_an_object(repo) {
        with_agent(repo).await?;
        let marker = json!({"__bytes_encoded__": true, "data": "aGk="});
        repo.messages().create("s", "a", 1, marker.clone()).await?;
        repo.feedback().add("s", marker.clone()).await?;
        repo.agents().update("s", "a", marker.clone()).await?;
        let agent = repo.agents().read("s", "a").await?.context("no agent")?;
        assert_eq!((body(repo, 1).await?, value(&agent.data)?), (marker.clone(), marker));
    }

    async fn reads_are_not_bound_to_a_revision(repo) {
        with_agent(repo).await?;
        assert!(repo.sessions().if_revision(9).read("s").await?.is_some());
        assert!(repo.agents().if_revision(9).read("s", "a").await?.is_some());
        assert!(repo.messages().if_revision(9).list("s", "a", None, 0).await?.is_empty());
        assert_eq!(repo.messages().if_revision(9).read("s", "a", 1).await?, None);
        assert!(repo.metadata().if_revision(9).get("s").await?.is_some());
        assert!(repo.feedback().if_revision(9).list("s").await?.is_empty());
    }

    async fn a_counter_that_is_read_and_written_with_its_revision_loses_nothing(repo) {
        with_agent(repo).await?;
        let writers = (0..4).map(|writer| {
            let repo = repo.clone();
            tokio::spawn(async move {
                let mut done = 0;
                while done < 5 {
                    let revision = revision(&repo).await?;
                    let next = i64::try_from(ids(&repo, None, 0).await?.len())?;
                    match repo.messages().if_revision(revision).create("s", "a", next, json!({"writer": writer, "done": done})).await {
                        Ok(()) => done += 1,
                        // Another one was faster, before or after the list was read.
                        Err(Error::Stale { .. } | Error::AlreadyExists(Entity::Message)) => {}
                        Err(error) => bail!(error),
                    }
                }
                Ok(())
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await??;
        }
        assert_eq!(ids(repo, None, 0).await?, (0..20).collect::<Vec<_>>());
    }
}
