//! The contract: what every store must do behind the component. Each test is stated once and runs on every store. `tests/conformance` states
//! most of it as data, which `conformance` runs; here is what cannot be said there, and the model.

/// States contract tests. Each gets a repository on an empty store.
macro_rules! contract {
    ($(async fn $name:ident($repo:ident) $body:block)+) => {
        $(async fn $name($repo: &session_repository::Repository) -> anyhow::Result<()> {
            $body
            Ok(())
        })+

        mod mongo {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() -> anyhow::Result<()> {
                let database = session_repository_tests::Database::fresh().await?;
                let repo = database.repository().await?;
                super::$name(&repo).await?;
                repo.close().await;
                database.drop().await
            })+
        }

        /// The same with an archive that begins after a message or two.
        mod archiving {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() -> anyhow::Result<()> {
                let database = session_repository_tests::Database::fresh().await?;
                let repo = database.archiving_repository(1024).await?;
                super::$name(&repo).await?;
                repo.close().await;
                database.drop().await
            })+
        }

        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() -> anyhow::Result<()> {
                let folder = tempfile::tempdir()?;
                let store = session_repository::EmbeddedStore::open(folder.path().join("store"), Default::default()).await?;
                let repo = session_repository::Repository::builder(store).build()?;
                super::$name(&repo).await?;
                repo.close().await;
                Ok(())
            })+
        }

        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() -> anyhow::Result<()> {
                let store = session_repository::EmbeddedStore::in_memory(Default::default()).await?;
                let repo = session_repository::Repository::builder(store).build()?;
                super::$name(&repo).await?;
                repo.close().await;
                Ok(())
            })+
        }

        /// The synchronous flavour of the component.
        mod sync {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() -> anyhow::Result<()> {
                let store = session_repository::EmbeddedStore::in_memory(Default::default()).await?;
                let repo = session_repository::Repository::builder(store).flavour(session_repository::Flavour::Sync).build()?;
                super::$name(&repo).await?;
                repo.close().await;
                Ok(())
            })+
        }
    };
}

mod arguments;
mod calls;
mod limits;
mod model;

use anyhow::Context;
use serde_json::Value;
use session_repository::{Error, Json, Repository};

/// A repository with a session `s` and an agent `a` in it.
async fn with_agent(repo: &Repository) -> anyhow::Result<&Repository> {
    repo.sessions().create("s", None).await?;
    repo.agents().create("s", "a", "{}").await?;
    Ok(repo)
}

fn value(json: &Json) -> anyhow::Result<Value> {
    Ok(json.parse()?)
}

async fn body(repo: &Repository, id: i64) -> anyhow::Result<Value> {
    let message = repo.messages().read("s", "a", id).await?.with_context(|| format!("no message {id}"))?;
    value(&message.body)
}

async fn ids(repo: &Repository, limit: Option<i64>, offset: i64) -> anyhow::Result<Vec<i64>> {
    Ok(repo.messages().list("s", "a", limit, offset).await?.into_iter().map(|message| message.message_id).collect())
}

/// Waits until a stamp that is made after this differs from all that were made before.
async fn next_millisecond() {
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.as_millis());
    let begun = now();
    while now() <= begun {
        tokio::task::yield_now().await;
    }
}

/// The message of an `invalid-argument`; anything else fails the test.
#[track_caller]
fn invalid<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::InvalidArgument(message)) => message,
        other => panic!("expected invalid-argument, got {other:?}"),
    }
}
