//! What calls take, and how it is read.

use super::answer::Answer;
use crate::wire::Subject;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use session_repository::{Json, Repository, Result};

/// The arguments of a call. JSON arguments stay text, so that the component sees what was written.
pub(crate) trait Arguments: DeserializeOwned {
    /// Looks up the ids that stand within a JSON argument.
    fn look_up_ids(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// What the call is about.
    fn subject(&self) -> Subject;

    /// Makes the call.
    async fn execute(self, repository: &Repository) -> Result<Answer>;
}

/// Reads the arguments of a call, or says what is wrong with them.
pub(super) fn read<A: Arguments>(arguments: &RawValue) -> Result<A, String> {
    let mut arguments: A = object("args", arguments.get())?;
    arguments.look_up_ids()?;
    Ok(arguments)
}

/// Reads an object; serde alone would take an array for one as well.
pub(super) fn object<'a, T: Deserialize<'a>>(name: &str, value: &'a str) -> Result<T, String> {
    if !value.starts_with('{') {
        return Err(format!("{name}: must be a JSON object"));
    }
    serde_json::from_str(value).map_err(|error| {
        let text = error.to_string();
        // The position is one within the argument and would mislead; what was found there can be long.
        let short: String = text.split(" at line ").next().unwrap_or_default().chars().take(256).collect();
        format!("{name}: {short}")
    })
}

/// Any JSON value, as text.
pub(super) fn json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
    Ok(as_json(Box::<RawValue>::deserialize(deserializer)?))
}

/// A list of any JSON values, each as text.
pub(super) fn jsons<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Json>, D::Error> {
    Ok(Vec::<Box<RawValue>>::deserialize(deserializer)?.into_iter().map(as_json).collect())
}

fn as_json(value: Box<RawValue>) -> Json {
    Json::from(String::from(Box::<str>::from(value)))
}
