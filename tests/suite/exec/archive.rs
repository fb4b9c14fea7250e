//! A history whose oldest messages are in MongoDB's archive is read and written like any other.

use super::{lines, run, timeless};
use crate::run::{Desk, Site};
use anyhow::ensure;
use serde_json::{Value, json};
use session_repository_tests::Database;

/// How many messages the history has.
const MESSAGES: usize = 600;

/// A long history, in appends of all kinds; then it is read and changed.
fn requests() -> Vec<(&'static str, Value)> {
    let args = |more: Value| {
        let mut args = json!({"session_id": "s", "agent_id": "a"});
        args.as_object_mut().into_iter().for_each(|args| args.extend(more.as_object().cloned().unwrap_or_default()));
        args
    };
    let body = |n: usize| json!({"role": "user", "content": format!("{n} {}", "x".repeat(n * 7 % 90)), "n": n, "latency_ms": 5});
    let mut requests = vec![
        ("sessions.create", json!({"session_id": "s"})),
        ("agents.create", json!({"session_id": "s", "agent": {"agent_id": "a"}})),
        ("agents.create", json!({"session_id": "s", "agent": {"agent_id": "b"}})),
        ("messages.append", json!({"session_id": "s", "agent_id": "b", "message": {"n": 0}})),
    ];
    let mut n = 0;
    while n < MESSAGES {
        let many = (n % 13).clamp(1, MESSAGES - n);
        match n % 3 {
            0 => requests.push(("messages.append-many", args(json!({"messages": (n..n + many).map(body).collect::<Vec<_>>()})))),
            1 => {
                let mut message = body(n);
                message["message_id"] = json!(n);
                requests.push(("messages.create", args(json!({"message": message}))));
            }
            _ => requests.push(("messages.append", args(json!({"message": body(n), "idempotency_key": format!("k{n}")})))),
        }
        n += if n % 3 == 0 { many } else { 1 };
    }
    let read = |requests: &mut Vec<_>| {
        for (limit, offset) in [(0, 0), (1, 0), (7, 3), (100, 250), (50, MESSAGES - 10), (5, MESSAGES), (MESSAGES, 1)] {
            requests.push(("messages.list", args(json!({"limit": limit, "offset": offset}))));
        }
        requests.push(("messages.list", args(json!({}))));
        for id in [0, 1, MESSAGES / 2, MESSAGES - 1, MESSAGES] {
            requests.push(("messages.read", args(json!({"message_id": id}))));
        }
        requests.push(("messages.list", json!({"session_id": "s", "agent_id": "b"})));
        requests.push(("agents.read", args(json!({}))));
        requests.push(("sessions.read", json!({"session_id": "s"})));
    };
    read(&mut requests);
    for id in [0, 5, MESSAGES / 2, MESSAGES - 1] {
        requests.push(("messages.update", args(json!({"message": {"message_id": id, "content": "[removed]"}}))));
    }
    for id in [1, 2] {
        // Taken ones, the same and another.
        let mut message = body(1);
        message["message_id"] = json!(id);
        requests.push(("messages.create", args(json!({"message": message}))));
    }
    read(&mut requests);
    requests
}

#[tokio::test]
async fn an_archived_history_answers_like_one_in_a_file() -> anyhow::Result<()> {
    let (desk, database, requests) = (Desk::new()?, Database::fresh().await?, requests());
    let (mongo, file) = (Site::mongo(&database)?, desk.file_site("sessions.store"));
    let archived = ["--concurrency", "1", "--archive-after", "1KiB"];
    let answers = [run(&mongo, &archived, lines(&requests)).await?, run(&file, &archived[..2], lines(&requests)).await?];
    for run in &answers {
        assert_eq!((run.status, run.stderr.as_str(), run.responses.len()), (Some(0), "", requests.len()));
    }
    for ((request, in_mongo), in_file) in requests.iter().zip(&answers[0].responses).zip(&answers[1].responses) {
        assert_eq!(timeless(in_mongo), timeless(in_file), "{request:?}");
    }
    let refused: Vec<_> = answers[0].responses.iter().filter_map(|response| response["error"]["code"].as_str()).collect();
    assert_eq!(refused, ["already-exists"]);
    let status: Value = serde_json::from_str(desk.run(&mongo, &["archive", "status", "s", "--json"]).await?.ok()?)?;
    let total =
        |agent: usize| [&status[agent]["messages"], &status[agent]["archived_messages"]].map(|count| count.as_u64().unwrap_or_default());
    let [left, moved] = total(0);
    ensure!(moved > 500 && left + moved == 600 && total(1) == [1, 0], "{status}");
    // The same without any archive, and as a fold back leaves it.
    let all = [("messages.list", json!({"session_id": "s", "agent_id": "a"}))];
    let listed = &run(&mongo, &["--archive-after", "never"], lines(&all)).await?.responses[0]["result"];
    assert_eq!(listed.as_array().map(Vec::len), Some(MESSAGES));
    assert_eq!(desk.run(&mongo, &["archive", "undo", "s"]).await?.ok()?, format!("folded {moved} messages back\n"));
    assert_eq!(&run(&mongo, &["--archive-after", "never"], lines(&all)).await?.responses[0]["result"], listed);
    database.drop().await
}
