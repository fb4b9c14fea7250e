//! Random sequences of calls against a store and against a plain model in memory: every answer must be the same.
//!
//! What fails is cut down to a short sequence and kept in `tests/regressions/model.txt`, which every later run tries first. The seeds there
//! hold only while the strategies stay as they are, so a failure worth keeping belongs among the tests below, too.

mod body;
mod operation;
mod paths;
mod reference;
mod told;

use super::next_millisecond;
use anyhow::{Context, anyhow, bail, ensure};
use body::Body;
use operation::{Call, Operation, SESSIONS, operations};
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestError, TestRunner};
use reference::{Reference, Tick};
use serde_json::{Value, json};
use session_repository::{Repository, Timestamp};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

/// How many sequences a run tries, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 64;
/// How many attempts it spends on cutting a failure down.
const SHRINKING: u32 = 4_000;
const FAILURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/regressions/model.txt");

contract! {
    async fn random_operations_are_answered_as_the_model_answers_them(repo) {
        let runtime = Handle::current();
        let agree = |operations: Vec<Operation>| {
            runtime.block_on(agrees(repo, &operations)).map_err(|difference| TestCaseError::fail(format!("{difference:#}")))
        };
        block_in_place(|| runner().run(&operations(), agree)).map_err(described)?;
    }

    async fn what_disagreed_once_agrees(repo) {
        for (number, calls) in kept().into_iter().enumerate() {
            let operations: Vec<_> = calls.into_iter().map(|call| Operation::new(SESSIONS[0], call)).collect();
            agrees(repo, &operations).await.with_context(|| format!("sequence {number}"))?;
        }
    }
}

/// Sequences that were found at random, each on one session.
fn kept() -> Vec<Vec<Call>> {
    let metadata = |fields: Value| Call::UpdateMetadata(Body::from(fields));
    vec![
        // Lower positions are set first, so what pads the array for the higher is not in their way.
        vec![Call::CreateSession(None), metadata(json!({"l": []})), metadata(json!({"l.1": {}, "l.0.a": {}}))],
    ]
}

fn runner() -> TestRunner {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { CASES };
    let failure_persistence = Some(Box::new(FileFailurePersistence::Direct(FAILURES)) as _);
    TestRunner::new(Config { cases, max_shrink_iters: SHRINKING, failure_persistence, ..Config::default() })
}

fn described(error: TestError<Vec<Operation>>) -> anyhow::Error {
    match error {
        TestError::Fail(difference, operations) => {
            let operations: String = operations.iter().map(|operation| format!("\n    {operation:?}")).collect();
            anyhow!("{difference}\nthe shortest sequence found:{operations}")
        }
        TestError::Abort(reason) => anyhow!("{reason}"),
    }
}

/// Performs a sequence on sessions of its own, then reads back all there is.
async fn agrees(repo: &Repository, operations: &[Operation]) -> anyhow::Result<()> {
    static SEQUENCES: AtomicUsize = AtomicUsize::new(0);
    let suffix = format!("#{}", SEQUENCES.fetch_add(1, Ordering::Relaxed));
    let (mut reference, mut times) = (Reference::default(), Times::default());
    for operation in operations {
        // No two have the same time, so that a time says which of them it is of.
        next_millisecond().await;
        agree(repo, &suffix, operation, &mut reference, &mut times).await?;
    }
    for read in reference.reads() {
        agree(repo, &suffix, &read, &mut reference, &mut times).await.context("reading back")?;
    }
    Ok(())
}

async fn agree(repo: &Repository, suffix: &str, operation: &Operation, reference: &mut Reference, times: &mut Times) -> anyhow::Result<()> {
    let begun = now()?;
    let revision = operation.expected.at(reference.revision(operation.on));
    let answered = operation::perform(repo, suffix, operation, revision).await;
    let tick = times.add(begun..=now()?);
    let expected = reference.answer(tick, operation, revision);
    match (&expected, &answered) {
        (Ok(expected), Ok(answered)) => {
            ensure!(answered.value == expected.value, "{operation:?}\n  answers {}\n instead of {}", answered.value, expected.value);
            for (tick, time) in expected.times.iter().zip(&answered.times) {
                times.meet(*tick, *time).with_context(|| format!("{operation:?}\n  answers {}", answered.value))?;
            }
        }
        (Err(expected), Err(answered)) if answered == expected => {}
        _ => bail!("{operation:?}\n  answers {answered:?}\n instead of {expected:?}"),
    }
    Ok(())
}

fn now() -> anyhow::Result<i64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis().try_into()?)
}

/// When each operation was under way, in milliseconds; exactly, once an answer has shown it.
#[derive(Default)]
struct Times(Vec<RangeInclusive<i64>>);

impl Times {
    fn add(&mut self, span: RangeInclusive<i64>) -> Tick {
        self.0.push(span);
        self.0.len() - 1
    }

    /// Takes a time as that of an operation.
    fn meet(&mut self, tick: Tick, Timestamp(time): Timestamp) -> anyhow::Result<()> {
        let span = &mut self.0[tick];
        ensure!(span.contains(&time), "with the time {time} instead of that of operation {tick}, {span:?}");
        *span = time..=time;
        Ok(())
    }
}
