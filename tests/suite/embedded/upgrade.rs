//! Files that an older version has written: `tests/fixtures/format-1.store` is one, with messages that came late.

use super::disk::{Disk, Fate};
use super::random::Random;
use super::{at, message, open};
use redb::{Database, ReadableDatabase, TableDefinition, TableError};
use serde_json::Value;
use session_repository::{AgentRef, AnyStore, EmbeddedStore, NewMessages, Page, Store, StoreOptions, StoreUrl, Timestamp, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The part of a store file before the database.
const HEADER: usize = 4096;

/// Where the header has the number of the format.
const FORMAT: usize = b"session-repository store\nformat ".len();

fn fixture() -> anyhow::Result<Vec<u8>> {
    Ok(std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/format-1.store"))?)
}

fn file(folder: &TempDir, bytes: &[u8]) -> anyhow::Result<PathBuf> {
    let file = folder.path().join("store");
    std::fs::write(&file, bytes)?;
    Ok(file)
}

/// The agent whose messages came in no order.
fn shuffled() -> AgentRef {
    AgentRef::new("shuffled", "a")
}

/// Checks that each message is there, at its place. In each, `n` tells the order of the appends.
async fn check(store: &EmbeddedStore) -> anyhow::Result<()> {
    for (session, agent, count) in [("ascending", "a", 21), ("shuffled", "a", 120), ("shuffled", "b", 8), ("two late", "a", 62)] {
        let by_id = AgentRef::new(session, agent);
        let listed = store.list_messages(&by_id, Page::default(), &[]).await?;
        let order = |(created_at, body): (Timestamp, Value)| Ok((created_at, body["n"].as_i64()));
        let order: Vec<(Timestamp, Option<i64>)> =
            listed.iter().map(|message| order((message.created_at, message.body.parse()?))).collect::<anyhow::Result<_>>()?;
        let mut appended: Vec<_> = order.iter().filter_map(|(_, n)| *n).collect();
        assert!(order.is_sorted(), "{session} {agent}: {order:?}");
        appended.sort_unstable();
        assert!(appended.into_iter().eq(0..count), "{session} {agent}: not all messages are there");
        let page = store.list_messages(&by_id, Page::default().offset(5).limit(3), &[]).await?;
        assert_eq!(page, listed[5..8]);
    }
    Ok(())
}

/// Checks it, and that it goes on.
async fn check_and_write(store: &EmbeddedStore) -> anyhow::Result<()> {
    check(store).await?;
    let before = store.list_messages(&shuffled(), Page::default(), &[]).await?;
    let late = message(1_000, before[60].created_at.0, r#"{"n":120}"#);
    store.append_message(&shuffled(), late.clone(), &[], Write::at(late.created_at)).await?;
    let listed = store.list_messages(&shuffled(), Page::default(), &[]).await?;
    assert!((&listed[..=60], &listed[61], &listed[62..]) == (&before[..=60], &late, &before[61..]), "the late one is not in its place");
    // What it remembers of appends is there, too.
    let again = NewMessages::new(vec!["{}".into()]).key(super::key("k"));
    assert_eq!(store.append_messages(&AgentRef::new("ascending", "a"), again, at(0)).await?, 20);
    Ok(())
}

#[tokio::test]
async fn a_file_of_format_1_is_read_as_it_is() -> anyhow::Result<()> {
    let (folder, bytes) = (tempfile::tempdir()?, fixture()?);
    assert!(bytes.starts_with(b"session-repository store\nformat 1\n"));
    let file = file(&folder, &bytes)?;
    for _ in 0..2 {
        let store = EmbeddedStore::open_read_only(&file, StoreOptions::default()).await?;
        check(&store).await?;
        store.close().await;
    }
    let report = AnyStore::inspect(&StoreUrl::File(file.clone()), StoreOptions::default()).await?;
    assert_eq!((report.server, report.problems), (format!("a file of format 1, {} bytes", bytes.len()), Vec::<String>::new()));
    assert!(std::fs::read(&file)? == bytes, "it was written to");
    Ok(())
}

#[tokio::test]
async fn a_file_of_format_1_that_is_written_to_has_the_new_format() -> anyhow::Result<()> {
    let (folder, mut begun) = (tempfile::tempdir()?, fixture()?);
    // As a process leaves it that is killed just after it has begun.
    begun[FORMAT] = b'3';
    for bytes in [fixture()?, begun] {
        let file = file(&folder, &bytes)?;
        let store = open(&file).await?;
        check_and_write(&store).await?;
        store.close().await;
        assert!(std::fs::read(&file)?.starts_with(b"session-repository store\nformat 3\n"));
        let store = open(&file).await?;
        assert_eq!(store.list_messages(&shuffled(), Page::default(), &[]).await?.len(), 121);
        store.close().await;
        let report = AnyStore::inspect(&StoreUrl::File(file.clone()), StoreOptions::default()).await?;
        assert_eq!(report.problems, Vec::<String>::new());
    }
    Ok(())
}

#[tokio::test]
async fn a_file_of_format_1_is_compacted_to_the_new_format() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = file(&folder, &fixture()?)?;
    EmbeddedStore::compact(&file, |_, _| {}).await?;
    assert!(std::fs::read(&file)?.starts_with(b"session-repository store\nformat 3\n"));
    let store = open(&file).await?;
    check_and_write(&store).await?;
    store.close().await;
    Ok(())
}

#[tokio::test]
async fn whenever_the_power_is_lost_on_the_way_to_the_new_format_all_is_there() -> anyhow::Result<()> {
    let (mut random, database) = (Random::seeded(), fixture()?.split_off(HEADER));
    let mut lost = 0;
    for calls in 0..40 {
        let disk = Disk::holding(database.clone(), &mut random);
        disk.doom(calls, Fate::PowerLoss);
        if let Ok(store) = EmbeddedStore::on_backend(disk.clone(), StoreOptions::default()).await {
            store.close().await;
        }
        lost += usize::from(disk.has_failed());
        let store = EmbeddedStore::on_backend(Disk::holding(disk.wreck(), &mut random), StoreOptions::default()).await?;
        check_and_write(&store).await?;
        store.close().await;
    }
    assert!(lost > 10, "only {lost} losses came on the way");
    Ok(())
}

/// A database without a header has no number of a format; a program that knows only format 1 finds the table of another type.
#[tokio::test]
async fn a_program_that_knows_only_format_1_does_not_find_the_order() -> anyhow::Result<()> {
    let disk = Disk::of(fixture()?.split_off(HEADER));
    let old = || TableDefinition::<(u64, u64), u64>::new("message_order");
    drop(Database::builder().create_with_backend(disk.clone())?.begin_read()?.open_table(old())?);
    EmbeddedStore::on_backend(disk.clone(), StoreOptions::default()).await?.close().await;
    let refused = Database::builder().create_with_backend(disk)?.begin_read()?.open_table(old());
    assert!(matches!(refused, Err(TableError::TableTypeMismatch { .. })));
    Ok(())
}
