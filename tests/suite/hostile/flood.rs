//! Plugins that flood the store: what is more than their repository serves at once is refused, not queued.

use super::host::Plugin;
use super::site::Site;
use crate::held::{Held, PATIENCE, has_admitted};
use anyhow::{bail, ensure};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use session_repository::{Error, Limits, Quotas, Repository};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::yield_now;
use tokio::time::timeout;
use wasmtime::Trap;

type Tally = Vec<(String, u32)>;

fn tally(called: wasmtime::Result<Tally>) -> anyhow::Result<BTreeMap<String, u32>> {
    Ok(called.map_err(|trap| anyhow::anyhow!("{trap:?}"))?.into_iter().collect())
}

fn floods(calls: u32, bytes: u32) -> (String, u32, u32) {
    (String::from("s"), calls, bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_by_one_task_gets_what_its_quota_allows() -> anyhow::Result<()> {
    const CALLS: u32 = 1_000;
    let site = Site::new().await?;
    let tenant = site.tenant(Quotas::default().bytes_per_minute(20_000)).await?;
    let mut plugin = Plugin::start(&tenant).await?;
    let begun = Instant::now();
    let flooded = site.misbehave(&tenant, &mut plugin, async |plugin| plugin.call::<_, Tally>("flood", floods(CALLS, 1_000)).await);
    let tally = tally(flooded.await?)?;
    let stored = u32::try_from(tenant.messages().list("s", "a", None, 0).await?.len())?;
    assert_eq!((tally.get("ok"), tally.get("quota-exceeded")), (Some(&stored), Some(&(CALLS - stored))));
    // What fits at once, and what has come since.
    let most = 20.0 * (1.0 + begun.elapsed().as_secs_f64() / 60.0);
    assert!((19.0..=most).contains(&f64::from(stored)), "{stored} of {most}");
    assert!(tenant.audit().throttled >= u64::from(CALLS - stored));
    site.all.close().await;
    Ok(())
}

/// Floods a store that holds its calls back, until all but `under_way` calls are refused; then lets the store go on. Of those it has `in_store`.
async fn flood_of_a_stuck_store(limits: Limits, (calls, bytes): (u32, u32), under_way: u32, in_store: usize) -> anyhow::Result<()> {
    let held = Held::new().await?;
    let site = Site::on(held.beneath()).await?;
    let tenant = site.tenant_on(Arc::new(held.clone()), limits, Quotas::default()).await?;
    let others = site.others().await?;
    let mut plugin = Plugin::start(&tenant).await?;
    let begun = held.begun();
    held.hold();
    let flooding = tokio::spawn(async move { plugin.call::<_, Tally>("flood-at-once", floods(calls, bytes)).await });
    let refused = async {
        held.has_begun(begun + in_store).await?;
        while tenant.audit().throttled < u64::from(calls - under_way) {
            yield_now().await;
        }
        anyhow::Ok(())
    };
    let refused = site.beside(timeout(PATIENCE, refused)).await?;
    held.release();
    let tally = tally(flooding.await?)?;
    ensure!(refused.is_ok(), "calls wait: {tally:?}, {:?}", tenant.audit());
    assert_eq!(tally, BTreeMap::from([(String::from("ok"), under_way), (String::from("quota-exceeded"), calls - under_way)]));
    assert_eq!(tenant.messages().list("s", "a", None, 0).await?.len(), under_way as usize);
    assert_eq!(site.others().await?, others);
    site.works(&tenant).await?;
    site.all.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_beyond_those_that_a_scoped_repository_serves_are_refused_at_once() -> anyhow::Result<()> {
    flood_of_a_stuck_store(Limits::default().calls_per_instance(8), (3_000, 8), 8, 8).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_beyond_what_a_scoped_repository_may_have_in_flight_is_refused_at_once() -> anyhow::Result<()> {
    let limits = Limits::default().message_bytes(100_000).bytes_in_flight(550_000);
    flood_of_a_stuck_store(limits, (1_000, 100_000), 5, 2).await
}

/// Callers that are trusted queue, as they do where there is no scope.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_wait_where_there_is_no_scope() -> anyhow::Result<()> {
    const CALLS: u32 = 100;
    let held = Held::new().await?;
    let limits = Limits::default().calls_per_instance(8).message_bytes(10_000).bytes_in_flight(80_000);
    let repo = Repository::builder(held.clone()).instances(1).limits(limits).build()?;
    repo.sessions().create("s", None).await?;
    repo.agents().create("s", "a", "{}").await?;
    let mut plugin = Plugin::start(&repo).await?;
    let begun = held.begun();
    held.hold();
    let flooding = tokio::spawn(async move { plugin.call::<_, Tally>("flood-at-once", floods(CALLS, 9_000)).await });
    held.has_begun(begun + 8).await?;
    held.release();
    assert_eq!(tally(flooding.await?)?, BTreeMap::from([(String::from("ok"), CALLS)]));
    repo.close().await;
    Ok(())
}

/// Answers that a caller leaves with the host are bounded, too: so does a plugin that begins calls and then runs on without a pause. Those that
/// find no room in the instance keep their turns, so that the store makes no more of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_a_caller_does_not_take_are_bounded() -> anyhow::Result<()> {
    const MESSAGE: usize = 256 * 1024;
    const LISTS: usize = 200;
    let held = Held::new().await?;
    let site = Site::on(held.beneath()).await?;
    // A fifth of the memory is for answers, which is some fifty of these lists.
    let limits = Limits::default().instance_memory_bytes(64 << 20).call_deadline(Duration::from_secs(20));
    let tenant = site.tenant_on(Arc::new(held.clone()), limits, Quotas::default()).await?;
    tenant.messages().append("s", "a", format!(r#"{{"k":"{}"}}"#, "x".repeat(MESSAGE - 8)), None).await?;
    let (admitted, begun) = (tenant.audit().admitted, held.begun());
    held.hold();
    let mut lists: FuturesUnordered<_> = (0..LISTS).map(|_| tenant.messages().list("s", "a", None, 0)).collect();
    tokio::select! {
        ended = lists.next() => bail!("it ended: {ended:?}"),
        all = has_admitted(&tenant, admitted + LISTS as u64) => all?,
    }
    held.release();
    // From now on nobody looks after the lists.
    let refused = async {
        loop {
            // Until there are so many answers.
            if let Err(error) = tenant.messages().list("s", "a", None, 0).await {
                return error;
            }
        }
    };
    let refused = site.beside(timeout(PATIENCE, refused)).await?;
    assert!(matches!(refused, Ok(Error::Timeout | Error::Unavailable(_))), "{refused:?}");
    let made = held.begun() - begun;
    // Some fifty have room, and each turn is taken again when a call's time is up.
    assert!((40..120).contains(&made), "the store made {made} lists");
    drop(lists);
    let list_at_last = async {
        loop {
            match tenant.messages().list("s", "a", None, 0).await {
                Ok(list) => return list,
                Err(_) => yield_now().await,
            }
        }
    };
    assert_eq!(timeout(PATIENCE, list_at_last).await?.len(), 1);
    site.works(&tenant).await?;
    site.all.close().await;
    Ok(())
}

/// A plugin begins lists, takes the first answer, and loops for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_begins_calls_and_runs_on_is_interrupted() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let tenant = site.tenant(Quotas::default()).await?;
    let mut plugin = Plugin::start(&tenant).await?;
    let begin = async |plugin: &mut Plugin| plugin.run("begin-and-spin", (String::from("s"), 100_u32)).await;
    let trap = site.misbehave(&tenant, &mut plugin, begin).await?.err().and_then(|error| error.downcast_ref::<Trap>().copied());
    assert_eq!(trap, Some(Trap::Interrupt));
    site.all.close().await;
    Ok(())
}
