use super::{body, ids, message, next_millisecond, value, with_agent};
use serde_json::json;
use session_repository::{Entity, Error};

contract! {
    async fn a_message_reads_back_with_its_fields_and_stamps(repo) {
        with_agent(repo).await?;
        repo.messages().create("s", "a", 1, r#"{"role": "user", "content": "Hello!"}"#).await?;
        let message = message(repo, 1).await?;
        assert_eq!(value(&message.body)?, json!({"role": "user", "content": "Hello!"}));
        assert_eq!((message.message_id, message.created_at), (1, message.updated_at));
    }

    async fn stamps_that_a_message_brings_are_ignored(repo) {
        with_agent(repo).await?;
        repo.messages().create("s", "a", 1, r#"{"message_id": 1, "created_at": 0, "updated_at": "x", "k": 1}"#).await?;
        assert!(message(repo, 1).await?.created_at.0 > 1_500_000_000_000);
        assert_eq!(body(repo, 1).await?, json!({"k": 1}));
    }

    async fn a_message_of_what_is_unknown_is_not_created(repo) {
        assert_eq!(repo.messages().create("s", "a", 1, "{}").await, Err(Error::NotFound(Entity::Session)));
        repo.sessions().create("s", None).await?;
        assert_eq!(repo.messages().create("s", "a", 1, "{}").await, Err(Error::NotFound(Entity::Agent)));
        assert_eq!(repo.agents().read("s", "a").await?, None);
    }

    async fn the_same_message_again_succeeds_and_is_stored_once(repo) {
        with_agent(repo).await?;
        repo.messages().create("s", "a", 1, r#"{"role": "user", "content": [1, 1.0, "é"], "latency_ms": 7}"#).await?;
        let stored = repo.messages().list("s", "a", None, 0).await?;
        for same in [
            r#"{"role": "user", "content": [1, 1.0, "é"], "latency_ms": 7}"#,
            r#" {"content":[1,1.00,"\u00e9"],"role":"\u0075ser"} "#,
            r#"{"role": "user", "content": [1, 10e-1, "é"], "output_tokens": 3, "created_at": 1}"#,
        ] {
            repo.messages().create("s", "a", 1, same).await?;
        }
        assert_eq!(repo.messages().list("s", "a", None, 0).await?, stored);
    }

    async fn the_same_id_with_other_content_is_refused(repo) {
        with_agent(repo).await?;
        repo.messages().create("s", "a", 1, r#"{"role": "user", "content": 1}"#).await?;
        let stored = repo.messages().list("s", "a", None, 0).await?;
        for other in [
            r#"{"role": "user", "content": 2}"#,
            r#"{"role": "user", "content": 1.0}"#,
            r#"{"role": "user", "content": "1"}"#,
            r#"{"role": "user", "content": [1]}"#,
            r#"{"role": "user"}"#,
            r#"{"role": "user", "content": 1, "more": null}"#,
        ] {
            assert_eq!(repo.messages().create("s", "a", 1, other).await, Err(Error::AlreadyExists(Entity::Message)), "{other}");
        }
        assert_eq!(repo.messages().list("s", "a", None, 0).await?, stored);
    }

    async fn of_concurrent_creates_of_a_message_exactly_one_is_stored(repo) {
        with_agent(repo).await?;
        let creates = (0..16).map(|n| {
            let repo = repo.clone();
            tokio::spawn(async move { repo.messages().create("s", "a", 1, json!({"n": n})).await.map(|()| n) })
        });
        let mut created = Vec::new();
        for create in creates.collect::<Vec<_>>() {
            match create.await? {
                Ok(n) => created.push(n),
                Err(error) => assert_eq!(error, Error::AlreadyExists(Entity::Message)),
            }
        }
        assert_eq!(created.len(), 1);
        assert_eq!(ids(repo, None, 0).await?, [1]);
        assert_eq!(body(repo, 1).await?, json!({"n": created.first()}));
    }

    async fn what_is_unknown_reads_as_none(repo) {
        assert_eq!(repo.messages().read("s", "a", 1).await?, None);
        repo.sessions().create("s", None).await?;
        assert_eq!(repo.messages().read("s", "a", 1).await?, None);
        repo.agents().create("s", "a", "{}").await?;
        assert_eq!(repo.messages().read("s", "a", 1).await?, None);
    }

    async fn metric_fields_are_stored_and_never_returned(repo) {
        with_agent(repo).await?;
        let metrics = json!({"k": 1, "event_loop_metrics": {"a": 1}, "latency_ms": 1, "input_tokens": 2, "output_tokens": 3, "guardrail_event": {}});
        repo.messages().create("s", "a", 1, metrics).await?;
        assert_eq!(body(repo, 1).await?, json!({"k": 1}));
        let listed = repo.messages().list("s", "a", None, 0).await?;
        assert_eq!(listed.iter().map(|m| value(&m.body)).collect::<Result<Vec<_>, _>>()?, [json!({"k": 1})]);
        let nested = json!({"k": {"latency_ms": 5}});
        repo.messages().create("s", "a", 2, nested.clone()).await?;
        assert_eq!(body(repo, 2).await?, nested, "only the message's own fields are metrics");
    }

    async fn an_update_replaces_the_fields_and_keeps_the_creation(repo) {
        with_agent(repo).await?;
        repo.messages().create("s", "a", 1, r#"{"role": "user", "content": "secret", "extra": "secret too"}"#).await?;
        repo.messages().create("s", "a", 2, r#"{"role": "user", "content": "other"}"#).await?;
        let before = message(repo, 1).await?;
        next_millisecond().await;
        repo.messages().update("s", "a", 1, r#"{"role": "user", "content": "[removed]"}"#).await?;
        let after = message(repo, 1).await?;
        assert_eq!(value(&after.body)?, json!({"role": "user", "content": "[removed]"}));
        assert_eq!(after.created_at, before.created_at);
        assert!(after.updated_at > before.updated_at);
        assert_eq!(body(repo, 2).await?, json!({"role": "user", "content": "other"}));
        assert_eq!(ids(repo, None, 0).await?, [1, 2]);
    }

    async fn an_update_of_what_is_unknown_says_what(repo) {
        assert_eq!(repo.messages().update("s", "a", 1, "{}").await, Err(Error::NotFound(Entity::Session)));
        repo.sessions().create("s", None).await?;
        assert_eq!(repo.messages().update("s", "a", 1, "{}").await, Err(Error::NotFound(Entity::Agent)));
        repo.agents().create("s", "a", "{}").await?;
        assert_eq!(repo.messages().update("s", "a", 1, "{}").await, Err(Error::NotFound(Entity::Message)));
        assert_eq!(ids(repo, None, 0).await?, [0i64; 0]);
    }

    async fn pages_are_cut_oldest_first(repo) {
        with_agent(repo).await?;
        for id in [5, 3, 9, 1, 7] {
            repo.messages().create("s", "a", id, json!({"n": id})).await?;
        }
        assert_eq!(ids(repo, None, 0).await?, [5, 3, 9, 1, 7]);
        assert_eq!(ids(repo, Some(2), 0).await?, [5, 3]);
        assert_eq!(ids(repo, Some(2), 3).await?, [1, 7]);
        assert_eq!(ids(repo, Some(2), 4).await?, [7]);
        assert_eq!(ids(repo, None, 2).await?, [9, 1, 7]);
        assert_eq!(ids(repo, Some(i64::MAX), 1).await?, [3, 9, 1, 7]);
        for (limit, offset) in [(Some(0), 0), (None, 5), (Some(3), 6), (Some(1), i64::MAX), (None, i64::from(i32::MAX) + 1)] {
            assert_eq!(ids(repo, limit, offset).await?, [0i64; 0], "limit {limit:?}, offset {offset}");
        }
    }

    async fn what_is_unknown_lists_as_empty(repo) {
        assert_eq!(ids(repo, None, 0).await?, [0i64; 0]);
        repo.sessions().create("s", None).await?;
        assert_eq!(ids(repo, Some(3), 0).await?, [0i64; 0]);
    }

    async fn message_ids_span_all_of_63_bits(repo) {
        with_agent(repo).await?;
        let all = [0, 1, i64::from(i32::MAX), i64::from(i32::MAX) + 1, i64::MAX];
        for id in all {
            repo.messages().create("s", "a", id, json!({"n": id})).await?;
            repo.messages().update("s", "a", id, json!({"m": id})).await?;
            assert_eq!(body(repo, id).await?, json!({"m": id}));
        }
        assert_eq!(ids(repo, None, 0).await?, all);
    }

    async fn every_write_to_messages_advances_session_and_agent(repo) {
        with_agent(repo).await?;
        let mut last = repo.sessions().read("s").await?.map(|s| s.updated_at);
        let created = repo.agents().read("s", "a").await?.map(|a| a.created_at);
        next_millisecond().await;
        repo.messages().create("s", "a", 1, "{}").await?;
        for update in 0..3 {
            let message = message(repo, 1).await?;
            let session = repo.sessions().read("s").await?.map(|s| s.updated_at);
            let agent = repo.agents().read("s", "a").await?;
            assert!(session > last, "update {update}");
            assert_eq!(session, Some(message.updated_at));
            assert_eq!(agent.as_ref().map(|a| (a.created_at, a.updated_at)), created.map(|c| (c, message.updated_at)));
            last = session;
            next_millisecond().await;
            repo.messages().update("s", "a", 1, json!({"update": update})).await?;
        }
    }
}
