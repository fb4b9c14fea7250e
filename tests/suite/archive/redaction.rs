//! When an update is acknowledged, no block holds the text that it replaced: not the archive's, and none that a program which died has left.

use super::history::{Place, SMALL, body};
use super::proxy::{Command, Moment, Plan, Proxy, Step, at_step};
use crate::transfer::{dump, load};
use anyhow::{Context, ensure};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc, serialize_to_vec};
use serde_json::json;
use session_repository::AnyStore;
use session_repository_tests::Database;

/// What a message says, in which its number is found again as bytes.
fn said(n: i64) -> serde_json::Value {
    json!({"n": n, "text": format!("{}<<{n}>>", "x".repeat(150))})
}

async fn seed(place: &Place, session: &str, messages: i64) -> anyhow::Result<()> {
    place.seed_empty(session).await?;
    for n in 0..messages {
        place.repo.messages().append(session, "a", said(n), None).await?;
    }
    place.store.settled().await;
    Ok(())
}

/// Which blocks hold the text of a message.
async fn holding(database: &Database, n: i64) -> anyhow::Result<Vec<Document>> {
    let needle = format!("<<{n}>>").into_bytes();
    let (mut blocks, mut holding) = (database.blocks().find(doc! {}).await?, Vec::new());
    while blocks.advance().await? {
        let block = blocks.deserialize_current()?;
        if serialize_to_vec(&block)?.windows(needle.len()).any(|part| part == needle) {
            holding.push(block.get_document("_id")?.clone());
        }
    }
    Ok(holding)
}

/// Updates some messages; after each its old text is in no block and not in the document.
async fn is_redacted(database: &Database, session: &str, ids: &[i64]) -> anyhow::Result<()> {
    for archive_after in [Some(SMALL), None] {
        let place = Place::open(database, archive_after).await?;
        for n in ids.iter().filter(|n| (**n % 2 == 0) == archive_after.is_some()) {
            place.update(session, *n, json!({"redacted": n})).await?;
            let holding = holding(database, *n).await?;
            ensure!(holding.is_empty(), "the text of {n} is in {holding:?}");
            let document = serialize_to_vec(&database.document(session).await?)?;
            let needle = format!("<<{n}>>").into_bytes();
            ensure!(!document.windows(needle.len()).any(|part| part == needle), "the text of {n} is in the session's document");
            let read = place.repo.messages().read(session, "a", *n).await?.context("it is gone")?;
            ensure!(read.body.parse::<serde_json::Value>()? == json!({"redacted": n}), "{read:?}");
        }
        place.close().await;
    }
    Ok(())
}

/// The plan for each insert of sessions; all else passes.
fn at_sessions(plan: Plan) -> impl FnMut(&Command) -> Plan + Send + 'static {
    move |command| {
        let is_session = command.name == "insert" && !command.collection.ends_with(".archive");
        if is_session { plan } else { Plan::Pass }
    }
}

#[tokio::test]
async fn orphans_of_any_origin() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let place = Place::open(&database, Some(SMALL)).await?;
    seed(&place, "s", 30).await?;
    // Copies of each message, in the archive's form and out of place.
    let list = place.repo.messages().list("s", "a", None, 0).await?;
    for some in list.chunks(7) {
        let messages = some.iter().map(|message| doc! { "message_id": message.message_id, "text": message.body.to_string() });
        let id = doc! { "archive": ObjectId::new(), "first": 0_i64 };
        database
            .blocks()
            .insert_one(doc! { "_id": id, "session_id": "s", "fence": 1_i64, "messages": messages.collect::<Vec<_>>() })
            .await?;
    }
    ensure!(holding(&database, 3).await?.len() == 2 && holding(&database, 29).await?.len() == 1, "they are not there");
    is_redacted(&database, "s", &[3, 29, 0, 14, 7, 28]).await?;
    place.close().await;
    database.drop().await
}

#[tokio::test]
async fn a_mover_that_died() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let never = Place::open(&database, None).await?;
    for (step, moment) in [
        (Step::Seal, Moment::After),
        (Step::WriteBlocks, Moment::Before),
        (Step::WriteBlocks, Moment::After),
        (Step::CommitMove, Moment::Before),
        (Step::CommitMove, Moment::After),
    ] {
        let name = format!("{step:?} {moment:?}");
        seed(&never, &name, 30).await?;
        let mut cut = at_step(step, 0, Plan::Cut(moment));
        let mut is_cut = false;
        // It dies: nothing that it sends after this reaches the server.
        let proxy = Proxy::start(move |command| {
            if is_cut {
                return Plan::Cut(Moment::Before);
            }
            let plan = cut(command);
            is_cut = plan != Plan::Pass;
            plan
        })
        .await?;
        let mover = Place::through(&proxy.uri(), &database, Some(SMALL)).await?;
        let moved = mover.store.archive_run(&name).await;
        ensure!(moved.is_err(), "{name}: {moved:?}");
        mover.close().await;
        is_redacted(&database, &name, &[0, 29, 5, 12, 13]).await.context(name)?;
        // What one session has is of no concern to the next.
        database.blocks().delete_many(doc! {}).await?;
    }
    never.close().await;
    database.drop().await
}

#[tokio::test]
async fn an_undo_that_died() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let place = Place::open(&database, Some(SMALL)).await?;
    for moment in [Moment::Before, Moment::After] {
        let name = format!("{moment:?}");
        seed(&place, &name, 30).await?;
        let proxy =
            Proxy::start(move |command| if command.step() == Some(Step::DeleteBlocks) { Plan::Cut(moment) } else { Plan::Pass }).await?;
        let dies = Place::through(&proxy.uri(), &database, None).await?;
        let undone = dies.store.archive_undo(&name).await;
        ensure!(undone.is_err(), "{name}: {undone:?}");
        dies.close().await;
        is_redacted(&database, &name, &[0, 29, 5, 12, 13]).await.context(name)?;
        database.blocks().delete_many(doc! {}).await?;
    }
    place.close().await;
    database.drop().await
}

#[tokio::test]
async fn an_import_that_died() -> anyhow::Result<()> {
    let (database, source) = (Database::fresh().await?, Database::fresh().await?);
    let place = Place::open(&source, None).await?;
    seed(&place, "s", 30).await?;
    let text = dump(&AnyStore::Mongo(place.store.clone())).await?;
    place.close().await;
    let proxy = Proxy::start(at_sessions(Plan::Cut(Moment::Before))).await?;
    let dies = Place::through(&proxy.uri(), &database, Some(SMALL)).await?;
    let imported = load(&AnyStore::Mongo(dies.store.clone()), text.clone()).await;
    ensure!(imported.is_err(), "{imported:?}");
    dies.close().await;
    ensure!(!holding(&database, 3).await?.is_empty(), "it has left nothing behind");
    let never = Place::open(&database, None).await?;
    load(&AnyStore::Mongo(never.store.clone()), text).await?;
    is_redacted(&database, "s", &[0, 29, 5, 12, 13]).await?;
    never.close().await;
    source.drop().await?;
    database.drop().await
}

/// An import that comes to an end while its blocks are being removed as orphans either has all of them or is refused as a whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_during_a_removal_of_orphans() -> anyhow::Result<()> {
    let source = Database::fresh().await?;
    let place = Place::open(&source, None).await?;
    seed(&place, "s", 30).await?;
    let text = dump(&AnyStore::Mongo(place.store.clone())).await?;
    place.close().await;
    for (step, is_kept) in [(Step::MarkOrphans, true), (Step::DeleteBlocks, false)] {
        let database = Database::fresh().await?;
        let mut inserts = Proxy::start(at_sessions(Plan::Hold(Moment::Before))).await?;
        let mut removes = Proxy::start(at_step(step, 0, Plan::Hold(Moment::Before))).await?;
        let importing = Place::through(&inserts.uri(), &database, Some(SMALL)).await?;
        let removing = Place::through(&removes.uri(), &database, None).await?;
        let (store, dump) = (AnyStore::Mongo(importing.store.clone()), text.clone());
        let import = tokio::spawn(async move { load(&store, dump).await });
        let insert = inserts.held().await?;
        inserts.rule(|_| Plan::Pass);
        let store = removing.store.clone();
        let removal = tokio::spawn(async move { store.archive_undo("s").await });
        let remove = removes.held().await?;
        insert.resume();
        let imported = import.await?;
        remove.resume();
        removal.await??;
        ensure!(imported.is_ok() == is_kept, "{step:?}: {imported:?}");
        let again = load(&AnyStore::Mongo(importing.store.clone()), text.clone()).await?;
        ensure!((again.new, again.same) == if is_kept { (0, 1) } else { (1, 0) }, "{step:?}: {again:?}");
        ensure!(importing.read("s").await?.len() == 30, "{step:?}");
        importing.close().await;
        removing.close().await;
        database.drop().await?;
    }
    source.drop().await
}

/// All sessions of a batch that lose their blocks that way are removed again, so that the next import stores them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_loses_the_blocks_of_two_sessions() -> anyhow::Result<()> {
    let (database, source) = (Database::fresh().await?, Database::fresh().await?);
    let place = Place::open(&source, None).await?;
    for session in ["r", "s", "t"] {
        seed(&place, session, 30).await?;
    }
    let text = dump(&AnyStore::Mongo(place.store.clone())).await?;
    place.close().await;
    let mut inserts = Proxy::start(at_sessions(Plan::Hold(Moment::Before))).await?;
    let importing = Place::through(&inserts.uri(), &database, Some(SMALL)).await?;
    let (store, dump) = (AnyStore::Mongo(importing.store.clone()), text.clone());
    let import = tokio::spawn(async move { load(&store, dump).await });
    let insert = inserts.held().await?;
    inserts.rule(|_| Plan::Pass);
    let removing = Place::open(&database, None).await?;
    for session in ["r", "t"] {
        removing.store.archive_undo(session).await?.context("no blocks")?;
    }
    insert.resume();
    let imported = import.await?;
    ensure!(imported.is_err(), "{imported:?}");
    let again = load(&AnyStore::Mongo(importing.store.clone()), text).await?;
    ensure!((again.new, again.same, again.refused) == (2, 1, 0), "{again:?}");
    for session in ["r", "s", "t"] {
        ensure!(importing.read(session).await?.len() == 30, "{session}");
    }
    importing.close().await;
    removing.close().await;
    source.drop().await?;
    database.drop().await
}

/// Another program has stored a message twice. One is in the archive, and the copy is on its way there when the message is updated.
#[tokio::test]
async fn a_copy_on_its_way_to_the_archive() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let (archiving, never) = (Place::open(&database, Some(SMALL)).await?, Place::open(&database, None).await?);
    seed(&archiving, "s", 30).await?;
    let block = database.blocks().find_one(doc! { "_id.first": 0_i64 }).await?.context("no block")?;
    let copy = block.get_array("messages")?.first().context("an empty block")?.clone();
    for n in 30..40 {
        never.repo.messages().append("s", "a", said(n), None).await?;
    }
    let push = doc! { "$push": { "agents.a.messages": { "$each": [copy], "$position": 0 } } };
    database.documents().update_one(doc! { "_id": "s" }, push).await?;
    let proxy = Proxy::start(at_step(Step::WriteBlocks, 0, Plan::Cut(Moment::Before))).await?;
    let dies = Place::through(&proxy.uri(), &database, Some(SMALL)).await?;
    let moved = dies.store.archive_run("s").await;
    ensure!(moved.is_err(), "{moved:?}");
    dies.close().await;
    let moving = database.document("s").await?.get_document("agents")?.get_document("a")?.get_document("moving")?.clone();
    ensure!(moving.to_string().contains("<<0>>"), "{moving}");
    is_redacted(&database, "s", &[0, 29, 5, 12, 13]).await?;
    let list = never.repo.messages().list("s", "a", None, 0).await?;
    ensure!(list.len() == 41 && list.iter().all(|message| !message.body.as_str().contains("<<0>>")), "{list:?}");
    archiving.close().await;
    never.close().await;
    database.drop().await
}

/// An import of a session that is there compares it and writes nothing, so that nothing is left of it wherever it dies.
#[tokio::test]
async fn an_import_of_what_is_there() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let place = Place::open(&database, Some(SMALL)).await?;
    seed(&place, "s", 30).await?;
    let text = dump(&AnyStore::Mongo(place.store.clone())).await?;
    let is_write = |command: &Command| ["insert", "update", "delete", "findAndModify"].contains(&command.name.as_str());
    let mut proxy = Proxy::start(move |command| if is_write(command) { Plan::Cut(Moment::Before) } else { Plan::Pass }).await?;
    let importing = Place::through(&proxy.uri(), &database, Some(SMALL)).await?;
    let imported = load(&AnyStore::Mongo(importing.store.clone()), text.clone()).await?;
    ensure!((imported.new, imported.same) == (0, 1), "{imported:?}");
    // If it is removed before it can be compared, the import says so.
    proxy.rule(|command| {
        let compares = command.name == "find" && command.body.get_document("projection").is_ok_and(|fields| fields.is_empty());
        if compares { Plan::Hold(Moment::Before) } else { Plan::Pass }
    });
    let (store, dump) = (AnyStore::Mongo(importing.store.clone()), text.clone());
    let import = tokio::spawn(async move { load(&store, dump).await });
    let held = proxy.held().await?;
    database.documents().delete_one(doc! { "_id": "s" }).await?;
    held.resume();
    let imported = import.await??;
    let why = String::from("session \"s\": it was there and was removed during the import; the import has to be repeated");
    ensure!((imported.new, imported.same, &imported.complaints) == (0, 0, &vec![why]), "{imported:?}");
    importing.close().await;
    place.close().await;
    database.drop().await
}

/// A mover is held while others take its move over, fold everything back and redact a message. What it writes after that goes with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mover_that_is_late() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let (archiving, never) = (Place::open(&database, Some(SMALL)).await?, Place::open(&database, None).await?);
    for step in [Step::Seal, Step::WriteBlocks, Step::CommitMove] {
        let name = format!("{step:?}");
        seed(&never, &name, 30).await?;
        let mut proxy = Proxy::start(at_step(step, 0, Plan::Hold(Moment::Before))).await?;
        let mover = Place::through(&proxy.uri(), &database, Some(SMALL)).await?;
        let (store, session) = (mover.store.clone(), name.clone());
        let late = tokio::spawn(async move { store.archive_run(&session).await });
        let held = proxy.held().await?;
        archiving.store.archive_run(&name).await?.context("no session")?;
        never.store.archive_undo(&name).await?.context("no session")?;
        is_redacted(&database, &name, &[0, 29, 5, 12, 13]).await.context(name.clone())?;
        held.resume();
        late.await??;
        mover.close().await;
        for n in [0, 29, 5, 12, 13] {
            let holding = holding(&database, n).await?;
            ensure!(holding.is_empty(), "{name}: the text of {n} is in {holding:?}");
        }
        ensure!(never.repo.messages().append(&*name, "a", body(30), None).await? == 30);
        database.blocks().delete_many(doc! {}).await?;
    }
    archiving.close().await;
    never.close().await;
    database.drop().await
}
