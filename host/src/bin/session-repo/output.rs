//! What people see: one field on a line, or a table; with `--json`, the shapes of the `exec` protocol.

use crate::wire;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Map, Value};
use session_repository::{Agent, Feedback, Json, Message, Session};
use std::io::Write;

/// Prints, and ends the process quietly when nobody reads on (`| head`).
fn print(text: &str) {
    if writeln!(std::io::stdout(), "{text}").is_err() {
        std::process::exit(0);
    }
}

/// Prints the members of an object, one on a line, strings without quotes.
fn print_members(json: &str) {
    for (key, value) in members(json) {
        print(&format!("{key}: {}", shown(&value)));
    }
}

fn members(json: &str) -> Map<String, Value> {
    serde_json::from_str(json).unwrap_or_default()
}

/// A value as people read it, with nothing in it that a terminal would obey.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

pub(crate) fn session(session: &Session, json: bool) {
    if json { print(&wire::session(session)) } else { print_members(&wire::session(session)) }
}

pub(crate) fn agent(agent: &Agent, json: bool) {
    if json { print(&wire::agent(agent)) } else { print_members(&wire::agent(agent)) }
}

pub(crate) fn message(message: &Message, json: bool) {
    if json { print(&wire::message(message)) } else { print_members(&wire::message(message)) }
}

pub(crate) fn metadata(metadata: &Json, json: bool) {
    if json { print(metadata.as_str()) } else { print_members(metadata.as_str()) }
}

pub(crate) fn messages(messages: &[Message], json: bool) {
    if json {
        return print(&wire::list(messages, wire::message));
    }
    print_table(["ID", "CREATED", "ROLE", "CONTENT"], messages, |message| {
        let mut body = members(message.body.as_str());
        // Agent frameworks nest role and content one level deeper.
        if let Some(Value::Object(nested)) = body.get("message").cloned() {
            body.extend(nested);
            body.remove("message");
        }
        let role = body.remove("role").map_or_else(String::new, |role| shown(&role));
        let content = match (body.remove("content"), body.is_empty()) {
            (Some(content), _) => shown(&content),
            (None, true) => String::new(),
            (None, false) => shown(&Value::Object(body)),
        };
        [message.message_id.to_string(), message.created_at.to_string(), role, content]
    });
}

pub(crate) fn feedback(entries: &[Feedback], json: bool) {
    if json {
        return print(&wire::list(entries, wire::feedback));
    }
    print_table(["CREATED", "FEEDBACK"], entries, |entry| {
        let members = members(entry.body.as_str());
        let lines: Vec<_> = members.iter().map(|(key, value)| format!("{key}: {}", shown(value))).collect();
        [entry.created_at.to_string(), lines.join("\n")]
    });
}

fn print_table<T, const N: usize>(header: [&str; N], rows: &[T], cells: impl Fn(&T) -> [String; N]) {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    if let Some((terminal_size::Width(width), _)) = terminal_size::terminal_size() {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.add_rows(rows.iter().map(cells));
    print(&table.trim_fmt());
}
