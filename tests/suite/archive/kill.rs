//! The real program, killed at each step of what concerns the archive: before the server sees the step's command, and after it has done
//! it.

use super::PATIENCE;
use super::history::{Place, SMALL, Said, Witnesses, body};
use super::proxy::{Command, Moment, Plan, Proxy, Step, at_step};
use crate::run::{Desk, Site};
use anyhow::{Context, ensure};
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
                desk.lame.update_lamely(session, 2, new.clone()).await?;
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
    kill_at_each_step(Operation::Append, &[Step::Write, Step::Index, Step::Seal, Step::WriteBlocks, Step::CommitMove]).await
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
    kill_at_each_step(Operation::Run, &[Step::Index, Step::Seal, Step::WriteBlocks, Step::CommitMove]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_undo_that_is_killed_at_any_step() -> anyhow::Result<()> {
    kill_at_each_step(Operation::Undo, &[Step::Fold, Step::DeleteBlocks]).await
}

/// A mover that finds what another one has left is killed, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_mover_that_is_killed_at_any_step() -> anyhow::Result<()> {
    let bench = Bench::set_up().await?;
    for (first, first_moment) in
        [(Step::WriteBlocks, Moment::Before), (Step::WriteBlocks, Moment::After), (Step::CommitMove, Moment::Before)]
    {
        for second in [Step::TakeOver, Step::WriteBlocks, Step::ReplaceBlock, Step::CommitMove] {
            for moment in [Moment::Before, Moment::After] {
                // Blocks are replaced only where the first one has written them.
                if second == Step::ReplaceBlock && (first, first_moment) == (Step::WriteBlocks, Moment::Before) {
                    continue;
                }
                let session = format!("{first:?} {first_moment:?} {second:?} {moment:?}");
                let (before, after) = Operation::Run.prepare(&bench, &session).await?;
                for (step, moment) in [(first, first_moment), (second, moment)] {
                    let mut proxy = Proxy::start(at_step(step, 0, Plan::Hold(moment))).await?;
                    let mut child = Operation::Run.start(&bench.desk, &bench.site(&proxy), &session).await?;
                    let held = proxy.held().await?;
                    child.kill().await?;
                    drop((held, proxy));
                    if step == second {
                        bench.examine(child, &session, (before.clone(), after.clone()), false).await.context(session.clone())?;
                        break;
                    }
                    bench.witnesses.check(&session, &before).await.context(session.clone())?;
                }
            }
        }
    }
    bench.clear().await
}

/// A mover that fails, and does not die, lets others move at once: it gives back its claim.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mover_that_fails_gives_back_its_claim() -> anyhow::Result<()> {
    let bench = Bench::set_up().await?;
    for step in [Step::WriteBlocks, Step::CommitMove] {
        let session = format!("{step:?}");
        let (before, _) = Operation::Run.prepare(&bench, &session).await?;
        let proxy = Proxy::start(at_step(step, 0, Plan::Cut(Moment::Before))).await?;
        let place = Place::through(&proxy.uri(), &bench.database, Some(SMALL)).await?;
        let failed = place.store.archive_run(&session).await;
        ensure!(matches!(failed, Err(session_repository::Error::Unavailable(_))), "{failed:?}");
        place.close().await;
        let document = bench.database.document(&session).await?;
        let agent = document.get_document("agents")?.get_document("a")?;
        ensure!(agent.get_document("archive")?.get("claimed").is_none() && agent.contains_key("moving"), "{agent:?}");
        bench.witnesses.check(&session, &before).await?;
        // So an append completes the move, and goes on.
        bench.witnesses.archiving.append(&session, 8..9).await?;
        let status = bench.witnesses.archiving.store.archive_status(&session).await?.context("no session")?;
        ensure!(status[0].moving_bytes == 0 && status[0].archived_messages > 0, "{status:?}");
        let mut expected = before;
        expected.push((8, body(8)));
        bench.witnesses.go_on(&bench.database, &session, expected).await?;
    }
    bench.clear().await
}
