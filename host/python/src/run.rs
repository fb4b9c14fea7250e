//! How a call is run: blocking the caller without the interpreter, or as a future of an event loop.

use crate::answer::Answer;
use crate::errors::exception;
use crate::process::Process;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use session_repository::{Error, Result};
use std::pin::pin;
use std::time::Duration;
use tokio::time::timeout;

/// How often a blocking call looks for signals, so that Ctrl-C ends the waiting.
const LOOK: Duration = Duration::from_millis(100);

/// An asyncio event loop, or none to block.
pub(crate) type Loop<'py> = Option<Bound<'py, PyAny>>;

/// Runs a call: its answer without an event loop, a future of the event loop otherwise.
pub(crate) fn run<T: Answer>(
    py: Python<'_>,
    process: &'static Process,
    event_loop: Loop<'_>,
    call: impl Future<Output = Result<T>> + Send + 'static,
) -> PyResult<Py<PyAny>> {
    match event_loop {
        None => block(py, process, call),
        Some(event_loop) => begin(&event_loop, process, call),
    }
}

/// Has a task do something, so that it comes to its end when nobody waits for it any more.
pub(crate) async fn to_its_end<T: Send + 'static>(
    process: &'static Process,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let lost = |_| Err(Error::Internal(String::from("a task ended without an answer")));
    process.runtime().spawn(work).await.unwrap_or_else(lost)
}

fn block<T: Answer>(py: Python<'_>, process: &'static Process, call: impl Future<Output = Result<T>> + Send) -> PyResult<Py<PyAny>> {
    let mut call = pin!(call);
    loop {
        match py.detach(|| process.runtime().block_on(async { timeout(LOOK, call.as_mut()).await })) {
            Ok(result) => return python(py, result),
            // A signal handler that raises ends the waiting. The write goes on.
            Err(_) => py.check_signals()?,
        }
    }
}

fn begin<T: Answer>(
    event_loop: &Bound<'_, PyAny>,
    process: &'static Process,
    call: impl Future<Output = Result<T>> + Send + 'static,
) -> PyResult<Py<PyAny>> {
    if process.is_stopped() {
        return Err(PyRuntimeError::new_err("the interpreter is ending, so an event loop would wait for the answer without end"));
    }
    let future = event_loop.call_method0("create_future")?.unbind();
    let (event_loop, waiting) = (event_loop.clone().unbind(), future.clone_ref(event_loop.py()));
    process.runtime().spawn(async move {
        let result = to_its_end(process, call).await;
        process.deliver(Box::new(move |py| {
            // Fails when the event loop is closed: nobody waits for the answer then.
            settle(py, &event_loop, waiting, result).ok();
        }));
    });
    Ok(future)
}

/// Has the event loop settle the future, unless that was cancelled.
fn settle<T: Answer>(py: Python<'_>, event_loop: &Py<PyAny>, future: Py<PyAny>, result: Result<T>) -> PyResult<()> {
    static SETTLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let settle = SETTLE.import(py, "session_repository._settle", "settle")?;
    let (answer, error) = match python(py, result) {
        Ok(answer) => (answer, None),
        Err(error) => (py.None(), Some(error)),
    };
    event_loop.call_method1(py, "call_soon_threadsafe", (settle, future, answer, error)).map(drop)
}

fn python<T: Answer>(py: Python<'_>, result: Result<T>) -> PyResult<Py<PyAny>> {
    result.map_err(|error| exception(py, &error))?.into_python(py)
}
