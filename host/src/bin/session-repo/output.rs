//! What people see: one field on a line, or a table; with `--json`, the results of the `exec` protocol (metadata without its wrapping).

use crate::json::{self, Members};
use crate::wire;
use anyhow::Context;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::value::RawValue;
use session_repository::{Agent, Feedback, Json, Message, Session};
use std::io::{self, ErrorKind, Write};

pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout();
    written(writeln!(out, "{text}").and_then(|()| out.flush()))
}

/// What became of writing to stdout. Ends the process quietly when nobody reads on (`| head`).
pub(crate) fn written(result: io::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        result => result.context("stdout"),
    }
}

/// Prints the members of an object, one on a line, strings without quotes.
fn print_members(json: &str) -> anyhow::Result<()> {
    for (key, value) in members(json)? {
        print(&format!("{}: {}", harmless(&key), shown(value)))?;
    }
    Ok(())
}

fn members(json: &str) -> anyhow::Result<Members<'_>> {
    json::members(json).context("an answer cannot be shown, try --json")
}

/// A value as people read it: a string without quotes, anything else as JSON.
fn shown(value: &RawValue) -> String {
    harmless(&json::string(value).unwrap_or_else(|| value.get().to_owned()))
}

/// Text with nothing in it that a terminal would obey: no control characters, none that turn the direction of what follows.
pub(crate) fn harmless(text: &str) -> String {
    let obeyed = |c: char| match c {
        '\n' | '\t' => false,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        c => c.is_control(),
    };
    text.chars().map(|c| if obeyed(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Prints that there is nothing to tell, to those who expect JSON.
pub(crate) fn done(json: bool) -> anyhow::Result<()> {
    if json { print("null") } else { Ok(()) }
}

pub(crate) fn session(session: &Session, json: bool) -> anyhow::Result<()> {
    if json { print(&wire::session(session)) } else { print_members(&wire::session(session)) }
}

pub(crate) fn agent(agent: &Agent, json: bool) -> anyhow::Result<()> {
    if json { print(&wire::agent(agent)) } else { print_members(&wire::agent(agent)) }
}

pub(crate) fn message(message: &Message, json: bool) -> anyhow::Result<()> {
    if json { print(&wire::message(message)) } else { print_members(&wire::message(message)) }
}

pub(crate) fn metadata(metadata: &Json, json: bool) -> anyhow::Result<()> {
    if json { print(metadata.as_str()) } else { print_members(metadata.as_str()) }
}

pub(crate) fn messages(messages: &[Message], json: bool) -> anyhow::Result<()> {
    if json {
        return print(&wire::list(messages, wire::message));
    }
    print_table(["ID", "CREATED", "ROLE", "CONTENT"], messages, |message| {
        let mut body = members(message.body.as_str())?;
        // Agent frameworks nest role and content one level deeper.
        if let Some(nested) = json::get(&body, "message").and_then(json::object) {
            body = nested;
        }
        let role = json::get(&body, "role").map_or_else(String::new, shown);
        let content = match json::get(&body, "content") {
            Some(content) => shown(content),
            None => lines(body.iter().filter(|(key, _)| key != "role")),
        };
        Ok([message.message_id.to_string(), message.created_at.to_string(), role, content])
    })
}

pub(crate) fn feedback(entries: &[Feedback], json: bool) -> anyhow::Result<()> {
    if json {
        return print(&wire::list(entries, wire::feedback));
    }
    print_table(["CREATED", "FEEDBACK"], entries, |entry| Ok([entry.created_at.to_string(), lines(members(entry.body.as_str())?.iter())]))
}

fn lines<'a>(members: impl Iterator<Item = &'a (String, &'a RawValue)>) -> String {
    members.map(|(key, value)| format!("{}: {}", harmless(key), shown(value))).collect::<Vec<_>>().join("\n")
}

fn print_table<T, const N: usize>(header: [&str; N], rows: &[T], cells: impl Fn(&T) -> anyhow::Result<[String; N]>) -> anyhow::Result<()> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    if let Some((terminal_size::Width(width), _)) = terminal_size::terminal_size() {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    for row in rows {
        table.add_row(cells(row)?);
    }
    print(&table.trim_fmt())
}
