//! What people see: one field on a line, or a table; with `--json`, the results of the `exec` protocol (metadata without its wrapping).

use crate::wire;
use anyhow::Context;
use comfy_table::{ContentArrangement, Table, presets};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use session_repository::{Agent, Feedback, Json, Message, Session};
use std::fmt;
use std::io::{ErrorKind, Write};

/// Prints, and ends the process quietly when nobody reads on (`| head`).
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        written => written.context("stdout"),
    }
}

/// Prints the members of an object, one on a line, strings without quotes.
fn print_members(json: &str) -> anyhow::Result<()> {
    for (key, value) in members(json)? {
        print(&format!("{}: {}", harmless(&key), shown(&value)))?;
    }
    Ok(())
}

/// The members of an object in their order. The values stay text: nothing in them is taken for anything else.
fn members(json: &str) -> anyhow::Result<Vec<(String, Box<RawValue>)>> {
    struct Members(Vec<(String, Box<RawValue>)>);
    impl<'de> Deserialize<'de> for Members {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Collect;
            impl<'de> Visitor<'de> for Collect {
                type Value = Members;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                    let mut members = Vec::new();
                    while let Some(member) = map.next_entry()? {
                        members.push(member);
                    }
                    Ok(Members(members))
                }
            }
            deserializer.deserialize_map(Collect)
        }
    }
    let Members(members) = serde_json::from_str(json).context("an answer cannot be shown, try --json")?;
    Ok(members)
}

/// A value as people read it: a string without quotes, anything else as JSON.
fn shown(value: &RawValue) -> String {
    harmless(&serde_json::from_str::<String>(value.get()).unwrap_or_else(|_| value.get().to_owned()))
}

/// Text with nothing in it that a terminal would obey.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { char::REPLACEMENT_CHARACTER } else { c }).collect()
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
        if let Some((_, nested)) = body.iter().find(|(key, value)| key == "message" && value.get().starts_with('{')) {
            body = members(nested.get())?;
        }
        let role = body.iter().find(|(key, _)| key == "role").map_or_else(String::new, |(_, role)| shown(role));
        let content = match body.iter().find(|(key, _)| key == "content") {
            Some((_, content)) => shown(content),
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

fn lines<'a>(members: impl Iterator<Item = &'a (String, Box<RawValue>)>) -> String {
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
