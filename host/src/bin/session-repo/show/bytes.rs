//! Bytes in bodies. They are named with their size, never shown.

use crate::json::{self, Members};
use serde_json::value::RawValue;

/// Marks bytes in the JSON of agent frameworks: `{"__bytes_encoded__": true, "data": "<base64>"}`.
const MARKER: &str = "__bytes_encoded__";

/// How many bytes a value stands for, if it is the marker.
fn marked(value: &RawValue) -> Option<usize> {
    let members = json::object(value).filter(|members| members.len() == 2)?;
    json::get(&members, MARKER).filter(|mark| mark.get() == "true")?;
    json::get_string(&members, "data").map(|base64| decoded(&base64))
}

/// How many bytes base64 stands for.
fn decoded(base64: &str) -> usize {
    let digits = base64.trim_end_matches('=').len();
    digits / 4 * 3 + (digits % 4).saturating_sub(1)
}

fn size(bytes: usize) -> String {
    let (unit, name) = match bytes {
        1 => return String::from("1 byte"),
        0..1_000 => return format!("{bytes} bytes"),
        1_000..1_000_000 => (1_000, "kB"),
        _ => (1_000_000, "MB"),
    };
    format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit)
}

/// A value as JSON without white space, in which bytes are named with their size.
pub(crate) fn compact(value: &RawValue) -> String {
    if !value.get().contains(MARKER) {
        return json::compact(value.get());
    }
    if let Some(bytes) = marked(value) {
        return format!("[{}]", size(bytes));
    }
    if let Some(members) = json::object(value) {
        return object(members.iter().map(|(key, value)| (key.as_str(), *value)));
    }
    match json::array(value) {
        Some(items) => format!("[{}]", items.into_iter().map(compact).collect::<Vec<_>>().join(",")),
        None => json::compact(value.get()),
    }
}

/// An object as [`compact`] writes it.
pub(crate) fn object<'a>(members: impl Iterator<Item = (&'a str, &'a RawValue)>) -> String {
    let members: Vec<_> = members.map(|(key, value)| format!("{}:{}", serde_json::Value::from(key), compact(value))).collect();
    format!("{{{}}}", members.join(","))
}

/// `[kind label, size or place]`.
fn named(kind: &str, labels: [Option<String>; 2], place: &str) -> String {
    let what: Vec<_> = std::iter::once(kind.to_owned()).chain(labels.into_iter().flatten()).collect();
    format!("[{}, {place}]", what.join(" "))
}

/// The content of a Bedrock block: `{"format", "name"?, "source": {"bytes"} or {"s3Location": {"uri"}}}`.
pub(crate) fn bedrock(kind: &str, value: &RawValue) -> Option<String> {
    let members = json::object(value)?;
    let whole = json::get(&members, "source")?;
    let source = json::object(whole)?;
    let bytes = json::get(&source, "bytes").and_then(|bytes| marked(bytes).or_else(|| json::string(bytes).map(|text| decoded(&text))));
    let location = json::get(&source, "s3Location").and_then(json::object);
    let place = match (bytes, location.and_then(|location| json::get_string(&location, "uri"))) {
        (Some(bytes), _) => size(bytes),
        (None, Some(uri)) => uri,
        (None, None) => compact(whole),
    };
    Some(named(kind, [json::get_string(&members, "format"), json::get_string(&members, "name")], &place))
}

/// A block of Anthropic's: `{"type", "title"?, "source": {"media_type", "data"} or {"url"}}`.
pub(crate) fn anthropic(kind: &str, members: &Members<'_>) -> Option<String> {
    let whole = json::get(members, "source")?;
    let source = json::object(whole)?;
    let text = |name| json::get_string(&source, name);
    let place = match (text("type").as_deref(), text("data"), text("url")) {
        (Some("base64"), Some(data), _) => size(decoded(&data)),
        (Some("text"), Some(data), _) => size(data.len()),
        (_, _, Some(url)) => url,
        _ => compact(whole),
    };
    Some(named(kind, [text("media_type").map(|media| format(&media)), json::get_string(members, "title")], &place))
}

/// An image of OpenAI's: a URL, which may be `data:image/png;base64,…`.
pub(crate) fn openai(url: &str) -> String {
    match url.strip_prefix("data:").and_then(|data| data.split_once(";base64,")) {
        Some((media, data)) => named("image", [Some(format(media)), None], &size(decoded(data))),
        None => named("image", [None, None], url),
    }
}

/// `png` of `image/png`.
fn format(media_type: &str) -> String {
    media_type.rsplit('/').next().unwrap_or(media_type).to_owned()
}
