//! What holds on every store.

use super::{lines, on_every_store, run};
use anyhow::Context;
use serde_json::{Value, json};

#[tokio::test]
async fn errors_carry_code_entity_and_sizes() -> anyhow::Result<()> {
    on_every_store(async |site| {
        let large = "x".repeat(17 * 1024 * 1024);
        let requests = [
            ("agents.create", json!({"session_id": "s-1", "agent": {"agent_id": "a"}})),
            ("sessions.create", json!({"session_id": "s-1"})),
            ("sessions.create", json!({"session_id": "s-1"})),
            ("messages.create", json!({"session_id": "s-1", "agent_id": "a", "message": {"message_id": 1}})),
            ("agents.create", json!({"session_id": "s-1", "agent": {"agent_id": "a"}})),
            ("messages.update", json!({"session_id": "s-1", "agent_id": "a", "message": {"message_id": 1}})),
            ("messages.create", json!({"session_id": "s-1", "agent_id": "a", "message": {"message_id": 1, "k": 1}})),
            ("messages.create", json!({"session_id": "s-1", "agent_id": "a", "message": {"message_id": 1, "k": 2}})),
            ("sessions.read", json!({"session_id": ""})),
            ("messages.create", json!({"session_id": "s-1", "agent_id": "a", "message": {"message_id": 2, "content": large}})),
        ];
        let run = run(site, &["--concurrency", "1"], lines(&requests)).await?;
        let errors: Vec<_> = run.responses.iter().map(|response| response.get("error").cloned().unwrap_or_default()).collect();
        assert_eq!(errors[0], json!({"code": "not-found", "entity": "session", "message": "session `s-1` does not exist"}));
        let shown = |index: usize| (errors[index]["code"].as_str().unwrap_or("ok"), errors[index]["entity"].as_str().unwrap_or(""));
        let expected =
            [("ok", ""), ("already-exists", "session"), ("not-found", "agent"), ("ok", ""), ("not-found", "message"), ("ok", "")];
        assert_eq!((1..7).map(shown).collect::<Vec<_>>(), expected);
        assert_eq!(shown(7), ("already-exists", "message"));
        assert_eq!(errors[8], json!({"code": "invalid-argument", "message": "session_id: must not be empty"}));
        assert_eq!((&errors[9]["code"], &errors[9]["limit"]), (&json!("too-large"), &json!(16 * 1024 * 1024)));
        assert!(errors[9]["size"].as_u64() > errors[9]["limit"].as_u64());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn bad_lines_are_answered_one_by_one() -> anyhow::Result<()> {
    on_every_store(async |site| {
    let read = r#""call": "sessions.read", "args": {"session_id": "s"}"#;
    let bad: Vec<String> = [
        "nonsense", "{", "[]", "1", "null", "\"text\"", r#"{"id": 1} {"id": 2}"#,
        &format!(r#"{{"id": 1, {read}, "more": 1}}"#), &format!(r#"{{"id": 1, {read}, "call": "sessions.read"}}"#),
        &format!(r#"{{"id": 1, "id": 2, {read}}}"#), r#"{"id": 1, "call": "sessions.read"}"#,
        r#"{"id": 1, "call": "sessions.read", "args": null}"#, r#"{"id": 1, "call": "sessions.read", "args": []}"#,
        r#"{"id": 1, "call": "sessions.read", "args": ["s"]}"#, r#"{"id": 1, "args": {"session_id": "s"}}"#,
        r#"{"id": 1, "call": 5, "args": {}}"#, r#"{"id": 1, "call": "sessions.drop", "args": {}}"#,
        r#"{"id": 1, "call": "sessions.read", "args": {}}"#, r#"{"id": 1, "call": "sessions.read", "args": {"session_id": 5}}"#,
        r#"{"id": 1, "call": "sessions.read", "args": {"session_id": null}}"#,
        r#"{"id": 1, "call": "sessions.read", "args": {"session_id": "s", "session_id": "s"}}"#,
        r#"{"id": 1, "call": "sessions.read", "args": {"session_id": "s", "x": 1}}"#,
        r#"{"id": 1, "call": "sessions.read", "args": {"session_id": "\ud800"}}"#,
        r#"{"id": 1, "call": "messages.read", "args": {"session_id": "s", "agent_id": "a", "message_id": 1.0}}"#,
        r#"{"id": 1, "call": "messages.read", "args": {"session_id": "s", "agent_id": "a", "message_id": -1}}"#,
        r#"{"id": 1, "call": "messages.read", "args": {"session_id": "s", "agent_id": "a", "message_id": 9223372036854775808}}"#,
        r#"{"id": 1, "call": "messages.list", "args": {"session_id": "s", "agent_id": "a", "limit": "1"}}"#,
        r#"{"id": 1, "call": "messages.list", "args": {"session_id": "s", "agent_id": "a", "offset": null}}"#,
        r#"{"id": 1, "call": "messages.create", "args": {"session_id": "s", "agent_id": "a", "message": {}}}"#,
        r#"{"id": 1, "call": "messages.create", "args": {"session_id": "s", "agent_id": "a", "message": [1]}}"#,
        r#"{"id": 1, "call": "messages.create", "args": {"session_id": "s", "agent_id": "a", "message": {"message_id": 1, "k": 1, "k": 1}}}"#,
        r#"{"id": 1, "call": "messages.append", "args": {"session_id": "s", "agent_id": "a"}}"#,
        r#"{"id": 1, "call": "messages.append", "args": {"session_id": "s", "agent_id": "a", "message": [1]}}"#,
        r#"{"id": 1, "call": "messages.append", "args": {"session_id": "s", "agent_id": "a", "message": {"message_id": 1}}}"#,
        r#"{"id": 1, "call": "messages.append", "args": {"session_id": "s", "agent_id": "a", "message": {"k": 1, "k": 1}}}"#,
        r#"{"id": 1, "call": "messages.append", "args": {"session_id": "s", "agent_id": "a", "message_id": 1, "message": {}}}"#,
        r#"{"id": 1, "call": "messages.append", "args": {"session_id": "s", "agent_id": "a", "message": {}, "idempotency_key": 1}}"#,
        r#"{"id": 1, "call": "messages.append", "args": {"session_id": "s", "agent_id": "a", "message": {}, "idempotency_key": ""}}"#,
        r#"{"id": 1, "call": "messages.append", "args": {"session_id": "s", "agent_id": "a", "messages": [{}]}}"#,
        r#"{"id": 1, "call": "messages.append-many", "args": {"session_id": "s", "agent_id": "a", "message": {}}}"#,
        r#"{"id": 1, "call": "messages.append-many", "args": {"session_id": "s", "agent_id": "a", "messages": {}}}"#,
        r#"{"id": 1, "call": "messages.append-many", "args": {"session_id": "s", "agent_id": "a", "messages": []}}"#,
        r#"{"id": 1, "call": "messages.append-many", "args": {"session_id": "s", "agent_id": "a", "messages": [{}, null]}}"#,
        r#"{"id": 1, "call": "messages.append_many", "args": {"session_id": "s", "agent_id": "a", "messages": [{}]}}"#,
        r#"{"id": 1, "call": "agents.create", "args": {"session_id": "s", "agent": {"model": "m"}}}"#,
        r#"{"id": 1, "call": "agents.create", "args": {"session_id": "s", "agent_id": "a", "agent": {"agent_id": "a"}}}"#,
        r#"{"id": 1, "call": "metadata.update", "args": {"session_id": "s", "metadata": null}}"#,
        r#"{"id": 1, "call": "metadata.delete", "args": {"session_id": "s", "keys": "k"}}"#,
        r#"{"id": 1, "call": "metadata.delete", "args": {"session_id": "s", "keys": [1]}}"#,
        r#"{"id": 1, "call": "feedback.add", "args": {"session_id": "s", "feedback": "up"}}"#,
    ].map(str::to_owned).to_vec();
    let mut input = format!("{{{read}}}\r\n\n  \t\r\n").into_bytes();
    for line in &bad {
        input.extend_from_slice(line.as_bytes());
        input.push(b'\n');
    }
    input.extend_from_slice(b"\"\xff\"\n");
    // The last line has no end.
    input.extend_from_slice(format!("{{\"id\": \"last\", {read}}}").as_bytes());
    let run = run(site, &["--concurrency", "1"], input).await?;
    assert_eq!((run.status, run.responses.len()), (Some(0), bad.len() + 3), "{}", run.stdout);
    assert_eq!(run.responses.first(), Some(&json!({"id": null, "result": null})));
    assert_eq!(run.responses.last(), Some(&json!({"id": "last", "result": null})));
    for (line, response) in bad.iter().zip(&run.responses[1..]) {
        assert_eq!(response["error"]["code"], "invalid-argument", "{line}: {response}");
        if !line.contains("\"id\": 1, \"id\": 2") {
            // What is not JSON has no id.
            let expected = if line.starts_with(r#"{"id": 1, "#) { json!(1) } else { json!(null) };
            assert_eq!(response["id"], expected, "{line}");
        }
    }
    assert_eq!(run.responses[bad.len() + 1]["id"], Value::Null);
    Ok(())
    }).await
}

#[tokio::test]
async fn ids_are_echoed_exactly() -> anyhow::Result<()> {
    on_every_store(async |site| {
        let ids = [
            "null",
            "true",
            "0",
            "1",
            "1.0",
            "-0",
            "1e2",
            "18446744073709551615",
            "-9223372036854775808",
            "0.1000",
            "\"\"",
            "\"\\u00e9\\n\"",
            "\"é\"",
            "[]",
            "[1, {\"b\": 1, \"a\": [2]}]",
            "{\"z\":1,\"a\":2}",
            "123456789012345678901234567890",
        ];
        let line = |id: &&str| format!("{{\"id\": {id}, \"call\": \"sessions.read\", \"args\": {{\"session_id\": \"s\"}}}}\n");
        let run = run(site, &["--concurrency", "1"], ids.iter().map(line).collect::<String>()).await?;
        let echoed: Vec<_> =
            run.stdout.lines().map(|line| line.strip_prefix("{\"id\":").and_then(|l| l.strip_suffix(",\"result\":null}"))).collect();
        assert_eq!(echoed, ids.map(Some));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn ten_thousand_pipelined_requests_take_effect_in_the_order_of_their_sessions() -> anyhow::Result<()> {
    on_every_store(async |site| {
        const SESSIONS: usize = 100;
        let mut requests = Vec::new();
        for session in 0..SESSIONS {
            requests.push(("sessions.create", json!({"session_id": format!("s-{session}")})));
            requests.push(("agents.create", json!({"session_id": format!("s-{session}"), "agent": {"agent_id": "a"}})));
        }
        for n in 0..48 {
            for session in 0..SESSIONS {
                let id = format!("s-{session}");
                requests.push(("messages.create", json!({"session_id": id, "agent_id": "a", "message": {"message_id": n, "n": n}})));
                requests.push(("messages.list", json!({"session_id": id, "agent_id": "a", "limit": 1, "offset": n})));
            }
        }
        for session in 0..SESSIONS {
            requests.push(("metadata.update", json!({"session_id": format!("s-{session}"), "metadata": {"done": true}})));
            requests.push(("metadata.get", json!({"session_id": format!("s-{session}")})));
        }
        assert_eq!(requests.len(), 10_000);
        let run = run(site, &[], lines(&requests)).await?;
        assert_eq!((run.status, run.responses.len()), (Some(0), requests.len()));
        let answers = run.by_id();
        for (id, (call, args)) in requests.iter().enumerate() {
            let answer = answers.get(&id.to_string()).with_context(|| format!("request {id} has no answer"))?;
            assert!(answer.get("error").is_none(), "{call} {args}: {answer}");
            match *call {
                "messages.list" => assert_eq!(answer["result"][0]["message_id"], args["offset"], "{args}: {answer}"),
                "metadata.get" => assert_eq!(answer["result"]["metadata"], json!({"done": true})),
                _ => {}
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn refused_calls_are_answers_and_not_failures() -> anyhow::Result<()> {
    on_every_store(async |site| {
        let requests =
            [("metadata.update", json!({"session_id": "nobody", "metadata": {"a": 1}})), ("sessions.read", json!({"session_id": "s"}))];
        let run = run(site, &["--concurrency", "1"], lines(&requests)).await?;
        assert_eq!((run.status, run.codes()), (Some(0), vec!["not-found", "ok"]));
        Ok(())
    })
    .await
}
