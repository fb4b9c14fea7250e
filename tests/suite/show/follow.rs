//! `--follow`: what is printed while a conversation goes on.

use super::{agent, at, printed, seed, session, stored};
use crate::cli::Cli;
use anyhow::Context;
use mongodb::bson::{Document, doc};
use serde_json::json;
use session_repository_tests::Database;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

/// The program that follows a session, and what it prints. It ends with this.
struct Following {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    seen: String,
}

impl Following {
    async fn start(database: &Database, session: &str) -> anyhow::Result<Self> {
        let mut command = Cli { database }.command(&["show", session, "--follow"]).await?;
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        Ok(Self { child, lines, seen: String::new() })
    }

    /// Reads until a line holds a text.
    async fn until(&mut self, text: &str) -> anyhow::Result<()> {
        loop {
            let line = self.lines.next_line().await?.with_context(|| format!("ends before {text:?}: {}", self.seen))?;
            self.seen.push_str(&line);
            self.seen.push('\n');
            if line.contains(text) {
                return Ok(());
            }
        }
    }
}

#[tokio::test]
async fn follow_prints_what_arrives_until_it_is_interrupted() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let repo = database.repository().await?;
    repo.sessions().create("s", None).await?;
    repo.agents().create("s", "a", "{}").await?;
    repo.messages().create("s", "a", 0, json!({"role": "user", "content": "first"})).await?;
    let mut following = Following::start(&database, "s").await?;
    following.until("first").await?;
    repo.messages().create("s", "a", 1, json!({"role": "assistant", "content": "second"})).await?;
    following.until("second").await?;
    repo.feedback().add("s", json!({"rating": "up"})).await?;
    following.until("rating: up").await?;
    repo.agents().create("s", "b", json!({"model": "m"})).await?;
    following.until("new agents").await?;
    following.until("  b  m").await?;
    repo.messages().create("s", "b", 0, json!({"role": "user", "content": "third"})).await?;
    // What is printed already stays as it is; `a` goes on.
    repo.messages().update("s", "a", 0, json!({"role": "user", "content": "[removed]"})).await?;
    repo.messages().create("s", "a", 2, json!({"role": "user", "content": "fourth"})).await?;
    following.until("fourth").await?;
    let pid = following.child.id().context("it has ended")?.to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status()?.success());
    assert!(following.child.wait().await?.success(), "asked to end, it ends well");
    let mut rest = String::new();
    following.lines.into_inner().read_to_string(&mut rest).await?;
    let text = following.seen + &rest;
    let (a, b) = (|id| (String::from("a"), id), |id| (String::from("b"), id));
    assert_eq!(printed(&text), [a(0), a(1), b(0), a(2)], "{text}");
    assert_eq!((text.matches("rating").count(), text.matches("agents").count(), text.contains("[removed]")), (1, 2, false), "{text}");
    repo.close().await;
    database.drop().await
}

#[tokio::test]
async fn follow_finds_what_comes_late_and_prints_nothing_twice() -> anyhow::Result<()> {
    let message = |id: i64, seconds: i64| stored(id, seconds, doc! { "role": "user", "content": format!("says {id}.") });
    let feedback = |id: i64, seconds: i64| doc! { "entry": id, "created_at": at(seconds) };
    let mut document = session(doc! {
        "short": agent(doc! {}, (0..3).map(|id| message(id, 10 * id)).collect()),
        // More than are known again after they were printed.
        "long": agent(doc! {}, (1_000..2_100).map(|id| message(id, id)).collect()),
        "marks": agent(doc! {}, vec![]),
    });
    document.insert("feedbacks", vec![feedback(1, 5_000), feedback(2, 6_000)]);
    let database = seed(document).await?;
    let push = async |field: &str, item: Document| {
        let mut push = Document::new();
        push.insert(field, item);
        database.documents().update_one(doc! { "_id": "user-123" }, doc! { "$push": push }).await
    };
    let mut following = Following::start(&database, "user-123").await?;
    following.until("entry: 2").await?;
    for (round, (field, item)) in (0..).zip([
        // Written now by hosts whose clocks are behind.
        ("agents.short.messages", message(3, 15)),
        ("agents.short.messages", message(4, 15)),
        ("agents.short.messages", message(5, 5)),
        ("agents.long.messages", message(2_100, 2_050)),
        ("feedbacks", feedback(3, 5_500)),
        ("agents.short.messages", message(6, 60)),
        // Too long ago to be noticed among what is there.
        ("agents.long.messages", message(2_101, 1_001)),
        ("agents.long.messages", message(2_102, 2_300)),
    ]) {
        push(field, item).await?;
        // The look that finds the second mark begins after the first was printed, so it finds what was there before.
        for mark in [10_000 + 2 * round, 10_001 + 2 * round] {
            push("agents.marks.messages", message(mark, mark)).await?;
            following.until(&format!("says {mark}.")).await?;
        }
    }
    let mut ids: Vec<_> = printed(&following.seen).into_iter().map(|(_, id)| id).filter(|id| *id < 10_000).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..7).chain(1_000..2_101).chain([2_102]).collect::<Vec<_>>());
    let entries: Vec<_> = following.seen.lines().filter_map(|line| line.strip_prefix("  entry: ")).collect();
    assert_eq!(entries, ["1", "2", "3"]);
    database.drop().await
}
