//! The native module of the Python package `session-repository`: the Rust host's repository, for Python to wrap.
//!
//! Each method takes an asyncio event loop or `None` first. Without a loop it blocks until the answer is there. With a loop it returns a
//! future of that loop at once. The package around it has the types and the docs that its users see.

#![forbid(unsafe_code)]

mod answer;
mod arguments;
mod errors;
mod json;
mod log;
mod process;
mod repository;
mod run;

use pyo3::prelude::*;

/// The module, which Python knows as `session_repository._native`.
#[pymodule(gil_used = true)]
mod _native {
    use super::process::Process;
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::repository::Native;

    /// Stops the delivery of answers to event loops, before the interpreter is gone.
    #[pyfunction]
    fn stop(py: Python<'_>) {
        if let Some(process) = Process::running() {
            py.detach(|| process.stop());
        }
    }
}
