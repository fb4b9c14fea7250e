//! The storage over `wasi:keyvalue`, on a file: it keeps all promises, shares a store with other hosts, and survives a failure anywhere.

mod faults;
mod increment;
mod limits;
mod values;

use crate::conformance::passes;
use crate::run::Desk;
use anyhow::{Context, ensure};
use futures_util::future::try_join_all;
use session_repository::keyvalue::{KeyValueCtx, KeyValueFile, KeyValues, add_to_linker};
use session_repository::{ComponentStore, Error, Repository, plugin};
use session_repository_tests::{Storage, storage};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::OnceCell;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine};

fn failed(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:?}")
}

/// The storage, compiled once for all tests.
async fn component() -> anyhow::Result<&'static Component> {
    static COMPONENT: OnceCell<Component> = OnceCell::const_new();
    let compile = async || {
        let engine = Engine::new(Config::new().wasm_component_model_async(true)).map_err(failed)?;
        plugin::compile(&engine, &std::fs::read(storage(Storage::KeyValue).await?)?).map_err(failed)
    };
    COMPONENT.get_or_try_init(compile).await
}

/// A host: an instance of the storage on these values, and a repository above it.
async fn host(values: Arc<dyn KeyValues>) -> anyhow::Result<Repository> {
    let component = component().await?;
    let mut linker = Linker::new(component.engine());
    add_to_linker(&mut linker).map_err(failed)?;
    let store = ComponentStore::start(component, &linker, KeyValueCtx::new(values)).await?;
    Ok(Repository::builder(store).build()?)
}

async fn file(folder: &Path) -> anyhow::Result<Arc<KeyValueFile>> {
    Ok(Arc::new(KeyValueFile::open(folder.join("values.redb")).await?))
}

/// A session with an agent `a`.
async fn with_agent(repo: &Repository, session: &str) -> anyhow::Result<()> {
    repo.sessions().create(session, None).await?;
    Ok(repo.agents().create(session, "a", "{}").await?)
}

/// The ids and bodies of all messages of `a`.
async fn listed(repo: &Repository, session: &str) -> anyhow::Result<Vec<(i64, String)>> {
    let messages = repo.messages().list(session, "a", None, 0).await?;
    Ok(messages.into_iter().map(|message| (message.message_id, message.body.to_string())).collect())
}

/// A message body of about so many bytes.
fn body(name: &str, bytes: usize) -> String {
    format!(r#"{{"name":"{name}","text":"{}"}}"#, "x".repeat(bytes))
}

#[tokio::test]
async fn it_passes_the_conformance_suite() -> anyhow::Result<()> {
    let storage = storage(Storage::KeyValue).await?;
    passes(&Desk::new()?, None, &["--storage", &storage.display().to_string()]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_of_two_hosts_on_one_store_are_neither_lost_nor_doubled() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let values = file(folder.path()).await?;
    let hosts = [host(values.clone()).await?, host(values).await?];
    with_agent(&hosts[0], "s").await?;
    // Large enough that blocks are written meanwhile.
    let writers = hosts.iter().enumerate().flat_map(|(number, repo)| (0..4).map(move |writer| (number, writer, repo)));
    let appends = writers.map(async |(number, writer, repo)| {
        let mut ids = Vec::new();
        for n in 0..15 {
            ids.push(repo.messages().append("s", "a", body(&format!("{number}-{writer}-{n}"), 3_000), None).await?);
        }
        anyhow::Ok(ids)
    });
    let ids: Vec<i64> = try_join_all(appends).await?.into_iter().flatten().collect();
    assert_eq!(ids.iter().copied().collect::<BTreeSet<_>>(), (0..120).collect());
    for repo in &hosts {
        let listed = listed(repo, "s").await?;
        assert_eq!(listed.iter().map(|(id, _)| *id).collect::<Vec<_>>(), (0..120).collect::<Vec<_>>());
        assert_eq!(listed.iter().map(|(_, body)| body).collect::<BTreeSet<_>>().len(), 120);
        assert_eq!(repo.sessions().read("s").await?.context("no session")?.revision, 121);
    }
    for repo in hosts {
        repo.close().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_creations_of_a_session_succeeds() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let values = file(folder.path()).await?;
    let hosts = [host(values.clone()).await?, host(values).await?];
    for round in 0..20 {
        let id = format!("s{round}");
        let (one, other) = tokio::join!(hosts[0].sessions().create(&*id, None), hosts[1].sessions().create(&*id, None));
        let failed = [one.err(), other.err()].into_iter().flatten().collect::<Vec<_>>();
        assert!(matches!(&failed[..], [Error::AlreadyExists(_)]), "{failed:?}");
    }
    Ok(())
}

#[tokio::test]
async fn sessions_outlive_their_host() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    for round in 0..3 {
        let repo = host(file(folder.path()).await?).await?;
        if round == 0 {
            with_agent(&repo, "s").await?;
        }
        for n in 0..4 {
            repo.messages().append("s", "a", body(&format!("{round}-{n}"), 10_000), None).await?;
        }
        let listed = listed(&repo, "s").await?;
        ensure!(listed.len() == 4 * (round + 1), "{}", listed.len());
        repo.close().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_file_of_another_kind_is_refused_and_left_alone() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("values.redb");
    std::fs::write(&path, "something else")?;
    let refused = KeyValueFile::open(&path).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert_eq!(std::fs::read(&path)?, b"something else");
    Ok(())
}
