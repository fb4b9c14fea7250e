//! The `exec` protocol, spoken to the real program.

use anyhow::Context;
use mongodb::bson::{DateTime, doc};
use serde_json::{Value, json};
use session_repository_tests::{COLLECTION, Database, mongodb_uri, program};
use std::collections::HashMap;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Instant;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The program's exit status, its responses and what it wrote on stderr.
struct Run {
    status: Option<i32>,
    responses: Vec<Value>,
    stdout: String,
    stderr: String,
}

async fn run_on(uri: &str, database: &str, options: &[&str], input: impl Into<Vec<u8>>) -> anyhow::Result<Run> {
    let mut child = Command::new(program().await?)
        .args(["exec", "--database", database, "--collection", COLLECTION])
        .args(options)
        .env("SESSION_REPO_STORE", uri)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (mut stdin, input) = (child.stdin.take().context("no stdin")?, input.into());
    let write = tokio::spawn(async move { stdin.write_all(&input).await });
    let output = child.wait_with_output().await?;
    // Fails where the program ended without reading all.
    write.await?.ok();
    let stdout = String::from_utf8(output.stdout)?;
    let responses = stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    Ok(Run { status: output.status.code(), responses, stdout, stderr: String::from_utf8(output.stderr)? })
}

impl Run {
    /// The responses by their id's text; each id once.
    fn by_id(&self) -> HashMap<String, &Value> {
        let by_id: HashMap<_, _> = self.responses.iter().map(|response| (response["id"].to_string(), response)).collect();
        assert_eq!(by_id.len(), self.responses.len(), "an id was answered twice: {}", self.stdout);
        by_id
    }

    fn codes(&self) -> Vec<&str> {
        self.responses.iter().map(|response| response["error"]["code"].as_str().unwrap_or("ok")).collect()
    }
}

async fn run(database: &Database, options: &[&str], input: impl Into<Vec<u8>>) -> anyhow::Result<Run> {
    run_on(&mongodb_uri()?, &database.name, options, input).await
}

/// Requests, one a line, numbered from 0.
fn lines(requests: &[(&str, Value)]) -> String {
    let line = |(id, (call, args)): (usize, &(&str, Value))| format!("{}\n", json!({"id": id, "call": call, "args": args}));
    requests.iter().enumerate().map(line).collect()
}

#[tokio::test]
async fn every_call_answers_in_its_shape() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let agent = json!({"agent_id": "a", "model": "m", "state": {"n": 1.0}, "created_at": "ignored"});
    let message = json!({"message_id": 1, "role": "user", "content": "Hello!", "latency_ms": 5, "updated_at": 0});
    let requests = [
        ("sessions.create", json!({"session_id": "s"})),
        ("sessions.create", json!({"session_id": "t", "session_type": null})),
        ("sessions.create", json!({"session_id": "u", "session_type": "chat"})),
        ("sessions.read", json!({"session_id": "u"})),
        ("sessions.read", json!({"session_id": "nobody"})),
        ("agents.create", json!({"session_id": "s", "agent": agent})),
        ("agents.read", json!({"session_id": "s", "agent_id": "a"})),
        ("agents.read", json!({"session_id": "s", "agent_id": "b"})),
        ("agents.update", json!({"session_id": "s", "agent": {"agent_id": "a", "state": {}}})),
        ("agents.read", json!({"session_id": "s", "agent_id": "a"})),
        ("messages.create", json!({"session_id": "s", "agent_id": "a", "message": message})),
        ("messages.read", json!({"session_id": "s", "agent_id": "a", "message_id": 1})),
        ("messages.read", json!({"session_id": "s", "agent_id": "a", "message_id": 2})),
        ("messages.update", json!({"session_id": "s", "agent_id": "a", "message": {"message_id": 1, "role": "user"}})),
        ("messages.list", json!({"session_id": "s", "agent_id": "a"})),
        ("messages.list", json!({"session_id": "s", "agent_id": "a", "limit": null, "offset": 1})),
        ("messages.list", json!({"session_id": "nobody", "agent_id": "a", "limit": 5})),
        ("metadata.update", json!({"session_id": "s", "metadata": {"k": [1, 1.0], "a.b": "$x"}})),
        ("metadata.get", json!({"session_id": "s"})),
        ("metadata.get", json!({"session_id": "t"})),
        ("metadata.get", json!({"session_id": "nobody"})),
        ("metadata.delete", json!({"session_id": "s", "keys": ["k", "absent"]})),
        ("metadata.get", json!({"session_id": "s"})),
        ("feedback.add", json!({"session_id": "s", "feedback": {"rating": "up", "created_at": 1}})),
        ("feedback.list", json!({"session_id": "s"})),
        ("feedback.list", json!({"session_id": "nobody"})),
    ];
    let run = run(&database, &["--concurrency", "1"], lines(&requests)).await?;
    assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
    let ids: Vec<_> = run.responses.iter().map(|response| response["id"].clone()).collect();
    assert_eq!(ids, (0..requests.len()).map(Value::from).collect::<Vec<_>>(), "with one call in flight, answers come in order");

    let stored = database.document("s").await?;
    let text = |date: &DateTime| {
        let (seconds, millis) = (date.timestamp_millis().div_euclid(1000), date.timestamp_millis().rem_euclid(1000));
        let whole = DateTime::from_millis(seconds * 1000).try_to_rfc3339_string().unwrap_or_default();
        whole.replace('Z', &format!(".{millis:03}Z"))
    };
    let (created, agent) = (text(stored.get_datetime("created_at")?), stored.get_document("agents")?.get_document("a")?);
    let (agent_created, agent_updated) = (text(agent.get_datetime("created_at")?), text(agent.get_datetime("updated_at")?));
    let message = agent.get_array("messages")?.first().and_then(|m| m.as_document()).cloned().unwrap_or_default();
    let (message_created, message_updated) = (text(message.get_datetime("created_at")?), text(message.get_datetime("updated_at")?));
    let feedback_created = text(stored.get_datetime("updated_at")?);
    let results: Vec<_> = run.responses.iter().map(|response| response["result"].clone()).collect();
    let stamp = |index: usize, field: &str| run.responses[index]["result"][field].clone();
    let expected = [
        json!({"session_id": "s", "session_type": "default", "created_at": created, "updated_at": created}),
        json!({"session_id": "t", "session_type": "default", "created_at": stamp(1, "created_at"), "updated_at": stamp(1, "created_at")}),
        json!({"session_id": "u", "session_type": "chat", "created_at": stamp(2, "created_at"), "updated_at": stamp(2, "created_at")}),
        results[2].clone(),
        json!(null),
        json!(null),
        json!({"agent_id": "a", "model": "m", "state": {"n": 1.0}, "created_at": agent_created, "updated_at": agent_created}),
        json!(null),
        json!(null),
        json!({"agent_id": "a", "model": "m", "state": {}, "created_at": agent_created, "updated_at": stamp(9, "updated_at")}),
        json!(null),
        json!({"message_id": 1, "role": "user", "content": "Hello!", "created_at": message_created, "updated_at": message_created}),
        json!(null),
        json!(null),
        json!([{"message_id": 1, "role": "user", "created_at": message_created, "updated_at": message_updated}]),
        json!([]),
        json!([]),
        json!(null),
        json!({"metadata": {"k": [1, 1.0], "a": {"b": "$x"}}}),
        json!({"metadata": {}}),
        json!(null),
        json!(null),
        json!({"metadata": {"a": {"b": "$x"}}}),
        json!(null),
        json!([{"rating": "up", "created_at": feedback_created}]),
        json!([]),
    ];
    assert_eq!(results, expected);
    assert_eq!(agent_updated, message_updated);
    database.drop().await
}

#[tokio::test]
async fn errors_carry_code_entity_and_sizes() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
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
    let run = run(&database, &["--concurrency", "1"], lines(&requests)).await?;
    let errors: Vec<_> = run.responses.iter().map(|response| response.get("error").cloned().unwrap_or_default()).collect();
    assert_eq!(errors[0], json!({"code": "not-found", "entity": "session", "message": "session `s-1` does not exist"}));
    let shown = |index: usize| (errors[index]["code"].as_str().unwrap_or("ok"), errors[index]["entity"].as_str().unwrap_or(""));
    let expected = [("ok", ""), ("already-exists", "session"), ("not-found", "agent"), ("ok", ""), ("not-found", "message"), ("ok", "")];
    assert_eq!((1..7).map(shown).collect::<Vec<_>>(), expected);
    assert_eq!(shown(7), ("already-exists", "message"));
    assert_eq!(errors[8], json!({"code": "invalid-argument", "message": "session_id: must not be empty"}));
    assert_eq!((&errors[9]["code"], &errors[9]["limit"]), (&json!("too-large"), &json!(16 * 1024 * 1024)));
    assert!(errors[9]["size"].as_u64() > errors[9]["limit"].as_u64());
    database.drop().await
}

#[tokio::test]
async fn bad_lines_are_answered_one_by_one() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
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
    let run = run(&database, &["--concurrency", "1"], input).await?;
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
    assert_eq!(database.documents().count_documents(doc! {}).await?, 0, "nothing is written");
    database.drop().await
}

#[tokio::test]
async fn ids_are_echoed_exactly() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
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
    let run = run(&database, &["--concurrency", "1"], ids.iter().map(line).collect::<String>()).await?;
    let echoed: Vec<_> =
        run.stdout.lines().map(|line| line.strip_prefix("{\"id\":").and_then(|l| l.strip_suffix(",\"result\":null}"))).collect();
    assert_eq!(echoed, ids.map(Some));
    database.drop().await
}

#[tokio::test]
async fn ten_thousand_pipelined_requests_take_effect_in_the_order_of_their_sessions() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
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
    let run = run(&database, &[], lines(&requests)).await?;
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
    database.drop().await
}

#[tokio::test]
async fn a_bad_command_line_is_exit_status_2_and_repeats_no_password() -> anyhow::Result<()> {
    let program = program().await?;
    let secret = "mongodb://alice:s3cret@localhost";
    for arguments in [
        vec!["exec", "--store", secret, "--concurrency", "0"],
        vec!["exec", "--store", secret, "--concurrency", "-1"],
        vec!["exec", "--store", secret, "--concurrency", "many"],
        vec!["exec", "--store", secret, "--database", secret],
        vec!["exec", "--store", secret, "--collection", ""],
        vec!["exec", "--store", secret, "--metadata-field", "$x"],
        vec!["exec", secret],
        vec![secret],
        vec!["exec", "--store", "http://alice:s3cret@localhost"],
        vec!["exec"],
        vec!["sessions"],
        vec![],
    ] {
        let output = Command::new(&program).args(&arguments).env_remove("SESSION_REPO_STORE").stdin(Stdio::null()).output().await?;
        let stderr = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("s3cret") && !stderr.is_empty(), "{arguments:?}: {stderr}");
    }
    Ok(())
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_is_exit_status_1_before_any_line_is_read() -> anyhow::Result<()> {
    let closed = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    for uri in [
        format!("mongodb://alice:s3cret@{closed}/?serverSelectionTimeoutMS=300"),
        String::from("mongodb://alice:s3cret"),
        String::from("mongodb://alice:s3cret%40localhost/"),
        format!("mongodb://{closed}/?authMechanismProperties=s3cret"),
        format!("mongodb://{closed}/?authMechanism=s3cret"),
        format!("mongodb://alice:s3cret@{closed}/?w=0"),
        format!("mongodb://alice:s3cret@{closed}/?serverSelectionTimeoutMS=soon"),
    ] {
        for input in ["", "{\"id\": 1}\n"] {
            let begun = Instant::now();
            let run = run_on(&uri, "d", &[], input).await?;
            assert_eq!((run.status, run.stdout.as_str()), (Some(1), ""), "{uri}: {}", run.stderr);
            assert!(
                run.stderr.starts_with("session-repo: cannot open the store: ") && !run.stderr.contains("s3cret"),
                "{uri}: {}",
                run.stderr
            );
            assert!(begun.elapsed().as_secs() < 25, "long before the driver's own patience of 30 seconds ends");
        }
    }
    let run = run_on(&format!("mongodb://{closed}/?serverSelectionTimeoutMS=300"), "d", &[], "").await?;
    assert!(run.stderr.contains("unavailable") && run.stderr.contains(&closed.to_string()), "{}", run.stderr);
    let run = run_on(&format!("mongodb://{closed}/?serverSelectionTimeoutMS=soon"), "d", &[], "").await?;
    assert!(run.stderr.contains("`serverSelectionTimeoutMS`"), "{}", run.stderr);
    Ok(())
}

#[tokio::test]
async fn refused_calls_are_answers_and_not_failures() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let requests =
        [("metadata.update", json!({"session_id": "nobody", "metadata": {"a": 1}})), ("sessions.read", json!({"session_id": "s"}))];
    let run = run(&database, &["--concurrency", "1"], lines(&requests)).await?;
    assert_eq!((run.status, run.codes()), (Some(0), vec!["not-found", "ok"]));
    database.drop().await
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_the_program() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let mut child = Command::new(program().await?)
        .args(["exec", "--database", &database.name, "--collection", COLLECTION])
        .env("SESSION_REPO_STORE", mongodb_uri()?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    drop(child.stdout.take());
    // Stays open: nothing but the lost reader can end the program.
    let mut stdin = child.stdin.take().context("no stdin")?;
    stdin.write_all(lines(&[("sessions.create", json!({"session_id": "s"}))]).as_bytes()).await?;
    assert_eq!(child.wait().await?.code(), Some(1));
    drop(stdin);
    database.drop().await
}
