//! From JSON to BSON, whatever its objects mean.

use super::json::integer;
use bson::Bson;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// What the objects of a form of JSON mean.
pub(crate) trait Form {
    /// The value that an object stands for.
    fn object<'de, A: MapAccess<'de>>(members: A) -> Result<Bson, A::Error>;
}

/// A JSON value of a form, as BSON. Integers get the narrowest type that holds them.
pub(crate) struct Value<F> {
    value: Bson,
    form: PhantomData<F>,
}

impl<F> Value<F> {
    pub(crate) fn into_bson(self) -> Bson {
        self.value
    }
}

impl<'de, F: Form> Deserialize<'de> for Value<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor::<F>(PhantomData)).map(|value| Self { value, form: PhantomData })
    }
}

struct ValueVisitor<F>(PhantomData<F>);

impl<'de, F: Form> Visitor<'de> for ValueVisitor<F> {
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
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Value<F>>()? {
            items.push(item.into_bson());
        }
        Ok(Bson::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Bson, A::Error> {
        F::object(map)
    }
}
