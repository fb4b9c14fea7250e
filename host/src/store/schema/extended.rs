//! Between BSON and Extended JSON, for dumps: every type and every value comes back as it was.
//!
//! Written is the relaxed form where it keeps the type, and the canonical one elsewhere; both are read. Extended JSON has no form for a
//! document that only looks like a type (`{"$oid": …}` in somebody's data), so such a document stands in `{"$literalDocument": …}`. What
//! looks like a type and does not read as one is taken as it is: other programs write such documents without a sign.
//!
//! <https://github.com/mongodb/specifications/blob/master/source/extended-json/extended-json.md>

use super::json::{broken, put, write_items, write_text};
use super::tree::{Form, Value};
use crate::error::{Error, Result};
use crate::types::Timestamp;
use bson::raw::{RawBsonRef, RawDocument};
use bson::{Bson, Document, JavaScriptCodeWithScope};
use serde::de::{self, MapAccess};
use std::fmt::Write;

/// The field that says that a document is meant as it is.
const LITERAL: &str = "$literalDocument";

/// The fields by which types are known. The older `$regex` is none: it is what a query looks like, and tools no longer write it.
const TYPES: [&str; 17] = [
    LITERAL,
    "$binary",
    "$code",
    "$date",
    "$dbPointer",
    "$maxKey",
    "$minKey",
    "$numberDecimal",
    "$numberDouble",
    "$numberInt",
    "$numberLong",
    "$oid",
    "$regularExpression",
    "$symbol",
    "$timestamp",
    "$undefined",
    "$uuid",
];

/// Writes the members of a document, the value of each by `write`. A session document, its `agents` and each agent are written so: they are
/// read by their place, and never taken for types.
pub(crate) fn write_members<W: Write, E: From<Error>>(
    out: &mut W,
    document: &RawDocument,
    mut write: impl FnMut(&mut W, &str, RawBsonRef<'_>) -> Result<(), E>,
) -> Result<(), E> {
    put(out, "{")?;
    let mut is_first = true;
    for member in document {
        let (key, value) = member.map_err(broken)?;
        write_name(out, key.as_str(), &mut is_first)?;
        write(out, key.as_str(), value)?;
    }
    Ok(put(out, "}")?)
}

/// Writes the name of a member, and what is between it and the one before.
pub(crate) fn write_name(out: &mut impl Write, name: &str, is_first: &mut bool) -> Result<()> {
    if !std::mem::replace(is_first, false) {
        put(out, ",")?;
    }
    write_text(out, name)?;
    put(out, ":")
}

/// Writes a document that may stand at any place.
pub(crate) fn write_document<W: Write>(out: &mut W, document: &RawDocument) -> Result<()> {
    let mut looks_like_type = false;
    for member in document {
        looks_like_type |= TYPES.contains(&member.map_err(broken)?.0.as_str());
    }
    if looks_like_type {
        put(out, &format!(r#"{{"{LITERAL}":"#))?;
    }
    write_members(out, document, |out, _, value| write_value(out, value))?;
    if looks_like_type { put(out, "}") } else { Ok(()) }
}

/// Writes any value.
pub(crate) fn write_value<W: Write>(out: &mut W, value: RawBsonRef<'_>) -> Result<()> {
    match value {
        RawBsonRef::Null => put(out, "null"),
        RawBsonRef::Boolean(value) => put(out, if value { "true" } else { "false" }),
        RawBsonRef::Int32(number) => put(out, &number.to_string()),
        // What fits in 32 bits would read as that.
        RawBsonRef::Int64(number) if i32::try_from(number).is_ok() => put(out, &format!(r#"{{"$numberLong":"{number}"}}"#)),
        RawBsonRef::Int64(number) => put(out, &number.to_string()),
        RawBsonRef::Double(number) if number.is_finite() => put(out, &serde_json::to_string(&number).map_err(broken)?),
        RawBsonRef::String(text) => write_text(out, text),
        RawBsonRef::Document(document) => write_document(out, document),
        RawBsonRef::Array(items) => write_items(out, items, write_value),
        RawBsonRef::DateTime(date) => match Timestamp(date.timestamp_millis()).to_rfc3339() {
            Some(text) => put(out, &format!(r#"{{"$date":"{text}"}}"#)),
            None => put(out, &format!(r#"{{"$date":{{"$numberLong":"{}"}}}}"#, date.timestamp_millis())),
        },
        // A scope is a document like any other; the driver would not mark what only looks like a type in it.
        RawBsonRef::JavaScriptCodeWithScope(code) => {
            put(out, r#"{"$code":"#)?;
            write_text(out, code.code)?;
            put(out, r#","$scope":"#)?;
            write_document(out, code.scope)?;
            put(out, "}")
        }
        _ => put(out, &Bson::try_from(value).map_err(broken)?.into_canonical_extjson().to_string()),
    }
}

/// How deep values may nest. MongoDB takes 100 levels at most, of which each takes two here where it is literal.
const MAX_DEPTH: u16 = 256;

/// Extended JSON, at a depth.
#[derive(Clone, Copy, Default)]
pub(crate) struct Extended {
    depth: u16,
    /// Whether an object here is meant as it is.
    literal: bool,
}

impl Form for Extended {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format_args!("values are nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(Self { depth: self.depth + 1, literal: false })
    }

    fn object<'de, A: MapAccess<'de>>(self, mut map: A) -> Result<Bson, A::Error> {
        let form = self.deeper()?;
        let (mut document, mut looks_like_type) = (Document::new(), false);
        while let Some(key) = map.next_key::<String>()? {
            // What a literal document holds is no type, whatever it looks like.
            let literal = key == LITERAL && !self.literal;
            looks_like_type |= TYPES.contains(&key.as_str());
            let value = map.next_value_seed(Value(Self { literal, ..form }))?;
            insert(&mut document, key, value)?;
        }
        if self.literal || !looks_like_type {
            return Ok(Bson::Document(document));
        }
        let is_alone = document.len() == 1;
        match document.get_mut(LITERAL) {
            Some(Bson::Document(literal)) if is_alone => Ok(Bson::Document(std::mem::take(literal))),
            _ => Ok(typed(document)),
        }
    }
}

/// Adds a member; BSON ends a name with a NUL, which therefore cannot hold one.
pub(crate) fn insert<E: de::Error>(document: &mut Document, key: String, value: Bson) -> Result<(), E> {
    if key.contains('\0') {
        return Err(E::custom("a field's name holds a NUL"));
    }
    if document.contains_key(&key) {
        return Err(E::custom(format_args!("the field {key:?} occurs twice")));
    }
    document.insert(key, value);
    Ok(())
}

/// The value that a document stands for, or the document itself.
fn typed(document: Document) -> Bson {
    // What is in a scope has its types already.
    if let (2, Some(Bson::String(code)), Some(Bson::Document(scope))) = (document.len(), document.get("$code"), document.get("$scope")) {
        return Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code: code.clone(), scope: scope.clone() });
    }
    match Bson::try_from(Bson::Document(document.clone()).into_relaxed_extjson()) {
        Ok(Bson::Document(_)) | Err(_) => Bson::Document(document),
        Ok(value) => value,
    }
}
