//! Repositories in Tokio runtimes of their own, as tenants have them, and what becomes of calls when such a runtime is shut down.

use session_repository::{EmbeddedStore, Error, Repository, Scope, Store, StoreOptions};
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

const ROUNDS: usize = 40;

/// What kind of error it is, where it may be one.
fn end<T>(answer: Result<T, Error>) -> &'static str {
    answer.map_or_else(|error| error.code(), |_| "ok")
}

/// The file is not damaged then, and nobody waits for a deadline.
#[test]
fn calls_on_a_runtime_that_was_shut_down_are_unavailable() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let host = Runtime::new()?;
    let store: Arc<dyn Store> =
        Arc::new(host.block_on(EmbeddedStore::open(folder.path().join("sessions.store"), StoreOptions::default()))?);
    let open = |runtime: &Runtime, scope: Option<Scope>| {
        let _entered = runtime.enter();
        let builder = Repository::builder_on(Arc::clone(&store)).instances(1);
        match scope {
            Some(scope) => builder.scope(scope).build(),
            None => builder.build(),
        }
    };
    let all = open(&host, None)?;
    host.block_on(async {
        all.sessions().create("p/s", None).await?;
        all.agents().create("p/s", "a", "{}").await
    })?;
    let mut acknowledged = 0;
    for (scope, session) in [(None, "p/s"), (Some(Scope::hidden_prefix("p/")), "s")] {
        let mut ends = Vec::new();
        for round in 0..ROUNDS {
            let runtime = Builder::new_multi_thread().worker_threads(1).max_blocking_threads(1).enable_all().build()?;
            let repo = open(&runtime, scope.clone())?;
            host.block_on(repo.sessions().read(session))?;
            runtime.shutdown_background();
            ends.push(host.block_on(async {
                match round % 3 {
                    0 => end(repo.sessions().read(session).await),
                    1 => end(repo.messages().list(session, "a", None, 0).await),
                    _ => end(repo.messages().append(session, "a", "{}", None).await.inspect(|_| acknowledged += 1)),
                }
            }));
        }
        assert!(ends.iter().all(|end| ["ok", "unavailable"].contains(end)) && ends.contains(&"unavailable"), "{ends:?}");
    }
    // Others on the same store go on, and find what was acknowledged.
    assert!(host.block_on(all.messages().list("p/s", "a", None, 0))?.len() >= acknowledged);
    host.block_on(all.close());
    Ok(())
}
