use super::{ids, next_millisecond, value, with_agent};
use anyhow::Context;
use serde_json::json;
use session_repository::{Entity, Error};

contract! {
    async fn an_agent_reads_back_with_its_fields_and_stamps(repo) {
        repo.sessions().create("s", None).await?;
        let fields = json!({"model": "claude-3-sonnet", "system_prompt": "Be kind.", "state": {"step": 1}});
        repo.agents().create("s", "a", fields.clone()).await?;
        let agent = repo.agents().read("s", "a").await?.context("no agent")?;
        assert_eq!(agent.agent_id, "a");
        assert_eq!(value(&agent.data)?, fields);
        assert_eq!(agent.created_at, agent.updated_at);
    }

    async fn stamps_that_an_agent_brings_are_ignored(repo) {
        repo.sessions().create("s", None).await?;
        let brought = json!({"agent_id": "a", "created_at": "1999-01-01T00:00:00Z", "updated_at": 5, "k": 1});
        repo.agents().create("s", "a", brought.clone()).await?;
        let created = repo.agents().read("s", "a").await?.context("no agent")?;
        assert_eq!(value(&created.data)?, json!({"k": 1}));
        assert!(created.created_at.0 > 1_500_000_000_000);
        repo.agents().update("s", "a", brought).await?;
        let updated = repo.agents().read("s", "a").await?.context("no agent")?;
        assert_eq!((value(&updated.data)?, updated.created_at), (json!({"k": 1}), created.created_at));
    }

    async fn an_agent_of_an_unknown_session_is_not_created(repo) {
        assert_eq!(repo.agents().create("nobody", "a", "{}").await, Err(Error::NotFound(Entity::Session)));
        assert_eq!(repo.sessions().read("nobody").await?, None);
    }

    async fn an_existing_agent_and_its_messages_stay_untouched_by_a_create(repo) {
        with_agent(repo).await?;
        repo.messages().create("s", "a", 1, r#"{"role": "user"}"#).await?;
        let before = repo.agents().read("s", "a").await?;
        assert_eq!(repo.agents().create("s", "a", r#"{"k": 1}"#).await, Err(Error::AlreadyExists(Entity::Agent)));
        assert_eq!(repo.agents().read("s", "a").await?, before);
        assert_eq!(ids(repo, None, 0).await?, [1]);
    }

    async fn an_unknown_agent_reads_as_none(repo) {
        repo.sessions().create("s", None).await?;
        assert_eq!(repo.agents().read("s", "a").await?, None);
        assert_eq!(repo.agents().read("nobody", "a").await?, None);
    }

    async fn an_update_replaces_fields_and_keeps_creation_and_messages(repo) {
        repo.sessions().create("s", None).await?;
        repo.agents().create("s", "a", r#"{"state": {"old": 1}, "extra": true}"#).await?;
        repo.messages().create("s", "a", 1, r#"{"role": "user"}"#).await?;
        let before = repo.agents().read("s", "a").await?.context("no agent")?;
        next_millisecond().await;
        repo.agents().update("s", "a", r#"{"state": {"new": 2}}"#).await?;
        let after = repo.agents().read("s", "a").await?.context("no agent")?;
        assert_eq!(value(&after.data)?, json!({"state": {"new": 2}}));
        assert_eq!(after.created_at, before.created_at);
        assert!(after.updated_at > before.updated_at);
        assert_eq!(ids(repo, None, 0).await?, [1]);
    }

    async fn config_fields_stay_unless_an_update_brings_them(repo) {
        repo.sessions().create("s", None).await?;
        let config = json!({"model": "m", "system_prompt": "$p", "prompt_metadata": {"v": 1}, "state": {}});
        repo.agents().create("s", "a", config).await?;
        repo.agents().update("s", "a", r#"{"state": {"step": 2}}"#).await?;
        let kept = repo.agents().read("s", "a").await?.context("no agent")?;
        assert_eq!(value(&kept.data)?, json!({"model": "m", "system_prompt": "$p", "prompt_metadata": {"v": 1}, "state": {"step": 2}}));
        repo.agents().update("s", "a", r#"{"model": "n", "system_prompt": null}"#).await?;
        let changed = repo.agents().read("s", "a").await?.context("no agent")?;
        assert_eq!(value(&changed.data)?, json!({"model": "n", "prompt_metadata": {"v": 1}}));
    }

    async fn an_update_of_what_is_unknown_says_what(repo) {
        assert_eq!(repo.agents().update("nobody", "a", "{}").await, Err(Error::NotFound(Entity::Session)));
        repo.sessions().create("s", None).await?;
        assert_eq!(repo.agents().update("s", "a", "{}").await, Err(Error::NotFound(Entity::Agent)));
        assert_eq!(repo.agents().read("s", "a").await?, None);
    }

    async fn of_concurrent_creates_of_an_agent_exactly_one_succeeds(repo) {
        repo.sessions().create("s", None).await?;
        let creates = (0..16).map(|n| {
            let repo = repo.clone();
            tokio::spawn(async move { repo.agents().create("s", "a", json!({"n": n})).await.map(|()| n) })
        });
        let mut created = Vec::new();
        for create in creates.collect::<Vec<_>>() {
            match create.await? {
                Ok(n) => created.push(n),
                Err(error) => assert_eq!(error, Error::AlreadyExists(Entity::Agent)),
            }
        }
        assert_eq!(created.len(), 1);
        let stored = repo.agents().read("s", "a").await?.context("no agent")?;
        assert_eq!(value(&stored.data)?, json!({"n": created.first()}));
    }

    async fn agents_of_a_session_are_apart(repo) {
        with_agent(repo).await?;
        repo.agents().create("s", "b", r#"{"model": "m"}"#).await?;
        repo.messages().create("s", "b", 7, r#"{"role": "user"}"#).await?;
        assert_eq!(ids(repo, None, 0).await?, [0i64; 0]);
        assert_eq!(repo.messages().read("s", "a", 7).await?, None);
    }

    async fn odd_agent_ids_are_names_like_any_other(repo) {
        repo.sessions().create("s", None).await?;
        let long = "x".repeat(256);
        for id in ["0", "a$b", "a b", "_id", "messages", "__proto__", "агент", "a\u{7f}", "[1]", "-", long.as_str()] {
            repo.agents().create("s", id, json!({"me": id})).await.with_context(|| id.to_owned())?;
            repo.agents().update("s", id, json!({"me": id, "again": true})).await.with_context(|| id.to_owned())?;
            repo.messages().create("s", id, 1, json!({"of": id})).await.with_context(|| id.to_owned())?;
            repo.messages().update("s", id, 1, json!({"of": id, "again": true})).await.with_context(|| id.to_owned())?;
            let agent = repo.agents().read("s", id).await?.with_context(|| id.to_owned())?;
            assert_eq!(value(&agent.data)?, json!({"me": id, "again": true}));
            let listed = repo.messages().list("s", id, Some(5), 0).await?;
            assert_eq!(listed.iter().map(|m| value(&m.body)).collect::<Result<Vec<_>, _>>()?, [json!({"of": id, "again": true})]);
            assert_eq!(repo.messages().read("s", id, 1).await?.as_ref(), listed.first());
        }
    }
}
