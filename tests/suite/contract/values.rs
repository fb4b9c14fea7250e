//! JSON is literal: what goes in comes out, through every operation.

use super::{body, value, with_agent};
use serde_json::{Value, json};
use session_repository::Repository;

/// Sends an object through every operation that takes one, and compares what is read.
async fn round_trip(repo: &Repository, text: &str) -> anyhow::Result<()> {
    let sent: Value = serde_json::from_str(text)?;
    // Created with it, updated to it, and updated away from it and back.
    repo.agents().create("s", "new", text).await?;
    assert_eq!(agent(repo, "new").await?, sent, "agents.create");
    repo.agents().update("s", "a", text).await?;
    assert_eq!(agent(repo, "a").await?, sent, "agents.update");
    repo.messages().create("s", "a", 1, text).await?;
    assert_eq!(body(repo, 1).await?, sent, "messages.create");
    repo.messages().create("s", "a", 1, text).await?;
    repo.messages().create("s", "a", 2, r#"{"old": 1}"#).await?;
    repo.messages().update("s", "a", 2, text).await?;
    assert_eq!(body(repo, 2).await?, sent, "messages.update");
    let listed = repo.messages().list("s", "a", Some(2), 0).await?;
    for message in &listed {
        assert_eq!(value(&message.body)?, sent, "messages.list");
    }
    assert_eq!(listed.len(), 2);
    repo.metadata().update("s", format!(r#"{{"k": {text}, "p.q": {text}}}"#)).await?;
    assert_eq!(repo.metadata().get("s").await?.map(|m| value(&m)).transpose()?, Some(json!({"k": sent, "p": {"q": sent}})), "metadata");
    repo.feedback().add("s", text).await?;
    let entries = repo.feedback().list("s").await?;
    assert_eq!(entries.iter().map(|entry| value(&entry.body)).collect::<Result<Vec<_>, _>>()?, [sent], "feedback");
    Ok(())
}

async fn agent(repo: &Repository, id: &str) -> anyhow::Result<Value> {
    repo.agents().read("s", id).await?.map_or(Ok(Value::Null), |agent| value(&agent.data))
}

contract! {
    async fn what_looks_like_an_expression_is_data(repo) {
        with_agent(repo).await?;
        round_trip(repo, r##"{
            "a": "$b", "b": "$$ROOT", "c": ["$updated_at", {"d": "$$message.role"}],
            "operators": {"$gt": 1, "$set": {"a.b": 1}, "$each": [1], "$literal": "$x", "$cond": ["$a", 1, 2]},
            "types": [{"$oid": "x"}, {"$date": "2024-01-01T00:00:00Z"}, {"$numberLong": "5"}, {"$binary": {"base64": "aGk=", "subType": "00"}}],
            "references": [{"$ref": "c", "$id": 1}, {"$ref": 5}, {"$id": 1}, {"$db": 2}],
            "$top": "$level", "$each": [1, 2], "dotted.key": {"x.y": 1, "..": 2}, "": {"": "empty"}
        }"##).await?;
    }

    async fn numbers_stay_what_they_are(repo) {
        with_agent(repo).await?;
        let numbers = r#"{"n":[0,-1,1,1.0,0.1,-0.5,2147483647,2147483648,-2147483649,9223372036854775807,-9223372036854775808,
            9007199254740993,1e22,1.7976931348623157e308,5e-324,0.30000000000000004,123456789012345680000.0]}"#;
        round_trip(repo, numbers).await?;
        let text = repo.messages().read("s", "a", 1).await?.map(|m| m.body.to_string()).unwrap_or_default();
        for written in ["[0,-1,1,1.0,0.1,", ",9223372036854775807,-9223372036854775808,9007199254740993,1e+22,", ",5e-324,0.30000000000000004,"] {
            assert!(text.contains(written), "{written} is not in {text}");
        }
    }

    async fn text_stays_what_it_is(repo) {
        with_agent(repo).await?;
        round_trip(repo, "{\"t\": [\"\", \" \", \"\\u0000\", \"a\\u0000b\", \"\\ud83d\\ude00\", \"😀\", \"\\\"\\\\\\/\\b\\f\\n\\r\\t\", \"\u{7f}\u{2028}\u{feff}\", \"e\u{301}\"], \"ключ\": \"\\u007f\"}").await?;
    }

    async fn bytes_read_back_in_their_marker(repo) {
        with_agent(repo).await?;
        round_trip(repo, r#"{
            "image": {"source": {"bytes": {"__bytes_encoded__": true, "data": "iVBORw0KGgo="}}},
            "empty": {"__bytes_encoded__": true, "data": ""}, "list": [{"data": "AA==", "__bytes_encoded__": true}],
            "not_bytes": [
                {"__bytes_encoded__": true, "data": "not base64!"}, {"__bytes_encoded__": true, "data": "AAA"},
                {"__bytes_encoded__": true, "data": "AB=="}, {"__bytes_encoded__": true, "data": "AA==", "more": 1},
                {"__bytes_encoded__": false, "data": "AA=="}, {"__bytes_encoded__": true}, {"__bytes_encoded__": true, "data": 5}
            ]
        }"#).await?;
    }

    async fn an_object_that_is_the_bytes_marker_as_a_whole_stays_an_object(repo) {
        with_agent(repo).await?;
        let marker = json!({"__bytes_encoded__": true, "data": "aGk="});
        repo.messages().create("s", "a", 1, marker.clone()).await?;
        repo.feedback().add("s", marker.clone()).await?;
        repo.agents().update("s", "a", marker.clone()).await?;
        assert_eq!((body(repo, 1).await?, agent(repo, "a").await?), (marker.clone(), marker));
    }

    async fn empty_and_nested_containers_stay(repo) {
        with_agent(repo).await?;
        round_trip(repo, r#"{"o": {}, "l": [], "n": [[], {}, [[]], null], "t": true, "f": false, "z": null}"#).await?;
    }

    async fn a_large_message_fits(repo) {
        with_agent(repo).await?;
        let large = json!({"content": "x".repeat(5 * 1024 * 1024)});
        repo.messages().create("s", "a", 1, large.clone()).await?;
        assert_eq!(body(repo, 1).await?, large);
    }
}
