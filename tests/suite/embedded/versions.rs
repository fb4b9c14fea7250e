//! Rows that tell their version. `tests/fixtures/format-2.store` is a file of an older program, whose rows tell none, and
//! `format-2.ndjson` is its dump by that program.

use super::disk::{Disk, Fate};
use super::open;
use super::random::Random;
use anyhow::{Context, ensure};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableError};
use session_repository::{AgentRef, AnyStore, Dumped, EmbeddedStore, Error, Page, Store, StoreOptions, StoreUrl};
use std::io::ErrorKind;
use std::path::Path;

/// The part of a store file before the database.
const HEADER: usize = 4096;

/// Where the header has the number of the format.
const FORMAT: usize = b"session-repository store\nformat ".len();

/// Where a row has its version.
const VERSION: usize = 7;

const SESSIONS: TableDefinition<(u64, &str), &[u8]> = TableDefinition::new("sessions");
const AGENTS: TableDefinition<(u64, &str), &[u8]> = TableDefinition::new("agents");
const NUMBERS: TableDefinition<&str, (u64,)> = TableDefinition::new("numbers");

/// The numbers as programs up to format 2 know them.
const OLD_NUMBERS: TableDefinition<&str, u64> = TableDefinition::new("numbers");

fn fixture(name: &str) -> anyhow::Result<Vec<u8>> {
    Ok(std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name))?)
}

fn old_file() -> anyhow::Result<Vec<u8>> {
    fixture("format-2.store")
}

fn old_database() -> anyhow::Result<Vec<u8>> {
    Ok(old_file()?.split_off(HEADER))
}

async fn dump(store: &EmbeddedStore) -> anyhow::Result<String> {
    let (mut dump, mut pieces) = (String::new(), AnyStore::Embedded(store.clone()).export(None));
    while let Some(piece) = pieces.recv().await {
        match piece? {
            Dumped::Text(text) => dump.push_str(&text),
            Dumped::Skipped { session_id, why } => anyhow::bail!("{session_id} is left out: {why}"),
            _ => {}
        }
    }
    Ok(dump)
}

/// Checks that a store has what the older program stored.
async fn check(store: &EmbeddedStore) -> anyhow::Result<()> {
    ensure!(dump(store).await?.into_bytes() == fixture("format-2.ndjson")?, "not all is there as it was");
    let by_time = store.list_messages(&AgentRef::new("imported", "late"), Page::default(), &[]).await?;
    ensure!(by_time.len() == 40 && by_time.is_sorted_by_key(|message| message.created_at), "{by_time:?}");
    Ok(())
}

async fn check_for_reader(image: Vec<u8>) -> anyhow::Result<()> {
    let disk = Disk::of(image);
    disk.doom(0, Fate::Failure(ErrorKind::ReadOnlyFilesystem));
    let reader = EmbeddedStore::on_backend_read_only(disk.clone(), StoreOptions::default()).await?;
    check(&reader).await?;
    reader.close().await;
    ensure!(!disk.has_failed(), "a reader has written");
    Ok(())
}

/// The versions of all rows of a database, each once.
fn versions(database: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let database = Database::builder().create_with_backend(Disk::of(database))?;
    let (mut versions, reading) = (Vec::new(), database.begin_read()?);
    for table in [SESSIONS, AGENTS] {
        for row in reading.open_table(table)?.iter()? {
            versions.push(*row?.1.value().get(VERSION).context("a short row")?);
        }
    }
    versions.sort_unstable();
    versions.dedup();
    Ok(versions)
}

/// Changes a database as the program does not.
fn meddle(database: Vec<u8>, change: impl FnOnce(&redb::WriteTransaction) -> anyhow::Result<()>) -> anyhow::Result<Vec<u8>> {
    let disk = Disk::of(database);
    {
        let database = Database::builder().create_with_backend(disk.clone())?;
        let transaction = database.begin_write()?;
        change(&transaction)?;
        transaction.commit()?;
    }
    Ok(disk.cached())
}

/// Gives the row of the session `bare` a version.
fn set_version(database: Vec<u8>, version: u8) -> anyhow::Result<Vec<u8>> {
    meddle(database, |transaction| {
        let mut sessions = transaction.open_table(SESSIONS)?;
        let mut row = sessions.get((0, "bare"))?.context("no session")?.value().to_vec();
        row[VERSION] = version;
        sessions.insert((0, "bare"), row.as_slice())?;
        Ok(())
    })
}

#[tokio::test]
async fn a_file_of_format_2_is_read_as_it_is() -> anyhow::Result<()> {
    let (folder, bytes) = (tempfile::tempdir()?, old_file()?);
    assert!(bytes.starts_with(b"session-repository store\nformat 2\n"));
    assert_eq!(versions(old_database()?)?, [0]);
    let file = folder.path().join("store");
    std::fs::write(&file, &bytes)?;
    for _ in 0..2 {
        let store = EmbeddedStore::open_read_only(&file, StoreOptions::default()).await?;
        check(&store).await?;
        store.close().await;
    }
    let report = AnyStore::inspect(&StoreUrl::File(file.clone()), StoreOptions::default()).await?;
    assert_eq!((report.server, report.sessions), (format!("a file of format 2, {} bytes", bytes.len()), 24));
    assert!(std::fs::read(&file)? == bytes, "it was written to");
    Ok(())
}

#[tokio::test]
async fn a_file_of_format_2_is_brought_to_the_new_format_once() -> anyhow::Result<()> {
    let (folder, mut begun) = (tempfile::tempdir()?, old_file()?);
    // As a process leaves it that is killed just after it has begun.
    begun[FORMAT] = b'3';
    let file = folder.path().join("store");
    for bytes in [old_file()?, begun] {
        std::fs::write(&file, bytes)?;
        let store = open(&file).await?;
        check(&store).await?;
        store.close().await;
        let mut after = std::fs::read(&file)?;
        assert!(after.starts_with(b"session-repository store\nformat 3\n"));
        let after = after.split_off(HEADER);
        assert_eq!(versions(after.clone())?, [1]);
        // Rows are not looked at again when it is opened next.
        let disk = Disk::of(set_version(after, 0)?);
        let store = EmbeddedStore::on_backend(disk.clone(), StoreOptions::default()).await?;
        check(&store).await?;
        store.close().await;
        assert_eq!(versions(disk.cached())?, [0, 1]);
        let report = AnyStore::inspect(&StoreUrl::File(file.clone()), StoreOptions::default()).await?;
        assert!(report.server.starts_with("a file of format 3,"), "{}", report.server);
    }
    Ok(())
}

#[tokio::test]
async fn a_file_of_format_2_is_compacted_to_the_new_format() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store");
    std::fs::write(&file, old_file()?)?;
    EmbeddedStore::compact(&file, |_, _| {}).await?;
    let mut after = std::fs::read(&file)?;
    assert!(after.starts_with(b"session-repository store\nformat 3\n"));
    assert_eq!(versions(after.split_off(HEADER))?, [1]);
    let store = open(&file).await?;
    check(&store).await?;
    store.close().await;
    Ok(())
}

#[tokio::test]
async fn whenever_the_power_is_lost_while_rows_get_a_version_all_is_there() -> anyhow::Result<()> {
    let (mut random, database) = (Random::seeded(), old_database()?);
    let mut lost = 0;
    for calls in 0.. {
        let disk = Disk::holding(database.clone(), &mut random);
        disk.doom(calls, Fate::PowerLoss);
        if let Ok(store) = EmbeddedStore::on_backend(disk.clone(), StoreOptions::default()).await {
            store.close().await;
        }
        let image = disk.wreck();
        check_for_reader(image.clone()).await.with_context(|| format!("after {calls} calls"))?;
        let disk_after = Disk::holding(image, &mut random);
        let store = EmbeddedStore::on_backend(disk_after.clone(), StoreOptions::default()).await?;
        check(&store).await.with_context(|| format!("after {calls} calls"))?;
        store.close().await;
        assert_eq!(versions(disk_after.cached())?, [1], "after {calls} calls");
        if !disk.has_failed() {
            break;
        }
        lost += 1;
    }
    assert!(lost > 10, "only {lost} losses came on the way");
    Ok(())
}

/// Many rows get their version in several transactions. Between two of these some have one and others have none.
#[tokio::test]
async fn rows_of_both_versions_are_read_side_by_side() -> anyhow::Result<()> {
    const MORE: usize = 9_000;
    let (mut random, mut mixed, mut calls) = (Random::seeded(), 0, 0);
    let many = meddle(old_database()?, |transaction| {
        let mut sessions = transaction.open_table(SESSIONS)?;
        let row = sessions.get((0, "bare"))?.context("no session")?.value().to_vec();
        for n in 0..MORE {
            sessions.insert((0, format!("zz-{n:05}").as_str()), row.as_slice())?;
        }
        Ok(())
    })?;
    loop {
        let disk = Disk::holding(many.clone(), &mut random);
        disk.doom(calls, Fate::PowerLoss);
        if let Ok(store) = EmbeddedStore::on_backend(disk.clone(), StoreOptions::default()).await {
            store.close().await;
        }
        let image = disk.wreck();
        mixed += usize::from(versions(image.clone())? == [0, 1]);
        let store = EmbeddedStore::on_backend_read_only(Disk::of(image.clone()), StoreOptions::default()).await?;
        assert_eq!(dump(&store).await?.lines().count(), 24 + MORE, "after {calls} calls");
        store.close().await;
        let disk_after = Disk::of(image);
        EmbeddedStore::on_backend(disk_after.clone(), StoreOptions::default()).await?.close().await;
        assert_eq!(versions(disk_after.cached())?, [1], "after {calls} calls");
        if !disk.has_failed() {
            break;
        }
        calls += 1 + calls / 4;
    }
    assert!(mixed > 0, "no loss came between two transactions");
    Ok(())
}

/// A database without a header has no number of a format that older programs look at; they find a table of another type.
#[tokio::test]
async fn a_program_that_knows_no_versions_does_not_find_the_numbers() -> anyhow::Result<()> {
    let disk = Disk::of(old_database()?);
    drop(Database::builder().create_with_backend(disk.clone())?.begin_read()?.open_table(OLD_NUMBERS)?);
    EmbeddedStore::on_backend(disk.clone(), StoreOptions::default()).await?.close().await;
    let refused = Database::builder().create_with_backend(disk)?.begin_read()?.open_table(OLD_NUMBERS);
    assert!(matches!(refused, Err(TableError::TableTypeMismatch { .. })));
    Ok(())
}

#[tokio::test]
async fn a_database_of_a_newer_format_is_refused() -> anyhow::Result<()> {
    let disk = Disk::of(old_database()?);
    EmbeddedStore::on_backend(disk.clone(), StoreOptions::default()).await?.close().await;
    let newer = meddle(disk.cached(), |transaction| {
        transaction.open_table(NUMBERS)?.insert("format", (4,))?;
        Ok(())
    })?;
    for opened in [
        EmbeddedStore::on_backend(Disk::of(newer.clone()), StoreOptions::default()).await,
        EmbeddedStore::on_backend_read_only(Disk::of(newer.clone()), StoreOptions::default()).await,
    ] {
        let Err(Error::InvalidArgument(why)) = opened else { panic!("{opened:?}") };
        assert!(why.contains("format 4") && why.contains("newer version"), "{why}");
    }
    Ok(())
}

#[tokio::test]
async fn a_row_of_a_newer_version_is_refused_and_others_are_read() -> anyhow::Result<()> {
    let disk = Disk::of(old_database()?);
    EmbeddedStore::on_backend(disk.clone(), StoreOptions::default()).await?.close().await;
    let newer = set_version(disk.cached(), 2)?;
    let store = EmbeddedStore::on_backend(Disk::of(newer), StoreOptions::default()).await?;
    let refused = store.find_session("bare").await;
    assert!(matches!(&refused, Err(Error::Corrupt(why)) if why.contains("newer version")), "{refused:?}");
    assert!(store.find_session("imported").await?.is_some());
    store.close().await;
    Ok(())
}
