//! Between JSON text and BSON, by the rules of `json` in `wit/types.wit`.

use super::tree::{Form, Value};
use crate::error::{Error, Result};
use crate::types::{Json, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bson::raw::{RawArray, RawBsonRef, RawDocument};
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Document};
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, Visitor};
use std::fmt;

/// The marker with which agent frameworks write bytes in JSON.
const BYTES_MARKER: &str = "__bytes_encoded__";
const BYTES_DATA: &str = "data";

/// Parses a JSON object. It is never the bytes marker itself, only its members can be.
pub(crate) fn parse_object(json: &Json) -> Result<Document> {
    let mut parser = serde_json::Deserializer::from_str(json.as_str());
    let document = parser.deserialize_map(ObjectVisitor).and_then(|document| parser.end().map(|()| document));
    document.map_err(|error| refused(&error))
}

/// Parses any JSON value.
pub(crate) fn parse_value(json: &Json) -> Result<Bson> {
    let mut parser = serde_json::Deserializer::from_str(json.as_str());
    let value = Value(Literal).deserialize(&mut parser).and_then(|value| parser.end().map(|()| value));
    value.map_err(|error| refused(&error))
}

/// The component sends no such JSON; an embedder's own guest might.
fn refused(error: &serde_json::Error) -> Error {
    tracing::debug!(%error, "a guest sent JSON that BSON cannot hold");
    Error::InvalidArgument(String::from("the JSON cannot be stored"))
}

/// A BSON date.
pub(crate) fn date(time: Timestamp) -> DateTime {
    DateTime::from_millis(time.0)
}

/// A time, from a date or from RFC 3339 text.
pub(crate) fn time(value: RawBsonRef<'_>) -> Option<Timestamp> {
    match value {
        RawBsonRef::DateTime(date) => Some(Timestamp(date.timestamp_millis())),
        RawBsonRef::String(text) => Timestamp::parse(text),
        _ => None,
    }
}

/// JSON that is taken literally, all but the bytes marker.
#[derive(Clone, Copy)]
struct Literal;

impl Form for Literal {
    /// The parser has a limit of its own.
    fn deeper<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn object<'de, A: MapAccess<'de>>(self, members: A) -> Result<Bson, A::Error> {
        let document = ObjectVisitor.visit_map(members)?;
        Ok(match marked_bytes(&document) {
            Some(bytes) => Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes }),
            None => Bson::Document(document),
        })
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let mut document = Document::new();
        while let Some(key) = map.next_key_seed(Key)? {
            let value = map.next_value_seed(Value(Literal))?;
            if document.insert(key, value).is_some() {
                return Err(de::Error::custom("a key occurs twice"));
            }
        }
        Ok(document)
    }
}

/// A key, which BSON ends with a NUL and which therefore cannot hold one.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        let key = String::deserialize(deserializer)?;
        if key.contains('\0') { Err(de::Error::custom("a key holds a NUL")) } else { Ok(key) }
    }
}

/// The bytes that an object stands for if it is exactly the marker, with base64 that reads back as it was written.
fn marked_bytes(document: &Document) -> Option<Vec<u8>> {
    match (document.len(), document.get(BYTES_MARKER), document.get(BYTES_DATA)) {
        (2, Some(Bson::Boolean(true)), Some(Bson::String(data))) => BASE64.decode(data).ok(),
        _ => None,
    }
}

/// Writes the members of a stored document as a JSON object, those left out that `skip` names.
pub(crate) fn write_object(document: &RawDocument, skip: &[&str]) -> Result<Json> {
    write_members_of(document, |name, _| !skip.contains(&name))
}

/// Writes the members of a stored document that `is_own` picks as a JSON object.
pub(crate) fn write_members_of(document: &RawDocument, is_own: impl FnMut(&str, RawBsonRef<'_>) -> bool) -> Result<Json> {
    let mut out = String::with_capacity(document.as_bytes().len());
    write_members(&mut out, document, is_own)?;
    Ok(Json::from(out))
}

fn write_members(out: &mut String, document: &RawDocument, mut is_own: impl FnMut(&str, RawBsonRef<'_>) -> bool) -> Result<()> {
    out.push('{');
    let empty = out.len();
    for member in document {
        let (key, value) = member.map_err(broken)?;
        if !is_own(key.as_str(), value) {
            continue;
        }
        if out.len() > empty {
            out.push(',');
        }
        write_text(out, key.as_str())?;
        out.push(':');
        write_value(out, value)?;
    }
    out.push('}');
    Ok(())
}

fn write_value(out: &mut String, value: RawBsonRef<'_>) -> Result<()> {
    match value {
        RawBsonRef::Null => out.push_str("null"),
        RawBsonRef::Boolean(value) => out.push_str(if value { "true" } else { "false" }),
        RawBsonRef::Int32(number) => out.push_str(&number.to_string()),
        RawBsonRef::Int64(number) => out.push_str(&number.to_string()),
        RawBsonRef::Double(number) if number.is_finite() => out.push_str(&serde_json::to_string(&number).map_err(broken)?),
        RawBsonRef::String(text) => write_text(out, text)?,
        RawBsonRef::Document(document) => write_members(out, document, |_, _| true)?,
        RawBsonRef::Array(items) => write_items(out, items, write_value)?,
        RawBsonRef::Binary(binary) => {
            out.push_str(&format!(r#"{{"{BYTES_MARKER}":true,"{BYTES_DATA}":""#));
            BASE64.encode_string(binary.bytes, out);
            out.push_str(r#""}"#);
        }
        RawBsonRef::DateTime(date) => match Timestamp(date.timestamp_millis()).to_rfc3339() {
            Some(text) => write_text(out, &text)?,
            // Written here because the driver's own form clamps what is far away.
            None => out.push_str(&format!(r#"{{"$date":{{"$numberLong":"{}"}}}}"#, date.timestamp_millis())),
        },
        _ => write_extended(out, value)?,
    }
    Ok(())
}

/// Writes an array, each item by `write`.
pub(crate) fn write_items<W: fmt::Write>(out: &mut W, items: &RawArray, write: fn(&mut W, RawBsonRef<'_>) -> Result<()>) -> Result<()> {
    put(out, "[")?;
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            put(out, ",")?;
        }
        write(out, item.map_err(broken)?)?;
    }
    put(out, "]")
}

/// Writes a text as a JSON string; a long one in pieces, so that its escaped form is never in memory as a whole.
pub(crate) fn write_text(out: &mut impl fmt::Write, text: &str) -> Result<()> {
    const PIECE: usize = 16 * 1024;
    put(out, "\"")?;
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE));
        if piece.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
            put(out, piece)?;
        } else {
            let quoted = serde_json::to_string(piece).map_err(broken)?;
            put(out, quoted.strip_prefix('"').and_then(|quoted| quoted.strip_suffix('"')).unwrap_or_default())?;
        }
        rest = after;
    }
    put(out, "\"")
}

/// Writes text as it is. Fails only if nobody takes it any more.
pub(crate) fn put(out: &mut impl fmt::Write, text: &str) -> Result<()> {
    out.write_str(text).map_err(|fmt::Error| Error::Unavailable(String::from("nobody reads on")))
}

/// What JSON has no form for: relaxed Extended JSON.
fn write_extended(out: &mut String, value: RawBsonRef<'_>) -> Result<()> {
    let value = Bson::try_from(value).map_err(broken)?;
    out.push_str(&value.into_relaxed_extjson().to_string());
    Ok(())
}

pub(crate) fn broken(error: impl fmt::Display) -> Error {
    tracing::warn!(%error, "a stored document cannot be read");
    Error::Corrupt(String::from("a stored value cannot be read"))
}
