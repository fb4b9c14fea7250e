//! Checked arguments: what has one of these types obeys the rules of `types.wit`.

use crate::json::{self, Member, quoted};

/// An argument that breaks a rule; the message names it and the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub String);

/// The longest session id, in bytes.
pub const MAX_SESSION_ID: usize = 512;
/// The longest agent id, in bytes.
pub const MAX_AGENT_ID: usize = 256;
/// The longest session type, in bytes.
pub const MAX_SESSION_TYPE: usize = 512;
/// The most fields that one metadata call sets or deletes: a server's work grows with their square.
pub const MAX_METADATA_FIELDS: usize = 10_000;
/// The longest idempotency key, in bytes.
pub const MAX_IDEMPOTENCY_KEY: usize = 256;
/// The most messages that one call appends.
pub const MAX_MESSAGES: usize = 1000;
/// The type of a session whose creator names none.
pub const DEFAULT_SESSION_TYPE: &str = "default";

fn invalid<T>(message: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid(message.into()))
}

/// A valid session id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionId(String);

impl SessionId {
    /// Checks a session id.
    pub fn parse(id: String) -> Result<Self, Invalid> {
        check_id("session_id", &id, MAX_SESSION_ID)?;
        Ok(Self(id))
    }

    /// The id's text.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// A valid agent id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentId(String);

impl AgentId {
    /// Checks an agent id.
    pub fn parse(id: String) -> Result<Self, Invalid> {
        check_id("agent_id", &id, MAX_AGENT_ID)?;
        if id.contains('.') {
            return invalid("agent_id: must not contain `.`");
        }
        if id.starts_with('$') {
            return invalid("agent_id: must not start with `$`");
        }
        Ok(Self(id))
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id's text.
    pub fn into_string(self) -> String {
        self.0
    }
}

fn check_id(name: &str, id: &str, max: usize) -> Result<(), Invalid> {
    if id.is_empty() {
        return invalid(format!("{name}: must not be empty"));
    }
    if id.len() > max {
        return invalid(format!("{name}: has {} bytes, at most {max} are allowed", id.len()));
    }
    if id.contains('\0') {
        return invalid(format!("{name}: must not contain NUL"));
    }
    Ok(())
}

/// Checks a message id.
pub fn message_id(id: i64) -> Result<i64, Invalid> {
    if id < 0 {
        return invalid(format!("message_id: must not be negative, is {id}"));
    }
    Ok(id)
}

/// Checks the key of an append.
pub fn idempotency_key(key: Option<String>) -> Result<Option<String>, Invalid> {
    if let Some(key) = &key {
        check_id("idempotency_key", key, MAX_IDEMPOTENCY_KEY)?;
    }
    Ok(key)
}

/// Checks how many messages one call appends.
pub fn message_count(count: usize) -> Result<(), Invalid> {
    match count {
        0 => invalid("messages: must not be empty"),
        1..=MAX_MESSAGES => Ok(()),
        _ => invalid(format!("messages: has {count} messages, at most {MAX_MESSAGES} are allowed in one call")),
    }
}

/// Checks the type of a new session.
pub fn session_type(session_type: Option<String>) -> Result<String, Invalid> {
    let session_type = session_type.unwrap_or_else(|| DEFAULT_SESSION_TYPE.to_owned());
    if session_type.len() > MAX_SESSION_TYPE {
        return invalid(format!("session_type: has {} bytes, at most {MAX_SESSION_TYPE} are allowed", session_type.len()));
    }
    Ok(session_type)
}

/// A valid cut out of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// How many to skip.
    pub offset: u64,
    /// How many to return at most.
    pub limit: Option<u64>,
}

impl Page {
    /// Checks a limit and an offset.
    pub fn parse(limit: Option<i64>, offset: i64) -> Result<Self, Invalid> {
        let not_negative =
            |name, value: i64| u64::try_from(value).or_else(|_| invalid(format!("{name}: must not be negative, is {value}")));
        Ok(Self { offset: not_negative("offset", offset)?, limit: limit.map(|limit| not_negative("limit", limit)).transpose()? })
    }
}

/// Checks the fields of a metadata update: a JSON object whose keys are paths.
pub fn metadata(text: &str) -> Result<Vec<Member<'_>>, Invalid> {
    let fields = json::object(text).map_err(|fault| Invalid(fault.describe("metadata")))?;
    check_count("metadata", fields.len())?;
    for field in &fields {
        check_path("metadata", &field.key)?;
        // The path makes levels of its own, beside the metadata object itself.
        let levels = 1 + field.key.split('.').count().saturating_sub(1) + json::depth(field.value);
        if levels > json::MAX_DEPTH {
            return invalid(format!("metadata: the field {} is nested deeper than {} levels", quoted(&field.key), json::MAX_DEPTH));
        }
    }
    let mut paths: Vec<&str> = fields.iter().map(|field| field.key.as_ref()).collect();
    sort_by_segments(&mut paths);
    for pair in paths.windows(2) {
        if let [one, other] = pair
            && contains(one, other)
        {
            return invalid(format!("metadata: the paths {} and {} overlap", quoted(one), quoted(other)));
        }
    }
    Ok(fields)
}

/// Checks the keys of a metadata deletion and leaves out those that another one covers.
pub fn metadata_keys(keys: &[String]) -> Result<Vec<String>, Invalid> {
    check_count("keys", keys.len())?;
    for (index, key) in keys.iter().enumerate() {
        check_path(&format!("keys[{index}]"), key)?;
        if key.split('.').count() > json::MAX_DEPTH {
            return invalid(format!("keys[{index}]: the path {} has more than {} segments", quoted(key), json::MAX_DEPTH));
        }
    }
    let mut sorted: Vec<&str> = keys.iter().map(String::as_str).collect();
    sort_by_segments(&mut sorted);
    let mut kept: Vec<&str> = Vec::with_capacity(sorted.len());
    for key in sorted {
        // Sorted, a path comes right before all that it contains.
        match kept.last().filter(|outer| contains(outer, key)) {
            None => kept.push(key),
            Some(outer) if key.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) => {}
            // In an object these are two fields, so neither can be left out.
            Some(outer) => return invalid(format!("keys: the paths {} and {} can name one array item", quoted(outer), quoted(key))),
        }
    }
    Ok(kept.into_iter().map(str::to_owned).collect())
}

fn check_count(argument: &str, count: usize) -> Result<(), Invalid> {
    if count > MAX_METADATA_FIELDS {
        return invalid(format!("{argument}: names {count} fields, at most {MAX_METADATA_FIELDS} are allowed in one call"));
    }
    Ok(())
}

fn check_path(argument: &str, path: &str) -> Result<(), Invalid> {
    if path.contains('\0') {
        return invalid(format!("{argument}: the path {} holds a NUL", quoted(path)));
    }
    for segment in path.split('.') {
        if segment.is_empty() {
            return invalid(format!("{argument}: the path {} has an empty segment", quoted(path)));
        }
        if segment.starts_with('$') {
            return invalid(format!("{argument}: a segment of the path {} starts with `$`", quoted(path)));
        }
    }
    Ok(())
}

/// The segments of a path, so that two that can name one array item are equal: there `01` is the position 1. The first one names a
/// field of the metadata, which is never an array.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('.').enumerate().map(|(level, segment)| {
        let digits = level > 0 && segment.bytes().all(|byte| byte.is_ascii_digit());
        if digits { segment.trim_start_matches('0') } else { segment }
    })
}

/// Sorts paths so that each comes right before the ones that it contains.
fn sort_by_segments(paths: &mut [&str]) {
    paths.sort_unstable_by(|one, other| segments(one).cmp(segments(other)).then_with(|| one.cmp(other)));
}

/// Whether `other` is `path` or lies within it. MongoDB stops working altogether on an update of both in two spellings.
fn contains(path: &str, other: &str) -> bool {
    let mut inner = segments(other);
    segments(path).all(|segment| inner.next() == Some(segment))
}
