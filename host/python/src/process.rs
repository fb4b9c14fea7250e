//! State of a process: the Tokio runtime, and the thread that hands answers to event loops.

use crate::log;
use pyo3::prelude::*;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use tokio::runtime::{Builder, Runtime};

/// The runtime and the delivery thread of one process. It is never dropped: a child of a fork has the memory of its parent and none of its
/// threads, so dropping the runtime there would wait for threads that do not exist.
pub(crate) struct Process {
    pid: u32,
    runtime: Runtime,
    deliveries: Sender<Delivery>,
    thread: Mutex<Option<JoinHandle<()>>>,
    is_stopped: AtomicBool,
}

/// Work for the delivery thread, done with the interpreter attached.
pub(crate) type Job = Box<dyn FnOnce(Python<'_>) + Send>;

enum Delivery {
    Job(Job),
    Stop,
}

/// The one of the process that has opened a repository last. It is locked with the interpreter attached only: a thread that forks has the
/// interpreter, so no other thread holds the lock then.
static CURRENT: Mutex<Option<&'static Process>> = Mutex::new(None);

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("pid", &self.pid).finish_non_exhaustive()
    }
}

impl Process {
    /// The one of this process, which is started if need be.
    pub(crate) fn current(_py: Python<'_>) -> io::Result<&'static Self> {
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(process) = current.filter(|process| process.is_ours()) {
            return Ok(process);
        }
        let process = Box::leak(Box::new(Self::start()?));
        *current = Some(process);
        log::to(process);
        Ok(process)
    }

    /// The one of this process, if it was started.
    pub(crate) fn running() -> Option<&'static Self> {
        CURRENT.lock().unwrap_or_else(PoisonError::into_inner).filter(|process| process.is_ours())
    }

    fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().thread_name("session-repository").enable_all().build()?;
        let (deliveries, received) = mpsc::channel();
        let deliver = move || deliver(&received);
        let thread = thread::Builder::new().name(String::from("session-answers")).spawn(deliver)?;
        let (thread, is_stopped) = (Mutex::new(Some(thread)), AtomicBool::new(false));
        Ok(Self { pid: std::process::id(), runtime, deliveries, thread, is_stopped })
    }

    /// Whether this process started it, and not one that this process is a fork of.
    pub(crate) fn is_ours(&self) -> bool {
        self.pid == std::process::id()
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Has the delivery thread do something. Nothing happens after the thread was stopped.
    pub(crate) fn deliver(&self, job: Job) {
        self.deliveries.send(Delivery::Job(job)).ok();
    }

    /// Whether the delivery thread has ended or is about to end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Acquire)
    }

    /// Ends the delivery thread. The caller must not hold the interpreter, which the thread may be waiting for.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Release);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.deliveries.send(Delivery::Stop).ok();
        if let Some(thread) = thread {
            thread.join().ok();
        }
    }
}

/// Does jobs as they come, several with the interpreter attached once, so that no worker of the runtime waits for the interpreter.
fn deliver(received: &Receiver<Delivery>) {
    while let Ok(Delivery::Job(first)) = received.recv() {
        let goes_on = Python::try_attach(|py| {
            attempt(first, py);
            // As many as a short turn takes: other threads of the interpreter wait meanwhile.
            for _ in 0..TURN {
                match received.try_recv() {
                    Ok(Delivery::Job(job)) => attempt(job, py),
                    Ok(Delivery::Stop) => return false,
                    Err(_) => return true,
                }
            }
            true
        });
        if goes_on != Some(true) {
            break;
        }
    }
}

/// Does a job. A panic, which Rust has printed then, costs this job only.
fn attempt(job: Job, py: Python<'_>) {
    catch_unwind(AssertUnwindSafe(|| job(py))).ok();
}

/// Jobs that are done with the interpreter attached once.
const TURN: usize = 64;
