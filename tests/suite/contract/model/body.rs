//! JSON that random operations bring: a few shapes that meet each other often, anything else, and texts that are to be refused.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::fmt;

/// The text of an argument that must be a JSON object.
#[derive(Clone)]
pub(super) enum Body {
    Sound(Map<String, Value>),
    Broken(&'static str),
}

impl Body {
    pub(super) fn text(&self) -> String {
        match self {
            Body::Sound(members) => json!(members).to_string(),
            Body::Broken(text) => (*text).to_owned(),
        }
    }
}

impl From<Value> for Body {
    fn from(value: Value) -> Self {
        match value {
            Value::Object(members) => Body::Sound(members),
            _ => Body::Broken("not an object"),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// Texts that break a rule of `json` in `wit/types.wit`, or are no object.
const BROKEN: [&str; 13] = [
    "[]",
    "null",
    "1",
    "",
    "{",
    "{} {}",
    r#"{"k": 1, "\u006b": 2}"#,
    r#"{"k": [{"x": 1, "x": 1}]}"#,
    r#"{"k": 9223372036854775808}"#,
    r#"{"k": [-1e999]}"#,
    r#"{"k": "\ud800"}"#,
    r#"{"k\u0000": 1}"#,
    r#"{"k": {"\u0000": 1}}"#,
];

/// The body of an agent, a message or a feedback entry.
pub(super) fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        10 => one_of(familiar()).prop_map(Body::from),
        6 => members(6).prop_map(Body::Sound),
        1 => broken(),
    ]
}

/// Bodies that differ from each other in what a rule speaks about.
fn familiar() -> Vec<Value> {
    vec![
        json!({}),
        json!({"role": "user", "content": 1}),
        json!({"content": 1, "role": "user"}),
        json!({"content": 1.0, "role": "user"}),
        json!({"role": "user", "content": 1, "latency_ms": 7, "created_at": "2001-01-01T00:00:00Z"}),
        json!({"role": "user", "content": 1, "output_tokens": null, "guardrail_event": {}, "updated_at": 5}),
        json!({"role": "user", "content": 1, "more": null}),
        json!({"role": "$role", "content": "$$ROOT"}),
        json!({"message_id": 0}),
        json!({"agent_id": "a"}),
        json!({"model": "m", "system_prompt": "$p", "prompt_metadata": {"v": 1}, "state": {"step": 1}}),
        json!({"state": {"step": 2}}),
        json!({"model": null, "system_prompt": "q"}),
        json!({"model": "n", "prompt_metadata": null}),
        json!({"__bytes_encoded__": true, "data": "aGk="}),
    ]
}

pub(super) fn one_of<T: Clone + fmt::Debug + 'static>(all: impl Into<Vec<T>>) -> impl Strategy<Value = T> {
    prop::sample::select(all.into())
}

pub(super) fn broken() -> impl Strategy<Value = Body> {
    one_of(BROKEN).prop_map(Body::Broken)
}

/// Members of an object, at most so many, with names that mean something somewhere or only look like it.
fn members(most: usize) -> impl Strategy<Value = Map<String, Value>> {
    let names = [
        "k",
        "role",
        "content",
        "model",
        "system_prompt",
        "prompt_metadata",
        "state",
        "session_id",
        "created_at",
        "updated_at",
        "latency_ms",
        "input_tokens",
        "event_loop_metrics",
        "storage_id",
        "messages",
        "_id",
    ];
    let name = prop_oneof![8 => one_of(names).prop_map(str::to_owned), 4 => key()];
    prop::collection::vec((name, json()), 0..most).prop_map(Map::from_iter)
}

/// A key within a value, where none means anything.
fn key() -> impl Strategy<Value = String> {
    let keys = ["a", "b", "0", "1", "", "a.b", ".", "$gt", "$set", "$each", "$literal", "$oid", "$ref", "$id", "$date", "é", "\u{7f}"];
    prop_oneof![4 => one_of(keys).prop_map(str::to_owned), 1 => "[^\\x00]{0,3}"]
}

/// Any JSON value.
pub(super) fn json() -> impl Strategy<Value = Value> {
    let integers = [0, 1, -1, i64::from(i32::MAX), i64::from(i32::MAX) + 1, i64::from(i32::MIN) - 1, 1 << 53, i64::MAX, i64::MIN];
    let floats = [0.0, 1.0, -0.5, 0.1, 1e22, f64::MAX, 5e-324, 9_007_199_254_740_993.0];
    let texts = ["", "a", "$a", "$$ROOT", "$updated_at", "a\0b", "2001-01-01T00:00:00Z", "1"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        one_of(integers).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        one_of(floats).prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no such number", |float| float.is_finite()).prop_map(Value::from),
        one_of(texts).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        one_of(markers()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..4).prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

/// Bytes, and objects that are nearly bytes.
fn markers() -> Vec<Value> {
    vec![
        json!({"__bytes_encoded__": true, "data": "aGk="}),
        json!({"data": "", "__bytes_encoded__": true}),
        json!({"__bytes_encoded__": true, "data": "AB=="}),
        json!({"__bytes_encoded__": true, "data": "not base64"}),
        json!({"__bytes_encoded__": true, "data": "aGk=", "more": 1}),
        json!({"__bytes_encoded__": 1, "data": "aGk="}),
    ]
}
