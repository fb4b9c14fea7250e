//! What lies where: the reference's schema below the threshold, blocks beyond it, and what the people who run a store are told.

use super::{History, body};
use mongodb::bson::{Bson, Document, doc};
use session_repository::{AnyStore, Dumped, Error, MongoStore};
use session_repository_tests::{Database, mongodb_uri};

fn keys(document: &Document) -> Vec<&str> {
    document.keys().map(String::as_str).collect()
}

#[tokio::test]
async fn below_the_threshold_the_document_is_the_references() -> anyhow::Result<()> {
    let history = History::of(1024 * 1024, 100).await?;
    let document = history.database.document("s").await?;
    assert_eq!(
        keys(&document),
        ["_id", "session_id", "session_type", "created_at", "updated_at", "metadata", "feedbacks", "agents", "revision"]
    );
    assert_eq!(
        keys(document.get_document("agents")?.get_document("a")?),
        ["agent_data", "created_at", "updated_at", "messages", "in_order"]
    );
    assert_eq!(history.database.blocks().count_documents(doc! {}).await?, 0);
    history.end().await
}

#[tokio::test]
async fn beyond_the_threshold_the_oldest_messages_are_in_blocks() -> anyhow::Result<()> {
    let history = History::of(4096, 300).await?;
    let document = history.database.document("s").await?;
    let agent = document.get_document("agents")?.get_document("a")?;
    let recent = agent.get_array("messages")?;
    let archive = agent.get_document("archive")?;
    let count = archive.get_i64("count")?;
    assert_eq!(count + i64::try_from(recent.len())?, 300);
    assert!(recent.len() < 40, "{} messages are in the document", recent.len());

    let mut blocks = history.database.blocks().find(doc! {}).sort(doc! { "_id": 1 }).await?;
    let mut next = 0;
    while blocks.advance().await? {
        let block = blocks.deserialize_current()?;
        assert_eq!(block.get_document("_id")?.get_i64("first")?, next);
        assert_eq!((block.get_str("session_id")?, block.get_str("agent_id")?), ("s", "a"));
        for message in block.get_array("messages")? {
            let message = message.as_document().ok_or_else(|| anyhow::anyhow!("no message"))?;
            assert_eq!(message.get_i32("message_id")?, i32::try_from(next)?);
            assert_eq!(keys(message), ["message_id", "role", "content", "created_at", "updated_at"]);
            next += 1;
        }
    }
    assert_eq!(next, count);
    history.holds(300).await?;
    history.end().await
}

#[tokio::test]
async fn appends_of_many_messages_leave_no_more_in_the_document_than_appends_of_one() -> anyhow::Result<()> {
    let history = History::of(64 * 1024, 0).await?;
    for first in (0..8000).step_by(1000) {
        let bodies = (first..first + 1000).map(body);
        assert_eq!(history.repo.messages().append_many("s", "a", bodies, None).await?, first);
    }
    history.store.settled().await;
    let status = history.store.archive_status("s").await?.unwrap_or_default();
    let [agent] = status.as_slice() else { anyhow::bail!("{status:?}") };
    // A thousand of these have about three times the threshold.
    assert!(agent.bytes <= 64 * 1024 && agent.moving_bytes == 0 && agent.messages < 400, "{agent:?}");
    assert_eq!(history.repo.messages().list("s", "a", None, 0).await?.len(), 8000);
    history.end().await
}

#[tokio::test]
async fn a_store_that_never_archives_reads_what_others_archived() -> anyhow::Result<()> {
    let history = History::of(4096, 100).await?;
    let never = history.store(None).await?;
    let repo = session_repository::Repository::builder(never).build()?;
    assert_eq!(repo.messages().list("s", "a", Some(3), 0).await?.len(), 3);
    repo.messages().update("s", "a", 0, body(1000)).await?;
    assert_eq!(repo.messages().append("s", "a", body(100), None).await?, 100);
    repo.close().await;
    assert_eq!(history.repo.messages().read("s", "a", 0).await?.map(|message| message.body), Some(body(1000)));
    history.end().await
}

#[tokio::test]
async fn nothing_but_moves_is_written_to_the_archive_by_never() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let store = MongoStore::connect(&mongodb_uri()?, database.archiving(None)).await?;
    let refused = store.archive_run("s").await;
    assert!(matches!(refused, Err(Error::InvalidArgument(_))), "{refused:?}");
    assert_eq!(store.archive_status("s").await?, None);
    assert_eq!(store.archive_undo("s").await?, None);
    session_repository::Store::close(&store).await;
    database.drop().await
}

#[tokio::test]
async fn status_run_and_undo() -> anyhow::Result<()> {
    let history = History::of(1024 * 1024, 200).await?;
    let store = history.store(Some(4096)).await?;
    let before = history.database.document("s").await?;
    let moved = store.archive_run("s").await?;
    let status = store.archive_status("s").await?.unwrap_or_default();
    let [agent] = status.as_slice() else { anyhow::bail!("{status:?}") };
    assert_eq!((agent.agent_id.as_str(), Some(agent.archived_messages)), ("a", moved));
    assert_eq!(agent.messages + agent.archived_messages, 200);
    assert!(agent.bytes <= 4096 && agent.archived_blocks > 3 && agent.archived_bytes > 20_000, "{agent:?}");
    assert_eq!(store.archive_run("s").await?, Some(0));
    history.holds(200).await?;

    assert_eq!(store.archive_undo("s").await?.map(|undone| (undone.folded, undone.orphans)), moved.map(|moved| (moved, 0)));
    assert_eq!(history.database.document("s").await?, before);
    assert_eq!(history.database.blocks().count_documents(doc! {}).await?, 0);
    assert_eq!(store.archive_undo("s").await?.map(|undone| (undone.folded, undone.orphans)), Some((0, 0)));
    history.holds(200).await?;
    session_repository::Store::close(&store).await;
    history.end().await
}

#[tokio::test]
async fn undo_refuses_what_does_not_fit() -> anyhow::Result<()> {
    let history = History::of(1024 * 1024, 0).await?;
    let large = "x".repeat(1024 * 1024);
    for _ in 0..17 {
        history.repo.messages().append("s", "a", serde_json::json!({"content": large}), None).await?;
    }
    history.store.settled().await;
    let store = history.store(None).await?;
    let document = history.database.document("s").await?;
    match store.archive_undo("s").await {
        Err(Error::TooLarge { size, limit }) => assert!(size > 17 * 1024 * 1024 && limit == 16 * 1024 * 1024),
        other => panic!("{other:?}"),
    }
    assert_eq!(history.database.document("s").await?, document);
    session_repository::Store::close(&store).await;
    history.end().await
}

#[tokio::test]
async fn an_update_in_the_archive_changes_nothing_else() -> anyhow::Result<()> {
    let history = History::of(4096, 100).await?;
    let read = async || history.repo.messages().list("s", "a", None, 0).await;
    let mut expected = read().await?;
    let revision = history.repo.sessions().read("s").await?.map(|session| session.revision);
    for (done, id) in [3_i64, 50, 3].into_iter().enumerate() {
        history.repo.messages().update("s", "a", id, body(500 + id)).await?;
        let updated = history.repo.messages().read("s", "a", id).await?;
        let place = &mut expected[usize::try_from(id)?];
        let created = place.created_at;
        *place = updated.ok_or_else(|| anyhow::anyhow!("no message"))?;
        assert_eq!((place.created_at, &place.body), (created, &body(500 + id)));
        assert_eq!(read().await?, expected);
        let now = history.repo.sessions().read("s").await?.map(|session| session.revision);
        assert_eq!(now, revision.map(|revision| revision + done as u64 + 1));
    }
    // The blocks have it, too.
    let block = history.database.blocks().find_one(doc! { "messages.message_id": 3 }).await?.unwrap_or_default();
    let message = block
        .get_array("messages")?
        .iter()
        .filter_map(Bson::as_document)
        .find(|message| message.get("message_id") == Some(&Bson::Int32(3)));
    assert_eq!(message.and_then(|message| message.get_str("content").ok()), Some(super::text(503).as_str()));
    history.end().await
}

#[tokio::test]
async fn messages_in_missing_blocks_are_neither_listed_nor_found_and_the_others_are() -> anyhow::Result<()> {
    let history = History::of(4096, 100).await?;
    let whole = history.repo.messages().list("s", "a", None, 0).await?;
    let place = |block: &Document| block.get_document("_id").and_then(|id| id.get_i64("first"));
    let mut blocks = history.database.blocks().find(doc! {}).sort(doc! { "_id": 1 }).await?;
    let mut firsts = Vec::new();
    while blocks.advance().await? {
        firsts.push(usize::try_from(place(&blocks.deserialize_current()?)?)?);
    }
    // One in the middle, and the last one.
    let archived = usize::try_from(history.store.archive_status("s").await?.unwrap_or_default()[0].archived_messages)?;
    let ends: Vec<usize> = firsts.iter().skip(1).copied().chain([archived]).collect();
    let mut gone = [false; 100];
    for at in [1, firsts.len() - 1] {
        history.database.blocks().delete_one(doc! { "_id.first": i64::try_from(firsts[at])? }).await?;
        gone[firsts[at]..ends[at]].fill(true);
    }
    let left = |from: usize, to: usize| (from..to.min(100)).filter(|at| !gone[*at]).map(|at| whole[at].clone()).collect::<Vec<_>>();
    for store in [Some(4096), None] {
        let repo = session_repository::Repository::builder(history.store(store).await?).build()?;
        assert_eq!(repo.messages().list("s", "a", None, 0).await?, left(0, 100));
        for (limit, offset) in [(10, 0), (10, firsts[1]), (firsts[2], 0), (100, 3), (1, ends[1]), (20, archived - 5)] {
            let page = repo.messages().list("s", "a", Some(i64::try_from(limit)?), i64::try_from(offset)?).await?;
            assert_eq!(page, left(offset, offset + limit), "{limit} at {offset}");
        }
        for (at, message) in whole.iter().enumerate() {
            let found = repo.messages().read("s", "a", message.message_id).await?;
            assert_eq!(found, (!gone[at]).then(|| message.clone()), "read and list agree on {at}");
        }
        repo.close().await;
    }
    assert_eq!(history.repo.messages().append("s", "a", body(100), None).await?, 100);
    // What folds a history back, or copies it, has to have all of it.
    let store = history.store(None).await?;
    let undone = store.archive_undo("s").await;
    assert!(matches!(undone, Err(Error::Corrupt(_))), "{undone:?}");
    let mut dump = AnyStore::Mongo(store.clone()).export(None);
    let mut pieces = Vec::new();
    while let Some(piece) = dump.recv().await {
        pieces.push(piece?);
    }
    assert!(matches!(pieces.as_slice(), [Dumped::Skipped { session_id, .. }] if session_id == "s"), "{pieces:?}");
    session_repository::Store::close(&store).await;
    history.end().await
}

#[tokio::test]
async fn what_is_no_list_of_messages_is_never_overwritten() -> anyhow::Result<()> {
    let history = History::of(1024, 0).await?;
    for stranger in [Bson::from(doc! { "k": "v" }), Bson::from("x"), Bson::from(5)] {
        history.database.documents().update_one(doc! { "_id": "s" }, doc! { "$set": { "agents.a.messages": &stranger } }).await?;
        let document = history.database.document("s").await?;
        for key in [None, Some("k")] {
            let answer = history.repo.messages().append("s", "a", body(1), key).await;
            assert!(matches!(answer, Err(Error::Corrupt(_))), "{stranger}: {answer:?}");
        }
        assert_eq!(history.database.document("s").await?, document);
    }
    history.end().await
}

#[tokio::test]
async fn a_field_of_that_name_that_is_no_archive_is_left_alone() -> anyhow::Result<()> {
    let history = History::of(1024 * 1024, 0).await?;
    let objects = [doc! {}, doc! { "count": "x" }, doc! { "count": 2 }].map(Bson::from);
    let strangers = [Bson::from("x"), Bson::from(0), Bson::Array(vec![])].into_iter().chain(objects);
    for (id, stranger) in (0_i64..).zip(strangers) {
        history.database.documents().update_one(doc! { "_id": "s" }, doc! { "$set": { "agents.a.archive": &stranger } }).await?;
        let key = format!("key {id}");
        for _ in 0..2 {
            assert_eq!(history.repo.messages().append("s", "a", body(id), Some(key.as_str())).await?, id, "{stranger}");
        }
        history.repo.messages().update("s", "a", id, body(id)).await?;
        history.holds(id + 1).await?;
    }
    history.end().await
}
