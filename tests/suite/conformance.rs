//! The conformance suite: our repository passes it on each store and in each flavour, it covers what is promised, and it finds who breaks it.

mod program;
mod wrong;

use crate::run::{Desk, Ran, Site, finish};
use anyhow::{Context, ensure};
use serde_json::Value;
use session_repository::COMPONENT_SYNC;
use session_repository_tests::{COLLECTION, Database, program};
use std::collections::BTreeSet;
use tokio::sync::OnceCell;

/// What a run says as JSON, whether it succeeded or not.
pub(crate) fn report(ran: &Ran) -> anyhow::Result<Value> {
    serde_json::from_slice(&ran.stdout).with_context(|| format!("exit status {:?}: {}", ran.status, ran.stderr))
}

/// The names of the cases that failed.
pub(crate) fn failed(report: &Value) -> BTreeSet<String> {
    let cases = report["cases"].as_array().into_iter().flatten();
    cases.filter(|case| case["passed"] == false).filter_map(|case| case["name"].as_str()).map(String::from).collect()
}

/// Runs all cases, each of which must pass.
pub(crate) async fn passes(desk: &Desk, site: Option<&Site>, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = desk.bare(&[&["conformance", "--json"], arguments].concat()).await?;
    if let Some(site) = site {
        command.args(["--store", &site.url, "--database", &site.database, "--collection", COLLECTION]);
    }
    let ran = finish(&mut command, None).await?;
    let report = report(&ran)?;
    ensure!(ran.status == Some(0) && report["failed"] == 0, "{report:#}");
    assert_eq!(report["passed"].as_u64(), Some(*LISTED.get_or_try_init(|| listed(desk)).await?));
    Ok(())
}

/// How many cases are listed. One list serves all tests.
static LISTED: OnceCell<u64> = OnceCell::const_new();

async fn listed(desk: &Desk) -> anyhow::Result<u64> {
    Ok(list(desk).await?["cases"].as_array().context("no cases")?.len() as u64)
}

async fn list(desk: &Desk) -> anyhow::Result<Value> {
    report(&finish(&mut desk.bare(&["conformance", "--list", "--json"]).await?, None).await?)
}

#[tokio::test]
async fn it_passes_in_memory() -> anyhow::Result<()> {
    passes(&Desk::new()?, None, &[]).await
}

#[tokio::test]
async fn it_passes_on_a_file() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let site = desk.file_site("store");
    passes(&desk, Some(&site), &[]).await?;
    // Cases have sessions of their own, so that it passes again.
    passes(&desk, Some(&site), &[]).await
}

/// It is there for other commands, and may hold what is in use.
#[tokio::test]
async fn the_store_of_the_environment_is_left_alone() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let site = desk.file_site("store");
    desk.run(&site, &["session", "create", "mine"]).await?.ok()?;
    let before = desk.dump(&site).await?;
    desk.run(&site, &["conformance", "--only", "an-unknown-session-reads"]).await?.ok()?;
    assert_eq!(desk.dump(&site).await?, before);
    Ok(())
}

#[tokio::test]
async fn it_passes_on_mongodb() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    passes(&Desk::new()?, Some(&Site::mongo(&database)?), &[]).await?;
    database.drop().await
}

/// The archive begins after a message or two.
#[tokio::test]
async fn it_passes_with_an_archive() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    passes(&Desk::new()?, Some(&Site::mongo(&database)?), &["--archive-after", "1KiB"]).await?;
    database.drop().await
}

#[tokio::test]
async fn it_passes_in_the_synchronous_flavour() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    std::fs::write(desk.path("sync.wasm"), COMPONENT_SYNC)?;
    passes(&desk, None, &["--component", &desk.argument("sync.wasm")]).await
}

#[tokio::test]
async fn it_passes_for_a_program_that_speaks_the_protocol() -> anyhow::Result<()> {
    let exec = format!("'{}' exec --store memory:", program().await?.display());
    passes(&Desk::new()?, None, &["--exec", &exec]).await
}

#[tokio::test]
async fn each_promise_of_the_docs_has_a_case() -> anyhow::Result<()> {
    let list = list(&Desk::new()?).await?;
    let coverage = list["coverage"].as_object().context("no coverage")?;
    let functions = crate::parity::exported()?;
    assert!(functions.iter().all(|function| coverage.contains_key(function)), "{coverage:?}");
    // As many as stood there when this was written; more are welcome.
    let (errors, rules) = (coverage.keys().filter(|promise| promise.contains(": ")).count(), coverage.len());
    assert!(errors >= 45 && rules - errors - functions.len() >= 20, "{errors} errors, {rules} promises");
    let bare: Vec<_> = coverage.iter().filter(|(_, cases)| **cases == 0).map(|(promise, _)| promise).collect();
    assert!(bare.is_empty(), "no case is about {bare:?}");
    assert_eq!(list["unknown"], serde_json::json!([]), "what cases are about is no promise");
    Ok(())
}

#[tokio::test]
async fn each_file_of_cases_is_run_and_names_are_kebab_case() -> anyhow::Result<()> {
    let list = list(&Desk::new()?).await?;
    let cases = list["cases"].as_array().context("no cases")?;
    let named: BTreeSet<&str> = cases.iter().filter_map(|case| case["file"].as_str()).chain(["rules"]).collect();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance");
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().into_string().map_err(|_| anyhow::anyhow!("a name that is no text"))?;
        files.extend(name.strip_suffix(".json").map(String::from));
    }
    assert_eq!(named, files.iter().map(String::as_str).collect());
    for case in cases {
        let name = case["name"].as_str().context("no name")?;
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{name}");
    }
    Ok(())
}
