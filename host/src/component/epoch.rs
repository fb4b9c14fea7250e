//! Guest code gives way to the executor now and then, and is stopped when it makes no progress.

use crate::component::ticker::Ticker;
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use wasmtime::{Engine, Store, UpdateDeadline};

/// How long guest code runs until it gives way to the executor.
const TICK: Duration = Duration::from_millis(50);

/// The name of the thread that ticks. Linux shows 15 characters of a name.
const THREAD: &str = "session-epoch";

/// What guest code may take at least without a turn of the host: a deadline of some milliseconds is for the server, and the largest message
/// takes the code longer on a busy machine.
const LEAST: Duration = Duration::from_secs(2);

/// The instances of the process, and the thread that ticks for all of them.
static INSTANCES: Mutex<Instances> = Mutex::new(Instances { pid: 0, count: 0, ticker: None });

struct Instances {
    /// The process of the instances. A child of a fork has a copy of this, and not the thread.
    pid: u32,
    count: usize,
    ticker: Option<Ticker>,
}

/// Counts as an instance of a process that needs ticks, until this is dropped.
pub(crate) struct Ticking {
    pid: u32,
}

/// How often guest code of an instance gave way since the host last had its turn.
#[derive(Debug, Default)]
pub(crate) struct Stall(u128);

impl Stall {
    /// The host has its turn.
    pub(crate) fn end(&mut self) {
        self.0 = 0;
    }
}

/// Starts to tick for an instance. The thread ends with the last instance, a tick later at most, or with the process.
pub(crate) fn tick(engine: &Engine) -> wasmtime::Result<Ticking> {
    let pid = process::id();
    let mut instances = lock();
    if instances.pid != pid {
        *instances = Instances { pid, count: 0, ticker: None };
    }
    if instances.ticker.is_none() {
        instances.ticker = Some(Ticker::every(TICK, THREAD, engine)?);
    }
    instances.count += 1;
    Ok(Ticking { pid })
}

/// Has the code of an instance give way at each tick, and stops it once it has run for `limit`, and two seconds at least, without a turn
/// of the host.
pub(crate) fn interrupt<T>(store: &mut Store<T>, limit: Duration, stall: fn(&mut T) -> &mut Stall) {
    // The first of them may come as the code begins, and the second soon after.
    let most = limit.max(LEAST).as_nanos() / TICK.as_nanos() + 2;
    store.epoch_deadline_callback(move |mut store| {
        let Stall(ticks) = stall(store.data_mut());
        *ticks += 1;
        // Tokio's own way to yield also gives timers and sockets their turn.
        Ok(if *ticks > most { UpdateDeadline::Interrupt } else { UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())) })
    });
    store.set_epoch_deadline(1);
}

fn lock() -> MutexGuard<'static, Instances> {
    INSTANCES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Ticking {
    fn drop(&mut self) {
        let mut instances = lock();
        if instances.pid != self.pid {
            return;
        }
        instances.count = instances.count.saturating_sub(1);
        if instances.count == 0 {
            instances.ticker = None;
        }
    }
}
