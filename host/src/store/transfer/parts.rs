//! A session document as it is read, part by part, so that none has to fit in memory as a whole.

use crate::store::schema::extended::{Extended, insert};
use crate::store::schema::tree::Value;
use bson::{Bson, Document};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// What a session document consists of, in the order in which it is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    /// A session begins: its `_id`, which is the first field.
    Session(String),
    /// A field of the session. `agents` and `feedbacks` are empty here, or null; what is in them follows.
    Field(String, Bson),
    /// An agent begins.
    Agent(String),
    /// A field of the agent. `messages` is empty here, or null; what is in it follows.
    AgentField(String, Bson),
    /// A message of the agent.
    Message(Document),
    /// A feedback entry.
    Feedback(Document),
    /// The session is complete.
    End,
    /// The session is not to be had: why. Nothing of it counts.
    Broken(String),
}

/// Takes parts. What it returns in an error ends the reading.
pub(crate) trait Take: FnMut(Part) -> Result<(), Gone> {}
impl<F: FnMut(Part) -> Result<(), Gone>> Take for F {}

/// Nobody takes parts any more.
#[derive(Debug)]
pub(crate) struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reading has ended")
    }
}

/// Reads a session document and hands its parts to `take`, all but the end.
pub(crate) struct Session<'a, T: Take>(pub(crate) &'a mut T);

impl<'de, T: Take> DeserializeSeed<'de> for Session<'_, T> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Take> Visitor<'de> for Session<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a session document, a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(take) = self;
        let first = map.next_key::<String>()?;
        if first.as_deref() != Some("_id") {
            return Err(de::Error::custom("the first field must be `_id`"));
        }
        let Bson::String(id) = map.next_value_seed(Value(Extended::default()))? else {
            return Err(de::Error::custom("`_id` must be a string, the session's id"));
        };
        take(Part::Session(id)).map_err(de::Error::custom)?;
        let mut names = Names::default();
        names.add("_id")?;
        while let Some(name) = map.next_key::<String>()? {
            names.add(&name)?;
            match name.as_str() {
                "agents" => map.next_value_seed(Agents(take))?,
                "feedbacks" => map.next_value_seed(Documents { name: "feedbacks", field: Part::Field, part: Part::Feedback, take })?,
                _ => {
                    let value = map.next_value_seed(Value(Extended::default()))?;
                    if name == "metadata" && !matches!(value, Bson::Document(_) | Bson::Null) {
                        return Err(de::Error::custom("`metadata` must be an object"));
                    }
                    take(Part::Field(name, value)).map_err(de::Error::custom)?;
                }
            }
        }
        Ok(())
    }
}

/// The names of an object's fields so far.
#[derive(Default)]
struct Names(Document);

impl Names {
    fn add<E: de::Error>(&mut self, name: &str) -> Result<(), E> {
        insert(&mut self.0, name.to_owned(), Bson::Null)
    }
}

struct Agents<'a, T>(&'a mut T);

impl<'de, T: Take> DeserializeSeed<'de> for Agents<'_, T> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Take> Visitor<'de> for Agents<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`agents` to be an object of agents")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        (self.0)(Part::Field(String::from("agents"), Bson::Null)).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(take) = self;
        take(Part::Field(String::from("agents"), Bson::Document(Document::new()))).map_err(de::Error::custom)?;
        let mut names = Names::default();
        while let Some(agent_id) = map.next_key::<String>()? {
            names.add(&agent_id)?;
            take(Part::Agent(agent_id)).map_err(de::Error::custom)?;
            map.next_value_seed(Agent(take))?;
        }
        Ok(())
    }
}

struct Agent<'a, T>(&'a mut T);

impl<'de, T: Take> DeserializeSeed<'de> for Agent<'_, T> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Take> Visitor<'de> for Agent<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an agent to be an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(take) = self;
        let mut names = Names::default();
        while let Some(name) = map.next_key::<String>()? {
            names.add(&name)?;
            if name == "messages" {
                map.next_value_seed(Documents { name: "messages", field: Part::AgentField, part: Part::Message, take })?;
                continue;
            }
            let value = map.next_value_seed(Value(Extended::default()))?;
            if name == "archive" && is_archive(&value) || name == "moving" && is_moving(&value) {
                return Err(de::Error::custom(
                    "the older messages of an agent are in an archive and not in this dump; `session-repo export` writes whole sessions",
                ));
            }
            if name == "agent_data" && !matches!(value, Bson::Document(_) | Bson::Null) {
                return Err(de::Error::custom("`agent_data` must be an object"));
            }
            take(Part::AgentField(name, value)).map_err(de::Error::custom)?;
        }
        Ok(())
    }
}

/// Whether the field tells of messages that lie elsewhere, as in a document that was copied out of MongoDB.
fn is_archive(value: &Bson) -> bool {
    let Some(archive) = value.as_document() else { return false };
    archive.get_object_id("id").is_ok() && matches!(archive.get("count"), Some(Bson::Int32(1..) | Bson::Int64(1..)))
}

/// Whether the field has messages that are on their way to an archive.
fn is_moving(value: &Bson) -> bool {
    value.as_document().is_some_and(|moving| moving.get_array("cuts").is_ok() && moving.get_array("messages").is_ok())
}

/// A field that is a list of documents, each a part of its own.
struct Documents<'a, T> {
    name: &'static str,
    field: fn(String, Bson) -> Part,
    part: fn(Document) -> Part,
    take: &'a mut T,
}

impl<'de, T: Take> DeserializeSeed<'de> for Documents<'_, T> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Take> Visitor<'de> for Documents<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` to be a list of objects", self.name)
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        (self.take)((self.field)(self.name.to_owned(), Bson::Null)).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        (self.take)((self.field)(self.name.to_owned(), Bson::Array(Vec::new()))).map_err(de::Error::custom)?;
        while let Some(item) = seq.next_element_seed(Value(Extended::default()))? {
            let Bson::Document(document) = item else {
                return Err(de::Error::custom(format_args!("`{}` must be a list of objects", self.name)));
            };
            (self.take)((self.part)(document)).map_err(de::Error::custom)?;
        }
        Ok(())
    }
}
