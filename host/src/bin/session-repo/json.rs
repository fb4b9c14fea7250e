//! JSON as text: taken apart only as far as it is looked at, so that numbers stay as they are written and keys are never more than names.

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The members of an object in their order.
pub(crate) type Members<'a> = Vec<(String, &'a RawValue)>;

/// Takes an object apart.
pub(crate) fn members(json: &str) -> serde_json::Result<Members<'_>> {
    struct Collect;
    impl<'de> Visitor<'de> for Collect {
        type Value = Members<'de>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }
    let mut reader = serde_json::Deserializer::from_str(json);
    let members = reader.deserialize_map(Collect)?;
    reader.end()?;
    Ok(members)
}

/// The members of a value, if it is an object.
pub(crate) fn object(value: &RawValue) -> Option<Members<'_>> {
    members(value.get()).ok()
}

/// The items of a value, if it is an array.
pub(crate) fn array(value: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(value.get()).ok()
}

/// The text of a value, if it is a string.
pub(crate) fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// A member of an object.
pub(crate) fn get<'a>(members: &Members<'a>, name: &str) -> Option<&'a RawValue> {
    members.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
}

/// A member of an object, if it is a string.
pub(crate) fn get_string(members: &Members<'_>, name: &str) -> Option<String> {
    get(members, name).and_then(string)
}

/// The same value without white space between its parts.
pub(crate) fn compact(json: &str) -> String {
    let mut compact = String::with_capacity(json.len());
    let (mut quoted, mut escaped) = (false, false);
    for c in json.chars() {
        if quoted || !matches!(c, ' ' | '\n' | '\r' | '\t') {
            compact.push(c);
        }
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
    }
    compact
}
