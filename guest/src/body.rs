//! From the JSON objects that callers bring to the form that is stored, and what stays of what is stored.

use crate::json::{self, Member};
use crate::validate::{AgentId, Invalid};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// Fields of a stored message that are for operators and never returned.
pub const METRIC_FIELDS: [&str; 5] = ["event_loop_metrics", "latency_ms", "input_tokens", "output_tokens", "guardrail_event"];

/// The field by which newer versions of the reference find a message again. They alone write it; it is kept and never returned.
pub const STORAGE_ID: &str = "storage_id";

/// Fields of a stored agent that an update leaves alone unless it names them.
pub const AGENT_CONFIG_FIELDS: [&str; 3] = ["model", "system_prompt", "prompt_metadata"];

/// Timestamps: the component sets them, so incoming ones are ignored.
const STAMPS: [&str; 2] = ["created_at", "updated_at"];

/// Own fields of an agent or message, and which stored fields they leave in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The own fields, a JSON object.
    pub fields: String,
    /// Names of stored fields that stay; none of them is in `fields`.
    pub keep: Vec<String>,
}

/// Checks the body of a new agent and strips what is not its own.
pub fn new_agent(text: String, id: &AgentId) -> Result<String, Invalid> {
    let stripped = without_foreign(&agent_members(&text, id)?, is_agent_field);
    Ok(stripped.unwrap_or(text))
}

/// Checks the body of an agent update. A null config field removes what is stored.
pub fn agent_update(text: String, id: &AgentId) -> Result<Replacement, Invalid> {
    let members = agent_members(&text, id)?;
    let removed: Vec<&str> = members
        .iter()
        .filter(|member| AGENT_CONFIG_FIELDS.contains(&member.key.as_ref()) && member.value == "null")
        .map(|member| member.key.as_ref())
        .collect();
    let keep = not_brought(&AGENT_CONFIG_FIELDS, &members);
    let stripped = without_foreign(&members, |key| is_agent_field(key) && !removed.contains(&key));
    Ok(Replacement { fields: stripped.unwrap_or(text), keep })
}

/// Checks the body of a new message and strips what is not its own.
pub fn new_message(text: String, id: i64) -> Result<String, Invalid> {
    let stripped = without_foreign(&message_members(&text, id)?, is_message_field);
    Ok(stripped.unwrap_or(text))
}

/// Checks the body of a message that gets its id from the store, and strips what is not its own.
pub fn appended_message(text: String, argument: &str) -> Result<String, Invalid> {
    let members = members(argument, &text)?;
    if members.iter().any(|member| member.key == "message_id") {
        return Err(Invalid(format!("{argument}.message_id: must be absent, an append gets the next id")));
    }
    let stripped = without_foreign(&members, is_message_field);
    Ok(stripped.unwrap_or(text))
}

/// Checks the body of a message update. Stored metric fields stay unless the update brings its own, and `storage_id` always does.
pub fn message_update(text: String, id: i64) -> Result<Replacement, Invalid> {
    let members = message_members(&text, id)?;
    let mut keep = not_brought(&METRIC_FIELDS, &members);
    keep.push(STORAGE_ID.to_owned());
    let stripped = without_foreign(&members, is_message_field);
    Ok(Replacement { fields: stripped.unwrap_or(text), keep })
}

/// Checks a feedback entry and strips what is not its own.
pub fn feedback(text: String) -> Result<String, Invalid> {
    let stripped = without_foreign(&members("feedback", &text)?, |key| key != "created_at");
    Ok(stripped.unwrap_or(text))
}

/// Whether two checked message bodies have the same content.
pub fn same_content(one: &str, other: &str) -> bool {
    match (content(one), content(other)) {
        (Ok(one), Ok(other)) => json::same_members(one, other),
        _ => false,
    }
}

/// A digest that checked message bodies share if and only if each has the same content: the first half of a SHA-256, in hexadecimal.
pub fn digest(bodies: &[String]) -> Result<String, Invalid> {
    let mut hash = Sha256::new();
    for body in bodies {
        let form = content(body).and_then(json::canonical_members).map_err(|fault| Invalid(fault.describe("message")))?;
        hash.update((form.len() as u64).to_le_bytes());
        hash.update(form);
    }
    let mut text = String::new();
    for byte in hash.finalize().iter().take(16) {
        write!(text, "{byte:02x}").map_err(|_| Invalid(String::from("message: has no digest")))?;
    }
    Ok(text)
}

/// The members of a checked body that count when contents are compared: all but the metric fields.
fn content(body: &str) -> Result<Vec<Member<'_>>, json::Fault> {
    let mut members = json::object(body)?;
    members.retain(|member| !METRIC_FIELDS.contains(&member.key.as_ref()));
    Ok(members)
}

fn is_agent_field(key: &str) -> bool {
    key != "agent_id" && !STAMPS.contains(&key)
}

fn is_message_field(key: &str) -> bool {
    key != "message_id" && key != STORAGE_ID && !STAMPS.contains(&key)
}

fn members<'a>(argument: &str, text: &'a str) -> Result<Vec<Member<'a>>, Invalid> {
    json::object(text).map_err(|fault| Invalid(fault.describe(argument)))
}

fn agent_members<'a>(text: &'a str, id: &AgentId) -> Result<Vec<Member<'a>>, Invalid> {
    let members = members("agent", text)?;
    let agrees = |member: &Member<'_>| json::string(member.value).is_ok_and(|value| value == id.as_str());
    if members.iter().any(|member| member.key == "agent_id" && !agrees(member)) {
        return Err(Invalid(String::from("agent.agent_id: differs from the agent that is named")));
    }
    Ok(members)
}

fn message_members(text: &str, id: i64) -> Result<Vec<Member<'_>>, Invalid> {
    let members = members("message", text)?;
    if members.iter().any(|member| member.key == "message_id" && member.value.parse() != Ok(id)) {
        return Err(Invalid(String::from("message.message_id: differs from the message that is named")));
    }
    Ok(members)
}

/// The members that `own` picks, as the text of an object; `None` where it picks all, so that the text can stay as it came.
fn without_foreign(members: &[Member<'_>], own: impl Fn(&str) -> bool) -> Option<String> {
    if members.iter().all(|member| own(&member.key)) {
        return None;
    }
    let mut out = String::from("{");
    for member in members.iter().filter(|member| own(&member.key)) {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(member.raw_key);
        out.push(':');
        out.push_str(member.value);
    }
    out.push('}');
    Some(out)
}

fn not_brought(names: &[&str], members: &[Member<'_>]) -> Vec<String> {
    names.iter().filter(|name| members.iter().all(|member| member.key != **name)).map(|name| (*name).to_owned()).collect()
}
