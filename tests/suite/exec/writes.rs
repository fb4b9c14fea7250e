//! Appends, and writes that expect a revision.

use super::{lines, on_every_store, run};
use crate::samples::samples_that;
use serde_json::{Value, json};

/// The writes to a session that is there, each of which succeeds after those before it.
async fn writes() -> anyhow::Result<Vec<(&'static str, Value)>> {
    let writes = samples_that(true).await?.into_iter().filter(|sample| sample.call != "sessions.create");
    Ok(writes.map(|sample| (sample.call, sample.args)).collect())
}

/// An object with more members.
fn with(args: &Value, more: Value) -> Value {
    let both = [args, &more].map(|object| object.as_object().cloned().unwrap_or_default());
    Value::Object(both.into_iter().flatten().collect())
}

fn made() -> Vec<(&'static str, Value)> {
    vec![("sessions.create", json!({"session_id": "s"})), ("agents.create", json!({"session_id": "s", "agent": {"agent_id": "a"}}))]
}

#[tokio::test]
async fn each_write_takes_place_at_the_revision_that_it_expects_and_at_no_other() -> anyhow::Result<()> {
    on_every_store(async |site| {
        let (mut requests, mut expected) = (vec![("sessions.create", json!({"session_id": "s"}))], vec![None]);
        for (current, (call, args)) in (0u64..).zip(writes().await?) {
            for wrong in [0, current.saturating_sub(1), current + 1, u64::MAX] {
                if wrong != current {
                    requests.push((call, with(&args, json!({"expected_revision": wrong}))));
                    let message = format!("the session is at revision {current} by now");
                    expected.push(Some(json!({"error": {"code": "stale", "current": current, "message": message}})));
                }
            }
            requests.push((call, with(&args, json!({"expected_revision": current}))));
            expected.push(None);
            requests.push(("sessions.read", json!({"session_id": "s"})));
            expected.push(Some(json!({"result": {"revision": current + 1}})));
        }
        requests.push(("messages.list", json!({"session_id": "s", "agent_id": "a"})));
        let run = run(site, &["--concurrency", "1"], lines(&requests)).await?;
        for ((request, response), expected) in requests.iter().zip(&run.responses).zip(expected) {
            match expected {
                None => assert!(response.get("error").is_none(), "{request:?}: {response}"),
                Some(expected) if expected.get("error").is_some() => assert_eq!(response["error"], expected["error"], "{request:?}"),
                Some(expected) => assert_eq!(response["result"]["revision"], expected["result"]["revision"], "{request:?}"),
            }
        }
        let listed = run.responses.last().and_then(|response| response["result"].as_array()).cloned().unwrap_or_default();
        let ids: Vec<_> = listed.iter().map(|message| message["message_id"].clone()).collect();
        assert_eq!(ids, [0, 1, 2, 3], "what was refused stored nothing");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_session_is_created_at_revision_0() -> anyhow::Result<()> {
    on_every_store(async |site| {
        let create = |revision: Value| ("sessions.create", json!({"session_id": "s", "expected_revision": revision}));
        let requests = [create(json!(1)), create(json!(0)), create(json!(0)), create(json!(1)), create(json!(null))];
        let run = run(site, &["--concurrency", "1"], lines(&requests)).await?;
        assert_eq!(run.codes(), ["stale", "ok", "already-exists", "already-exists", "already-exists"]);
        let stale = json!({"code": "stale", "current": 0, "message": "the session is at revision 0 by now"});
        assert_eq!((&run.responses[0]["error"], &run.responses[1]["result"]["revision"]), (&stale, &json!(0)));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_expected_revision_is_a_number_that_a_session_can_have() -> anyhow::Result<()> {
    on_every_store(async |site| {
        let mut input = lines(&made());
        let mut writes = writes().await?;
        writes.push(("sessions.create", json!({"session_id": "t"})));
        // The agent is there already.
        writes.retain(|(call, _)| *call != "agents.create");
        writes.push(("agents.create", json!({"session_id": "s", "agent": {"agent_id": "b"}})));
        let bad = ["-1", "-0", "1.0", "1e0", "\"1\"", "true", "[]", "{}", "18446744073709551616"];
        for (call, args) in &writes {
            for bad in bad {
                let args = args.to_string();
                let args = args.strip_suffix('}').unwrap_or_default();
                input.push_str(&format!("{{\"id\": 0, \"call\": \"{call}\", \"args\": {args}, \"expected_revision\": {bad}}}}}\n"));
            }
        }
        input.push_str(&lines(&[("sessions.read", json!({"session_id": "s"})), ("sessions.read", json!({"session_id": "t"}))]));
        // Without a value it is as if it were not there.
        input.push_str(&lines(
            &writes.iter().map(|(call, args)| (*call, with(args, json!({"expected_revision": null})))).collect::<Vec<_>>(),
        ));
        let run = run(site, &["--concurrency", "1"], input).await?;
        let (refused, rest) = run.responses[2..].split_at(writes.len() * bad.len());
        for response in refused {
            assert_eq!(response["error"]["code"], "invalid-argument", "{response}");
        }
        assert_eq!((&rest[0]["result"]["revision"], &rest[1]["result"]), (&json!(1), &json!(null)));
        assert!(rest.len() == writes.len() + 2 && rest.iter().all(|response| response.get("error").is_none()), "{rest:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn reads_take_no_expected_revision() -> anyhow::Result<()> {
    on_every_store(async |site| {
        let reads = samples_that(false).await?;
        let reads: Vec<_> = reads.iter().map(|read| (read.call, with(&read.args, json!({"expected_revision": 0})))).collect();
        let run = run(site, &["--concurrency", "1"], lines(&reads)).await?;
        assert_eq!(run.codes(), vec!["invalid-argument"; reads.len()]);
        for response in &run.responses {
            let message = response["error"]["message"].as_str().unwrap_or_default();
            assert!(message.starts_with("args: unknown field `expected_revision`"), "{message}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_append_with_a_key_is_done_once() -> anyhow::Result<()> {
    on_every_store(async |site| {
        let append = |more: Value| ("messages.append", with(&json!({"session_id": "s", "agent_id": "a"}), more));
        let append_many = |more: Value| ("messages.append-many", with(&json!({"session_id": "s", "agent_id": "a"}), more));
        let mut requests = made();
        requests.extend([
            append(json!({"message": {"n": 0}, "idempotency_key": "k"})),
            append(json!({"message": {"n": 0}, "idempotency_key": "k"})),
            append(json!({"message": {"n": 0}, "idempotency_key": "k", "expected_revision": 1})),
            append_many(json!({"messages": [{"n": 1}, {"n": 2}], "idempotency_key": "l"})),
            append_many(json!({"messages": [{"n": 1}, {"n": 2}], "idempotency_key": "l"})),
            append(json!({"message": {"n": 3}, "idempotency_key": null})),
            append(json!({"message": {"n": 4}, "idempotency_key": null})),
            ("messages.list", json!({"session_id": "s", "agent_id": "a"})),
            ("sessions.read", json!({"session_id": "s"})),
            append(json!({"message": {"n": 9}, "idempotency_key": "k"})),
        ]);
        let run = run(site, &["--concurrency", "1"], lines(&requests)).await?;
        let error = &run.responses.last().ok_or_else(|| anyhow::anyhow!("no answer"))?["error"];
        assert_eq!((&error["code"], &error["entity"]), (&json!("already-exists"), &json!("message")));
        assert_eq!(error["message"], "the idempotency key stands for other content of agent `a` of session `s`");
        let results: Vec<_> = run.responses[2..].iter().map(|response| response["result"].clone()).collect();
        let (one, many) = (|id: i64| json!({"message_id": id}), json!({"first_message_id": 1}));
        assert_eq!(results[..7], [one(0), one(0), one(0), many.clone(), many, one(3), one(4)]);
        let numbers: Vec<_> = results[7].as_array().into_iter().flatten().map(|message| message["n"].clone()).collect();
        assert_eq!((numbers, &results[8]["revision"]), (vec![json!(0), json!(1), json!(2), json!(3), json!(4)], &json!(5)));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn all_messages_of_an_append_are_stored_or_none() -> anyhow::Result<()> {
    on_every_store(async |site| {
        let append = |messages: Value| ("messages.append-many", json!({"session_id": "s", "agent_id": "a", "messages": messages}));
        let large = "x".repeat(17 * 1024 * 1024);
        let mut requests = made();
        requests.extend([
            append(json!([{"n": 0}, 5, {"n": 2}])),
            append(json!([{"n": 0}, {"message_id": 1}])),
            append(json!([{"n": 0}, {"content": large}])),
            append(Value::from_iter((0..1001).map(|_| json!({})))),
            ("messages.append-many", json!({"session_id": "s", "agent_id": "b", "messages": [{}]})),
            ("messages.append", json!({"session_id": "t", "agent_id": "a", "message": {}})),
            ("messages.list", json!({"session_id": "s", "agent_id": "a"})),
            ("sessions.read", json!({"session_id": "s"})),
            append(Value::from_iter((0..1000).map(|_| json!({})))),
        ]);
        let run = run(site, &["--concurrency", "1"], lines(&requests)).await?;
        let (invalid, missing) = ("invalid-argument", "not-found");
        assert_eq!(run.codes()[2..], [invalid, invalid, "too-large", invalid, missing, missing, "ok", "ok", "ok"]);
        for response in &run.responses[2..4] {
            let message = response["error"]["message"].as_str().unwrap_or_default();
            assert!(message.starts_with("messages[1]"), "{message}");
        }
        assert_eq!(run.responses[6]["error"]["message"], "agent `b` of session `s` does not exist");
        assert_eq!((&run.responses[8]["result"], &run.responses[9]["result"]["revision"]), (&json!([]), &json!(1)));
        assert_eq!(run.responses[10]["result"], json!({"first_message_id": 0}));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn appended_messages_stay_as_they_are_written() -> anyhow::Result<()> {
    on_every_store(async |site| {
        let body = r#"{"n":[1,1.0,-0.0,9223372036854775807],"$gt":{"a.b":"$x"},"text":"é\n","role":null}"#;
        let mut input = lines(&made());
        let args = r#""args": {"session_id": "s", "agent_id": "a""#;
        input.push_str(&format!("{{\"id\": 2, \"call\": \"messages.append\", {args}, \"message\": {body}}}}}\n"));
        input.push_str(&format!("{{\"id\": 3, \"call\": \"messages.append-many\", {args}, \"messages\": [ {body} ,\t{body}]}}}}\n"));
        input.push_str(&lines(&[("messages.list", json!({"session_id": "s", "agent_id": "a"}))]));
        let run = run(site, &["--concurrency", "1"], input).await?;
        let inner = body.trim_start_matches('{').trim_end_matches('}');
        assert_eq!(run.stdout.matches(inner).count(), 3, "{}", run.stdout);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn pipelined_appends_get_the_ids_of_their_order() -> anyhow::Result<()> {
    on_every_store(async |site| {
        const SESSIONS: usize = 3;
        let mut requests = Vec::new();
        for session in 0..SESSIONS {
            requests.push(("sessions.create", json!({"session_id": format!("s-{session}")})));
            requests.push(("agents.create", json!({"session_id": format!("s-{session}"), "agent": {"agent_id": "a"}})));
        }
        for n in 0..100 {
            for session in 0..SESSIONS {
                requests.push(("messages.append", json!({"session_id": format!("s-{session}"), "agent_id": "a", "message": {"n": n}})));
            }
        }
        let run = run(site, &[], lines(&requests)).await?;
        let answers = run.by_id();
        for (id, (_, args)) in requests.iter().enumerate().skip(2 * SESSIONS) {
            let answer = answers.get(&id.to_string()).map(|answer| &answer["result"]);
            assert_eq!(answer, Some(&json!({"message_id": args["message"]["n"]})), "{args}");
        }
        Ok(())
    })
    .await
}
