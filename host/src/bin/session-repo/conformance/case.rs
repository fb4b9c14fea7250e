//! Running a case: its steps, one after the other.

use super::data::{AtOnce, Case, Expected, Made, Outcome, Step, Writer};
use super::pattern::{Distinct, Matcher, Mismatch};
use super::subject::{Answer, Subject};
use super::values::{Scope, cut};
use futures_util::future::{BoxFuture, join_all};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Why a case failed.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// The call whose answer was wrong, or what else it is about.
    pub(super) step: String,
    pub(super) why: String,
}

impl Failure {
    fn new(step: impl Into<String>, why: impl ToString) -> Self {
        Self { step: step.into(), why: why.to_string() }
    }
}

/// Runs a case. Its session ids end in the suffix.
pub(super) async fn run(subject: &Subject, case: &Case, suffix: String) -> Result<(), Failure> {
    steps(subject, &case.steps, &mut Scope::new(suffix)).await
}

fn steps<'a>(subject: &'a Subject, all: &'a [Step], scope: &'a mut Scope) -> BoxFuture<'a, Result<(), Failure>> {
    Box::pin(async move {
        for step in all {
            match step {
                Step::Call(expected) => call(subject, expected, scope).await?,
                Step::Wait(_) => next_millisecond().await,
                Step::Later(step) => compare(&step.later, scope, "later than", |one, other| one > other)?,
                Step::NotEarlier(step) => compare(&step.not_earlier, scope, "not earlier than", |one, other| one >= other)?,
                Step::Repeat(repeat) => {
                    for n in 0..repeat.repeat {
                        inner(subject, &repeat.steps, scope, &repeat.name, json!(n)).await?;
                    }
                }
                Step::ForEach(each) => {
                    for value in &each.values {
                        let value = scope.value(value).map_err(|error| Failure::new("for-each", error))?;
                        inner(subject, &each.steps, scope, &each.name, value).await?;
                    }
                }
                Step::AtOnce(step) => at_once(subject, step, scope).await?,
            }
        }
        Ok(())
    })
}

/// Steps with a binding of their own. What they bind besides stays.
async fn inner(subject: &Subject, all: &[Step], scope: &mut Scope, name: &str, value: Value) -> Result<(), Failure> {
    let before = scope.bound.insert(name.to_owned(), value.clone());
    steps(subject, all, scope).await.map_err(|failure| Failure { step: format!("{} ({name}: {value})", failure.step), ..failure })?;
    match before {
        Some(before) => scope.bound.insert(name.to_owned(), before),
        None => scope.bound.remove(name),
    };
    Ok(())
}

async fn call(subject: &Subject, expected: &Expected, scope: &mut Scope) -> Result<(), Failure> {
    let step = || format!("{} {}", expected.call, cut(&expected.args.to_string()));
    let args = scope.arguments(&expected.args).map_err(|error| Failure::new(step(), error))?;
    let answer = subject.call(&expected.call, &args).await.map_err(|why| Failure::new(step(), why))?;
    let mut matcher = Matcher { scope, distinct: &mut Distinct::new() };
    fits(&mut matcher, (expected.result.as_ref(), expected.error.as_ref()), &answer).map_err(|why| Failure::new(step(), why))
}

/// Whether an answer is the expected one, a result or an error.
fn fits(matcher: &mut Matcher<'_>, expected: (Option<&Value>, Option<&Value>), answer: &Answer) -> Result<(), String> {
    let said = |mismatch: Mismatch| mismatch.to_string();
    match (expected, answer) {
        ((Some(pattern), None), Ok(result)) => matcher.fits(pattern, result).map_err(said),
        ((None, Some(pattern)), Err(error)) => matcher.fits(&json!({ "%object": pattern }), error).map_err(said),
        ((Some(_), None), Err(error)) => Err(format!("expected a result, got the error {}", cut(&error.to_string()))),
        ((None, Some(pattern)), Ok(result)) => {
            Err(format!("expected the error {}, got the result {}", cut(&pattern.to_string()), cut(&result.to_string())))
        }
        _ => Err(String::from("the case itself is wrong: it expects a result or an error, and not both")),
    }
}

fn compare(names: &[String; 2], scope: &Scope, relation: &str, is_right: fn(&str, &str) -> bool) -> Result<(), Failure> {
    let [one, other] = names.each_ref().map(|name| scope.bound.get(name).and_then(Value::as_str).unwrap_or_default());
    if !one.is_empty() && !other.is_empty() && is_right(one, other) {
        return Ok(());
    }
    let [one_name, other_name] = names;
    Err(Failure::new("times", format!("{one_name} ({one}) must be {relation} {other_name} ({other})")))
}

/// Waits until a stamp that is made after this differs from all that were made before.
async fn next_millisecond() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
    let begun = now();
    while now() <= begun {
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}

/// A call of a writer: its name, its arguments, and the loop variable that it was made with.
type Ready = (String, String, Option<Value>);

async fn at_once(subject: &Subject, step: &AtOnce, scope: &mut Scope) -> Result<(), Failure> {
    let wrong = |error: anyhow::Error| Failure::new("at-once", format!("the case itself is wrong: {error:#}"));
    let mut writers: Vec<Vec<Ready>> = Vec::new();
    for writer in &step.writers {
        match writer {
            Writer::Single(made) => writers.extend(ready(made, scope).map_err(wrong)?.into_iter().map(|call| vec![call])),
            Writer::InTurn(all) => {
                let calls = all.iter().map(|made| ready(made, scope)).collect::<anyhow::Result<Vec<_>>>().map_err(wrong)?;
                writers.push(calls.concat());
            }
        }
    }
    let answers = join_all(writers.into_iter().map(async |calls| {
        let mut answers = Vec::new();
        for (name, args, variable) in calls {
            let answer = subject.call(&name, &args).await.map_err(|why| Failure::new(format!("at once: {name}"), why))?;
            answers.push((name, variable, answer));
        }
        Ok::<_, Failure>(answers)
    }));
    let mut left: Vec<(&Outcome, u64)> = step.answers.iter().map(|outcome| (outcome, outcome.count)).collect();
    let mut distinct: HashMap<String, Vec<Vec<(i64, i64)>>> = HashMap::new();
    for answers in answers.await {
        let mut of_writer = Distinct::new();
        for (name, variable, answer) in answers? {
            let fit = left.iter_mut().filter(|(_, left)| *left > 0).find_map(|(outcome, left)| {
                let (mut tried, mut integers) = (scope.clone(), of_writer.clone());
                let mut matcher = Matcher { scope: &mut tried, distinct: &mut integers };
                fits(&mut matcher, (outcome.result.as_ref(), outcome.error.as_ref()), &answer).ok()?;
                *left -= 1;
                if let (Some(winner), Some(variable)) = (&outcome.winner, &variable) {
                    tried.bound.insert(winner.clone(), variable.clone());
                }
                Some((tried, integers))
            });
            let answer = || answer.as_ref().map_or_else(|error| format!("the error {error}"), |result| format!("the result {result}"));
            let unexpected = || Failure::new(format!("at once: {name}"), format!("no outcome is left that fits {}", cut(&answer())));
            (*scope, of_writer) = fit.ok_or_else(unexpected)?;
        }
        for (name, integers) in of_writer {
            distinct.entry(name).or_default().push(integers);
        }
    }
    if let Some((outcome, missing)) = left.iter().find(|(_, left)| *left > 0) {
        let expected = outcome.result.as_ref().or(outcome.error.as_ref()).map(Value::to_string).unwrap_or_default();
        return Err(Failure::new("at once", format!("{missing} answers more were to be {}", cut(&expected))));
    }
    distinct.into_iter().try_for_each(|(name, of_writers)| are_all(&name, &of_writers))
}

/// A call, as often as it is to be made.
fn ready(made: &Made, scope: &Scope) -> anyhow::Result<Vec<Ready>> {
    let call = |scope: &Scope, variable| Ok((made.call.clone(), scope.arguments(&made.args)?, variable));
    match (made.repeat, &made.name) {
        (Some(times), Some(name)) => (0..times).map(|n| call(&scope.with(name, json!(n)), Some(json!(n)))).collect(),
        (Some(times), None) => (0..times).map(|_| call(scope, None)).collect(),
        (None, _) => Ok(vec![call(scope, None)?]),
    }
}

/// Whether integers are 0, 1, 2, …, each once, and count up within each writer.
fn are_all(name: &str, of_writers: &[Vec<(i64, i64)>]) -> Result<(), Failure> {
    if let Some(falling) = of_writers.iter().find(|integers| !integers.is_sorted()) {
        return Err(Failure::new("at once", format!("{name} of one writer do not count up: {falling:?}")));
    }
    let mut all: Vec<i64> = of_writers.iter().flatten().flat_map(|(first, count)| (0..*count).map(move |n| first + n)).collect();
    all.sort_unstable();
    if all.iter().enumerate().any(|(index, integer)| i64::try_from(index) != Ok(*integer)) {
        return Err(Failure::new("at once", format!("{name} are not 0 to {}, each once: {}", all.len(), cut(&format!("{all:?}")))));
    }
    Ok(())
}
