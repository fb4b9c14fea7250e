//! What people see: one field on a line, or a table; with `--json`, the results of the `exec` protocol (metadata without its wrapping).

use crate::calls::Answer;
use crate::json::{self, Members};
use crate::terminal::{harmless, one_line};
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::value::RawValue;
use session_repository::{ArchivedAgent, Feedback, Message};
use std::borrow::Cow;
use std::io::{self, ErrorKind, IsTerminal, Write};
use terminal_size::Width;
use textwrap::core::display_width;

/// The least that a column gets; a narrower terminal breaks lines itself.
const NARROWEST: usize = 20;

/// Prints text for people.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    print_exact(&harmless(text))
}

/// Prints what programs read: JSON or a script.
pub(crate) fn print_exact(text: &str) -> anyhow::Result<()> {
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
        print(&member(&key, value))?;
    }
    Ok(())
}

fn members(json: &str) -> anyhow::Result<Members<'_>> {
    json::members(json).context("an answer cannot be shown, try --json")
}

/// A member of an object. What its value says on further lines is indented, so that it cannot be taken for another member.
fn member(key: &str, value: &RawValue) -> String {
    format!("{}: {}", one_line(key), shown(value).replace('\n', "\n  "))
}

/// A value as people read it: a string without quotes, anything else as JSON.
fn shown(value: &RawValue) -> String {
    harmless(&json::string(value).unwrap_or_else(|| value.get().to_owned()))
}

/// Prints the answer to a call.
pub(crate) fn answer(answer: &Answer, json: bool) -> anyhow::Result<()> {
    match answer {
        Answer::Metadata(metadata) if json => print_exact(metadata.as_str()),
        answer if json => print_exact(&answer.json()),
        Answer::Done | Answer::Absent(_) => Ok(()),
        Answer::Metadata(metadata) => print_members(metadata.as_str()),
        Answer::Messages(messages) => print_messages(messages),
        Answer::Feedback(entries) => print_feedback(entries),
        Answer::Session(_) | Answer::Agent(_) | Answer::Message(_) | Answer::Object(_) => print_members(&answer.json()),
    }
}

fn print_messages(messages: &[Message]) -> anyhow::Result<()> {
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

fn print_feedback(entries: &[Feedback]) -> anyhow::Result<()> {
    print_table(["CREATED", "FEEDBACK"], entries, |entry| Ok([entry.created_at.to_string(), lines(members(entry.body.as_str())?.iter())]))
}

pub(crate) fn archive(agents: &[ArchivedAgent], json: bool) -> anyhow::Result<()> {
    if json {
        return print_exact(&serde_json::to_string(agents)?);
    }
    print_table(["AGENT", "MESSAGES", "BYTES", "ARCHIVED", "BLOCKS", "ARCHIVED BYTES"], agents, |agent| {
        let ArchivedAgent { messages, bytes, archived_messages, archived_blocks, archived_bytes, .. } = agent;
        let [messages, bytes, archived] = [messages, bytes, archived_messages].map(u64::to_string);
        Ok([one_line(&agent.agent_id), messages, bytes, archived, archived_blocks.to_string(), archived_bytes.to_string()])
    })
}

fn lines<'a>(members: impl Iterator<Item = &'a (String, &'a RawValue)>) -> String {
    members.map(|(key, value)| member(key, value)).collect::<Vec<_>>().join("\n")
}

/// Prints rows under a header. The last column is as wide as the terminal leaves it, and goes on below itself.
fn print_table<T, const N: usize>(header: [&str; N], rows: &[T], cells: impl Fn(&T) -> anyhow::Result<[String; N]>) -> anyhow::Result<()> {
    let mut table = vec![header.map(str::to_owned)];
    for row in rows {
        table.push(cells(row)?);
    }
    let mut widths = [0; N];
    for row in &mut table {
        for (width, cell) in widths.iter_mut().zip(row.iter_mut()).take(N - 1) {
            *cell = cell.replace('\n', " ");
            *width = display_width(cell).max(*width);
        }
    }
    let left: usize = widths.iter().take(N - 1).map(|width| width + 2).sum();
    let room = terminal_size::terminal_size().map(|(Width(width), _)| usize::from(width).saturating_sub(left).max(NARROWEST));
    let mut text = String::new();
    for row in &table {
        for (width, cell) in widths.iter().zip(row).take(N - 1) {
            text.push_str(cell);
            text.push_str(&" ".repeat(width + 2 - display_width(cell)));
        }
        let last = row.last().map_or("", String::as_str);
        let lines: Vec<_> = match room {
            Some(room) => textwrap::wrap(last, room),
            None => last.lines().map(Cow::Borrowed).collect(),
        };
        let below = format!("\n{}", " ".repeat(left));
        text.push_str(&lines.join(&below));
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    print(text.trim_end())
}

/// A progress bar on a terminal, and nothing elsewhere.
pub(crate) fn progress(template: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::no_length();
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
