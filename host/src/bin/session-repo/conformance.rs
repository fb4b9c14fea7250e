//! `session-repo conformance`: whether a component, a storage or a program keeps the promises of a session repository.

mod case;
mod coverage;
mod data;
mod pattern;
mod report;
mod storage;
mod subject;
mod values;

pub(crate) use data::Level;

use crate::args::ConformanceArgs;
use crate::failure::failed;
use crate::output::{self, print, print_exact};
use crate::place::Place;
use crate::plugin::load;
use crate::prepare;
use crate::refusal::refuse;
use anyhow::{Context, bail};
use data::{Case, Suite};
use futures_util::StreamExt;
use report::Ran;
use session_repository::Repository;
use std::fs::File;
use std::io::Write as _;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use subject::{Program, Subject};

/// Cases that run at once: each has sessions of its own.
const AT_ONCE: usize = 8;

/// Runs the cases that are asked for, or lists them.
pub(crate) async fn run(place: &Place, args: ConformanceArgs) -> anyhow::Result<()> {
    let suite = Suite::read()?;
    let chosen = |case: &&Case| case.level <= args.level && (args.only.is_empty() || args.only.iter().any(|part| case.name.contains(part)));
    let cases: Vec<&Case> = suite.cases.iter().filter(chosen).collect();
    if cases.is_empty() {
        refuse(&["conformance"], &format!("no case of this level has {} in its name", args.only.join(" or ")));
    }
    if args.list {
        return list(&suite, &cases, args.output.json);
    }
    if place.is_named() && (args.exec.is_some() || args.storage.is_some()) {
        refuse(&["conformance"], "--store has no effect with --exec or --storage");
    }
    // Before the cases are run: a report that cannot be written is known then.
    let junit = args.junit.as_ref().map(|file| File::create(file).with_context(|| file.display().to_string())).transpose()?;
    let subject = subject(place, &args).await?;
    let run_id = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos());
    let bar = output::progress("{spinner} {pos} of {len} cases {wide_bar} {eta}");
    bar.set_length(cases.len() as u64);
    let runs = cases.iter().enumerate().map(|(number, case)| {
        let (subject, bar, suffix) = (&subject, &bar, format!("~{run_id:x}-{number}"));
        async move {
            let begun = Instant::now();
            let failure = case::run(subject, case, suffix).await.err();
            bar.inc(1);
            Ran { case, failure, took: begun.elapsed() }
        }
    });
    let ran: Vec<Ran<'_>> = futures_util::stream::iter(runs).buffered(AT_ONCE).collect().await;
    bar.finish_and_clear();
    let closed = subject.close().await;
    if let Some(mut file) = junit {
        file.write_all(report::junit(&ran).as_bytes()).context("the JUnit report")?;
    }
    if args.output.json {
        print_exact(&report::json(&ran).to_string())?
    } else {
        print(&report::text(&ran))?
    }
    closed?;
    match report::failed(&ran) {
        0 => Ok(()),
        1 => bail!("a case failed"),
        many => bail!("{many} cases failed"),
    }
}

/// What is tested: the component of this program unless something else is named.
async fn subject(place: &Place, args: &ConformanceArgs) -> anyhow::Result<Subject> {
    if let Some(command) = &args.exec {
        return Ok(Subject::Program(Box::new(Program::start(command)?)));
    }
    prepare::component()?;
    if let Some(file) = &args.storage {
        let (store, ticker) = storage::start(file).await?;
        let repository = Repository::builder(store).build().map_err(|error| failed(&error))?;
        return Ok(Subject::Repository { repository, ticker: Some(ticker) });
    }
    let opened = place.or_in_memory().open().await?;
    let builder = match &args.component {
        Some(file) => opened.builder().component(load::read(file)?),
        None => opened.builder(),
    };
    Ok(Subject::Repository { repository: builder.build().map_err(|error| failed(&error))?, ticker: None })
}

/// The cases, and how many there are about each promise.
fn list(suite: &Suite, cases: &[&Case], json: bool) -> anyhow::Result<()> {
    let coverage = coverage::of(suite);
    if json {
        let case =
            |case: &&Case| serde_json::json!({"name": case.name, "level": case.level.name(), "file": case.file, "about": case.about});
        let covered: serde_json::Map<_, _> = coverage.iter().map(|covered| (covered.promise.clone(), covered.cases.into())).collect();
        let unknown = coverage::unknown(suite);
        let list = serde_json::json!({"cases": cases.iter().map(case).collect::<Vec<_>>(), "coverage": covered, "unknown": unknown});
        return print_exact(&list.to_string());
    }
    let mut text = String::new();
    for case in cases {
        text += &format!("{:<8} {}\n", case.level.name(), case.name);
    }
    text += &format!("\n{} cases. Cases about each function, each of its errors and each rule:\n\n", cases.len());
    for covered in coverage {
        let about = suite.rules.iter().find(|rule| rule.name == covered.promise).map(|rule| format!("  {}", rule.about));
        text += &format!("{:>4}  {}{}\n", covered.cases, covered.promise, about.unwrap_or_default());
    }
    print(text.trim_end())
}
