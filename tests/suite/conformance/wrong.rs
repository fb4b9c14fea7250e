//! Storages that break one promise each: the suite finds them all, and names the case that is about it.

use super::{failed, passes, report};
use crate::run::{Desk, finish};
use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use session_repository_tests::{Storage, storage};

/// What the marker of the faulty storage begins with, and how long it is.
const MARKER: &str = "session-repository-fault: ";
const MARKER_BYTES: usize = 64;

/// Each fault of the storage, with cases that are about it.
const FAULTS: [(&str, &[&str]); 23] = [
    ("key-ignored", &["an-append-with-a-known-key-returns-the-first-id", "a-batch-with-a-known-key-returns-the-first-id"]),
    ("page-offset-off-by-one", &["an-offset-skips-messages"]),
    ("page-limit-off-by-one", &["a-limit-cuts-a-page"]),
    ("stale-not-checked", &["messages-append-at-another-revision-is-stale", "metadata-update-at-another-revision-is-stale"]),
    ("metrics-leaked-on-read", &["metrics-are-not-returned-by-read"]),
    ("metrics-leaked-on-list", &["metrics-are-not-returned-by-list"]),
    ("list-ordered-by-id", &["messages-are-listed-oldest-first"]),
    ("half-of-a-batch-kept", &["messages-append-many-at-another-revision-is-stale"]),
    ("update-loses-created-at", &["an-agent-update-keeps-created-at", "a-message-update-keeps-created-at"]),
    ("update-leaves-old-fields", &["an-agent-update-replaces-the-fields", "a-message-update-replaces-the-fields"]),
    ("session-not-advanced-by-messages", &["messages-create-advances-the-session", "messages-append-advances-the-session"]),
    ("revision-not-advanced-by-feedback", &["feedback-add-advances-the-revision"]),
    ("existing-agent-overwritten", &["an-existing-agent-is-not-created-again", "an-existing-agent-stays-untouched-by-a-create"]),
    ("unknown-session-created-by-append", &["a-message-of-an-unknown-session-is-not-created", "nothing-is-appended-to-an-unknown-session"]),
    ("metadata-replaced-whole", &["a-metadata-update-leaves-other-fields"]),
    ("dotted-key-stored-plain", &["a-key-with-dots-is-a-path"]),
    ("feedback-newest-first", &["feedback-is-listed-oldest-first"]),
    ("keys-shared-between-agents", &["keys-belong-to-one-agent"]),
    ("next-id-from-count", &["the-next-id-is-one-more-than-the-highest"]),
    ("agent-config-lost", &["config-that-an-agent-update-does-not-bring-stays"]),
    ("same-message-stored-twice", &["the-same-message-again-succeeds-and-is-stored-once"]),
    ("expected-revision-always-stale", &["each-write-at-the-expected-revision-takes-place"]),
    ("repeat-advances-revision", &["a-repeated-append-leaves-the-revision"]),
];

#[tokio::test]
async fn the_storage_in_memory_passes() -> anyhow::Result<()> {
    let storage = storage(Storage::Memory).await?;
    passes(&Desk::new()?, None, &["--storage", &storage.display().to_string()]).await
}

/// The faulty storage with the marker of a fault.
fn with_fault(storage: &[u8], fault: &str) -> anyhow::Result<Vec<u8>> {
    let none = format!("{MARKER}none");
    let at = storage.windows(none.len()).position(|bytes| bytes == none.as_bytes()).context("no marker")?;
    let mut storage = storage.to_vec();
    let marker = format!("{:<MARKER_BYTES$}", format!("{MARKER}{fault}"));
    storage.get_mut(at..at + MARKER_BYTES).context("no room for the marker")?.copy_from_slice(marker.as_bytes());
    Ok(storage)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_wrong_storage_is_found_by_the_case_about_it() -> anyhow::Result<()> {
    let (desk, faulty) = (Desk::new()?, std::fs::read(storage(Storage::Faulty).await?)?);
    let found = stream::iter(FAULTS).map(async |(fault, cases)| {
        let file = format!("{fault}.wasm");
        std::fs::write(desk.path(&file), with_fault(&faulty, fault)?)?;
        let ran = finish(&mut desk.bare(&["conformance", "--json", "--storage", &desk.argument(&file)]).await?, None).await?;
        let report = report(&ran)?;
        let (failed, all) = (failed(&report), report["cases"].as_array().map_or(0, Vec::len));
        anyhow::ensure!(ran.status == Some(1), "{fault}: {}", ran.stderr);
        for case in cases {
            anyhow::ensure!(failed.contains(*case), "{fault}: {case} passed, {failed:?} failed");
        }
        // A case is about one promise, so what breaks one leaves most of them.
        anyhow::ensure!(failed.len() <= all / 10, "{fault}: {} of {all} failed: {failed:?}", failed.len());
        Ok(())
    });
    // Two at once: each is compiled.
    found.buffer_unordered(2).try_collect::<Vec<()>>().await?;
    Ok(())
}

#[tokio::test]
async fn no_fault_of_the_storage_is_left_out() -> anyhow::Result<()> {
    let source = crate::readme::file("storages/memory/src/faults.rs")?;
    let table = source.split("\nfaults! {").nth(1).and_then(|rest| rest.split("\n}").next()).context("no table of faults")?;
    let names: Vec<&str> = table.split('"').skip(1).step_by(2).collect();
    assert_eq!(names, FAULTS.map(|(fault, _)| fault));
    Ok(())
}
