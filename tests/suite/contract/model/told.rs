//! What calls answer, in a form that a model and a store can share.

use serde_json::{Value, json};
use session_repository::Error;

/// What a call tells. The times stand apart from the rest, because a model only knows in which order things happened.
#[derive(Debug)]
pub(super) struct Told<T> {
    pub(super) value: Value,
    pub(super) times: Vec<T>,
}

/// What a call answers; the text of an `invalid-argument` is left open and empty here.
pub(super) type Answer<T> = Result<Told<T>, Error>;

impl<T> Told<T> {
    /// The answer of a write, and of a read that finds nothing.
    pub(super) fn nothing() -> Self {
        Self { value: Value::Null, times: Vec::new() }
    }

    pub(super) fn session(id: &str, session_type: &str, revision: u64, created_at: T, updated_at: T) -> Self {
        Self { value: json!({"id": id, "type": session_type, "revision": revision}), times: vec![created_at, updated_at] }
    }

    /// The answer of an append, for example.
    pub(super) fn number(number: impl Into<Value>) -> Self {
        Self { value: number.into(), times: Vec::new() }
    }

    pub(super) fn agent(id: &str, data: Value, created_at: T, updated_at: T) -> Self {
        Self { value: json!({"id": id, "data": data}), times: vec![created_at, updated_at] }
    }

    pub(super) fn message(id: i64, body: Value, created_at: T, updated_at: T) -> Self {
        Self { value: json!({"id": id, "body": body}), times: vec![created_at, updated_at] }
    }

    pub(super) fn feedback(body: Value, created_at: T) -> Self {
        Self { value: body, times: vec![created_at] }
    }

    pub(super) fn metadata(value: Value) -> Self {
        Self { value, times: Vec::new() }
    }

    pub(super) fn list(all: impl IntoIterator<Item = Self>) -> Self {
        let (values, times): (Vec<_>, Vec<_>) = all.into_iter().map(|told| (told.value, told.times)).unzip();
        Self { value: Value::Array(values), times: times.into_iter().flatten().collect() }
    }
}
