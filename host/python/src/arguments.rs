//! Arguments from Python, checked more strictly than PyO3 does.

use crate::errors::invalid;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt, PyString};

/// A text. One that holds a lone surrogate is an invalid argument.
pub(crate) struct Text(pub(crate) String);

impl<'py> FromPyObject<'_, 'py> for Text {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let Ok(text) = object.cast::<PyString>() else { return Err(wrong_type("a str", object)) };
        match text.to_cow() {
            Ok(text) => Ok(Self(text.into_owned())),
            Err(_) => Err(invalid(object.py(), "a text must not hold a lone surrogate")),
        }
    }
}

/// An integer of 64 bits. A `bool` is none here, though Python takes it for one.
pub(crate) struct Whole<T>(pub(crate) T);

impl<'py> FromPyObject<'_, 'py> for Whole<i64> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        integer(object)?.extract().map(Self).map_err(|_| invalid(object.py(), "an integer must fit into 64 bits signed"))
    }
}

impl<'py> FromPyObject<'_, 'py> for Whole<u64> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        integer(object)?.extract().map(Self).map_err(|_| invalid(object.py(), "must be an integer from 0 to 2^64-1"))
    }
}

fn integer<'a, 'py>(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Borrowed<'a, 'py, PyInt>> {
    match object.cast::<PyInt>() {
        Ok(integer) if !object.is_instance_of::<PyBool>() => Ok(integer),
        _ => Err(wrong_type("an int", object)),
    }
}

fn wrong_type(wanted: &str, object: Borrowed<'_, '_, PyAny>) -> PyErr {
    let found = object.get_type().name().map_or_else(|_| String::from("something else"), |name| name.to_string());
    PyTypeError::new_err(format!("must be {wanted}, not {found}"))
}
