//! Every call with ids of others, with what looks like them and with what means something to a store: no answer tells of others.

use super::host::Plugin;
use super::site::Site;
use crate::scope::LOOK_ALIKES;
use mongodb::bson::{RawDocumentBuf, doc};
use session_repository::{EmbeddedStore, MongoStore, Quotas, Repository, Scope, Store, StoreOptions};
use session_repository_tests::{COLLECTION, Database, mongodb_uri};
use std::sync::Arc;

/// What means something to a store, in an id or elsewhere.
const SPECIAL: [&str; 24] = [
    "",
    "\0",
    "tenant-2/s\0",
    "tenant-2/",
    "tenant-2/s.agents.a",
    "agents.a.messages",
    "agents.a.messages.0.message",
    "_id",
    "revision",
    "$set",
    "$where",
    "$$ROOT",
    "$agents.a",
    "a.$[]",
    "a.$.b",
    "{\"$ne\": null}",
    "{\"$set\": {\"_id\": \"tenant-2/s\"}}",
    "{\"$where\": \"sleep(1000)\"}",
    "[\"tenant-2/s\"]",
    "/.*/",
    ".*",
    "*",
    "';--",
    "..",
];

/// Ids of others, some of which exist.
fn ids() -> Vec<String> {
    let others = ["tenant-2/s", "s", "tenant-1", "tenant-2/absent", "nobody"];
    let mut ids: Vec<String> = others.iter().chain(&LOOK_ALIKES).chain(&SPECIAL).map(|id| (*id).to_owned()).collect();
    ids.push("tenant-2/".repeat(100));
    ids
}

/// What the plugin answers to every call on each id.
async fn answers(repo: &Repository, ids: &[String]) -> anyhow::Result<Vec<Vec<String>>> {
    let called = Plugin::start(repo).await?.call("answers", (ids.to_vec(),)).await;
    called.map_err(|trap| anyhow::anyhow!("{trap:?}"))
}

/// How every call ends that brings the text to the plugin's own session.
async fn texts(repo: &Repository, text: &str) -> anyhow::Result<Vec<String>> {
    let called = Plugin::start(repo).await?.call("texts", (String::from("s"), text.to_owned())).await;
    called.map_err(|trap| anyhow::anyhow!("{trap:?}"))
}

/// Has the sessions of others made, all that can be.
async fn seed_others(all: &Repository) -> anyhow::Result<()> {
    for id in ids() {
        if is_valid(&id) && all.sessions().read(id.as_str()).await?.is_none() {
            all.sessions().create(id.as_str(), None).await?;
            all.agents().create(id.as_str(), "a", r#"{"secret": true}"#).await?;
            all.messages().append(id.as_str(), "a", r#"{"secret": true}"#, None).await?;
        }
    }
    Ok(())
}

fn is_valid(id: &str) -> bool {
    (1..=512).contains(&id.len()) && !id.contains('\0')
}

/// A site with the sessions of others on a store, and an empty store.
async fn sites(store: impl Store) -> anyhow::Result<(Site, Arc<dyn Store>)> {
    let site = Site::on(store).await?;
    seed_others(&site.all).await?;
    Ok((site, Arc::new(EmbeddedStore::in_memory(StoreOptions::default()).await?)))
}

/// Under each scope, the answers are those of a store in which others have nothing.
async fn no_answer_tells_of_others(site: &Site, empty: &Arc<dyn Store>) -> anyhow::Result<()> {
    for scope in [Scope::session("mine/s"), Scope::sessions(["mine/s"; 0]), Scope::prefix("mine/"), Scope::prefix("")] {
        let full = answers(&site.scoped(scope.clone())?, &ids()).await?;
        let alone = answers(&Repository::builder_on(Arc::clone(empty)).instances(1).scope(scope.clone()).build()?, &ids()).await?;
        for ((id, full), alone) in ids().iter().zip(full).zip(alone) {
            assert_eq!(full, alone, "{scope:?}: {id:?}");
            let expected = if is_valid(id) {
                " Err(Error::AccessDenied(\"the caller's scope does not allow this\"))"
            } else {
                " Err(Error::InvalidArgument("
            };
            for line in full {
                assert!(line.contains(expected), "{scope:?}: {id:?}: {line}");
            }
        }
    }
    // Each id is one of the tenant's own here.
    let scope = Scope::hidden_prefix("mine/");
    let full = site.scoped(scope.clone())?;
    let alone = Repository::builder_on(Arc::clone(empty)).instances(1).scope(scope).build()?;
    assert_eq!(answers(&full, &ids()).await?, answers(&alone, &ids()).await?);
    for repo in [&full, &alone] {
        repo.sessions().create("mine", None).await?;
    }
    for text in ids() {
        let lines = texts(&full, &text).await?;
        for line in &lines {
            let is_known = line.ends_with(" ok") || ["InvalidArgument", "NotFound", "AlreadyExists"].iter().any(|code| line.contains(code));
            assert!(is_known, "{text:?}: {line}");
        }
        assert_eq!(lines, texts(&alone, &text).await?, "{text:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_for_a_session_of_others_is_that_for_one_that_is_not_there() -> anyhow::Result<()> {
    let (site, empty) = sites(EmbeddedStore::in_memory(StoreOptions::default()).await?).await?;
    let before = site.others().await?;
    no_answer_tells_of_others(&site, &empty).await?;
    assert_eq!(site.others().await?, before);
    site.works(&site.tenant(Quotas::default()).await?).await?;
    site.all.close().await;
    Ok(())
}

/// All documents of others.
async fn documents(database: &Database) -> anyhow::Result<Vec<Vec<u8>>> {
    let collection = database.documents().clone_with_type::<RawDocumentBuf>();
    let mut found = collection.find(doc! { "_id": { "$not": { "$regex": "^mine/" } } }).sort(doc! { "_id": 1 }).await?;
    let mut documents = Vec::new();
    while found.advance().await? {
        documents.push(found.current().as_bytes().to_vec());
    }
    Ok(documents)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_of_others_in_mongodb_stay_byte_for_byte() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let (site, empty) = sites(MongoStore::connect(&mongodb_uri()?, database.options()).await?).await?;
    let before = documents(&database).await?;
    assert!(before.len() >= LOOK_ALIKES.len(), "{} documents", before.len());
    no_answer_tells_of_others(&site, &empty).await?;
    assert!(documents(&database).await? == before, "documents of others have changed");
    let names = database.client.database(&database.name).list_collection_names().await?;
    assert!(names.iter().all(|name| name.starts_with(COLLECTION)), "{names:?}");
    site.all.close().await;
    database.drop().await
}
