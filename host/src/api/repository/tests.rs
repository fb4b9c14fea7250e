//! Components that misbehave: ours, with the code of `messages.list` replaced.

use super::Repository;
use crate::component::instance::{self, COMPONENT};
use crate::{EmbeddedStore, Error, Flavour, Limits, Result, StoreOptions};
use anyhow::Context as _;
use std::time::Duration;
use tokio::task::yield_now;
use wasmparser::{Parser, Payload, TypeRef};
use wasmtime::component::Component;

/// `loop`, `br 0`, `end`.
const SPIN: &[u8] = &[0x03, 0x40, 0x0c, 0x00, 0x0b];

/// No code: what follows is `unreachable`.
const TRAP: &[u8] = &[];

fn component() -> Result<&'static Component> {
    instance::component(Flavour::Async)
}

/// The component with other code in `messages.list`.
fn component_with(code: &[u8]) -> anyhow::Result<Component> {
    let (mut imported, mut wanted, mut defined) = (0, None, 0);
    for payload in Parser::new(0).parse_all(COMPONENT) {
        match payload? {
            Payload::Version { .. } => (imported, wanted, defined) = (0, None, 0),
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    if export.name == "[async-lift]session:repository/messages@0.1.0#list" {
                        wanted = Some(export.index);
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                if wanted == Some(imported + defined) {
                    let mut bytes = COMPONENT.to_vec();
                    let body = bytes.get_mut(body.range()).context("no body")?;
                    // No locals, the code, `unreachable` as often as it takes, `end`.
                    body.fill(0x00);
                    body.get_mut(1..=code.len()).context("the body is too short")?.copy_from_slice(code);
                    *body.last_mut().context("an empty body")? = 0x0b;
                    return Component::new(component()?.engine(), bytes).map_err(|error| anyhow::anyhow!("{error:?}"));
                }
                defined += 1;
            }
            _ => {}
        }
    }
    anyhow::bail!("there is no messages.list")
}

/// A repository of one instance, with a session `s` and an agent `a` in it.
async fn repository(component: &Component, limits: Limits) -> anyhow::Result<Repository> {
    let store = EmbeddedStore::in_memory(StoreOptions::default()).await?;
    let repo = Repository::builder(store).instances(1).limits(limits).build_on(component)?;
    repo.sessions().create("s", None).await?;
    repo.agents().create("s", "a", "{}").await?;
    Ok(repo)
}

fn is_lost<T>(answer: Result<T, Error>) -> bool {
    answer.is_err_and(|error| error == Error::Unavailable(String::from("the component instance was lost during the call")))
}

#[tokio::test]
async fn an_instance_that_traps_is_replaced() -> anyhow::Result<()> {
    let repo = repository(&component_with(TRAP)?, Limits::default()).await?;
    for id in 0..3 {
        assert!(is_lost(repo.messages().list("s", "a", None, 0).await));
        repo.messages().create("s", "a", id, "{}").await?;
    }
    repo.close().await;
    Ok(())
}

/// On one thread, so that code which does not give way stops all else.
#[tokio::test]
async fn code_that_never_returns_gives_way_and_its_instance_is_replaced() -> anyhow::Result<()> {
    let limits = Limits { call_deadline: Duration::from_secs(2), ..Limits::default() };
    let repo = repository(&component_with(SPIN)?, limits).await?;
    let spinning = tokio::spawn({
        let repo = repo.clone();
        async move { tokio::join!(repo.messages().list("s", "a", None, 0), repo.messages().list("s", "a", None, 0)) }
    });
    let mut turns = 0;
    while !spinning.is_finished() {
        turns += 1;
        yield_now().await;
    }
    let (first, second) = spinning.await?;
    assert!(is_lost(first));
    // It waited for the instance to take it, or was taken as well.
    assert!(matches!(second, Err(Error::Timeout | Error::Unavailable(_))), "{second:?}");
    assert!(turns >= 20, "the thread had {turns} turns for others while the code ran");
    repo.messages().create("s", "a", 0, "{}").await?;
    assert!(repo.messages().read("s", "a", 0).await?.is_some());
    repo.close().await;
    Ok(())
}

#[tokio::test]
async fn an_instance_that_makes_progress_is_not_stopped_however_long_it_works() -> anyhow::Result<()> {
    let limits = Limits { call_deadline: Duration::from_secs(2), ..Limits::default() };
    let repo = repository(component()?, limits).await?;
    // More ticks than code may run on for.
    for id in 0..100 {
        component()?.engine().increment_epoch();
        repo.messages().create("s", "a", id, "{}").await?;
    }
    repo.close().await;
    Ok(())
}
