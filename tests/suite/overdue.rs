//! Calls that outlive their deadline in a store that does not answer: later calls come after them, and what they hold is bounded.

use super::held::{Held, has_admitted};
use futures_util::future::join_all;
use session_repository::{COMPONENT, Error, Limits, Repository, Result, Scope, SessionCtx, SessionCtxView, SessionView, add_to_linker};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store};

mod bindings {
    #![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
    wasmtime::component::bindgen!({ path: "../wit", world: "repository" });
}

/// Long enough for calls to reach the store on a busy machine.
const HASTE: Duration = Duration::from_secs(2);

fn hasty() -> Limits {
    Limits::default().call_deadline(HASTE)
}

/// A store that holds its calls back from now on; there are sessions `s`, `t` and `u` in it, each with an agent `a`.
async fn held() -> anyhow::Result<Held> {
    let store = Held::new().await?;
    let repo = Repository::builder(store.clone()).build()?;
    for session in ["s", "t", "u"] {
        repo.sessions().create(session, None).await?;
        repo.agents().create(session, "a", "{}").await?;
    }
    store.hold();
    Ok(store)
}

/// A message that is so many bytes of JSON.
fn body(bytes: usize) -> String {
    format!(r#"{{"k":"{}"}}"#, "x".repeat(bytes - 8))
}

async fn append(repo: &Repository, session: &str, bytes: usize) -> Result<i64> {
    repo.messages().append(session, "a", body(bytes), None).await
}

/// Appends again and again until the repository takes it.
async fn append_at_last(repo: &Repository, session: &str, bytes: usize) -> Result<i64> {
    loop {
        match append(repo, session, bytes).await {
            Err(Error::Timeout | Error::Unavailable(_)) => tokio::task::yield_now().await,
            answer => return answer,
        }
    }
}

async fn ids(repo: &Repository, session: &str) -> Result<Vec<i64>> {
    Ok(repo.messages().list(session, "a", None, 0).await?.iter().map(|message| message.message_id).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overdue_calls_are_bounded_by_number_however_few_their_sessions() -> anyhow::Result<()> {
    let store = held().await?;
    let begun = store.begun();
    let repo = Repository::builder(store.clone()).limits(hasty().overdue_calls(8)).build()?;
    let late = join_all((0..8).map(|n| append(&repo, if n % 2 == 0 { "s" } else { "t" }, 100))).await;
    assert_eq!(late, vec![Err(Error::Timeout); 8]);
    assert_eq!(store.begun() - begun, 8, "the store has them all");
    let refused = append(&repo, "u", 100).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert_eq!(store.begun() - begun, 8, "what is refused does not reach the store");
    store.release();
    assert_eq!(append_at_last(&repo, "u", 100).await?, 0);
    // After those that were late.
    assert_eq!(append_at_last(&repo, "s", 100).await?, 4);
    repo.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overdue_calls_are_bounded_by_the_bytes_that_they_hold() -> anyhow::Result<()> {
    let store = held().await?;
    let begun = store.begun();
    let repo = Repository::builder(store.clone()).limits(hasty().overdue_bytes(2_000_000)).build()?;
    let late = join_all(["s", "t"].map(|session| append(&repo, session, 1_000_000))).await;
    assert_eq!(late, vec![Err(Error::Timeout); 2]);
    let refused = repo.metadata().get("u").await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert_eq!(store.begun() - begun, 2);
    store.release();
    assert_eq!(append_at_last(&repo, "u", 1_000_000).await?, 0);
    repo.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bytes_of_a_call_are_in_flight_until_the_store_has_ended_it() -> anyhow::Result<()> {
    let store = held().await?;
    let begun = store.begun();
    let repo = Repository::builder(store.clone()).limits(hasty().message_bytes(1_000_000).bytes_in_flight(2_500_000));
    let repo = repo.build()?;
    let late = join_all(["s", "t"].map(|session| append(&repo, session, 1_000_000))).await;
    assert_eq!(late, vec![Err(Error::Timeout); 2]);
    assert_eq!(append(&repo, "u", 1_000_000).await, Err(Error::Timeout), "there is no room for it");
    assert_eq!(store.begun() - begun, 2, "what waits for room does not reach the store");
    store.release();
    assert_eq!(append_at_last(&repo, "u", 1_000_000).await?, 0);
    // Twice what fits, so what was given back is all there was.
    let more = join_all(["s", "t", "u", "s"].map(|session| append_at_last(&repo, session, 1_000_000))).await;
    assert_eq!(more.into_iter().collect::<Result<Vec<_>>>()?.len(), 4);
    repo.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_call_through_another_repository_comes_after_one_that_is_overdue() -> anyhow::Result<()> {
    let store = held().await?;
    let begun = store.begun();
    let first = Repository::builder(store.clone()).limits(hasty()).build()?;
    let second = Repository::builder(store.clone()).build()?;
    assert_eq!(append(&first, "s", 100).await, Err(Error::Timeout));
    let late = tokio::spawn({
        let second = second.clone();
        async move { second.messages().create("s", "a", 7, "{}").await }
    });
    // A call on another session is not held up, and shows that the second repository works.
    let other = tokio::spawn({
        let second = second.clone();
        async move { second.messages().append("t", "a", "{}", None).await }
    });
    store.has_begun(begun + 2).await?;
    assert_eq!(append(&first, "s", 100).await, Err(Error::Timeout));
    assert_eq!(store.begun() - begun, 2, "no other call on the session has reached the store");
    store.release();
    late.await??;
    other.await??;
    assert_eq!(ids(&second, "s").await?, [0, 7]);
    first.close().await;
    second.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overdue_calls_of_a_scope_keep_nobody_else_from_the_store() -> anyhow::Result<()> {
    let store = held().await?;
    let begun = store.begun();
    let limits = hasty().overdue_calls(2).overdue_bytes(1_000_000);
    let tenant =
        |sessions: &[&str]| Repository::builder(store.clone()).limits(limits).scope(Scope::sessions(sessions.iter().copied())).build();
    let (slow, large, other) = (tenant(&["s", "u"])?, tenant(&["s", "u"])?, tenant(&["t"])?);
    let everything = Repository::builder(store.clone()).limits(limits).build()?;
    let late = tokio::join!(append(&slow, "s", 100), append(&slow, "s", 100), append(&large, "s", 1_000_000));
    assert_eq!(late, (Err(Error::Timeout), Err(Error::Timeout), Err(Error::Timeout)));
    for repo in [&slow, &large] {
        let refused = append(repo, "u", 100).await;
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    }
    assert_eq!(store.begun() - begun, 3);
    let calls = [other, everything].map(|repo| tokio::spawn(async move { append_at_last(&repo, "t", 100).await }));
    store.has_begun(begun + 5).await?;
    store.release();
    for call in calls {
        call.await??;
    }
    assert_eq!(append_at_last(&slow, "u", 100).await?, 0, "what is over no longer counts");
    assert_eq!(append_at_last(&large, "u", 100).await?, 1);
    slow.close().await;
    Ok(())
}

/// The store has room for eight small calls of a scope; those that wait for an overdue call take none of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_wait_for_an_overdue_one_leave_their_turns_to_others() -> anyhow::Result<()> {
    let store = held().await?;
    let begun = store.begun();
    let tenant = |limits| Repository::builder(store.clone()).limits(limits).scope(Scope::sessions(["s", "t"])).build();
    let hasty = tenant(hasty())?;
    assert_eq!(append(&hasty, "s", 100).await, Err(Error::Timeout));
    let repo = tenant(Limits::default())?;
    let spawn = |session: &'static str| {
        let repo = repo.clone();
        tokio::spawn(async move { append(&repo, session, 100).await })
    };
    let mut calls: Vec<_> = (0..20).map(|_| spawn("s")).collect();
    has_admitted(&repo, 20).await?;
    calls.push(spawn("t"));
    store.has_begun(begun + 2).await?;
    store.release();
    for call in calls {
        call.await??;
    }
    repo.close().await;
    Ok(())
}

/// What an instance in an engine of its own has.
pub(crate) struct State(pub(crate) SessionCtx);

impl SessionView for State {
    fn session(&mut self) -> SessionCtxView<'_> {
        SessionCtxView { ctx: &mut self.0 }
    }
}

/// Appends a message through a context in an engine of its own.
async fn append_in(ctx: SessionCtx) -> wasmtime::Result<Result<i64, bindings::session::repository::types::Error>> {
    let engine = Engine::new(Config::new().wasm_component_model_async(true))?;
    let mut linker = Linker::new(&engine);
    add_to_linker::<State>(&mut linker)?;
    let component = Component::new(&engine, COMPONENT)?;
    let mut store = Store::new(&engine, State(ctx));
    let instance = bindings::Repository::instantiate_async(&mut store, &component, &linker).await?;
    let (session, agent, body) = (String::from("s"), String::from("a"), String::from("{}"));
    let call = async |accessor: &wasmtime::component::Accessor<State>| {
        instance.session_repository_messages().call_append(accessor, session, agent, body, None, None).await
    };
    store.run_concurrent(call).await?
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_call_through_another_context_comes_after_one_that_is_overdue() -> anyhow::Result<()> {
    let store = held().await?;
    let begun = store.begun();
    let context = || SessionCtx::new(Arc::new(store.clone())).with_limits(hasty());
    let timed_out = |answer| matches!(answer, Err(bindings::session::repository::types::Error::Timeout));
    let append = async || append_in(context()).await.map_err(|trap| anyhow::anyhow!("{trap:?}"));
    assert!(timed_out(append().await?));
    assert!(timed_out(append().await?));
    assert_eq!(store.begun() - begun, 1, "the second waits for the first and is never begun");
    store.release();
    Ok(())
}
