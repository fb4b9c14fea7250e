//! A file that cannot grow.

use super::child::Exec;
use super::{a, open};
use anyhow::Context;
use serde_json::{Value, json};
use session_repository::{Page, Store};
use session_repository_tests::program;
use tokio::process::Command;

fn create_message(id: usize, length: usize) -> String {
    let message = json!({"message_id": id, "content": "x".repeat(length)});
    format!("{}\n", json!({"id": id, "call": "messages.create", "args": {"session_id": "s", "agent_id": "a", "message": message}}))
}

/// What came of the requests, by their ids: nothing, or the code of an error.
async fn outcomes(exec: &mut Exec, count: usize) -> anyhow::Result<Vec<Option<String>>> {
    let mut outcomes = vec![None; count];
    for _ in 0..count {
        let answer = exec.answer().await?.context("the program ended")?;
        let id: usize = serde_json::from_value(answer["id"].clone())?;
        outcomes[id] = answer["error"]["code"].as_str().map(str::to_owned);
    }
    Ok(outcomes)
}

#[tokio::test]
async fn a_store_whose_file_cannot_grow_keeps_what_it_has_and_goes_on() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store");
    // A limit on the size of files stands for the full disk. Its signal is ignored, as a full disk sends none.
    let mut command = Command::new("sh");
    command.args(["-c", r#"trap '' XFSZ; ulimit -f "$0"; exec "$@""#, "8192"]).arg(program().await?);
    command.args(["exec", "--concurrency", "1", "--store", &format!("file:{}", file.display())]);
    let mut requests = format!("{}\n", json!({"id": 0, "call": "sessions.create", "args": {"session_id": "s"}}));
    requests += &format!("{}\n", json!({"id": 1, "call": "agents.create", "args": {"session_id": "s", "agent": {"agent_id": "a"}}}));
    // Large ones until it is full, then smaller and smaller ones.
    let lengths: Vec<usize> = [vec![300_000; 20], vec![100_000; 5], vec![10_000; 5], vec![1000; 5], vec![10; 5]].concat();
    requests.extend(lengths.iter().enumerate().map(|(index, length)| create_message(index + 2, *length)));
    let mut exec = Exec::spawn(command, &requests)?;
    let outcomes = outcomes(&mut exec, lengths.len() + 2).await?;
    exec.end().await?;

    let refused = outcomes.iter().position(Option::is_some).context("nothing was refused")?;
    assert!(outcomes.iter().flatten().all(|code| code == "unavailable"), "{outcomes:?}");
    assert!(outcomes[refused..].iter().any(Option::is_none), "a write that needs no more room succeeds after one that does: {outcomes:?}");
    let store = open(&file).await?;
    let stored = store.list_messages(&a(), Page::default(), &[]).await?;
    for (index, length) in lengths.iter().enumerate() {
        let (id, outcome) = (i64::try_from(index + 2)?, &outcomes[index + 2]);
        match stored.iter().find(|message| message.message_id == id) {
            Some(message) => assert_eq!(message.body.parse::<Value>()?, json!({"content": "x".repeat(*length)}), "message {id}"),
            None => assert!(outcome.is_some(), "message {id} was acknowledged"),
        }
    }
    store.close().await;
    // Where there is room again, it goes on.
    let mut exec = Exec::start(&file, &create_message(1000, 1_000_000)).await?;
    assert_eq!(exec.result().await?, Some(json!(1000)));
    exec.end().await
}

/// After a failure the store opens its file again, and removes what no import has completed.
#[tokio::test]
async fn an_import_goes_not_on_after_a_failure_that_removed_its_beginning() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store");
    let import = program().await?.with_file_name("import-through-failure");
    let mut command = Command::new("sh");
    command.args(["-c", r#"trap '' XFSZ; ulimit -f "$0"; exec "$@""#, "32768"]).arg(import).arg(&file).args(["4000", "15000000"]);
    let output = command.output().await?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let outcome: Value = serde_json::from_slice(&output.stdout)?;
    let expected = json!({"refused": "unavailable", "after": null, "imported": {"Err": "unavailable"}, "there": false, "messages": 0});
    assert_eq!(outcome, expected);
    Ok(())
}
