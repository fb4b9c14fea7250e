//! Calls whose answers nobody wants: they never come, they are left alone, or they are dropped.

use super::host::Plugin;
use super::site::Site;
use crate::held::Held;
use anyhow::bail;
use futures_util::future::join_all;
use session_repository::{Limits, Quotas};
use std::sync::Arc;
use tokio::task::yield_now;

fn lists(calls: u32) -> (String, u32) {
    (String::from("s"), calls)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_may_return_while_its_calls_are_under_way() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let tenant = site.tenant(Quotas::default()).await?;
    let mut plugin = Plugin::start(&tenant).await?;
    let forgotten = site.misbehave(&tenant, &mut plugin, async |plugin| plugin.run("forget", lists(100)).await).await?;
    forgotten.map_err(|trap| anyhow::anyhow!("{trap:?}"))?;
    site.all.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_dropped_midway_leave_nothing_behind() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let tenant = site.tenant(Quotas::default()).await?;
    let mut plugin = Plugin::start(&tenant).await?;
    for _ in 0..3 {
        let dropped = site.misbehave(&tenant, &mut plugin, async |plugin| plugin.run("drop-midway", lists(2_000)).await).await?;
        dropped.map_err(|trap| anyhow::anyhow!("{trap:?}"))?;
    }
    site.all.close().await;
    Ok(())
}

/// The host drops a plugin whose calls never end. Once the store has ended them, all places are free again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_waits_for_the_store_can_be_dropped() -> anyhow::Result<()> {
    const CALLS: u32 = 8;
    let held = Held::new().await?;
    let site = Site::on(held.beneath()).await?;
    let limits = Limits::default().calls_per_instance(CALLS as usize);
    let tenant = site.tenant_on(Arc::new(held.clone()), limits, Quotas::default()).await?;
    for _ in 0..10 {
        let mut plugin = Plugin::start(&tenant).await?;
        let begun = held.begun();
        held.hold();
        let arguments = (String::from("s"), CALLS, 8_u32);
        let mut waiting = tokio::spawn(async move { plugin.call::<_, Vec<(String, u32)>>("flood-at-once", arguments).await });
        tokio::select! {
            ended = &mut waiting => bail!("it ended: {ended:?}"),
            begun = site.beside(held.has_begun(begun + CALLS as usize)) => begun??,
        }
        waiting.abort();
        assert!(waiting.await.is_err_and(|error| error.is_cancelled()));
        held.release();
        // So many at once have a place only if the calls of the plugin have left theirs.
        while join_all((0..CALLS).map(|_| tenant.sessions().read("s"))).await.iter().any(Result::is_err) {
            yield_now().await;
        }
        site.works(&tenant).await?;
    }
    // What was begun was done.
    assert_eq!(tenant.messages().list("s", "a", None, 0).await?.len(), 10 * CALLS as usize);
    site.all.close().await;
    Ok(())
}
