//! Both flavours of the component in our host, and components that others bring. `contract` runs on the synchronous one, too.

use super::held::Held;
use super::logged::Logged;
use futures_util::future::join_all;
use session_repository::{COMPONENT, COMPONENT_SYNC, EmbeddedStore, Error, Flavour, Repository, StoreOptions};
use tracing::Level;

async fn store() -> session_repository::Result<EmbeddedStore> {
    EmbeddedStore::in_memory(StoreOptions::default()).await
}

/// They end before anything sleeps, so instances that look for work and those that are woken for it race for each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_calls_one_after_the_other_are_answered_by_any_number_of_instances() -> anyhow::Result<()> {
    for flavour in [Flavour::Async, Flavour::Sync] {
        let repo = Repository::builder(store().await?).flavour(flavour).instances(4).build()?;
        for call in 0..2_000 {
            let answer = repo.messages().list("s", "a", Some(-1), 0).await;
            assert!(matches!(answer, Err(Error::InvalidArgument(_))), "{flavour:?}, call {call}: {answer:?}");
        }
        repo.close().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn synchronous_instances_serve_a_call_each() -> anyhow::Result<()> {
    for (instances, expected) in [(Some(3), 3), (None, 32)] {
        let store = Held::new().await?;
        let builder = Repository::builder(store.clone()).flavour(Flavour::Sync);
        let repo = match instances {
            Some(instances) => builder.instances(instances),
            None => builder,
        };
        let repo = repo.build()?;
        store.hold();
        let calls = join_all((0..expected + 9).map(|n| repo.sessions().create(n.to_string(), None)));
        let released = async {
            store.has_begun(expected).await?;
            let begun = store.begun();
            store.release();
            anyhow::Ok(begun)
        };
        let (answers, begun) = tokio::join!(calls, released);
        assert_eq!(begun?, expected);
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        repo.close().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_synchronous_instance_is_replaced_when_a_call_had_its_memory_grow() -> anyhow::Result<()> {
    let repo = Repository::builder(store().await?).flavour(Flavour::Sync).instances(1).build()?;
    let replaced = Logged::count(Level::DEBUG, "has grown and is replaced");
    repo.sessions().create("s", None).await?;
    repo.agents().create("s", "a", "{}").await?;
    for id in 0..2 {
        let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(12 << 20));
        assert_eq!(repo.messages().append("s", "a", body.clone(), None).await?, id);
        assert_eq!(repo.messages().read("s", "a", id).await?.map(|message| message.body.to_string()), Some(body));
        // The append had it grow, and so may have the read.
        assert!(replaced.take() >= 1, "message {id}");
    }
    for _ in 0..100 {
        repo.messages().append("s", "a", r#"{"text": "short"}"#, None).await?;
    }
    // The last read's instance may have been seen to have grown after its answer.
    assert!(replaced.take() <= 1);
    repo.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_of_ones_own_is_run_in_the_flavour_that_it_has() -> anyhow::Result<()> {
    for component in [COMPONENT, COMPONENT_SYNC] {
        let repo = Repository::builder(store().await?).component(component).build()?;
        assert_eq!(repo.sessions().create("s", None).await?.session_type, "default");
        repo.close().await;
    }
    let build = async |component: &[u8]| anyhow::Ok(Repository::builder(store().await?).component(component).build().err());
    let refused = build(&COMPONENT[..1000]).await?;
    assert!(matches!(&refused, Some(Error::InvalidArgument(text)) if text.starts_with("component: ")), "{refused:?}");
    // One that exports nothing.
    let refused = build(b"\0asm\x0d\0\x01\0").await?;
    assert!(matches!(&refused, Some(Error::InvalidArgument(text)) if text.contains("session:repository")), "{refused:?}");
    Ok(())
}
