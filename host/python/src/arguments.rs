//! Arguments from Python, checked more strictly than PyO3 does.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt, PyString};
use session_repository::{Error, Result};

/// An argument of the right type, or the rule that it breaks: PyO3 names the argument in type errors only.
struct Checked<T>(std::result::Result<T, &'static str>);

impl<T> Checked<T> {
    fn named(self, name: &str) -> Result<T> {
        self.0.map_err(|rule| Error::InvalidArgument(format!("{name}: {rule}")))
    }
}

/// A text.
pub(crate) struct Text(Checked<String>);

impl Text {
    /// The text, unless it breaks a rule.
    pub(crate) fn named(self, name: &str) -> Result<String> {
        self.0.named(name)
    }
}

impl<'py> FromPyObject<'_, 'py> for Text {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let Ok(text) = object.cast::<PyString>() else { return Err(PyTypeError::new_err(mismatch("a str", &object))) };
        Ok(Self(Checked(text.to_cow().map(Into::into).map_err(|_| "a text must not hold a lone surrogate"))))
    }
}

/// An integer of 64 bits. A `bool` is none here, though Python takes it for one.
pub(crate) struct Whole<T>(Checked<T>);

impl<T> Whole<T> {
    /// The integer, unless it breaks a rule.
    pub(crate) fn named(self, name: &str) -> Result<T> {
        self.0.named(name)
    }
}

impl<'py> FromPyObject<'_, 'py> for Whole<i64> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self(Checked(integer(object)?.extract().map_err(|_| "an integer must fit into 64 bits signed"))))
    }
}

impl<'py> FromPyObject<'_, 'py> for Whole<u64> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self(Checked(integer(object)?.extract().map_err(|_| "must be an integer from 0 to 2^64-1"))))
    }
}

fn integer<'a, 'py>(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Borrowed<'a, 'py, PyInt>> {
    match object.cast::<PyInt>() {
        Ok(integer) if !object.is_instance_of::<PyBool>() => Ok(integer),
        _ => Err(PyTypeError::new_err(mismatch("an int", &object))),
    }
}

/// The exception for an argument of another type than the wanted one.
pub(crate) fn wrong_type(argument: &str, wanted: &str, object: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!("{argument}: {}", mismatch(wanted, object)))
}

fn mismatch(wanted: &str, object: &Bound<'_, PyAny>) -> String {
    let found = object.get_type().name().map_or_else(|_| String::from("something else"), |name| name.to_string());
    format!("must be {wanted}, not {found}")
}
