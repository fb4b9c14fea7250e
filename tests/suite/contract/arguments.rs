//! Bad arguments: a typed error that names the argument, and nothing is written. Bad ids are `exec::arguments`.

use super::{invalid, with_agent};
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
    async fn session_ids_have_1_to_512_bytes(repo) {
        for good in ["x", " ", "$where", "a.b", "../..", &"x".repeat(512), &"é".repeat(256)] {
            repo.sessions().create(good, None).await?;
            assert!(repo.sessions().read(good).await?.is_some(), "{good}");
        }
    }

    async fn limits_and_offsets_are_not_negative(repo) {
        assert!(invalid(repo.messages().list("nobody", "a", Some(-1), 0).await).starts_with("limit: "));
        assert!(invalid(repo.messages().list("nobody", "a", None, -1).await).starts_with("offset: "));
        assert!(invalid(repo.messages().list("nobody", "a", Some(0), i64::MIN).await).starts_with("offset: "));
    }

    async fn ids_in_bodies_agree_with_the_call(repo) {
        with_agent(repo).await?;
        assert!(invalid(repo.agents().create("s", "b", r#"{"agent_id": "a"}"#).await).starts_with("agent.agent_id: "));
        assert!(invalid(repo.agents().update("s", "a", r#"{"agent_id": 1}"#).await).starts_with("agent.agent_id: "));
        assert!(invalid(repo.messages().create("s", "a", 1, r#"{"message_id": 2}"#).await).starts_with("message.message_id: "));
        assert!(invalid(repo.messages().create("s", "a", 1, r#"{"message_id": "1"}"#).await).starts_with("message.message_id: "));
        repo.agents().update("s", "a", r#"{"agent_id": "\u0061"}"#).await?;
        repo.messages().create("s", "a", 1, r#"{"message_id": 1}"#).await?;
    }

    async fn a_session_type_has_at_most_512_bytes(repo) {
        assert!(invalid(repo.sessions().create("s", Some(&"x".repeat(513))).await).starts_with("session_type: "));
        repo.sessions().create("s", Some(&"x".repeat(512))).await?;
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

    async fn the_segments_of_a_path_count_as_levels(repo) {
        repo.sessions().create("s", None).await?;
        let path = |segments: usize| vec!["a"; segments].join(".");
        repo.metadata().update("s", format!(r#"{{"{}": 1}}"#, path(90))).await?;
        invalid(repo.metadata().update("s", format!(r#"{{"{}": 1}}"#, path(91))).await);
        invalid(repo.metadata().update("s", format!(r#"{{"{}": {{}}}}"#, path(90))).await);
        repo.metadata().delete("s", [path(90)]).await?;
        invalid(repo.metadata().delete("s", [path(91)]).await);
    }
}
