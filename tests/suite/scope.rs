//! Scopes and quotas: untrusted callers get what a scope allows, and learn nothing of the rest.

use crate::held::{Held, has_admitted};
use crate::overdue::State;
use crate::samples::{samples, samples_that};
use futures_util::future::join_all;
use serde_json::json;
use session_repository::{
    COMPONENT, EmbeddedStore, Entity, Error, Interface, MongoStore, Quotas, Repository, Result, Scope, SessionCtx, Store, StoreOptions,
    add_to_linker,
};
use session_repository_tests::{Database, mongodb_uri};
use std::sync::Arc;
use std::time::Instant;
use wasmtime::component::{Accessor, Component, Linker};
use wasmtime::{Config, Engine};

fn scoped(store: &Held, scope: Scope) -> Result<Repository> {
    Repository::builder(store.clone()).scope(scope).build()
}

/// A store in memory, and a repository on it that everything is allowed to.
async fn everything() -> anyhow::Result<(Held, Repository)> {
    let store = Held::new().await?;
    let repo = Repository::builder(store.clone()).build()?;
    Ok((store, repo))
}

fn is_denied<T>(answer: &Result<T>) -> bool {
    matches!(answer, Err(Error::AccessDenied(why)) if why == "the caller's scope does not allow this")
}

/// Ids that look like `tenant-1/a`, or like a way to it.
pub(crate) const LOOK_ALIKES: [&str; 26] = [
    "tenant-1/a ",
    " tenant-1/a",
    "tenant-1/A",
    "Tenant-1/a",
    "TENANT-1/A",
    "tenant-1",
    "tenant-1/",
    "tenant-1/ａ",
    "ｔenant-1/a",
    "tenant‐1/a",
    "tenant-1\u{2215}a",
    "tenant-1%2fa",
    "tenant%2D1/a",
    "tenant-1/a%00",
    "tenant-1/a\u{200b}",
    "tenant-1/a\n",
    "tenant-1//a",
    "tenant-1/./a",
    "tenant-2/../tenant-1/a",
    "../tenant-1/a",
    "tenant-1.a",
    "$tenant-1/a",
    "{\"$gt\": \"\"}",
    "$$ROOT",
    "tenant-1/a\u{301}",
    "tenant-10/a",
];

#[tokio::test]
async fn every_call_outside_a_scope_is_denied_before_the_store_is_asked() -> anyhow::Result<()> {
    let (store, all) = everything().await?;
    for id in LOOK_ALIKES {
        all.sessions().create(id, None).await?;
    }
    all.sessions().create("tenant-2/a", None).await?;
    // One that is there, one that is not, and all that looks like the allowed one.
    let others = ["tenant-2/a", "tenant-2/absent", "nobody"].into_iter().chain(LOOK_ALIKES);
    for (scope, outside) in [
        (Scope::session("tenant-1/a"), others.clone().collect::<Vec<_>>()),
        (Scope::sessions(["x", "tenant-1/a"]), others.clone().collect()),
        (Scope::prefix("tenant-1/"), others.clone().filter(|id| !id.starts_with("tenant-1/") || *id == "tenant-1/").collect()),
        (Scope::prefix(""), others.clone().collect()),
        (Scope::sessions([""; 0]), others.clone().collect()),
    ] {
        let repo = scoped(&store, scope.clone())?;
        let asked = store.begun();
        for id in &outside {
            for sample in samples() {
                let answer = (sample.make)(&repo, id).await;
                assert!(is_denied(&answer), "{scope:?}: {} of {id:?}: {answer:?}", sample.call);
            }
        }
        // A page of nothing needs no store, and is denied all the same.
        assert!(is_denied(&repo.messages().list("nobody", "a", Some(0), 0).await));
        assert_eq!(store.begun(), asked, "{scope:?}");
        assert_eq!(repo.audit().denied as usize, outside.len() * samples().len() + 1);
    }
    all.close().await;
    Ok(())
}

#[tokio::test]
async fn what_a_scope_allows_is_as_without_one() -> anyhow::Result<()> {
    for scope in [Scope::session("tenant-1/a"), Scope::sessions(["x", "tenant-1/a"]), Scope::prefix("tenant-1/"), Scope::prefix("t")] {
        let (store, all) = everything().await?;
        let repo = scoped(&store, scope)?;
        for sample in samples() {
            (sample.make)(&repo, "tenant-1/a").await?;
        }
        assert_eq!((repo.audit().admitted as usize, repo.audit().denied), (samples().len(), 0));
        assert_eq!(all.sessions().read("tenant-1/a").await?, repo.sessions().read("tenant-1/a").await?);
        all.close().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_scope_for_reading_denies_every_write_and_no_read() -> anyhow::Result<()> {
    let (store, all) = everything().await?;
    for sample in samples() {
        (sample.make)(&all, "s").await?;
    }
    let repo = scoped(&store, Scope::session("s").read_only())?;
    let asked = store.begun();
    for sample in samples_that(true).await? {
        assert!(is_denied(&(sample.make)(&repo, "s").await), "{}", sample.call);
    }
    assert_eq!(store.begun(), asked);
    for sample in samples_that(false).await? {
        (sample.make)(&repo, "s").await?;
    }
    all.close().await;
    Ok(())
}

#[tokio::test]
async fn a_scope_denies_the_interfaces_that_it_does_not_name() -> anyhow::Result<()> {
    let (store, all) = everything().await?;
    for sample in samples() {
        (sample.make)(&all, "s").await?;
    }
    for interface in Interface::ALL {
        let repo = scoped(&store, Scope::session("s").interfaces([interface]))?;
        for sample in samples() {
            let is_its_own = sample.call.split('.').next() == Some(interface.name());
            let answer = (sample.make)(&repo, "s").await;
            assert_eq!(is_denied(&answer), !is_its_own, "{interface:?}: {}: {answer:?}", sample.call);
        }
    }
    all.close().await;
    Ok(())
}

#[tokio::test]
async fn a_hidden_prefix_is_neither_given_nor_seen() -> anyhow::Result<()> {
    let (store, all) = everything().await?;
    let [one, two] = ["tenant-1/", "tenant-2/"].map(|prefix| scoped(&store, Scope::hidden_prefix(prefix)));
    let (one, two) = (one?, two?);
    for sample in samples() {
        (sample.make)(&one, "s").await?;
    }
    let created = one.sessions().create("t", None).await?;
    let read = one.sessions().read("s").await?.map(|session| session.session_id);
    assert_eq!((created.session_id.as_str(), read.as_deref()), ("t", Some("s")));
    // The other tenant has the same ids for itself.
    for sample in samples() {
        (sample.make)(&two, "s").await?;
    }
    assert_eq!(two.sessions().read("t").await?, None);
    assert_eq!(two.agents().create("t", "a", "{}").await, Err(Error::NotFound(Entity::Session)));
    // There is no way out, nor to an id that is longer than ids are.
    for id in ["../tenant-2/s", "tenant-1/s", "tenant-2/s", "/s", "."] {
        assert_eq!(one.sessions().read(id).await?, None, "{id}");
    }
    let longest = "x".repeat(512 - "tenant-1/".len());
    assert_eq!(one.sessions().create(longest.as_str(), None).await?.session_id, longest);
    assert!(is_denied(&one.sessions().read(longest + "x").await));
    let empty = one.sessions().read("").await;
    assert!(matches!(&empty, Err(Error::InvalidArgument(why)) if why.starts_with("session_id: ")), "{empty:?}");
    for id in ["tenant-1/s", "tenant-1/t", "tenant-2/s"] {
        assert_eq!(all.sessions().read(id).await?.map(|session| session.session_id).as_deref(), Some(id));
    }
    assert_eq!(all.sessions().read("s").await?, None);
    all.close().await;
    Ok(())
}

#[tokio::test]
async fn an_error_of_the_store_tells_a_scoped_caller_nothing_of_the_store() -> anyhow::Result<()> {
    const SECRET: &str = "mongodb://db.example:27017 says E11000 for tenant-2/s";
    let (store, all) = everything().await?;
    let plain = scoped(&store, Scope::session("s"))?;
    let hidden = scoped(&store, Scope::hidden_prefix("tenant-1/"))?;
    let text = || SECRET.to_owned();
    for failure in [
        Error::AccessDenied(text()),
        Error::Unavailable(text()),
        Error::Corrupt(text()),
        Error::Internal(text()),
        Error::Unsupported(text()),
    ] {
        store.fail(failure.clone());
        for repo in [&plain, &hidden] {
            for sample in samples() {
                let answer = (sample.make)(repo, "s").await;
                let error = answer.err().ok_or_else(|| anyhow::anyhow!("{}: no error", sample.call))?;
                assert_eq!(error.code(), failure.code(), "{}", sample.call);
                assert!(!error.to_string().contains("tenant") && !error.to_string().contains("mongodb"), "{}: {error}", sample.call);
            }
        }
        assert_eq!(all.sessions().read("s").await, Err(failure), "without a scope it is told");
    }
    all.close().await;
    Ok(())
}

#[tokio::test]
async fn calls_beyond_a_rate_are_refused_until_there_are_more() -> anyhow::Result<()> {
    const RATE: u32 = 10;
    const CALLS: usize = 300;
    let (store, all) = everything().await?;
    all.sessions().create("s", None).await?;
    let repo = scoped(&store, Scope::session("s").named("busy").quotas(Quotas::default().calls_per_second(RATE)))?;
    let begun = Instant::now();
    let answers = join_all((0..CALLS).map(|_| repo.sessions().read("s"))).await;
    let most = f64::from(RATE) * (1.0 + begun.elapsed().as_secs_f64());
    let admitted = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!((RATE as usize..=most as usize).contains(&admitted), "{admitted} of {most}");
    for refused in answers.iter().filter(|answer| answer.is_err()) {
        assert!(matches!(refused, Err(Error::QuotaExceeded { retry_after_ms: 1..=100 })), "{refused:?}");
    }
    // Denied calls count as well, or they would be free.
    let answers = join_all((0..CALLS).map(|_| repo.sessions().read("t"))).await;
    assert!(answers.iter().any(|answer| matches!(answer, Err(Error::QuotaExceeded { .. }))), "{answers:?}");
    let audit = repo.audit();
    assert_eq!((audit.admitted + audit.throttled + audit.denied, audit.admitted as usize), (2 * CALLS as u64, admitted));
    all.close().await;
    Ok(())
}

/// What never gets to the storage takes the component's time, so it is not free.
#[tokio::test]
async fn calls_that_the_component_refuses_count_as_well() -> anyhow::Result<()> {
    let (store, all) = everything().await?;
    all.sessions().create("s", None).await?;
    all.agents().create("s", "a", "{}").await?;
    let repo = scoped(&store, Scope::session("s").quotas(Quotas::default().calls_per_second(10)))?;
    let answers = join_all((0..200).map(|_| repo.messages().append("s", "a", "nonsense", None))).await;
    let refused = |answer: &Result<i64>| matches!(answer, Err(Error::QuotaExceeded { .. }));
    assert!(answers.iter().any(|answer| matches!(answer, Err(Error::InvalidArgument(_)))), "{answers:?}");
    assert!(answers.iter().any(refused), "{answers:?}");
    // A field that is not stored is brought all the same.
    let repo = scoped(&store, Scope::session("s").quotas(Quotas::default().bytes_per_call(1_000)))?;
    let stripped = |bytes: usize| json!({"k": 1, "created_at": "x".repeat(bytes)});
    let large = repo.messages().append("s", "a", stripped(100_000), None).await;
    assert!(matches!(large, Err(Error::TooLarge { size: 100_000.., limit: 1_000 })), "{large:?}");
    repo.messages().append("s", "a", stripped(2_000), None).await?;
    assert_eq!((repo.audit().admitted, repo.audit().too_large), (1, 1));
    // So does what no scope would let in.
    let repo = scoped(&store, Scope::session("s").quotas(Quotas::default().calls_per_second(2).bytes_per_call(1_000)))?;
    let larger = "x".repeat(25 << 20);
    let answers = join_all((0..50).map(|_| repo.messages().append("s", "a", larger.as_str(), None))).await;
    assert!(answers.iter().any(|answer| matches!(answer, Err(Error::TooLarge { limit: 1_000, .. }))), "{answers:?}");
    assert!(answers.iter().any(refused), "{answers:?}");
    assert_eq!(repo.audit().too_large + repo.audit().throttled, 50);
    all.close().await;
    Ok(())
}

#[tokio::test]
async fn calls_beyond_those_in_flight_are_refused_until_one_has_ended() -> anyhow::Result<()> {
    let (store, all) = everything().await?;
    all.sessions().create("s", None).await?;
    let repo = scoped(&store, Scope::session("s").quotas(Quotas::default().calls_in_flight(2)))?;
    let asked = store.begun();
    store.hold();
    let calls = [(); 2].map(|()| {
        let repo = repo.clone();
        tokio::spawn(async move { repo.sessions().read("s").await })
    });
    store.has_begun(asked + 2).await?;
    assert!(matches!(repo.sessions().read("s").await, Err(Error::QuotaExceeded { retry_after_ms: 1.. })));
    assert_eq!(store.begun(), asked + 2);
    store.release();
    for call in calls {
        call.await??;
    }
    assert!(repo.sessions().read("s").await?.is_some());
    assert_eq!((repo.audit().admitted, repo.audit().throttled), (3, 1));
    all.close().await;
    Ok(())
}

/// A flood makes a queue of its own, and none in the store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_a_scope_take_turns_at_the_store() -> anyhow::Result<()> {
    let (store, all) = everything().await?;
    for (bytes, at_once) in [(10, 8), (100_000, 2), (1_000_000, 2)] {
        let session = format!("{bytes}");
        all.sessions().create(session.as_str(), None).await?;
        store.hold();
        let begun = store.begun();
        let repo = Repository::builder(store.clone()).scope(Scope::session(&session)).instances(1).build()?;
        let body = json!({"k": "x".repeat(bytes)});
        let call = || {
            let (repo, session, body) = (repo.clone(), session.clone(), body.clone());
            tokio::spawn(async move { repo.feedback().add(session, body).await })
        };
        let calls: Vec<_> = (0..30).map(|_| call()).collect();
        store.has_begun(begun + at_once).await?;
        has_admitted(&repo, 30).await?;
        // Nobody else waits for them, and meanwhile no more of them have come.
        let neighbour = scoped(&store, Scope::session("other"))?;
        let other = tokio::spawn(async move { neighbour.sessions().read("other").await });
        store.has_begun(begun + at_once + 1).await?;
        assert_eq!(store.begun() - begun, at_once + 1, "{bytes} bytes each");
        store.release();
        assert_eq!(other.await??, None);
        for call in calls {
            call.await??;
        }
    }
    all.close().await;
    Ok(())
}

#[tokio::test]
async fn bytes_are_bounded_by_call_and_by_minute() -> anyhow::Result<()> {
    let (store, all) = everything().await?;
    all.sessions().create("s", None).await?;
    all.agents().create("s", "a", "{}").await?;
    let quotas = Quotas::default().bytes_per_call(1_000).bytes_per_minute(1_500);
    let repo = scoped(&store, Scope::session("s").quotas(quotas))?;
    let body = |bytes: usize| json!({ "k": "x".repeat(bytes - r#"{"k":""}"#.len()) });
    let append = |bytes: usize| repo.messages().append("s", "a", body(bytes), None);
    assert_eq!(append(1_001).await, Err(Error::TooLarge { size: 1_001, limit: 1_000 }));
    append(1_000).await?;
    let throttled = append(1_000).await;
    // The rest of the minute's worth comes at 25 bytes a second.
    assert!(matches!(throttled, Err(Error::QuotaExceeded { retry_after_ms: 1..=20_000 })), "{throttled:?}");
    assert_eq!(repo.messages().list("s", "a", None, 0).await?.len(), 1, "reads bring nothing");
    append(400).await?;
    // All messages of one append count together.
    let many = repo.messages().append_many("s", "a", [body(600), body(600)], None).await;
    assert_eq!(many, Err(Error::TooLarge { size: 1_200, limit: 1_000 }));
    let least = scoped(&store, Scope::session("s").quotas(Quotas::default().bytes_per_minute(100)))?;
    assert_eq!(least.feedback().add("s", body(101)).await, Err(Error::TooLarge { size: 101, limit: 100 }));
    assert_eq!((repo.audit().too_large, repo.audit().throttled, least.audit().too_large), (2, 1, 1));
    all.close().await;
    Ok(())
}

/// Every tenant has instances and quotas of its own on one store.
#[tokio::test]
async fn a_tenant_that_is_throttled_is_throttled_alone() -> anyhow::Result<()> {
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory(StoreOptions::default()).await?);
    let tenant = |prefix: &str, quotas| {
        Repository::builder_on(Arc::clone(&store)).scope(Scope::hidden_prefix(prefix).quotas(quotas)).instances(1).build()
    };
    let (busy, calm) = (tenant("busy/", Quotas::default().calls_per_second(0))?, tenant("calm/", Quotas::default())?);
    assert_eq!(busy.sessions().create("s", None).await, Err(Error::QuotaExceeded { retry_after_ms: u64::MAX }));
    calm.sessions().create("s", None).await?;
    assert_eq!((busy.audit().throttled, calm.audit().throttled), (1, 0));
    busy.close().await;
    Ok(())
}

/// Tenants in places of their own: the same ids, other sessions.
async fn tenants_have_places_of_their_own(store: impl AsyncFn(StoreOptions) -> Result<Arc<dyn Store>>) -> anyhow::Result<()> {
    let tenant = async |name: &str| -> Result<Repository> {
        let options = StoreOptions::default().database(format!("{name}-{}", std::process::id())).collection("sessions");
        Repository::builder_on(store(options).await?).scope(Scope::prefix("chat-").named(name)).build()
    };
    let (one, two) = (tenant("scope-one").await?, tenant("scope-two").await?);
    for sample in samples() {
        (sample.make)(&one, "chat-1").await?;
    }
    assert_eq!(two.sessions().read("chat-1").await?, None);
    for sample in samples() {
        (sample.make)(&two, "chat-1").await?;
    }
    two.metadata().update("chat-1", r#"{"mine": true}"#).await?;
    assert_ne!(one.metadata().get("chat-1").await?, two.metadata().get("chat-1").await?);
    assert!(is_denied(&one.sessions().read("other").await));
    one.close().await;
    Ok(())
}

#[tokio::test]
async fn tenants_have_databases_of_their_own_on_one_server() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let first = MongoStore::connect(&mongodb_uri()?, database.options()).await?;
    tenants_have_places_of_their_own(async |options| Ok(Arc::new(first.with_options(options).await?) as _)).await?;
    // The connections are the first store's: it goes on.
    assert_eq!(first.find_session("chat-1").await?, None);
    first.close().await;
    for name in ["scope-one", "scope-two"] {
        database.client.database(&format!("{name}-{}", std::process::id())).drop().await?;
    }
    database.drop().await
}

#[tokio::test]
async fn tenants_have_collections_of_their_own_in_one_file() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let first = EmbeddedStore::open(folder.path().join("sessions.store"), StoreOptions::default()).await?;
    tenants_have_places_of_their_own(async |options| Ok(Arc::new(first.with_options(options).await?) as _)).await?;
    assert!(matches!(first.find_session("chat-1").await, Err(Error::Unavailable(_))), "the file is closed for all");
    // The same for readers.
    let first = EmbeddedStore::open_read_only(folder.path().join("sessions.store"), StoreOptions::default()).await?;
    for (name, is_there) in [("scope-one", true), ("scope-three", false)] {
        let options = StoreOptions::default().database(format!("{name}-{}", std::process::id())).collection("sessions");
        assert_eq!(first.with_options(options).await?.find_session("chat-1").await?.is_some(), is_there, "{name}");
    }
    first.close().await;
    Ok(())
}

mod bindings {
    #![allow(clippy::all, missing_docs, unreachable_pub, reason = "generated from the WIT package")]

    wasmtime::component::bindgen!({ path: "../wit", world: "repository" });
}

/// The component in an engine of the host's own, and so any component of which it is a part.
#[tokio::test]
async fn a_context_keeps_a_component_in_an_engine_of_its_own_within_the_scope() -> anyhow::Result<()> {
    let (store, all) = everything().await?;
    all.sessions().create("other", None).await?;
    let scope = Scope::hidden_prefix("tenant-1/").quotas(Quotas::default().bytes_per_call(100));
    let ctx = SessionCtx::new(Arc::new(store.clone())).with_scope(scope);
    let run = async || -> wasmtime::Result<_> {
        let engine = Engine::new(Config::new().wasm_component_model_async(true))?;
        let mut linker = Linker::new(&engine);
        add_to_linker::<State>(&mut linker)?;
        let mut instance = wasmtime::Store::new(&engine, State(ctx.clone()));
        let repository = bindings::Repository::instantiate_async(&mut instance, &Component::new(&engine, COMPONENT)?, &linker).await?;
        let call = async |accessor: &Accessor<State>| {
            let sessions = repository.session_repository_sessions();
            let created = sessions.call_create(accessor, String::from("s"), None, None).await?;
            let other = sessions.call_read(accessor, String::from("other")).await?;
            let large = json!({"k": "x".repeat(100)}).to_string();
            let added = repository.session_repository_feedback().call_add(accessor, String::from("s"), large, None).await?;
            wasmtime::Result::Ok((created, other, added))
        };
        instance.run_concurrent(call).await?
    };
    let (created, other, added) = run().await.map_err(|trap| anyhow::anyhow!("{trap:?}"))?;
    assert_eq!(created.map(|session| session.session_id).ok().as_deref(), Some("s"));
    assert!(matches!(other, Ok(None)), "{other:?}");
    assert!(matches!(added, Err(bindings::session::repository::types::Error::TooLarge(_))), "{added:?}");
    assert!(all.sessions().read("tenant-1/s").await?.is_some());
    assert_eq!((ctx.audit().admitted, ctx.audit().too_large), (2, 1));
    all.close().await;
    Ok(())
}
