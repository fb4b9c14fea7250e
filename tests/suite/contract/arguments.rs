//! Bad arguments that the conformance suite cannot say, because its requests are JSON: a typed error that names the argument, and nothing is
//! written.

use super::{ids, invalid, with_agent};
use serde_json::json;
use session_repository::{Error, Repository};

/// Every call with a body, as its error; an append last, which succeeds each time.
async fn with_body(repo: &Repository, body: &str) -> Vec<Result<(), Error>> {
    vec![
        repo.agents().create("s", "new", body).await,
        repo.agents().update("s", "a", body).await,
        repo.messages().create("s", "a", 2, body).await,
        repo.messages().update("s", "a", 1, body).await,
        repo.metadata().update("s", body).await,
        repo.feedback().add("s", body).await,
        repo.messages().append("s", "a", body, None).await.map(drop),
        repo.messages().append_many("s", "a", [body], None).await.map(drop),
    ]
}

contract! {
    async fn ids_in_bodies_agree_with_the_call(repo) {
        with_agent(repo).await?;
        assert!(invalid(repo.agents().create("s", "b", r#"{"agent_id": "a"}"#).await).starts_with("agent.agent_id: "));
        assert!(invalid(repo.agents().update("s", "a", r#"{"agent_id": 1}"#).await).starts_with("agent.agent_id: "));
        assert!(invalid(repo.messages().create("s", "a", 1, r#"{"message_id": 2}"#).await).starts_with("message.message_id: "));
        assert!(invalid(repo.messages().create("s", "a", 1, r#"{"message_id": "1"}"#).await).starts_with("message.message_id: "));
        repo.agents().update("s", "a", r#"{"agent_id": "\u0061"}"#).await?;
        repo.messages().create("s", "a", 1, r#"{"message_id": 1}"#).await?;
    }

    async fn bad_bodies_are_refused_with_their_place_and_write_nothing(repo) {
        with_agent(repo).await?;
        repo.messages().create("s", "a", 1, r#"{"k": 1}"#).await?;
        let before = (repo.sessions().read("s").await?, repo.agents().read("s", "a").await?, repo.messages().list("s", "a", None, 0).await?);
        let deep = |levels: usize| format!(r#"{{"k": {}{}}}"#, "[".repeat(levels - 1), "]".repeat(levels - 1));
        for (bad, place) in [
            ("[]", ""),
            ("nonsense", ""),
            (r#"{"k": [1, {"x": 9223372036854775808}]}"#, ".k[1].x"),
            (r#"{"k": -9223372036854775809}"#, ".k"),
            (r#"{"k": 1e400}"#, ".k"),
            (r#"{"k": {"odd key": "\ud800"}}"#, r#".k["odd key"]"#),
            (r#"{"k": "\udc00\ud800"}"#, ".k"),
            (r#"{"k": {"x": 1, "\u0078": 2}}"#, ".k"),
            (r#"{"k": {"x\u0000": 2}}"#, ".k"),
            (r#"{"k": 01}"#, ""),
            (r#"{"k": [1,]}"#, ".k[1]"),
            (&deep(91), ".k[0]"),
        ] {
            for (refused, argument) in with_body(repo, bad).await.into_iter().zip(["agent", "agent", "message", "message", "metadata", "feedback", "message", "messages[0]"]) {
                let message = invalid(refused);
                let metadata_depth = argument == "metadata" && bad.starts_with(r#"{"k": [["#);
                assert!(message.starts_with(&format!("{argument}{place}")) || metadata_depth, "{bad}: {message}");
            }
        }
        let after = (repo.sessions().read("s").await?, repo.agents().read("s", "a").await?, repo.messages().list("s", "a", None, 0).await?);
        assert_eq!(after, before);
        assert_eq!(repo.agents().read("s", "new").await?, None);
        assert_eq!(repo.metadata().get("s").await?.map(|m| m.to_string()), Some(String::from("{}")));
        for stored in with_body(repo, &deep(90)).await {
            assert_eq!(stored, Ok(()));
        }
        assert_eq!(repo.messages().read("s", "a", 2).await?.map(|m| m.body.to_string()), Some(deep(90).replace(' ', "")));
    }

    async fn feedback_is_an_object(repo) {
        repo.sessions().create("s", None).await?;
        for bad in ["[]", "1", "\"up\"", "null", "", "{", "{}{}"] {
            let message = invalid(repo.feedback().add("s", bad).await);
            assert!(message.starts_with("feedback: "), "{bad}: {message}");
        }
        assert_eq!(repo.feedback().list("s").await?, []);
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
}
