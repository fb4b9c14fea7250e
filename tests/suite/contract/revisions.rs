use super::{ids, invalid, with_agent};
use crate::parity::names;
use anyhow::{Context, bail, ensure};
use serde_json::json;
use session_repository::{Entity, Error, Repository, Result};
use std::collections::BTreeSet;

async fn revision(repo: &Repository) -> anyhow::Result<u64> {
    Ok(repo.sessions().read("s").await?.context("no session")?.revision)
}

/// The writes to a session, by name.
const WRITES: [&str; 9] = [
    "agents.create",
    "agents.update",
    "messages.create",
    "messages.append",
    "messages.append-many",
    "messages.update",
    "metadata.update",
    "metadata.delete",
    "feedback.add",
];

/// Does a write that succeeds each time, with a serial number of its own. The agent `a` has a message 1.
async fn write(repo: &Repository, name: &str, serial: u64, expected: Option<u64>) -> anyhow::Result<Result<()>> {
    let (mut agents, mut messages, mut metadata, mut feedback) = (repo.agents(), repo.messages(), repo.metadata(), repo.feedback());
    if let Some(expected) = expected {
        agents = agents.if_revision(expected);
        messages = messages.if_revision(expected);
        metadata = metadata.if_revision(expected);
        feedback = feedback.if_revision(expected);
    }
    let body = json!({"serial": serial});
    Ok(match name {
        "agents.create" => agents.create("s", format!("agent-{serial}"), body).await,
        "agents.update" => agents.update("s", "a", body).await,
        "messages.create" => messages.create("s", "a", 1000 * i64::try_from(serial)?, body).await,
        "messages.append" => messages.append("s", "a", body, Some(&serial.to_string())).await.map(drop),
        "messages.append-many" => messages.append_many("s", "a", [body.clone(), body], None).await.map(drop),
        "messages.update" => messages.update("s", "a", 1, body).await,
        "metadata.update" => metadata.update("s", body).await,
        "metadata.delete" => metadata.delete("s", ["serial"]).await,
        "feedback.add" => feedback.add("s", body).await,
        _ => bail!("no write {name}"),
    })
}

#[tokio::test]
async fn the_writes_here_are_all_writes_to_a_session_that_is_there() -> anyhow::Result<()> {
    let mut all = names(true).await?;
    all.remove("sessions.create");
    assert_eq!(BTreeSet::from(WRITES.map(String::from)), all);
    Ok(())
}

/// All that can be read of a session with the agents and messages that these tests make.
async fn contents(repo: &Repository) -> anyhow::Result<String> {
    let session = repo.sessions().read("s").await?;
    let agent = repo.agents().read("s", "a").await?;
    let messages = repo.messages().list("s", "a", None, 0).await?;
    let (metadata, feedback) = (repo.metadata().get("s").await?, repo.feedback().list("s").await?);
    Ok(format!("{session:?} {agent:?} {messages:?} {metadata:?} {feedback:?}"))
}

contract! {
    async fn a_new_session_has_revision_0(repo) {
        assert_eq!(repo.sessions().create("s", None).await?.revision, 0);
        assert_eq!(revision(repo).await?, 0);
    }

    async fn every_write_advances_the_revision_by_one(repo) {
        with_agent(repo).await?;
        repo.messages().create("s", "a", 1, "{}").await?;
        let mut current = 2;
        for serial in 1..=3 {
            for (index, name) in (1..).zip(WRITES) {
                assert_eq!(revision(repo).await?, current, "before {name}");
                write(repo, name, serial * 100 + index, None).await?.with_context(|| name.to_owned())?;
                current += 1;
            }
        }
        assert_eq!(revision(repo).await?, current);
    }

    async fn what_changes_nothing_leaves_the_revision(repo) {
        with_agent(repo).await?;
        repo.messages().create("s", "a", 1, r#"{"k": 1}"#).await?;
        repo.messages().append("s", "a", r#"{"k": 1}"#, Some("k")).await?;
        let before = contents(repo).await?;
        repo.messages().create("s", "a", 1, r#"{"k": 1}"#).await?;
        repo.messages().append("s", "a", r#"{"k": 1}"#, Some("k")).await?;
        repo.metadata().update("s", "{}").await?;
        repo.metadata().delete("s", [""; 0]).await?;
        assert_eq!(repo.messages().create("s", "a", 1, r#"{"k": 2}"#).await, Err(Error::AlreadyExists(Entity::Message)));
        assert_eq!(repo.messages().update("s", "a", 99, "{}").await, Err(Error::NotFound(Entity::Message)));
        assert_eq!(repo.agents().create("s", "a", "{}").await, Err(Error::AlreadyExists(Entity::Agent)));
        assert_eq!(repo.agents().update("s", "b", "{}").await, Err(Error::NotFound(Entity::Agent)));
        assert_eq!(repo.sessions().create("s", None).await, Err(Error::AlreadyExists(Entity::Session)));
        invalid(repo.metadata().update("s", r#"{"a..b": 1}"#).await);
        assert_eq!(contents(repo).await?, before);
        repo.metadata().update("s", r#"{"k": 1}"#).await?;
        let before = contents(repo).await?;
        invalid(repo.metadata().update("s", r#"{"k.l": 1}"#).await);
        assert_eq!(contents(repo).await?, before);
    }

    async fn a_write_that_expects_the_right_revision_takes_place_and_any_other_does_not(repo) {
        with_agent(repo).await?;
        repo.messages().create("s", "a", 1, "{}").await?;
        let mut current = 2;
        for (serial, name) in (1..).zip(WRITES) {
            let before = contents(repo).await?;
            for wrong in [0, current - 1, current + 1, u64::MAX] {
                let refused = write(repo, name, serial, Some(wrong)).await?;
                assert_eq!(refused, Err(Error::Stale { current }), "{name} expects {wrong}");
            }
            assert_eq!(contents(repo).await?, before, "{name}");
            write(repo, name, serial, Some(current)).await?.with_context(|| name.to_owned())?;
            current += 1;
            assert_eq!(revision(repo).await?, current, "{name}");
        }
        assert_eq!(repo.agents().read("s", "agent-1").await?.map(|agent| agent.agent_id), Some(String::from("agent-1")));
    }

    async fn metadata_writes_of_nothing_answer_what_they_expect(repo) {
        for expected in [0, 1] {
            assert_eq!(repo.metadata().if_revision(expected).update("s", "{}").await, Err(Error::NotFound(Entity::Session)));
            assert_eq!(repo.metadata().if_revision(expected).delete("s", [""; 0]).await, Err(Error::NotFound(Entity::Session)));
        }
        repo.sessions().create("s", None).await?;
        let before = contents(repo).await?;
        repo.metadata().if_revision(0).update("s", "{}").await?;
        repo.metadata().if_revision(0).delete("s", [""; 0]).await?;
        assert_eq!(repo.metadata().if_revision(1).update("s", "{}").await, Err(Error::Stale { current: 0 }));
        assert_eq!(repo.metadata().if_revision(1).delete("s", [""; 0]).await, Err(Error::Stale { current: 0 }));
        assert_eq!(contents(repo).await?, before);
    }

    async fn a_session_that_is_not_there_is_created_at_revision_0_only(repo) {
        assert_eq!(repo.sessions().if_revision(1).create("s", None).await, Err(Error::Stale { current: 0 }));
        assert_eq!(repo.sessions().read("s").await?, None);
        assert_eq!(repo.sessions().if_revision(0).create("s", None).await?.revision, 0);
        for expected in [0, 1] {
            assert_eq!(repo.sessions().if_revision(expected).create("s", None).await, Err(Error::AlreadyExists(Entity::Session)));
        }
        assert_eq!(revision(repo).await?, 0);
    }

    async fn what_is_missing_is_told_before_what_is_stale(repo) {
        for (serial, name) in (1..).zip(WRITES) {
            assert_eq!(write(repo, name, serial, Some(9)).await?, Err(Error::NotFound(Entity::Session)), "{name}");
        }
        repo.sessions().create("s", None).await?;
        for name in ["agents.update", "messages.create", "messages.append", "messages.append-many", "messages.update"] {
            assert_eq!(write(repo, name, 1, Some(9)).await?, Err(Error::NotFound(Entity::Agent)), "{name}");
        }
        repo.agents().create("s", "a", "{}").await?;
        assert_eq!(write(repo, "messages.update", 1, Some(9)).await?, Err(Error::NotFound(Entity::Message)));
    }

    async fn a_repeat_or_what_is_taken_is_told_before_what_is_stale(repo) {
        with_agent(repo).await?;
        repo.messages().create("s", "a", 1, r#"{"k": 1}"#).await?;
        repo.messages().append("s", "a", "{}", Some("k")).await?;
        let before = contents(repo).await?;
        for expected in [0, 2, 9] {
            assert_eq!(repo.agents().if_revision(expected).create("s", "a", "{}").await, Err(Error::AlreadyExists(Entity::Agent)));
            repo.messages().if_revision(expected).create("s", "a", 1, r#"{"k": 1}"#).await?;
            let taken = repo.messages().if_revision(expected).create("s", "a", 1, r#"{"k": 2}"#).await;
            assert_eq!(taken, Err(Error::AlreadyExists(Entity::Message)));
            assert_eq!(repo.messages().if_revision(expected).append("s", "a", "{}", Some("k")).await?, 2);
            let other = repo.messages().if_revision(expected).append_many("s", "a", ["{}", "{}"], Some("k")).await;
            assert_eq!(other, Err(Error::AlreadyExists(Entity::Message)));
        }
        assert_eq!(contents(repo).await?, before);
    }

    async fn what_is_stale_is_told_before_what_is_refused_otherwise(repo) {
        with_agent(repo).await?;
        repo.messages().create("s", "a", i64::MAX, "{}").await?;
        repo.metadata().update("s", r#"{"k": 1}"#).await?;
        let stale = Error::Stale { current: 3 };
        assert_eq!(repo.messages().if_revision(2).append("s", "a", "{}", None).await, Err(stale.clone()));
        assert_eq!(repo.metadata().if_revision(2).update("s", r#"{"k.l": 1}"#).await, Err(stale));
        invalid(repo.messages().if_revision(3).append("s", "a", "{}", None).await);
        invalid(repo.metadata().if_revision(3).update("s", r#"{"k.l": 1}"#).await);
        // A broken argument is seen before anything is looked up.
        invalid(repo.messages().if_revision(2).append("s", "a", "[]", None).await);
        assert_eq!(revision(repo).await?, 3);
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

    async fn of_concurrent_writes_that_expect_one_revision_one_takes_place(repo) {
        with_agent(repo).await?;
        for round in 1..4 {
            let writes = (0..8).map(|writer: u64| {
                let repo = repo.clone();
                tokio::spawn(async move {
                    match writer % 4 {
                        0 => repo.messages().if_revision(round).append("s", "a", "{}", None).await.map(drop),
                        1 => repo.metadata().if_revision(round).update("s", json!({"writer": writer})).await,
                        2 => repo.agents().if_revision(round).update("s", "a", json!({"writer": writer})).await,
                        _ => repo.feedback().if_revision(round).add("s", json!({"writer": writer})).await,
                    }
                })
            });
            let mut won = 0;
            for write in writes.collect::<Vec<_>>() {
                match write.await? {
                    Ok(()) => won += 1,
                    Err(error) => ensure!(error == Error::Stale { current: round + 1 }, "{error:?}"),
                }
            }
            assert_eq!((won, revision(repo).await?), (1, round + 1));
        }
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
