//! Whether an answer is the one that a case expects.

use super::values::{Scope, cut, placeholder};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Where an answer is not as it must be.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Mismatch {
    #[error("{place}expected {expected}, got {got}")]
    Value { place: String, expected: String, got: String },
    #[error("{place}there is no member `{member}`")]
    Missing { place: String, member: String },
    #[error("{place}there is a member `{member}`")]
    Extra { place: String, member: String },
    #[error("the case itself is wrong: {0}")]
    Case(String),
}

/// Integers that must be distinct: for each name the first and how many, in the order of the answers of one writer.
pub(super) type Distinct = BTreeMap<String, Vec<(i64, i64)>>;

/// Compares an answer with a pattern. What the pattern binds is in the scope afterwards.
pub(super) struct Matcher<'a> {
    pub(super) scope: &'a mut Scope,
    pub(super) distinct: &'a mut Distinct,
}

impl Matcher<'_> {
    /// The answer as a whole, whose session id has the suffix of the case.
    pub(super) fn fits(&mut self, pattern: &Value, got: &Value) -> Result<(), Mismatch> {
        let members = match placeholder(pattern) {
            Some(("object", members)) => members.as_object(),
            Some(_) => None,
            None => pattern.as_object(),
        };
        let mut pattern = pattern.clone();
        if members.is_some_and(|members| members.contains_key("session_id")) {
            let object = if placeholder(&pattern).is_some() { pattern.get_mut("%object") } else { Some(&mut pattern) };
            if let Some(id) = object.and_then(|object| object.get_mut("session_id")) {
                *id = self.scope.session_id(id).map_err(wrong)?;
            }
        }
        self.value(&pattern, got, "")
    }

    fn value(&mut self, pattern: &Value, got: &Value, place: &str) -> Result<(), Mismatch> {
        let differs = |expected: &Value| {
            let place = if place.is_empty() { String::new() } else { format!("at {}: ", place.trim_start_matches('.')) };
            Mismatch::Value { place, expected: cut(&expected.to_string()), got: cut(&got.to_string()) }
        };
        let check = |is_right: bool| if is_right { Ok(()) } else { Err(differs(pattern)) };
        let Some((name, about)) = placeholder(pattern) else {
            return match (pattern, got) {
                (Value::Object(expected), Value::Object(members)) => self.object(expected, members, place, true),
                (Value::Array(expected), Value::Array(items)) if expected.len() == items.len() => {
                    let mut pairs = expected.iter().zip(items).enumerate();
                    pairs.try_for_each(|(index, (expected, item))| self.value(expected, item, &format!("{place}[{index}]")))
                }
                _ => check(same(pattern, got)),
            };
        };
        match name {
            "any" => Ok(()),
            "starts" => check(got.as_str().zip(about.as_str()).is_some_and(|(got, text)| got.starts_with(text))),
            "contains" => check(got.as_str().zip(about.as_str()).is_some_and(|(got, text)| got.contains(text))),
            "time" => {
                check(got.as_str().is_some_and(is_time))?;
                self.bind(about, got).map_err(|expected| differs(&expected))
            }
            "bind" => self.bind(about, got).map_err(|expected| differs(&expected)),
            "distinct" => {
                let (name, count) = match about {
                    Value::Array(both) => (both.first().and_then(Value::as_str), both.get(1).and_then(Value::as_i64).unwrap_or(1)),
                    name => (name.as_str(), 1),
                };
                let first = got.as_i64().ok_or_else(|| differs(pattern))?;
                self.distinct.entry(name.unwrap_or_default().to_owned()).or_default().push((first, count));
                Ok(())
            }
            "list" => {
                let (times, item) =
                    (about.get("repeat").and_then(Value::as_u64).unwrap_or_default(), about.get("item").unwrap_or(&Value::Null));
                let items = got.as_array().filter(|items| items.len() as u64 == times).ok_or_else(|| differs(pattern))?;
                for (index, got) in items.iter().enumerate() {
                    if let Some(name) = about.get("as").and_then(Value::as_str) {
                        self.scope.bound.insert(name.to_owned(), Value::from(index));
                    }
                    self.value(item, got, &format!("{place}[{index}]"))?;
                }
                Ok(())
            }
            "object" => match (about.as_object(), got.as_object()) {
                (Some(expected), Some(members)) => self.object(expected, members, place, false),
                _ => Err(differs(pattern)),
            },
            _ => {
                let expected = self.scope.value(pattern).map_err(wrong)?;
                if same(&expected, got) { Ok(()) } else { Err(differs(&expected)) }
            }
        }
    }

    fn object(&mut self, expected: &Map<String, Value>, got: &Map<String, Value>, place: &str, is_all: bool) -> Result<(), Mismatch> {
        let here = || if place.is_empty() { String::new() } else { format!("at {}: ", place.trim_start_matches('.')) };
        for (key, pattern) in expected {
            let value = got.get(key).ok_or_else(|| Mismatch::Missing { place: here(), member: key.clone() })?;
            self.value(pattern, value, &format!("{place}.{key}"))?;
        }
        match got.keys().find(|key| is_all && !expected.contains_key(*key)) {
            Some(extra) => Err(Mismatch::Extra { place: here(), member: extra.clone() }),
            None => Ok(()),
        }
    }

    /// Binds a name to a value, or says what else it is bound to.
    fn bind(&mut self, name: &Value, got: &Value) -> Result<(), Value> {
        let name = name.as_str().unwrap_or_default().to_owned();
        match self.scope.bound.get(&name) {
            Some(bound) if same(bound, got) => Ok(()),
            Some(bound) => Err(bound.clone()),
            None => {
                self.scope.bound.insert(name, got.clone());
                Ok(())
            }
        }
    }
}

fn wrong(error: anyhow::Error) -> Mismatch {
    Mismatch::Case(format!("{error:#}"))
}

/// Whether two values are the same. Numbers are compared as they are written: 1 is not 1.0, and -0.0 is not 0.0.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.to_string() == other.to_string(),
        (Value::Array(one), Value::Array(other)) => one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other)),
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len() && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
        }
        (one, other) => one == other,
    }
}

/// Whether a text is a time as the protocol writes it: `2024-01-26T10:30:45.123Z`. Such times are in order as texts are.
fn is_time(text: &str) -> bool {
    const SHAPE: &str = "0000-00-00T00:00:00.000Z";
    text.len() == SHAPE.len()
        && text.bytes().zip(SHAPE.bytes()).all(|(byte, shape)| if shape == b'0' { byte.is_ascii_digit() } else { byte == shape })
}
