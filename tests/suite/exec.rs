//! The `exec` protocol, spoken to the real program.

mod archive;
mod protocol;
mod writes;

use crate::parity::calls;
use crate::run::{Desk, Site, finish};
use anyhow::Context;
use mongodb::bson::DateTime;
use serde_json::{Value, json};
use session_repository::Timestamp;
use session_repository_tests::Database;
use std::collections::{BTreeSet, HashMap};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Instant;
use tokio::io::AsyncWriteExt;

/// The program's exit status, its responses and what it wrote on stderr.
struct Run {
    status: Option<i32>,
    responses: Vec<Value>,
    stdout: String,
    stderr: String,
}

async fn run(site: &Site, options: &[&str], input: impl Into<Vec<u8>>) -> anyhow::Result<Run> {
    let ran = Desk::new()?.feed(site, &[&["exec"], options].concat(), input).await?;
    let stdout = String::from_utf8(ran.stdout)?;
    let responses = stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    Ok(Run { status: ran.status, responses, stdout, stderr: ran.stderr })
}

/// Has a test run on a store of each kind, with nothing in it.
async fn on_every_store(test: impl AsyncFn(&Site) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    for site in [Site::mongo(&database)?, desk.file_site("sessions.store"), Site::memory()] {
        test(&site).await.with_context(|| site.url.clone())?;
    }
    database.drop().await
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

/// Requests, one a line, numbered from 0.
fn lines(requests: &[(&str, Value)]) -> String {
    let line = |(id, (call, args)): (usize, &(&str, Value))| format!("{}\n", json!({"id": id, "call": call, "args": args}));
    requests.iter().enumerate().map(line).collect()
}

/// Each call at least once, on what the calls before it made.
fn every_call() -> Vec<(&'static str, Value)> {
    let agent = json!({"agent_id": "a", "model": "m", "state": {"n": 1.0}, "created_at": "ignored"});
    let message = json!({"message_id": 1, "role": "user", "content": "Hello!", "latency_ms": 5, "updated_at": 0});
    vec![
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
        ("agents.create", json!({"session_id": "t", "agent": {"agent_id": "a"}})),
        ("messages.append", json!({"session_id": "t", "agent_id": "a", "message": {"role": "user", "n": 1.0}})),
        ("messages.append-many", json!({"session_id": "t", "agent_id": "a", "messages": [{"n": 2}, {"n": 3}], "idempotency_key": "k"})),
        ("messages.list", json!({"session_id": "t", "agent_id": "a"})),
        ("sessions.read", json!({"session_id": "t"})),
    ]
}

#[tokio::test]
async fn every_call_answers_in_its_shape() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let requests = every_call();
    let run = run(&Site::mongo(&database)?, &["--concurrency", "1"], lines(&requests)).await?;
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
        json!({"session_id": "s", "session_type": "default", "created_at": created, "updated_at": created, "revision": 0}),
        json!({"session_id": "t", "session_type": "default", "created_at": stamp(1, "created_at"), "updated_at": stamp(1, "created_at"), "revision": 0}),
        json!({"session_id": "u", "session_type": "chat", "created_at": stamp(2, "created_at"), "updated_at": stamp(2, "created_at"), "revision": 0}),
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
        json!(null),
        json!({"message_id": 0}),
        json!({"first_message_id": 1}),
    ];
    let (as_expected, rest) = results.split_at(expected.len());
    assert_eq!(as_expected, expected);
    let bodies = [json!({"role": "user", "n": 1.0}), json!({"n": 2}), json!({"n": 3})];
    let messages = (0..).zip(bodies).map(|(id, body)| {
        let mut message = json!({"message_id": id, "created_at": true, "updated_at": true});
        message.as_object_mut().into_iter().for_each(|message| message.extend(body.as_object().cloned().unwrap_or_default()));
        message
    });
    let [listed, read] = rest else { panic!("{rest:?}") };
    assert_eq!(timeless(listed), Value::from_iter(messages));
    let session = json!({"session_id": "t", "session_type": "default", "created_at": true, "updated_at": true, "revision": 3});
    assert_eq!(timeless(read), session);
    assert_eq!(agent_updated, message_updated);
    database.drop().await
}

#[tokio::test]
async fn the_help_names_every_call() -> anyhow::Result<()> {
    let ran = finish(&mut Desk::new()?.bare(&["exec", "--help"]).await?, None).await?;
    // Those that `every_call` has are all that there are; `parity` compares them with the WIT.
    let made: BTreeSet<_> = every_call().into_iter().map(|(call, _)| call.to_owned()).collect();
    assert_eq!(calls().await?.into_keys().collect::<BTreeSet<_>>(), made);
    for (call, args) in every_call() {
        let line = ran.ok()?.lines().find(|line| line.split_whitespace().next() == Some(call));
        assert!(line.is_some_and(|line| line.contains("session_id")), "{call}: {}", ran.text()?);
        for (name, _) in args.as_object().into_iter().flatten() {
            assert!(ran.text()?.contains(name), "{name}: {}", ran.text()?);
        }
    }
    assert!(ran.text()?.contains("expected_revision") && ran.text()?.contains("stale"), "{}", ran.text()?);
    Ok(())
}

/// The same without its times, which must be such.
fn timeless(value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::from_iter(members.iter().map(|(name, value)| match value.as_str() {
            Some(time) if ["created_at", "updated_at"].contains(&name.as_str()) => {
                let is_time = Timestamp::parse(time).and_then(Timestamp::to_rfc3339).as_deref() == Some(time);
                (name.clone(), Value::Bool(is_time))
            }
            _ => (name.clone(), timeless(value)),
        })),
        Value::Array(items) => items.iter().map(timeless).collect(),
        other => other.clone(),
    }
}

#[tokio::test]
async fn every_store_gives_the_same_answers() -> anyhow::Result<()> {
    let (desk, database, requests) = (Desk::new()?, Database::fresh().await?, every_call());
    let mut answers = Vec::new();
    for site in [Site::mongo(&database)?, desk.file_site("sessions.store"), Site::memory()] {
        let run = run(&site, &["--concurrency", "1"], lines(&requests)).await?;
        assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""), "{}", site.url);
        let results: Vec<_> = run.responses.iter().map(|response| &response["result"]).collect();
        assert_eq!(results[0]["created_at"], results[0]["updated_at"]);
        assert_eq!(results[3], results[2], "a session is read as it was made");
        assert_eq!(results[14][0]["created_at"], results[11]["created_at"], "an update keeps the time of creation");
        answers.push(run.responses.iter().map(timeless).collect::<Vec<_>>());
    }
    assert_eq!(answers[0].len(), requests.len());
    assert_eq!((&answers[1], &answers[2]), (&answers[0], &answers[0]));
    database.drop().await
}

#[tokio::test]
async fn a_bad_command_line_is_exit_status_2_and_repeats_no_password() -> anyhow::Result<()> {
    let desk = Desk::new()?;
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
        vec!["sessions"],
        vec![],
    ] {
        let output = desk.bare(&arguments).await?.output().await?;
        let stderr = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("s3cret") && !stderr.is_empty(), "{arguments:?}: {stderr}");
    }
    Ok(())
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_is_exit_status_1_before_any_line_is_read() -> anyhow::Result<()> {
    let closed = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let on = |uri: &str| Site { url: uri.to_owned(), database: String::from("d") };
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
            let run = run(&on(&uri), &[], input).await?;
            assert_eq!((run.status, run.stdout.as_str()), (Some(1), ""), "{uri}: {}", run.stderr);
            assert!(
                run.stderr.starts_with("session-repo: cannot open the store: ") && !run.stderr.contains("s3cret"),
                "{uri}: {}",
                run.stderr
            );
            assert!(begun.elapsed().as_secs() < 25, "long before the driver's own patience of 30 seconds ends");
        }
    }
    let ran = run(&on(&format!("mongodb://{closed}/?serverSelectionTimeoutMS=300")), &[], "").await?;
    assert!(ran.stderr.contains("unavailable") && ran.stderr.contains(&closed.to_string()), "{}", ran.stderr);
    let ran = run(&on(&format!("mongodb://{closed}/?serverSelectionTimeoutMS=soon")), &[], "").await?;
    assert!(ran.stderr.contains("`serverSelectionTimeoutMS`"), "{}", ran.stderr);
    Ok(())
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_the_program() -> anyhow::Result<()> {
    on_every_store(async |site| {
        let desk = Desk::new()?;
        let mut child = desk.command(site, &["exec"]).await?.stdin(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        drop(child.stdout.take());
        // Stays open: nothing but the lost reader can end the program.
        let mut stdin = child.stdin.take().context("no stdin")?;
        stdin.write_all(lines(&[("sessions.create", json!({"session_id": "s"}))]).as_bytes()).await?;
        assert_eq!(child.wait().await?.code(), Some(1));
        drop(stdin);
        Ok(())
    })
    .await
}
