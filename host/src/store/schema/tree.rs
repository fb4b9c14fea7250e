//! From JSON to BSON, whatever its objects mean.

use bson::Bson;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// The narrowest BSON integer that holds a number, as every MongoDB driver for Python writes it.
pub(crate) fn integer(number: i64) -> Bson {
    i32::try_from(number).map_or(Bson::Int64(number), Bson::Int32)
}

/// What the objects of a form of JSON mean, at a place in it.
pub(crate) trait Form: Copy {
    /// The value that an object stands for.
    fn object<'de, A: MapAccess<'de>>(self, members: A) -> Result<Bson, A::Error>;

    /// The form one level deeper, if there may be one.
    fn deeper<E: de::Error>(self) -> Result<Self, E>;
}

/// Reads a JSON value of a form as BSON. Integers get the narrowest type that holds them.
pub(crate) struct Value<F>(pub(crate) F);

impl<'de, F: Form> DeserializeSeed<'de> for Value<F> {
    type Value = Bson;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Bson, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: Form> Visitor<'de> for Value<F> {
    type Value = Bson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Bson, E> {
        Ok(Bson::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Bson, E> {
        Ok(Bson::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Bson, E> {
        Ok(integer(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Bson, E> {
        i64::try_from(value).map(integer).map_err(|_| E::custom("an integer does not fit in 64 bits signed"))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Bson, E> {
        Ok(Bson::Double(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Bson, E> {
        Ok(Bson::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Bson, E> {
        Ok(Bson::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Bson, A::Error> {
        let (mut items, form) = (Vec::new(), self.0.deeper()?);
        while let Some(item) = seq.next_element_seed(Value(form))? {
            items.push(item);
        }
        Ok(Bson::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Bson, A::Error> {
        self.0.object(map)
    }
}
