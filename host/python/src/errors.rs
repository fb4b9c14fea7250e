//! Errors of the repository as exceptions of the package.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use session_repository::Error;

/// The exception that stands for an error: the package has a class for each code.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    build(py, error).map_or_else(|defect| defect, PyErr::from_value)
}

fn build<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let details = PyDict::new(py);
    match error {
        Error::NotFound(entity) | Error::AlreadyExists(entity) => details.set_item("entity", entity.to_string())?,
        Error::Stale { current } => details.set_item("current", current)?,
        Error::TooLarge { size, limit } => {
            details.set_item("size", size)?;
            details.set_item("limit", limit)?;
        }
        Error::QuotaExceeded { retry_after_ms } => details.set_item("retry_after_ms", retry_after_ms)?,
        _ => {}
    }
    let make = MAKE.import(py, "session_repository._errors", "of_code")?;
    make.call((error.code(), error.to_string()), Some(&details))
}

/// The exception for an argument that the component never sees.
pub(crate) fn invalid(py: Python<'_>, message: impl Into<String>) -> PyErr {
    exception(py, &Error::InvalidArgument(message.into()))
}

/// The exception for a repository that a parent process opened.
pub(crate) fn forked() -> PyErr {
    PyRuntimeError::new_err("this repository was opened before os.fork(), and its threads are in the parent: open one in this process")
}
