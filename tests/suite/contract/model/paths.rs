//! Paths into metadata: what setting and removing fields by them does, on plain JSON values.

use serde_json::{Map, Value, json};
use std::cmp::Ordering;

/// How many nulls a store puts into an array to reach a position beyond its end.
const MOST_PADDING: usize = 1_500_000;

/// The segments of a path, if it is valid.
pub(super) fn segments(path: &str) -> Option<Vec<&str>> {
    let segments: Vec<_> = path.split('.').collect();
    let valid = |segment: &&str| !segment.is_empty() && !segment.starts_with('$') && !segment.contains('\0');
    segments.iter().all(valid).then_some(segments)
}

/// Whether one of these paths contains another, or can in an array, where `01` is the position 1.
pub(super) fn overlap(paths: &[&Vec<&str>]) -> bool {
    let paths: Vec<Vec<&str>> = paths.iter().map(|path| spelled_alike(path)).collect();
    // Each begins with itself.
    paths.iter().any(|one| paths.iter().filter(|other| other.starts_with(one)).count() > 1)
}

/// The segments, of which all but the first can be positions, without their leading zeros.
fn spelled_alike<'a>(path: &[&'a str]) -> Vec<&'a str> {
    let digits = |segment: &str| segment.bytes().all(|byte| byte.is_ascii_digit());
    let zeros = |level, segment: &str| if level > 0 && digits(segment) { segment.len() - segment.trim_start_matches('0').len() } else { 0 };
    path.iter().enumerate().map(|(level, segment)| segment.get(zeros(level, segment)..).unwrap_or_default()).collect()
}

/// The paths that no other one of them contains as it is written, each once.
pub(super) fn outermost(mut paths: Vec<Vec<&str>>) -> Vec<Vec<&str>> {
    paths.sort();
    paths.dedup_by(|later, earlier| later.starts_with(earlier));
    paths
}

/// The order in which one call sets its fields: by their segments, lower numbers first. It decides where an array is padded with nulls,
/// through which no path leads.
pub(super) fn order(one: &[&str], other: &[&str]) -> Ordering {
    let of_segments = |(one, other): (&&str, &&str)| match is_number(one) && is_number(other) {
        true => one.len().cmp(&other.len()).then(one.cmp(other)),
        false => one.cmp(other),
    };
    one.iter().zip(other).map(of_segments).find(|order| order.is_ne()).unwrap_or_else(|| one.len().cmp(&other.len()))
}

/// Whether a segment begins like a number. One with zeros before it does not: it is sorted as text.
fn is_number(segment: &str) -> bool {
    segment == "0" || segment.starts_with(|first: char| ('1'..='9').contains(&first))
}

/// Sets a field and makes what is missing on the way; nothing if a value on the way cannot hold the next segment.
#[must_use]
pub(super) fn set(fields: &mut Map<String, Value>, path: &[&str], value: Value) -> Option<()> {
    let (first, rest) = path.split_first()?;
    match fields.get_mut(*first) {
        Some(field) => set_within(field, rest, value),
        None => {
            fields.insert((*first).to_owned(), wrapped(rest, value));
            Some(())
        }
    }
}

fn set_within(at: &mut Value, path: &[&str], value: Value) -> Option<()> {
    let Some((first, rest)) = path.split_first() else {
        *at = value;
        return Some(());
    };
    match at {
        Value::Object(fields) if !is_bytes(fields) => set(fields, path, value),
        Value::Array(items) => {
            let position = position(first)?;
            if let Some(item) = items.get_mut(position) {
                return set_within(item, rest, value);
            }
            if position - items.len() > MOST_PADDING {
                return None;
            }
            items.resize(position, Value::Null);
            items.push(wrapped(rest, value));
            Some(())
        }
        _ => None,
    }
}

/// The value, within an object for each segment.
fn wrapped(path: &[&str], value: Value) -> Value {
    path.iter().rev().fold(value, |value, segment| json!({ *segment: value }))
}

/// Removes a field, if it is there. An item of an array leaves a null.
pub(super) fn unset(fields: &mut Map<String, Value>, path: &[&str]) {
    match path {
        [] => {}
        [last] => drop(fields.remove(*last)),
        [first, rest @ ..] => {
            if let Some(field) = fields.get_mut(*first) {
                unset_within(field, rest);
            }
        }
    }
}

fn unset_within(at: &mut Value, path: &[&str]) {
    match (at, path) {
        (Value::Object(fields), _) if !is_bytes(fields) => unset(fields, path),
        (Value::Array(items), [first, rest @ ..]) => match position(first).and_then(|position| items.get_mut(position)) {
            Some(item) if rest.is_empty() => *item = Value::Null,
            Some(item) => unset_within(item, rest),
            None => {}
        },
        _ => {}
    }
}

/// The position in an array that a segment stands for.
fn position(segment: &str) -> Option<usize> {
    let digits = segment.bytes().all(|byte| byte.is_ascii_digit());
    if digits { segment.parse::<u32>().ok()?.try_into().ok() } else { None }
}

/// Whether an object stands for bytes, which hold no fields.
fn is_bytes(members: &Map<String, Value>) -> bool {
    match (members.len(), members.get("__bytes_encoded__"), members.get("data")) {
        (2, Some(Value::Bool(true)), Some(Value::String(data))) => is_base64(data),
        _ => false,
    }
}

/// Whether a text is canonical base64 with padding: the last digit before the padding has no bits that mean nothing.
fn is_base64(text: &str) -> bool {
    let digits = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    let canonical = match text.len() - digits.len() {
        0 => true,
        1 => digits.ends_with(|last| "AEIMQUYcgkosw048".contains(last)),
        _ => digits.ends_with(['A', 'Q', 'g', 'w']),
    };
    text.len().is_multiple_of(4) && canonical && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
}
