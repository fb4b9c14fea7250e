//! JSON text from Python values, literally: no key is turned into a text, no number into another.

use crate::arguments::wrong_type;
use crate::errors::invalid;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple};
use serde::Serialize;
use session_repository::Json;
use std::fmt;

/// Levels that are written. The component allows 90; the rest is for it to refuse, and an end for values that hold themselves.
const MAX_DEPTH: usize = 100;

/// A place within an argument, as the component names it.
enum Place<'a> {
    Argument(&'a str),
    Member(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Argument(name) => f.write_str(name),
            Place::Member(outer, key) => write!(f, "{outer}.{}", key.chars().take(64).collect::<String>()),
            Place::Item(outer, index) => write!(f, "{outer}[{index}]"),
        }
    }
}

/// The argument of a name as JSON text.
pub(crate) fn text(argument: &str, value: &Bound<'_, PyAny>) -> PyResult<Json> {
    let mut out = Vec::new();
    write(&mut out, value, &Place::Argument(argument), 0)?;
    // It was put together from texts, so this cannot fail.
    let text = String::from_utf8(out).map_err(|_| invalid(value.py(), format!("{argument}: must be text")))?;
    Ok(Json::from(text))
}

/// The items of a list or tuple as JSON texts.
pub(crate) fn texts(argument: &str, values: &Bound<'_, PyAny>) -> PyResult<Vec<Json>> {
    let Ok(items) = values.try_iter() else { return Err(wrong_type(argument, "a list", values)) };
    items.enumerate().map(|(index, item)| self::text(&format!("{argument}[{index}]"), &item?)).collect()
}

fn write(out: &mut Vec<u8>, value: &Bound<'_, PyAny>, place: &Place<'_>, depth: usize) -> PyResult<()> {
    if depth > MAX_DEPTH {
        return Err(invalid(value.py(), format!("{}: is nested too deep", root(place))));
    }
    if let Ok(text) = value.cast::<PyString>() {
        write_text(out, text, place)?;
    } else if let Ok(object) = value.cast::<PyDict>() {
        let mut members = Members::begin(out);
        // A snapshot: code of another mapping within may change the object meanwhile.
        for pair in object.items() {
            let (key, value) = pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
            members.write(&key, &value, place, depth)?;
        }
        members.end();
    } else if let Ok(list) = value.cast::<PyList>() {
        write_items(out, list.iter(), place, depth)?;
    } else if value.is_none() {
        out.extend(b"null");
    } else if let Ok(flag) = value.cast::<PyBool>() {
        write_plain(out, &flag.is_true());
    } else if value.is_instance_of::<PyInt>() {
        let Ok(integer) = value.extract::<i64>() else {
            return Err(invalid(value.py(), format!("{place}: an integer must fit into 64 bits signed")));
        };
        write_plain(out, &integer);
    } else if let Ok(float) = value.cast::<PyFloat>() {
        if !float.value().is_finite() {
            return Err(invalid(value.py(), format!("{place}: a number must be finite")));
        }
        write_plain(out, &float.value());
    } else if let Ok(tuple) = value.cast::<PyTuple>() {
        write_items(out, tuple.iter(), place, depth)?;
    } else if let Ok(mapping) = value.cast::<PyMapping>() {
        let mut members = Members::begin(out);
        for pair in mapping.items()? {
            let (key, value) = pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
            members.write(&key, &value, place, depth)?;
        }
        members.end();
    } else {
        let found = value.get_type().name()?;
        return Err(PyTypeError::new_err(format!("{place}: {found} is not a JSON value")));
    }
    Ok(())
}

/// The argument that a place is in.
fn root<'a>(place: &'a Place<'a>) -> &'a str {
    match place {
        Place::Argument(name) => name,
        Place::Member(outer, _) | Place::Item(outer, _) => root(outer),
    }
}

/// An object that is being written.
struct Members<'a> {
    out: &'a mut Vec<u8>,
    separator: u8,
}

impl<'a> Members<'a> {
    fn begin(out: &'a mut Vec<u8>) -> Self {
        Self { out, separator: b'{' }
    }

    fn write(&mut self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>, place: &Place<'_>, depth: usize) -> PyResult<()> {
        let Ok(key) = key.cast::<PyString>() else {
            let found = key.get_type().name()?;
            return Err(PyTypeError::new_err(format!("{place}: a key must be a str, not {found}")));
        };
        self.out.push(std::mem::replace(&mut self.separator, b','));
        write_text(self.out, key, place)?;
        self.out.push(b':');
        write(self.out, value, &Place::Member(place, &key.to_string_lossy()), depth + 1)
    }

    fn end(self) {
        self.out.extend(if self.separator == b'{' { b"{}".as_slice() } else { b"}" });
    }
}

fn write_items<'py>(out: &mut Vec<u8>, items: impl Iterator<Item = Bound<'py, PyAny>>, place: &Place<'_>, depth: usize) -> PyResult<()> {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, &item, &Place::Item(place, index), depth + 1)?;
    }
    out.push(b']');
    Ok(())
}

fn write_text(out: &mut Vec<u8>, text: &Bound<'_, PyString>, place: &Place<'_>) -> PyResult<()> {
    let Ok(text) = text.to_cow() else {
        return Err(invalid(text.py(), format!("{place}: a text must not hold a lone surrogate")));
    };
    write_plain(out, text.as_ref());
    Ok(())
}

/// Writes a text, a number or a flag. A `Vec` takes everything, so this cannot fail.
fn write_plain<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).ok();
}
