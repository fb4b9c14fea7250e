//! Code of plugins gives way to others now and then.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use wasmtime::{Engine, Store, UpdateDeadline};

/// How long code of a plugin runs until it gives way.
const TICK: Duration = Duration::from_millis(5);

/// A thread that has the code of an engine's plugins give way every five milliseconds, until this is dropped. The engine needs
/// [`wasmtime::Config::epoch_interruption`], and each store [`give_way`].
#[derive(Debug)]
pub struct Ticker(Arc<AtomicBool>);

impl Ticker {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// Fails if the system has no thread for it.
    pub fn start(engine: &Engine) -> io::Result<Self> {
        Self::every(TICK, "plugin-epoch", engine)
    }

    pub(crate) fn every(tick: Duration, name: &str, engine: &Engine) -> io::Result<Self> {
        let ended = Arc::new(AtomicBool::new(false));
        let (engine, seen) = (engine.clone(), Arc::clone(&ended));
        thread::Builder::new().name(String::from(name)).spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                thread::sleep(tick);
                engine.increment_epoch();
            }
        })?;
        Ok(Self(ended))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Has the code of a plugin give way to the executor at each tick of its engine's [`Ticker`]: other tasks go on, and a timeout around the call
/// can end it.
///
/// Without [`wasmtime::Config::epoch_interruption`] or without a ticker, code that loops for ever keeps its thread for ever, and no timeout
/// around it comes.
pub fn give_way<T>(store: &mut Store<T>) {
    // Tokio's own way to yield also gives timers and sockets their turn.
    store.epoch_deadline_callback(|_| Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))));
    store.set_epoch_deadline(1);
}
