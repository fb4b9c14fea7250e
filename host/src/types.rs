//! The records that stores and callers exchange.

use std::fmt;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// One JSON value as text, taken literally. See `json` in `wit/types.wit` for its rules; the component checks them.
///
/// ```
/// # use session_repository::Json;
/// let from_text = Json::from(r#"{"role": "user"}"#);
/// let from_value = Json::from(serde_json::json!({"role": "user"}));
/// assert_eq!(from_text.parse::<serde_json::Value>().unwrap(), from_value.parse::<serde_json::Value>().unwrap());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json(String);

impl Json {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }

    /// Reads the value into a type of the caller's.
    pub fn parse<'a, T: serde::Deserialize<'a>>(&'a self) -> serde_json::Result<T> {
        serde_json::from_str(&self.0)
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        Self(value.to_string())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z. Displays as RFC 3339 text in UTC with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Reads RFC 3339 text; text without an offset is taken as UTC. What is finer than a millisecond is cut off.
    pub fn parse(text: &str) -> Option<Self> {
        // Any other separator is no time to the server, either.
        if !matches!(text.as_bytes().get(10), Some(b'T' | b't' | b' ')) {
            return None;
        }
        let parsed = OffsetDateTime::parse(text, &Rfc3339).or_else(|_| OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339)).ok()?;
        i64::try_from(parsed.unix_timestamp_nanos().div_euclid(1_000_000)).ok().map(Self)
    }

    /// RFC 3339 text, or nothing for a time outside the years 0 to 9999, which RFC 3339 cannot express.
    pub fn to_rfc3339(self) -> Option<String> {
        let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).ok()?;
        if time.year() < 0 { None } else { time.format(format).ok() }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_rfc3339() {
            Some(text) => f.write_str(&text),
            None => write!(f, "{} ms", self.0),
        }
    }
}

/// A session without its agents, metadata and feedback.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Session {
    /// Its id.
    pub session_id: String,
    /// What kind of session it is.
    pub session_type: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When anything in it was last written.
    pub updated_at: Timestamp,
    /// How often it has been written to. Programs that write past this crate do not advance it.
    pub revision: u64,
}

impl Session {
    /// A session that nobody has written to since it was created.
    pub fn new(session_id: impl Into<String>, session_type: impl Into<String>, created_at: Timestamp) -> Self {
        Self { session_id: session_id.into(), session_type: session_type.into(), created_at, updated_at: created_at, revision: 0 }
    }
}

/// An agent without its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Agent {
    /// Its id.
    pub agent_id: String,
    /// Its own fields, a JSON object.
    pub data: Json,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it or one of its messages was last written.
    pub updated_at: Timestamp,
}

impl Agent {
    /// An agent that nobody has written to since it was created.
    pub fn new(agent_id: impl Into<String>, data: impl Into<Json>, created_at: Timestamp) -> Self {
        Self { agent_id: agent_id.into(), data: data.into(), created_at, updated_at: created_at }
    }
}

/// A message of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Its id.
    pub message_id: i64,
    /// Its own fields, a JSON object.
    pub body: Json,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

impl Message {
    /// A message that nobody has written to since it was created.
    pub fn new(message_id: i64, body: impl Into<Json>, created_at: Timestamp) -> Self {
        Self { message_id, body: body.into(), created_at, updated_at: created_at }
    }
}

/// One entry of a session's feedback.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Feedback {
    /// Its own fields, a JSON object.
    pub body: Json,
    /// When it was added.
    pub created_at: Timestamp,
}

impl Feedback {
    /// An entry, by its own fields and its time.
    pub fn new(body: impl Into<Json>, created_at: Timestamp) -> Self {
        Self { body: body.into(), created_at }
    }
}
