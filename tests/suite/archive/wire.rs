//! What the archive's commands are: addressed to one shard, found through an index, and as few as the cost allows.

use super::{History, body};
use crate::driver::{Seen, Watch, addressed_to, filter, watched_store};
use mongodb::bson::{Bson, Document, doc};
use session_repository::{Repository, Store};
use session_repository_tests::COLLECTION;

const ARCHIVE: &str = "sessions.archive";

/// What was sent since the last look: each command goes to one shard, sessions by `_id` and blocks by `session_id`.
fn sent(watch: &Watch) -> Vec<Seen> {
    let seen = watch.take();
    for command in &seen {
        match command.command.get_str(&command.name) {
            Ok(COLLECTION) => assert_eq!(addressed_to(command), Some(&Bson::from("s")), "{command:?}"),
            Ok(ARCHIVE) if command.name == "createIndexes" => {}
            Ok(ARCHIVE) => assert_eq!(filter(command).and_then(|filter| filter.get("session_id")), Some(&Bson::from("s")), "{command:?}"),
            other => panic!("a command on {other:?}: {command:?}"),
        }
    }
    seen
}

fn names(seen: &[Seen]) -> Vec<(&str, &str)> {
    let mut names: Vec<_> = seen.iter().map(|seen| (seen.name.as_str(), seen.command.get_str(&seen.name).unwrap_or_default())).collect();
    names.sort_unstable();
    names
}

/// How many keys and documents of the archive a command looks at, as the server explains it.
async fn examined(history: &History, seen: &Seen) -> anyhow::Result<(i64, i64)> {
    let mut command = Document::new();
    for (name, value) in &seen.command {
        if !["lsid", "$db", "$clusterTime", "txnNumber", "writeConcern", "$readPreference"].contains(&name.as_str()) {
            command.insert(name, value);
        }
    }
    let database = history.database.documents().client().database(&history.database.name);
    let explained = database.run_command(doc! { "explain": command, "verbosity": "executionStats" }).await?;
    let text = explained.to_string();
    assert!(!text.contains("COLLSCAN") && text.contains("IXSCAN") || text.contains("IDHACK"), "{text}");
    let stats = explained.get_document("executionStats").or_else(|_| {
        let stages = explained.get_array("stages").ok().and_then(|stages| stages.first()).and_then(Bson::as_document);
        stages.map_or(Ok(&explained), |first| first.get_document("$cursor")?.get_document("executionStats"))
    })?;
    let number = |name: &str| stats.get(name).and_then(|value| value.as_i64().or(value.as_i32().map(i64::from))).unwrap_or(-1);
    Ok((number("totalKeysExamined"), number("totalDocsExamined")))
}

#[tokio::test]
async fn reads_and_updates_of_the_archive() -> anyhow::Result<()> {
    let history = History::of(4096, 2000).await?;
    let (store, watch) = watched_store(history.database.archiving(Some(4096))).await?;
    let repo = Repository::builder(store).build()?;
    // The first one does not know of the archive yet; then both are asked at once.
    repo.messages().list("s", "a", Some(10), 0).await?;
    assert_eq!(names(&sent(&watch)), [("find", COLLECTION), ("find", ARCHIVE)]);
    let both = [("find", COLLECTION), ("find", ARCHIVE)];
    for offset in [0, 7, 1000, 1001, 1900] {
        repo.messages().list("s", "a", Some(10), offset).await?;
        let seen = sent(&watch);
        let mut asked = names(&seen);
        assert!(asked.len() <= 3, "a page lies in two blocks at most: {asked:?}");
        asked.dedup();
        assert_eq!(asked, both, "the page at {offset}");
        for command in seen.iter().filter(|seen| seen.command.get_str("find").is_ok_and(|on| on == ARCHIVE)) {
            let (keys, documents) = examined(&history, command).await?;
            assert!(keys <= 3 && documents <= 2, "the page at {offset} looks at {keys} keys and {documents} documents");
        }
    }
    repo.messages().list("s", "a", Some(10), 1990).await?;
    assert_eq!(names(&sent(&watch)), [("find", COLLECTION)]);

    repo.messages().read("s", "a", 1000).await?;
    let seen = sent(&watch);
    assert_eq!(names(&seen), both);
    for command in seen.iter().filter(|seen| seen.command.get_str("find").is_ok_and(|on| on == ARCHIVE)) {
        let (keys, documents) = examined(&history, command).await?;
        assert!(keys <= 2 && documents == 1, "a read looks at {keys} keys and {documents} documents");
    }
    repo.messages().read("s", "a", 1999).await?;
    assert_eq!(names(&sent(&watch)), [("find", COLLECTION)]);

    repo.messages().append("s", "a", body(1), None).await?;
    sent(&watch);
    repo.messages().append("s", "a", body(2), None).await?;
    assert_eq!(names(&sent(&watch)), [("update", COLLECTION)]);
    // An update in the archive writes two documents, and no more when it comes after another.
    for number in [3, 4] {
        repo.messages().update("s", "a", 1000, body(number)).await?;
        let (look, blocks) = (("find", COLLECTION), ("find", ARCHIVE));
        assert_eq!(names(&sent(&watch)), [look, blocks, ("update", COLLECTION), ("update", ARCHIVE)]);
    }
    // One among the recent ones looks whether an orphan holds the old text.
    repo.messages().update("s", "a", 1999, body(5)).await?;
    let seen = sent(&watch);
    assert_eq!(names(&seen), [("find", ARCHIVE), ("update", COLLECTION)]);
    let find = seen.iter().find(|seen| seen.name == "find").ok_or_else(|| anyhow::anyhow!("no find"))?;
    let (keys, documents) = examined(&history, find).await?;
    assert!(keys <= 1 && documents == 0, "a look for orphans looks at {keys} keys and {documents} documents");
    repo.close().await;
    history.end().await
}

/// How many bytes went over the wire.
fn bytes(seen: &[Seen]) -> anyhow::Result<usize> {
    let documents = seen.iter().flat_map(|seen| [Some(&seen.command), seen.reply.as_ref()]).flatten();
    Ok(documents.map(|document| mongodb::bson::serialize_to_vec(document).map(|bytes| bytes.len())).sum::<Result<_, _>>()?)
}

/// A thousand messages of 14 KB in one append: what leaves before the answer, and what a moved MiB costs behind it.
#[tokio::test]
async fn a_large_append_is_one_write_and_a_moved_mib_costs_few() -> anyhow::Result<()> {
    let history = History::of(1024 * 1024, 1).await?;
    let (store, watch) = watched_store(history.database.options()).await?;
    let repo = Repository::builder(store.clone()).build()?;
    let text = "x".repeat(14_000);
    let bodies = (0..1000).map(|n| serde_json::json!({ "n": n, "content": &text }));
    watch.take();
    // The answer is there when the append is; moves begin after it.
    assert_eq!(repo.messages().append_many("s", "a", bodies, None).await?, 1);
    store.settled().await;
    let seen = sent(&watch);
    // A look first, because a plain update then costs the server less than one that tells what it did.
    let [look, append, moves @ ..] = seen.as_slice() else { anyhow::bail!("{seen:?}") };
    assert_eq!((look.name.as_str(), append.name.as_str()), ("find", "update"), "{:?}", names(&seen));
    let status = store.archive_status("s").await?.unwrap_or_default();
    let [agent] = status.as_slice() else { anyhow::bail!("{status:?}") };
    assert!(agent.bytes <= 1024 * 1024 && agent.moving_bytes == 0, "{agent:?}");
    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    let (mib, commands, bytes) = (agent.archived_bytes as f64 / (1024.0 * 1024.0), moves.len() as f64, bytes(moves)? as f64);
    let (commands, bytes) = (commands / mib, bytes / (1024.0 * 1024.0) / mib);
    eprintln!("{:.1} MiB moved: {commands:.2} commands and {bytes:.2} MiB on the wire for each", mib);
    assert!(mib > 11.0 && commands <= 2.0 && bytes <= 2.2, "{mib} MiB: {commands} commands, {bytes} MiB: {:?}", names(moves));
    repo.close().await;
    history.end().await
}

#[tokio::test]
async fn moves_status_run_and_undo() -> anyhow::Result<()> {
    let history = History::of(1024 * 1024, 150).await?;
    let (store, watch) = watched_store(history.database.archiving(Some(8192))).await?;
    store.archive_run("s").await?;
    let seen = sent(&watch);
    // The blocks are written together, then there is one commit.
    let blocks: Vec<usize> = seen.iter().filter_map(|seen| Some(seen.command.get_array("documents").ok()?.len())).collect();
    assert!(blocks.len() == 1 && blocks[0] >= 3, "{blocks:?}");
    let writes: Vec<_> = seen.iter().map(|seen| seen.name.as_str()).filter(|name| !["find", "createIndexes"].contains(name)).collect();
    assert_eq!(writes, ["findAndModify", "insert", "update"]);
    store.archive_status("s").await?;
    store.archive_undo("s").await?;
    assert!(!sent(&watch).is_empty());
    store.close().await;
    history.end().await
}
