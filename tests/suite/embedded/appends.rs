//! Appends under ids of the store's: times, ids and tables that a file can have.

use super::disk::Disk;
use super::{a, at, message, open};
use redb::{Database, ReadableDatabase, TableDefinition};
use session_repository::{
    Agent, AnyStore, EmbeddedStore, Error, Message, NewMessages, Page, Result, Session, Store, StoreOptions, Timestamp, Write,
};

async fn with_agent(store: &EmbeddedStore) -> Result<()> {
    let (now, session_id, session_type) = (Timestamp(0), String::from("s"), String::from("default"));
    store.insert_session(Session::new(session_id, session_type, now)).await?;
    let agent = Agent::new("a", "{}", now);
    store.insert_agent("s", agent, Write::at(now)).await
}

async fn append(store: &EmbeddedStore, count: usize, time: i64, key: Option<&str>) -> Result<i64> {
    let new = NewMessages::new(vec!["{}".into(); count]).key(key.map(super::key));
    store.append_messages(&a(), new, at(time)).await
}

async fn messages(store: &EmbeddedStore) -> Result<Vec<Message>> {
    store.list_messages(&a(), Page::default(), &[]).await
}

#[tokio::test]
async fn an_append_is_created_no_earlier_than_the_newest_message() -> anyhow::Result<()> {
    let store = EmbeddedStore::in_memory(StoreOptions::default()).await?;
    with_agent(&store).await?;
    store.append_message(&a(), message(5, 100, "{}"), &[], at(100)).await?;
    store.append_message(&a(), message(2, 50, "{}"), &[], at(50)).await?;
    for (count, time) in [(2, 70), (1, 100), (1, 101), (1, 0)] {
        append(&store, count, time, None).await?;
    }
    let listed: Vec<_> =
        messages(&store).await?.iter().map(|message| (message.message_id, message.created_at.0, message.updated_at.0)).collect();
    assert_eq!(listed, [(2, 50, 50), (5, 100, 100), (6, 100, 100), (7, 100, 100), (8, 100, 100), (9, 101, 101), (10, 101, 101)]);
    let updated = (store.find_session("s").await?.map(|s| s.updated_at), store.find_agent(&a()).await?.map(|a| a.updated_at));
    assert_eq!(updated, (Some(Timestamp(101)), Some(Timestamp(101))));
    Ok(())
}

#[tokio::test]
async fn an_append_is_there_as_a_whole_when_the_file_is_opened_again() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store");
    let store = open(&file).await?;
    with_agent(&store).await?;
    assert_eq!(append(&store, 3, 1, Some("k")).await?, 0);
    store.close().await;
    let store = open(&file).await?;
    assert_eq!(append(&store, 3, 2, Some("k")).await?, 0);
    assert_eq!(messages(&store).await?.len(), 3);
    assert_eq!(append(&store, 1, 3, Some("l")).await?, 3);
    assert_eq!(store.find_session("s").await?.map(|session| session.revision), Some(3));
    store.close().await;
    Ok(())
}

#[tokio::test]
async fn a_message_that_is_too_large_leaves_out_the_whole_append() -> anyhow::Result<()> {
    let store = EmbeddedStore::in_memory(StoreOptions::default()).await?;
    with_agent(&store).await?;
    let large = format!(r#"{{"k":"{}"}}"#, "x".repeat(16 * 1024 * 1024));
    let new = |bodies: Vec<&str>| {
        let bodies = bodies.into_iter().map(Into::into).collect();
        NewMessages::new(bodies).key(super::key("k"))
    };
    let refused = store.append_messages(&a(), new(vec!["{}", &large]), at(1)).await;
    assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
    assert_eq!((messages(&store).await?, store.find_session("s").await?.map(|s| s.revision)), (Vec::new(), Some(1)));
    assert!(matches!(store.append_messages(&a(), new(Vec::new()), at(1)).await, Err(Error::InvalidArgument(_))));
    assert_eq!(store.append_messages(&a(), new(vec!["{}"]), at(1)).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_file_of_an_older_version_gets_what_it_lacks() -> anyhow::Result<()> {
    let disk = Disk::empty();
    let store = EmbeddedStore::on_backend(disk.clone(), StoreOptions::default()).await?;
    with_agent(&store).await?;
    for id in [3, 9, 4] {
        store.append_message(&a(), message(id, id, "{}"), &[], at(id)).await?;
    }
    let other = r#"{"_id":"t","agents":{"a":{"appends":[]}}}"#;
    assert_eq!(AnyStore::Embedded(store.clone()).import(std::io::Cursor::new(other)).await?.new, 1);
    store.close().await;
    let database = Database::builder().create_with_backend(disk.clone())?;
    let transaction = database.begin_write()?;
    assert!(transaction.delete_table(TableDefinition::<(u64, u64), &[u8]>::new("appends"))?);
    assert!(transaction.delete_table(TableDefinition::<u64, (u64, i64)>::new("highest_ids"))?);
    transaction.commit()?;
    drop(database);

    let store = EmbeddedStore::on_backend(disk.clone(), StoreOptions::default()).await?;
    // Nothing was written yet.
    let mut pieces = AnyStore::Embedded(store.clone()).export(None);
    while let Some(piece) = pieces.recv().await {
        piece?;
    }
    drop(pieces);
    assert_eq!(messages(&store).await?.len(), 3);
    for _ in 0..2 {
        assert_eq!(append(&store, 2, 5, Some("k")).await?, 10);
    }
    assert_eq!(append(&store, 1, 5, None).await?, 12);
    store.close().await;
    let database = Database::builder().create_with_backend(disk)?;
    let kept = database.begin_read()?.open_table(TableDefinition::<u64, (u64, i64)>::new("highest_ids"))?;
    assert_eq!(redb::ReadableTableMetadata::len(&kept)?, 0, "where ids go up, the highest is found without being kept");
    Ok(())
}

#[tokio::test]
async fn keys_of_a_session_that_is_not_imported_as_a_whole_leave_nothing() -> anyhow::Result<()> {
    let disk = Disk::empty();
    let store = EmbeddedStore::on_backend(disk.clone(), StoreOptions::default()).await?;
    let begun = r#"{"_id":"s","agents":{"a":{"appends":[{"key":"k","first":0}],"messages":[{"message_id":0},5"#;
    let imported = AnyStore::Embedded(store.clone()).import(std::io::Cursor::new(begun)).await?;
    assert_eq!((imported.new, imported.refused), (0, 1));
    store.close().await;
    let database = Database::builder().create_with_backend(disk)?;
    let appends = database.begin_read()?.open_table(TableDefinition::<(u64, u64), &[u8]>::new("appends"))?;
    assert_eq!(redb::ReadableTableMetadata::len(&appends)?, 0);
    Ok(())
}

#[tokio::test]
async fn the_highest_id_is_kept_where_ids_went_down() -> anyhow::Result<()> {
    let disk = Disk::empty();
    let store = EmbeddedStore::on_backend(disk.clone(), StoreOptions::default()).await?;
    with_agent(&store).await?;
    // As after an import of messages that were stored twice: the position is far ahead of the id.
    for id in [1000, 0, 1, 2, 3, 4] {
        store.append_message(&a(), message(id, 1, "{}"), &[], at(1)).await?;
    }
    for next in 1001..1010 {
        assert_eq!(append(&store, 1, 1, None).await?, next);
    }
    // The position of 1018 tells its id; 1006 is there already.
    for (created, next) in [(5, 1010), (1006, 1011), (1018, 1019), (6, 1020), (2000, 2001), (7, 2002)] {
        store.append_message(&a(), message(created, 1, "{}"), &[], at(1)).await?;
        assert_eq!(append(&store, 1, 1, None).await?, next);
    }
    store.close().await;
    let database = Database::builder().create_with_backend(disk)?;
    let kept = database.begin_read()?.open_table(TableDefinition::<u64, (u64, i64)>::new("highest_ids"))?;
    assert_eq!(redb::ReadableTableMetadata::len(&kept)?, 1);
    Ok(())
}
