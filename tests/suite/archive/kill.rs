//! The real program, killed at each step of what concerns the archive: before the server sees the step's command, and after it has done
//! it.

use super::PATIENCE;
use super::history::{Place, SMALL, Said, Witnesses, body};
use super::proxy::{Command, Moment, Plan, Proxy, Step, at_step};
use crate::run::{Desk, Site};
use anyhow::{Context, ensure};
use mongodb::bson::doc;
use serde_json::{Value, json};
use session_repository_tests::Database;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;
use tokio::time::timeout;

/// What the program does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    /// It appends to a history that is too long then.
    Append,
    /// It updates an archived message, after an update that the block still lacks.
    Update,
    /// The same with a message that does not stay in the session's document.
    LargeUpdate,
    Run,
    Undo,
}

impl Operation {
    /// Makes a history for it: what it is before, and what it is after.
    async fn prepare(self, desk: &Bench, session: &str) -> anyhow::Result<(Said, Said)> {
        let (archiving, never) = (&desk.witnesses.archiving, &desk.witnesses.never);
        let before = match self {
            Self::Append => never.seed(session, 6).await?,
            Self::Run => never.seed(session, 8).await?,
            Self::Undo | Self::Update | Self::LargeUpdate => {
                let mut history = archiving.seed(session, 8).await?;
                let new = json!({"pending": true});
                desk.lame.update(session, 2, new.clone()).await?;
                history[2].1 = new;
                history
            }
        };
        let mut after = before.clone();
        match self {
            Self::Append => after.push((6, body(6))),
            Self::Run | Self::Undo => {}
            Self::Update | Self::LargeUpdate => after[1].1 = self.replacement(),
        }
        Ok((before, after))
    }

    fn replacement(self) -> Value {
        json!({"new": "z".repeat(if self == Self::LargeUpdate { 5_000 } else { 10 })})
    }

    /// Starts it; it ends by itself.
    async fn start(self, desk: &Desk, site: &Site, session: &str) -> anyhow::Result<Child> {
        let (call, message) = match self {
            Self::Append => ("messages.append", body(6)),
            _ => ("messages.update", self.replacement()),
        };
        let mut args = json!({"session_id": session, "agent_id": "a", "message": message});
        if self != Self::Append {
            args["message"]["message_id"] = json!(1);
        }
        let arguments = match self {
            Self::Run => ["archive", "run", session],
            Self::Undo => ["archive", "undo", session],
            _ => ["exec", "--concurrency", "1"],
        };
        let mut command = desk.command(site, &[&arguments[..], &["--archive-after", "1KiB"]].concat()).await?;
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::inherit()).env("RUST_LOG", "off").spawn()?;
        let mut stdin = child.stdin.take().context("no stdin")?;
        stdin.write_all(format!("{}\n", json!({"id": 1, "call": call, "args": args})).as_bytes()).await.ok();
        Ok(child)
    }
}

/// What the cases of a test share.
struct Bench {
    desk: Desk,
    database: Database,
    witnesses: Witnesses,
    /// A place whose updates of the archive never reach the blocks.
    lame: Place,
    _proxy: Proxy,
}

impl Bench {
    async fn set_up() -> anyhow::Result<Self> {
        let database = Database::fresh().await?;
        let is_lame = |command: &Command| match command.step() {
            Some(Step::UpdateBlock) => Plan::Cut(Moment::Before),
            _ => Plan::Pass,
        };
        let proxy = Proxy::start(is_lame).await?;
        let lame = Place::through(&proxy.uri(), &database, Some(SMALL)).await?;
        Ok(Self { desk: Desk::new()?, witnesses: Witnesses::open(&database).await?, database, lame, _proxy: proxy })
    }

    async fn clear(self) -> anyhow::Result<()> {
        self.lame.close().await;
        self.witnesses.close().await;
        self.database.drop().await
    }

    fn site(&self, proxy: &Proxy) -> Site {
        Site { url: proxy.uri(), database: self.database.name.clone() }
    }

    /// The steps of an operation that nobody disturbs.
    async fn steps(&self, operation: Operation) -> anyhow::Result<Vec<Step>> {
        let steps: Arc<Mutex<Vec<Step>>> = Arc::default();
        let seen = Arc::clone(&steps);
        let record = move |command: &Command| {
            seen.lock().unwrap_or_else(PoisonError::into_inner).extend(command.step());
            Plan::Pass
        };
        let proxy = Proxy::start(record).await?;
        let (_, after) = operation.prepare(self, "dry").await?;
        let child = operation.start(&self.desk, &self.site(&proxy), "dry").await?;
        let output = timeout(PATIENCE, child.wait_with_output()).await??;
        ensure!(output.status.success(), "{operation:?}: {}", String::from_utf8_lossy(&output.stdout));
        self.witnesses.check("dry", &after).await?;
        Ok(std::mem::take(&mut *steps.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Kills the program at the n-th of such steps.
    async fn kill(&self, operation: Operation, (step, n): (Step, usize), moment: Moment, undo: bool) -> anyhow::Result<()> {
        let session = format!("{operation:?} {step:?} {n} {moment:?} {undo}");
        let (before, after) = operation.prepare(self, &session).await?;
        let mut proxy = Proxy::start(at_step(step, n, Plan::Hold(moment))).await?;
        let mut child = operation.start(&self.desk, &self.site(&proxy), &session).await?;
        let held = proxy.held().await?;
        child.kill().await?;
        drop((held, proxy));
        self.examine(child, &session, (before, after), undo).await.context(session)
    }

    /// Looks at what the killed program has left behind, and goes on with it.
    async fn examine(&self, mut child: Child, session: &str, (before, after): (Said, Said), undo: bool) -> anyhow::Result<()> {
        let mut answer = String::new();
        child.stdout.take().context("no stdout")?.read_to_string(&mut answer).await?;
        let found = self.witnesses.read(session).await?;
        ensure!(found == after || (found == before && !answer.contains("result")), "{answer}: {found:?}");
        self.witnesses.check(session, &found).await?;
        if undo {
            self.witnesses.fold_back(&self.database, session, &found).await?;
        }
        self.witnesses.go_on(&self.database, session, found).await
    }

    async fn kill_at_each_step(&self, operation: Operation, expected: &[Step]) -> anyhow::Result<()> {
        let steps = self.steps(operation).await?;
        for step in expected {
            ensure!(steps.contains(step), "{operation:?} has no step {step:?}: {steps:?}");
        }
        for (at, step) in steps.iter().enumerate() {
            let n = steps.iter().take(at).filter(|earlier| *earlier == step).count();
            for moment in [Moment::Before, Moment::After] {
                for undo in [false, true] {
                    self.kill(operation, (*step, n), moment, undo).await?;
                }
            }
        }
        Ok(())
    }
}

async fn kill_at_each_step(operation: Operation, expected: &[Step]) -> anyhow::Result<()> {
    let bench = Bench::set_up().await?;
    bench.kill_at_each_step(operation, expected).await?;
    bench.clear().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_that_is_killed_at_any_step_of_its_moves() -> anyhow::Result<()> {
    kill_at_each_step(Operation::Append, &[Step::Write, Step::Index, Step::Claim, Step::WriteBlock, Step::CommitMove]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_of_the_archive_that_is_killed_at_any_step() -> anyhow::Result<()> {
    kill_at_each_step(Operation::Update, &[Step::UpdateBlock, Step::CommitUpdate]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_update_of_the_archive_that_is_killed_at_any_step() -> anyhow::Result<()> {
    kill_at_each_step(Operation::LargeUpdate, &[Step::UpdateBlock, Step::CommitUpdate, Step::ForgetRedo]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_run_that_is_killed_at_any_step() -> anyhow::Result<()> {
    kill_at_each_step(Operation::Run, &[Step::Index, Step::Claim, Step::WriteBlock, Step::CommitMove]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_undo_that_is_killed_at_any_step() -> anyhow::Result<()> {
    kill_at_each_step(Operation::Undo, &[Step::Fold, Step::DeleteBlocks]).await
}

/// A mover whose messages change each time gives up and lets others move; it is killed there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mover_that_is_killed_when_it_gives_up() -> anyhow::Result<()> {
    let bench = Bench::set_up().await?;
    for moment in [Moment::Before, Moment::After] {
        let session = format!("{moment:?}");
        let (mut before, mut after) = Operation::Append.prepare(&bench, &session).await?;
        let rule = move |command: &Command| match command.step() {
            Some(Step::CommitMove) => Plan::Hold(Moment::Before),
            Some(Step::Release) => Plan::Hold(moment),
            _ => Plan::Pass,
        };
        let mut proxy = Proxy::start(rule).await?;
        let mut child = Operation::Append.start(&bench.desk, &bench.site(&proxy), &session).await?;
        let mut changes = 0;
        let last = loop {
            let held = proxy.held().await?;
            if held.command.step() == Some(Step::Release) {
                break held;
            }
            let new = json!({"change": changes, "text": "x".repeat(150)});
            bench.witnesses.never.update(&session, 0, new.clone()).await?;
            (before[0].1, after[0].1) = (new.clone(), new);
            changes += 1;
            held.resume();
        };
        ensure!(changes == 3, "it gave up after {changes} changes");
        child.kill().await?;
        drop((last, proxy));
        let is_claimed = doc! { "_id": &session, "agents.a.archive.claimed": { "$exists": true } };
        let claimed = bench.database.documents().count_documents(is_claimed).await?;
        ensure!(claimed == u64::from(moment == Moment::Before), "its release");
        bench.examine(child, &session, (before, after), false).await?;
    }
    bench.clear().await
}
