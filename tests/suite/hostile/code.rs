//! Code that does not come to an end by itself: the host ends it.

use super::host::{MEMORY, Plugin};
use super::site::Site;
use crate::held::PATIENCE;
use session_repository::Quotas;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tokio::runtime;
use tokio::time::timeout;
use wasmtime::Trap;

const DEADLINE: Duration = Duration::from_secs(1);

/// How a plugin ends whose export is called, beside a neighbour.
async fn trap_of(export: &str) -> anyhow::Result<(Option<Trap>, Plugin)> {
    let site = Site::new().await?;
    let tenant = site.tenant(Quotas::default()).await?;
    let mut plugin = Plugin::start(&tenant).await?;
    let ended = site.misbehave(&tenant, &mut plugin, async |plugin| plugin.run(export, ()).await).await?;
    let trap = ended.err().and_then(|error| error.downcast_ref::<Trap>().copied());
    site.all.close().await;
    Ok((trap, plugin))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_without_an_end_is_interrupted() -> anyhow::Result<()> {
    assert_eq!(trap_of("spin").await?.0, Some(Trap::Interrupt));
    Ok(())
}

/// On one thread, which the deadline and the neighbour get only if the code gives way.
#[test]
fn a_loop_without_an_end_gives_way_to_others() -> anyhow::Result<()> {
    let (ends, ended) = mpsc::channel();
    let looping = async {
        let site = Site::new().await?;
        let tenant = site.tenant(Quotas::default()).await?;
        let mut plugin = Plugin::start(&tenant).await?;
        plugin.give_way();
        let looping = site.misbehave(&tenant, &mut plugin, async |plugin| timeout(DEADLINE, plugin.run("spin", ())).await).await?;
        assert!(looping.is_err());
        site.all.close().await;
        anyhow::Ok(())
    };
    // In a thread that can be left to itself.
    thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        ends.send(runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(looping)))
    });
    ended.recv_timeout(PATIENCE)?
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_wants_all_memory_gets_what_it_may_have() -> anyhow::Result<()> {
    let (trap, plugin) = trap_of("allocate").await?;
    assert_eq!(trap, Some(Trap::UnreachableCodeReached));
    let memory = plugin.memory();
    assert!(memory.has_refused() && (MEMORY / 2..=MEMORY).contains(&memory.granted()), "{memory:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_calls_itself_for_ever_overflows_its_own_stack() -> anyhow::Result<()> {
    assert_eq!(trap_of("recurse").await?.0, Some(Trap::StackOverflow));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trap_ends_the_plugin_alone() -> anyhow::Result<()> {
    assert_eq!(trap_of("trap").await?.0, Some(Trap::UnreachableCodeReached));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_waits_for_nothing_ends() -> anyhow::Result<()> {
    // Its own runtime knows that nothing will wake it.
    assert_eq!(trap_of("wait").await?.0, Some(Trap::UnreachableCodeReached));
    Ok(())
}
