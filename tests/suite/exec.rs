//! The `exec` protocol, spoken to the real program.

mod archive;
mod arguments;
mod protocol;
mod writes;

use crate::run::{Desk, Site, finish};
use crate::samples::{Sample, of_nothing, samples, samples_that};
use anyhow::Context;
use mongodb::bson::DateTime;
use serde_json::{Value, json};
use session_repository::Timestamp;
use session_repository_tests::Database;
use std::collections::HashMap;
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

/// Each call at least once, with its result without times.
fn every_call() -> Vec<(&'static str, Value, Value)> {
    let others = vec![
        ("sessions.create", json!({"session_id": "t", "session_type": null}), session("t", "default", 0)),
        ("sessions.create", json!({"session_id": "u", "session_type": "chat"}), session("u", "chat", 0)),
        ("sessions.read", json!({"session_id": "u"}), session("u", "chat", 0)),
        ("agents.read", json!({"session_id": "s", "agent_id": "b"}), json!(null)),
        (
            "agents.read",
            json!({"session_id": "s", "agent_id": "a"}),
            json!({"agent_id": "a", "model": "m", "state": {}, "created_at": true, "updated_at": true}),
        ),
        ("messages.read", json!({"session_id": "s", "agent_id": "a", "message_id": 9}), json!(null)),
        (
            "messages.read",
            json!({"session_id": "s", "agent_id": "a", "message_id": 0}),
            json!({"message_id": 0, "role": "user", "created_at": true, "updated_at": true}),
        ),
        (
            "messages.list",
            json!({"session_id": "s", "agent_id": "a", "limit": null, "offset": 3}),
            json!([{"message_id": 3, "n": 3, "created_at": true, "updated_at": true}]),
        ),
        ("messages.list", json!({"session_id": "s", "agent_id": "a", "limit": null, "offset": 4}), json!([])),
        ("metadata.get", json!({"session_id": "t"}), json!({"metadata": {}})),
        ("sessions.read", json!({"session_id": "s"}), session("s", "default", 9)),
    ];
    samples().into_iter().map(|sample| (sample.call, sample.args, sample.result)).chain(others).collect()
}

fn session(session_id: &str, session_type: &str, revision: u64) -> Value {
    json!({"session_id": session_id, "session_type": session_type, "created_at": true, "updated_at": true, "revision": revision})
}

#[tokio::test]
async fn every_call_answers_in_its_shape_on_every_store() -> anyhow::Result<()> {
    let (desk, database, calls) = (Desk::new()?, Database::fresh().await?, every_call());
    let requests: Vec<_> = calls.iter().map(|(call, args, _)| (*call, args.clone())).collect();
    for site in [Site::mongo(&database)?, desk.file_site("sessions.store"), Site::memory()] {
        let run = run(&site, &["--concurrency", "1"], lines(&requests)).await?;
        assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""), "{}", site.url);
        assert_eq!(run.responses.len(), calls.len());
        for (id, ((call, args, result), response)) in calls.iter().zip(&run.responses).enumerate() {
            assert_eq!(response["id"], id, "with one call in flight, answers come in order");
            assert_eq!(
                (timeless(response), response.get("error")),
                (json!({"id": id, "result": result}), None),
                "{}: {call} {args}",
                site.url
            );
        }
        times_are_those_of_the_writes(&run.responses.iter().map(|response| &response["result"]).collect::<Vec<_>>(), &calls);
    }
    // What is told is what is stored.
    let stored = database.document("s").await?;
    let agent = stored.get_document("agents")?.get_document("a")?;
    let message = agent.get_array("messages")?.first().and_then(|message| message.as_document()).context("no message")?;
    let reads = [
        ("sessions.read", json!({"session_id": "s"})),
        ("agents.read", json!({"session_id": "s", "agent_id": "a"})),
        ("messages.read", json!({"session_id": "s", "agent_id": "a", "message_id": 0})),
    ];
    let ran = run(&Site::mongo(&database)?, &["--concurrency", "1"], lines(&reads)).await?;
    assert_eq!(ran.responses.len(), reads.len());
    for (response, stored) in ran.responses.iter().zip([&stored, agent, message]) {
        let told = &response["result"];
        for field in ["created_at", "updated_at"] {
            assert_eq!(told[field], text(stored.get_datetime(field)?), "{field} of {told}");
        }
    }
    database.drop().await
}

/// Checks that the times in results tell which write they come from.
fn times_are_those_of_the_writes(results: &[&Value], calls: &[(&str, Value, Value)]) {
    let result = |name: &str, number: usize| {
        let of_call = calls.iter().zip(results).filter(|((call, args, _), _)| *call == name && args["session_id"] == "s");
        of_call.map(|(_, result)| *result).nth(number).unwrap_or(&Value::Null)
    };
    let (created, read) = (result("sessions.create", 0), result("sessions.read", 0));
    assert_eq!((&created["updated_at"], read), (&created["created_at"], created), "a session is read as it was made");
    for (name, updated) in [("agents.read", 2), ("messages.read", 2)] {
        let (made, later) = (result(name, 0), result(name, updated));
        assert_eq!(
            (&made["updated_at"], &later["created_at"]),
            (&made["created_at"], &made["created_at"]),
            "an update keeps the time of creation"
        );
    }
}

/// A time as the protocol has it.
fn text(date: &DateTime) -> String {
    let (seconds, millis) = (date.timestamp_millis().div_euclid(1000), date.timestamp_millis().rem_euclid(1000));
    let whole = DateTime::from_millis(seconds * 1000).try_to_rfc3339_string().unwrap_or_default();
    whole.replace('Z', &format!(".{millis:03}Z"))
}

#[tokio::test]
async fn every_read_of_a_session_that_is_not_there_finds_nothing() -> anyhow::Result<()> {
    let reads = samples_that(false).await?;
    let requests: Vec<_> = reads.iter().map(|read| (read.call, read.args.clone())).collect();
    on_every_store(async |site| {
        let run = run(site, &["--concurrency", "1"], lines(&requests)).await?;
        let results: Vec<_> = run.responses.iter().map(|response| response["result"].clone()).collect();
        assert_eq!(results, reads.iter().map(|read| of_nothing(read.call)).collect::<Vec<_>>());
        assert!(run.codes().iter().all(|code| *code == "ok"), "{}", run.stdout);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_help_names_every_call() -> anyhow::Result<()> {
    let ran = finish(&mut Desk::new()?.bare(&["exec", "--help"]).await?, None).await?;
    for Sample { call, args, .. } in samples() {
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
