//! JSON objects as text. Values stay as they are written, so that numbers keep their spelling.

use crate::error::{Error, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;

/// The largest text of an object, in bytes. The other storages have a limit of the same size, in the bytes of BSON.
pub const MAX_TEXT: usize = 16 * 1024 * 1024;

/// A JSON object as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object(String);

/// The members of an object by their keys, in the order in which they are written.
pub type Members<T> = IndexMap<String, T>;

impl Object {
    /// Checks that a text is a JSON object and not too large.
    pub fn parse(text: String) -> Result<Self> {
        bounded(text.len())?;
        members(&text)?;
        Ok(Self(text))
    }

    /// The text of the object.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text of the object.
    pub fn into_string(self) -> String {
        self.0
    }

    /// The object without some members.
    pub fn without(&self, names: &[String]) -> Result<Self> {
        let mut members = members(&self.0)?;
        let before = members.len();
        members.retain(|key, _| !names.contains(key));
        if members.len() == before { Ok(self.clone()) } else { Self::write(&members) }
    }

    /// The object with some members of another one.
    pub fn keeping(self, names: &[String], stored: &Object) -> Result<Self> {
        let (mut members, stored) = (members(&self.0)?, self::members(&stored.0)?);
        let kept: Vec<_> = names.iter().filter_map(|name| Some((name.clone(), *stored.get(name)?))).collect();
        if kept.is_empty() {
            return Ok(self);
        }
        members.extend(kept);
        Self::write(&members)
    }

    /// Writes an object, if it is not too large.
    pub fn write(members: &impl serde::Serialize) -> Result<Self> {
        let text = serde_json::to_string(members).map_err(|_| unreadable())?;
        bounded(text.len())?;
        Ok(Self(text))
    }
}

/// As the JSON that it is, each value as it is written.
impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(&self.0).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::from(Box::<str>::from(Box::<RawValue>::deserialize(deserializer)?));
        if text.starts_with('{') { Ok(Self(text)) } else { Err(de::Error::custom("not an object")) }
    }
}

impl Default for Object {
    /// An object without members.
    fn default() -> Self {
        Self(String::from("{}"))
    }
}

/// The members of an object, each value as it is written.
pub fn members(text: &str) -> Result<Members<&RawValue>> {
    serde_json::from_str(text).map_err(|_| unreadable())
}

/// Whether an object is the marker for bytes: exactly `{"__bytes_encoded__": true, "data": "<canonical base64>"}`.
pub(crate) fn is_bytes(members: &Members<&RawValue>) -> bool {
    let is_marked = members.get("__bytes_encoded__").is_some_and(|marker| marker.get() == "true");
    let data = members.get("data").and_then(|data| serde_json::from_str::<String>(data.get()).ok());
    members.len() == 2 && is_marked && data.is_some_and(|data| STANDARD.decode(data).is_ok())
}

/// The error for JSON that is none. The repository sends no such JSON.
pub fn unreadable() -> Error {
    Error::InvalidArgument(String::from("the JSON cannot be stored"))
}

fn bounded(size: usize) -> Result<()> {
    if size > MAX_TEXT { Err(too_large(size)) } else { Ok(()) }
}

/// The error for text of a size above the limit.
pub(crate) fn too_large(size: usize) -> Error {
    Error::TooLarge { size: size as u64, limit: MAX_TEXT as u64 }
}
