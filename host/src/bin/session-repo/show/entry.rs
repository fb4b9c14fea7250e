//! Records as text: a session, an agent, a message, an entry of feedback.

use super::bytes;
use super::calls::Calls;
use super::content::{self, Block};
use super::style::{INDENT, Style, Tone};
use crate::json;
use crate::terminal::one_line;
use serde_json::value::RawValue;
use session_repository::{Agent, Feedback, Json, Message, Session, Timestamp};

/// A time's day, in UTC.
pub(crate) fn date(time: Timestamp) -> String {
    let text = time.to_string();
    // Times that RFC 3339 cannot express are shown as they are.
    text.split_once('T').map_or_else(|| text.clone(), |(date, _)| date.to_owned())
}

/// A time's hour, minute and second, in UTC.
fn clock(time: Timestamp) -> String {
    let text = time.to_string();
    text.split_once('T').and_then(|(_, clock)| clock.split('.').next()).unwrap_or("--:--:--").to_owned()
}

/// A session with its metadata, or why that cannot be read.
pub(crate) fn session(style: &Style, session: &Session, metadata: &Result<Json, String>) -> String {
    let title = format!("{} ({})", one_line(&session.session_id), one_line(&session.session_type));
    let moment = |time| format!("{} {}", date(time), clock(time));
    let times = format!("created {}, last written {} UTC", moment(session.created_at), moment(session.updated_at));
    let mut text = style.wrapped([0, INDENT], Tone::Title, &title) + &style.wrapped([0, INDENT], Tone::Faint, &times);
    let fields = match metadata {
        Ok(metadata) => fields(style, metadata),
        Err(why) => style.line(&[(Tone::Warning, &format!("{:INDENT$}cannot be read: {why}", ""))]),
    };
    if !fields.is_empty() {
        text += &format!("\n{}{fields}", style.line(&[(Tone::Faint, "metadata")]));
    }
    text
}

/// An agent, or why it cannot be read.
pub(crate) fn agent(style: &Style, agent_id: &str, read: &Result<Agent, String>) -> String {
    let indented = format!("{:INDENT$}{agent_id}", "");
    let agent = match read {
        Ok(agent) => agent,
        Err(why) => return style.line(&[(Tone::Title, &indented), (Tone::Warning, &format!("cannot be read: {why}"))]),
    };
    let members = json::members(agent.data.as_str()).unwrap_or_default();
    let field = |name| json::get(&members, name).filter(|value| value.get() != "null");
    let model = field("model").map(value).unwrap_or_default();
    let mut text = style.line(&[(Tone::Title, &indented), (Tone::Faint, &model)]);
    if let Some(prompt) = field("system_prompt") {
        text += &style.folded(2 * INDENT, Tone::Plain, &content::short(prompt));
    }
    text
}

/// A message; `calls` are those of its agent so far.
pub(crate) fn message(style: &Style, agent_id: &str, message: &Message, calls: &mut Calls) -> String {
    let content = content::read(message.body.as_str());
    let role = content.role.as_deref().unwrap_or("message");
    let tone = match role {
        "user" => Tone::User,
        "assistant" => Tone::Assistant,
        _ => Tone::Other,
    };
    let id = format!("#{}", message.message_id);
    let redacted = if content.redacted { "redacted" } else { "" };
    let clock = clock(message.created_at);
    let mut text =
        style.line(&[(Tone::Faint, &clock), (tone, role), (Tone::Plain, agent_id), (Tone::Faint, &id), (Tone::Warning, redacted)]);
    for block in &content.blocks {
        text += &self::block(style, block, calls);
    }
    text
}

fn block(style: &Style, block: &Block, calls: &mut Calls) -> String {
    match block {
        Block::Text(text) if text.trim().is_empty() => String::new(),
        Block::Text(text) => style.wrapped([INDENT; 2], Tone::Plain, text.trim_start_matches(['\r', '\n'])),
        Block::Call { id, tool, input } => {
            if let Some(id) = id {
                calls.remember(id, tool);
            }
            style.folded(INDENT, Tone::Faint, &format!("▸ {tool} {input}"))
        }
        Block::Result { id, tool, status, output } => {
            let id = id.as_deref();
            let tool = tool.as_deref().or_else(|| id.and_then(|id| calls.tool(id))).or(id).unwrap_or("result");
            let status = status.as_deref();
            let tone = if status == Some("error") { Tone::Failure } else { Tone::Faint };
            let head = status.map_or_else(|| tool.to_owned(), |status| format!("{tool} {status}"));
            let colon = if output.trim().is_empty() { "" } else { ":" };
            style.folded(INDENT, tone, &format!("◂ {head}{colon} {output}"))
        }
        Block::Reasoning(text) => style.folded(INDENT, Tone::Faint, &format!("· reasoning: {text}")),
        Block::Attachment(text) | Block::Other(text) => style.wrapped([INDENT; 2], Tone::Faint, text),
    }
}

/// An entry of feedback.
pub(crate) fn feedback(style: &Style, feedback: &Feedback) -> String {
    style.line(&[(Tone::Faint, &clock(feedback.created_at)), (Tone::Other, "feedback")]) + &fields(style, &feedback.body)
}

/// The members of an object, each beginning a line.
fn fields(style: &Style, object: &Json) -> String {
    match json::members(object.as_str()) {
        Ok(members) => members
            .iter()
            .map(|(key, value)| style.wrapped([INDENT, 2 * INDENT], Tone::Plain, &format!("{}: {}", one_line(key), self::value(value))))
            .collect(),
        Err(_) => style.wrapped([INDENT; 2], Tone::Plain, object.as_str()),
    }
}

/// A string without quotes, anything else as JSON.
fn value(value: &RawValue) -> String {
    json::string(value).unwrap_or_else(|| bytes::compact(value))
}
