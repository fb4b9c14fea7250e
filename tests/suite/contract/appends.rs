use super::{body, ids, invalid, message, next_millisecond, value, with_agent};
use serde_json::{Value, json};
use session_repository::{Entity, Error, Repository};

/// How many appends with a key an agent remembers.
const REMEMBERED: i64 = 256;

/// Appends so many messages, each with a key of its own.
async fn append_with_keys(repo: &Repository, keys: std::ops::Range<i64>) -> anyhow::Result<()> {
    for key in keys {
        assert_eq!(repo.messages().append("s", "a", json!({"k": key}), Some(&key.to_string())).await?, key);
    }
    Ok(())
}

contract! {
    async fn appended_messages_get_the_ids_from_0_on(repo) {
        with_agent(repo).await?;
        for id in 0..3 {
            assert_eq!(repo.messages().append("s", "a", json!({"n": id}), None).await?, id);
            assert_eq!(body(repo, id).await?, json!({"n": id}));
        }
        assert_eq!(ids(repo, None, 0).await?, [0, 1, 2]);
        let message = message(repo, 2).await?;
        assert_eq!(message.created_at, message.updated_at);
        assert!(message.created_at.0 > 1_500_000_000_000);
    }

    async fn the_next_id_is_one_more_than_the_highest(repo) {
        with_agent(repo).await?;
        for (created, next) in [(5, 6), (3, 7), (7_000, 7_001), (0, 7_002), (i64::from(i32::MAX), i64::from(i32::MAX) + 1)] {
            repo.messages().create("s", "a", created, json!({"n": created})).await?;
            assert_eq!(repo.messages().append("s", "a", json!({"n": next}), None).await?, next);
            assert_eq!(body(repo, created).await?, json!({"n": created}));
            assert_eq!(body(repo, next).await?, json!({"n": next}));
        }
        let i32_max = i64::from(i32::MAX);
        assert_eq!(ids(repo, None, 0).await?, [5, 6, 3, 7, 7_000, 7_001, 0, 7_002, i32_max, i32_max + 1]);
    }

    async fn ids_that_went_down_leave_the_highest_where_it_was(repo) {
        with_agent(repo).await?;
        let mut expected: Vec<i64> = (10..30).rev().collect();
        for id in &expected {
            repo.messages().create("s", "a", *id, "{}").await?;
        }
        for next in [30, 31, 33, 34] {
            if next == 33 {
                repo.messages().create("s", "a", 32, "{}").await?;
                repo.messages().create("s", "a", 2, "{}").await?;
                expected.extend([32, 2]);
            }
            assert_eq!(repo.messages().append("s", "a", "{}", None).await?, next);
            expected.push(next);
        }
        assert_eq!(ids(repo, None, 0).await?, expected);
    }

    async fn each_agent_counts_by_itself(repo) {
        with_agent(repo).await?;
        repo.agents().create("s", "b", "{}").await?;
        repo.sessions().create("t", None).await?;
        repo.agents().create("t", "a", "{}").await?;
        repo.messages().create("s", "a", 7, "{}").await?;
        for (session, agent, id) in [("s", "a", 8), ("s", "b", 0), ("t", "a", 0), ("s", "b", 1), ("s", "a", 9)] {
            assert_eq!(repo.messages().append(session, agent, "{}", None).await?, id);
        }
    }

    async fn an_appended_message_is_one_like_any_other(repo) {
        with_agent(repo).await?;
        let sent = json!({"role": "user", "content": [1, 1.0, "é", "$x"], "latency_ms": 7, "created_at": 0, "updated_at": "x"});
        let read = json!({"role": "user", "content": [1, 1.0, "é", "$x"]});
        assert_eq!(repo.messages().append("s", "a", sent.clone(), None).await?, 0);
        assert_eq!(body(repo, 0).await?, read);
        assert!(message(repo, 0).await?.created_at.0 > 1_500_000_000_000);
        // A create of the same is a repeat, one of something else is refused.
        let before = repo.messages().list("s", "a", None, 0).await?;
        repo.messages().create("s", "a", 0, sent).await?;
        assert_eq!(repo.messages().create("s", "a", 0, "{}").await, Err(Error::AlreadyExists(Entity::Message)));
        assert_eq!(repo.messages().list("s", "a", None, 0).await?, before);
        repo.messages().update("s", "a", 0, r#"{"content": "[removed]"}"#).await?;
        assert_eq!(body(repo, 0).await?, json!({"content": "[removed]"}));
        assert_eq!(repo.messages().append("s", "a", "{}", None).await?, 1);
    }

    async fn an_append_advances_session_and_agent(repo) {
        with_agent(repo).await?;
        let before = repo.sessions().read("s").await?.map(|session| session.updated_at);
        next_millisecond().await;
        repo.messages().append_many("s", "a", ["{}", "{}"], None).await?;
        let message = message(repo, 1).await?;
        assert!(before < Some(message.created_at));
        assert_eq!(repo.sessions().read("s").await?.map(|session| session.updated_at), Some(message.created_at));
        assert_eq!(repo.agents().read("s", "a").await?.map(|agent| agent.updated_at), Some(message.created_at));
    }

    async fn several_messages_are_appended_in_one_step(repo) {
        with_agent(repo).await?;
        repo.messages().create("s", "a", 4, "{}").await?;
        let turn = [json!({"role": "user", "n": 0}), json!({"role": "assistant", "n": 1, "output_tokens": 5}), json!({"n": 2})];
        assert_eq!(repo.messages().append_many("s", "a", turn, None).await?, 5);
        assert_eq!(repo.messages().append("s", "a", json!({"n": 3}), None).await?, 8);
        let listed = repo.messages().list("s", "a", None, 1).await?;
        let bodies = listed.iter().map(|message| value(&message.body)).collect::<Result<Vec<_>, _>>()?;
        let expected = [json!({"role": "user", "n": 0}), json!({"role": "assistant", "n": 1}), json!({"n": 2}), json!({"n": 3})];
        assert_eq!(bodies, expected);
        assert_eq!(listed.iter().map(|message| message.message_id).collect::<Vec<_>>(), [5, 6, 7, 8]);
        assert!(listed[..3].iter().all(|message| message.created_at == listed[0].created_at && message.updated_at == message.created_at));
    }

    async fn a_thousand_messages_are_appended_and_not_one_more_or_none(repo) {
        with_agent(repo).await?;
        let messages = |count: i64| (0..count).map(|n| json!({"n": n}));
        assert!(invalid(repo.messages().append_many("s", "a", messages(0), None).await).starts_with("messages: "));
        assert!(invalid(repo.messages().append_many("s", "a", messages(1001), None).await).contains("1000"));
        assert_eq!(ids(repo, None, 0).await?, [0i64; 0]);
        assert_eq!(repo.messages().append_many("s", "a", messages(1000), None).await?, 0);
        assert_eq!(repo.messages().append_many("s", "a", messages(1000), None).await?, 1000);
        assert_eq!(ids(repo, None, 0).await?, (0..2000).collect::<Vec<_>>());
        assert_eq!(body(repo, 1999).await?, json!({"n": 999}));
    }

    async fn an_append_with_a_wrong_message_stores_none(repo) {
        with_agent(repo).await?;
        let before = repo.sessions().read("s").await?;
        for wrong in [r#"{"message_id": 0}"#, r#"{"message_id": null}"#, "[]", "{", r#"{"k": 1, "k": 2}"#] {
            assert!(invalid(repo.messages().append("s", "a", wrong, Some("k")).await).starts_with("message"), "{wrong}");
            let place = invalid(repo.messages().append_many("s", "a", ["{}", wrong], Some("k")).await);
            assert!(place.starts_with("messages[1]"), "{wrong}: {place}");
        }
        assert_eq!(repo.sessions().read("s").await?, before);
        assert_eq!(ids(repo, None, 0).await?, [0i64; 0]);
        assert_eq!(repo.messages().append("s", "a", json!({"n": 1}), Some("k")).await?, 0);
    }

    async fn nothing_is_appended_to_what_is_unknown(repo) {
        for key in [None, Some("k")] {
            assert_eq!(repo.messages().append("s", "a", "{}", key).await, Err(Error::NotFound(Entity::Session)));
        }
        repo.sessions().create("s", None).await?;
        for key in [None, Some("k")] {
            assert_eq!(repo.messages().append("s", "a", "{}", key).await, Err(Error::NotFound(Entity::Agent)));
            assert_eq!(repo.messages().append_many("s", "a", ["{}"], key).await, Err(Error::NotFound(Entity::Agent)));
        }
        assert_eq!(repo.agents().read("s", "a").await?, None);
    }

    async fn an_append_with_a_known_key_returns_the_first_id_and_stores_nothing(repo) {
        with_agent(repo).await?;
        assert_eq!(repo.messages().append("s", "a", json!({"n": 1}), Some("one")).await?, 0);
        assert_eq!(repo.messages().append_many("s", "a", [json!({"n": 2}), json!({"n": 3})], Some("$two.é\"")).await?, 1);
        assert_eq!(repo.messages().append("s", "a", json!({"n": 4}), None).await?, 3);
        let before = (repo.sessions().read("s").await?, repo.agents().read("s", "a").await?, repo.messages().list("s", "a", None, 0).await?);
        next_millisecond().await;
        for _ in 0..2 {
            assert_eq!(repo.messages().append("s", "a", json!({"n": 1}), Some("one")).await?, 0);
            // The same content: stamps, metrics and what the reference adds aside, in another order of keys, as a list of one.
            let same = r#"{"latency_ms": 5, "created_at": 0, "storage_id": "x", "n" : 1}"#;
            assert_eq!(repo.messages().append("s", "a", same, Some("one")).await?, 0);
            assert_eq!(repo.messages().append_many("s", "a", [same], Some("one")).await?, 0);
            assert_eq!(repo.messages().append_many("s", "a", [json!({"n": 2}), json!({"n": 3})], Some("$two.é\"")).await?, 1);
            // The revision that was expected then is long past.
            assert_eq!(repo.messages().if_revision(1).append("s", "a", json!({"n": 1}), Some("one")).await?, 0);
        }
        let after = (repo.sessions().read("s").await?, repo.agents().read("s", "a").await?, repo.messages().list("s", "a", None, 0).await?);
        assert_eq!(after, before);
        assert_eq!(repo.messages().append("s", "a", "{}", Some("One")).await?, 4, "another key");
    }

    async fn a_key_that_comes_back_with_other_content_is_refused(repo) {
        with_agent(repo).await?;
        repo.agents().create("s", "b", "{}").await?;
        assert_eq!(repo.messages().append_many("s", "a", [json!({"n": 1}), json!({"n": 2})], Some("k")).await?, 0);
        let before = (repo.sessions().read("s").await?, repo.messages().list("s", "a", None, 0).await?);
        let many = |bodies: &[&str]| bodies.iter().map(|body| (*body).to_owned()).collect::<Vec<_>>();
        for other in [
            many(&[r#"{"n": 1}"#]),
            many(&[r#"{"n": 1}"#, r#"{"n": 2.0}"#]),
            many(&[r#"{"n": 2}"#, r#"{"n": 1}"#]),
            many(&[r#"{"n": 1}"#, r#"{"n": 2}"#, "{}"]),
            many(&[r#"{"n": 1}"#, r#"{"n": 2, "m": null}"#]),
        ] {
            for expected in [None, Some(9)] {
                let messages = repo.messages();
                let messages = expected.map_or(messages, |revision| messages.if_revision(revision));
                let refused = messages.append_many("s", "a", other.clone(), Some("k")).await;
                assert_eq!(refused, Err(Error::AlreadyExists(Entity::Message)), "{other:?}");
            }
        }
        let after = (repo.sessions().read("s").await?, repo.messages().list("s", "a", None, 0).await?);
        assert_eq!(after, before);
        // Keys belong to one agent.
        assert_eq!(repo.messages().append("s", "b", json!({"n": 9}), Some("k")).await?, 0);
    }

    async fn a_key_of_a_refused_append_is_not_taken(repo) {
        with_agent(repo).await?;
        assert_eq!(repo.messages().if_revision(7).append("s", "a", "{}", Some("k")).await, Err(Error::Stale { current: 1 }));
        assert_eq!(repo.messages().append("s", "a", json!({"n": 1}), Some("k")).await?, 0);
        assert_eq!(body(repo, 0).await?, json!({"n": 1}));
        repo.messages().create("s", "a", i64::MAX, "{}").await?;
        for _ in 0..2 {
            invalid(repo.messages().append("s", "a", "{}", Some("l")).await);
        }
        assert_eq!(repo.messages().append("s", "a", json!({"n": 1}), Some("k")).await?, 0);
    }

    async fn keys_belong_to_one_agent(repo) {
        with_agent(repo).await?;
        repo.agents().create("s", "b", "{}").await?;
        repo.sessions().create("t", None).await?;
        repo.agents().create("t", "a", "{}").await?;
        repo.messages().create("s", "b", 7, "{}").await?;
        for _ in 0..2 {
            for (session, agent, id) in [("s", "a", 0), ("s", "b", 8), ("t", "a", 0)] {
                assert_eq!(repo.messages().append(session, agent, "{}", Some("k")).await?, id);
            }
        }
        assert_eq!(repo.messages().list("t", "a", None, 0).await?.len(), 1);
    }

    async fn keys_have_bounds(repo) {
        with_agent(repo).await?;
        for bad in [String::new(), "x".repeat(257), String::from("a\0")] {
            assert!(invalid(repo.messages().append("s", "a", "{}", Some(&bad)).await).starts_with("idempotency_key: "));
            assert!(invalid(repo.messages().append_many("s", "a", ["{}"], Some(&bad)).await).starts_with("idempotency_key: "));
        }
        for (id, good) in ["x".repeat(256), String::from(" "), String::from("0")].iter().enumerate() {
            for _ in 0..2 {
                assert_eq!(repo.messages().append("s", "a", "{}", Some(good)).await?, i64::try_from(id)?);
            }
        }
    }

    async fn the_last_keys_are_remembered_and_no_more_than_that_for_long(repo) {
        with_agent(repo).await?;
        append_with_keys(repo, 0..REMEMBERED).await?;
        for key in [0, 1, REMEMBERED - 1] {
            assert_eq!(repo.messages().append("s", "a", json!({"k": key}), Some(&key.to_string())).await?, key);
        }
        // Appends without a key push none out.
        assert_eq!(repo.messages().append_many("s", "a", vec!["{}"; 300], None).await?, REMEMBERED);
        assert_eq!(repo.messages().append("s", "a", json!({"k": 0}), Some("0")).await?, 0);
        assert_eq!(ids(repo, None, 0).await?.len(), usize::try_from(REMEMBERED)? + 300);
    }

    async fn a_key_that_many_others_came_after_is_forgotten(repo) {
        with_agent(repo).await?;
        append_with_keys(repo, 0..2 * REMEMBERED).await?;
        assert_eq!(repo.messages().append("s", "a", json!({"k": REMEMBERED}), Some(&REMEMBERED.to_string())).await?, REMEMBERED);
        assert_eq!(repo.messages().append("s", "a", "{}", Some("0")).await?, 2 * REMEMBERED, "it is new again");
    }

    async fn ids_that_run_out_are_refused_as_a_whole(repo) {
        with_agent(repo).await?;
        repo.messages().create("s", "a", i64::MAX - 2, "{}").await?;
        let before = repo.sessions().read("s").await?;
        let many = |count: usize| vec![json!({}); count];
        invalid(repo.messages().append_many("s", "a", many(3), Some("k")).await);
        assert_eq!(repo.sessions().read("s").await?, before);
        assert_eq!(repo.messages().append_many("s", "a", many(2), Some("k")).await?, i64::MAX - 1);
        invalid(repo.messages().append("s", "a", "{}", None).await);
        assert_eq!(repo.messages().append_many("s", "a", many(2), Some("k")).await?, i64::MAX - 1, "a repeat needs no id");
        repo.messages().create("s", "a", 1, "{}").await?;
        invalid(repo.messages().append("s", "a", "{}", None).await);
        assert_eq!(ids(repo, None, 0).await?, [i64::MAX - 2, i64::MAX - 1, i64::MAX, 1]);
    }

    async fn concurrent_appends_get_all_ids_and_keep_each_writers_order(repo) {
        with_agent(repo).await?;
        let writers = (0..8).map(|writer| {
            let repo = repo.clone();
            tokio::spawn(async move {
                let mut ids = Vec::new();
                for n in 0..6 {
                    let message = json!({"writer": writer, "n": n});
                    let first = match n % 2 {
                        0 => repo.messages().append("s", "a", message, None).await?,
                        _ => repo.messages().append_many("s", "a", [message, json!({"writer": writer, "second": n})], None).await?,
                    };
                    ids.push((first, n));
                }
                Ok::<_, Error>((writer, ids))
            })
        });
        let mut written = Vec::new();
        for writer in writers.collect::<Vec<_>>() {
            written.push(writer.await??);
        }
        assert_eq!(ids(repo, None, 0).await?, (0..8 * 9).collect::<Vec<_>>());
        let mut bodies = Vec::new();
        for message in repo.messages().list("s", "a", None, 0).await? {
            bodies.push(value(&message.body)?);
        }
        for (writer, ids) in written {
            assert!(ids.is_sorted(), "writer {writer}: {ids:?}");
            for (first, n) in ids {
                let at = usize::try_from(first)?;
                assert_eq!(bodies[at], json!({"writer": writer, "n": n}));
                if n % 2 == 1 {
                    assert_eq!(bodies[at + 1], json!({"writer": writer, "second": n}));
                }
            }
        }
    }

    async fn of_concurrent_appends_with_one_key_one_is_stored(repo) {
        with_agent(repo).await?;
        let appends = (0..12).map(|n: i64| {
            let (repo, key) = (repo.clone(), if n % 2 == 0 { "even" } else { "odd" });
            tokio::spawn(async move { Ok::<_, Error>((key, repo.messages().append("s", "a", json!({"key": key}), Some(key)).await?)) })
        });
        let mut answers = Vec::new();
        for append in appends.collect::<Vec<_>>() {
            answers.push(append.await??);
        }
        assert_eq!(ids(repo, None, 0).await?, [0, 1]);
        for (key, id) in answers {
            assert_eq!(body(repo, id).await?.get("key"), Some(&Value::from(key)));
        }
    }
}
