//! What a message says, whatever form its body has.
//!
//! Three families of forms are understood: the content blocks of Bedrock, also as agent frameworks nest them (`{"message": {…}}`), the
//! typed blocks of Anthropic, and the messages of OpenAI. Whatever else a body holds stays JSON; only nulls, which say nothing, go.

use super::bytes;
use crate::json::{self, Members};
use serde_json::value::RawValue;

/// What a message says.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// Who says it.
    pub(crate) role: Option<String>,
    /// Whether this is what was put in the place of something else.
    pub(crate) redacted: bool,
    pub(crate) blocks: Vec<Block>,
}

/// A part of a message.
#[derive(Debug)]
pub(crate) enum Block {
    /// Prose.
    Text(String),
    /// A tool is called.
    Call { id: Option<String>, tool: String, input: String },
    /// A tool has answered.
    Result { id: Option<String>, tool: Option<String>, status: Option<String>, output: String },
    /// What a model thought.
    Reasoning(String),
    /// The name and size of bytes.
    Attachment(String),
    /// JSON of no known form.
    Other(String),
}

impl Block {
    fn other(value: &RawValue) -> Self {
        Self::Other(bytes::compact(value))
    }

    /// What it says in short, within a tool's answer.
    fn summary(self) -> String {
        match self {
            Self::Call { tool, input, .. } => format!("{tool} {input}"),
            Self::Text(text) | Self::Result { output: text, .. } => text,
            Self::Reasoning(text) | Self::Attachment(text) | Self::Other(text) => text,
        }
    }
}

/// Reads the body of a message.
pub(crate) fn read(body: &str) -> Content {
    let Ok(members) = json::members(body) else {
        return Content { blocks: vec![Block::Other(json::compact(body))], ..Content::default() };
    };
    let nested = |name| json::get(&members, name).and_then(json::object);
    let original = nested("message");
    let mut content = match (nested("redact_message"), &original) {
        // Nothing else of the body is shown: it may hold what was to go.
        (Some(redaction), _) => Content { redacted: true, ..message(&redaction) },
        (None, Some(original)) => {
            let mut content = message(original);
            content.blocks.extend(rest(&members, &["message"]));
            content
        }
        (None, None) => message(&members),
    };
    content.role = content.role.or_else(|| json::get_string(original.as_ref().unwrap_or(&members), "role"));
    content
}

/// What the value of a `content` says in short.
pub(crate) fn short(value: &RawValue) -> String {
    summary(blocks(value))
}

fn message(members: &Members<'_>) -> Content {
    let mut shown = vec!["content"];
    let mut take = |name| json::get_string(members, name).inspect(|_| shown.push(name));
    let role = take("role");
    let mut blocks = json::get(members, "content").map(blocks).unwrap_or_default();
    let answers = blocks.iter().any(|block| matches!(block, Block::Result { .. }));
    if role.as_deref() == Some("tool") && !answers {
        let (id, tool) = (take("tool_call_id"), take("name"));
        blocks = vec![Block::Result { id, tool, status: None, output: summary(blocks) }];
    }
    if let Some(calls) = json::get(members, "tool_calls").and_then(json::array) {
        blocks.extend(calls.into_iter().map(|call| function(call).unwrap_or_else(|| Block::other(call))));
        shown.push("tool_calls");
    }
    blocks.extend(rest(members, &shown));
    Content { role, redacted: false, blocks }
}

/// What of an object is not shown in a form of its own.
fn rest(members: &Members<'_>, shown: &[&str]) -> Option<Block> {
    let mut rest = members.iter().filter(|(key, value)| !shown.contains(&key.as_str()) && value.get() != "null").peekable();
    rest.peek()?;
    Some(Block::Other(bytes::object(rest.map(|(key, value)| (key.as_str(), *value)))))
}

/// The parts of a `content`: text, a block, or several.
fn blocks(value: &RawValue) -> Vec<Block> {
    match json::array(value) {
        Some(items) => items.into_iter().flat_map(block).collect(),
        None => block(value),
    }
}

fn block(value: &RawValue) -> Vec<Block> {
    if let Some(text) = json::string(value) {
        return vec![Block::Text(text)];
    }
    match json::object(value) {
        Some(members) => match json::get_string(&members, "type") {
            Some(kind) => typed(&kind, &members).unwrap_or_else(|| vec![Block::other(value)]),
            None => untyped(&members),
        },
        None if value.get() == "null" => Vec::new(),
        None => vec![Block::other(value)],
    }
}

/// Blocks as Bedrock has them, where the kind is the name of a member.
fn untyped(members: &Members<'_>) -> Vec<Block> {
    let (mut blocks, mut shown) = (Vec::new(), Vec::new());
    for (kind, value) in members {
        let block = match kind.as_str() {
            "text" => json::string(value).map(Block::Text),
            "json" => Some(Block::other(value)),
            "toolUse" => json::object(value).and_then(|call| self::call(&call, "toolUseId")),
            "toolResult" => json::object(value).map(|result| {
                let status = json::get_string(&result, "status").map(|status| match status.as_str() {
                    "success" => String::from("ok"),
                    _ => status,
                });
                self::result(&result, "toolUseId", status)
            }),
            "reasoningContent" => json::object(value).and_then(|reasoning| thoughts(&reasoning)),
            "image" | "document" | "video" => bytes::bedrock(kind, value).map(Block::Attachment),
            _ => None,
        };
        if let Some(block) = block {
            blocks.push(block);
            shown.push(kind.as_str());
        }
    }
    blocks.extend(rest(members, &shown));
    blocks
}

/// Blocks as Anthropic and OpenAI have them, where a member says the kind.
fn typed(kind: &str, members: &Members<'_>) -> Option<Vec<Block>> {
    let text = |name| json::get_string(members, name);
    let (block, shown): (_, &[&str]) = match kind {
        "text" | "input_text" | "output_text" => (Block::Text(text("text")?), &["type", "text"]),
        "tool_use" => (call(members, "id")?, &["type", "id", "name", "input"]),
        "tool_result" => {
            let failed = json::get(members, "is_error").is_some_and(|failed| failed.get() == "true");
            let status = if failed { "error" } else { "ok" };
            (result(members, "tool_use_id", Some(status.to_owned())), &["type", "tool_use_id", "is_error", "content"])
        }
        "thinking" => (Block::Reasoning(text("thinking")?), &["type", "thinking", "signature"]),
        "image" | "document" => (Block::Attachment(bytes::anthropic(kind, members)?), &["type", "source", "title"]),
        "image_url" => {
            let url = json::get(members, "image_url").and_then(json::object).and_then(|image| json::get_string(&image, "url"))?;
            (Block::Attachment(bytes::openai(&url)), &["type", "image_url"])
        }
        _ => return None,
    };
    Some(std::iter::once(block).chain(rest(members, shown)).collect())
}

/// `{"name", "input"}` and an id.
fn call(members: &Members<'_>, id: &str) -> Option<Block> {
    let input = json::get(members, "input").map(bytes::compact).unwrap_or_default();
    Some(Block::Call { id: json::get_string(members, id), tool: json::get_string(members, "name")?, input })
}

/// `{"content"}` and the id of the call.
fn result(members: &Members<'_>, id: &str, status: Option<String>) -> Block {
    let output = json::get(members, "content").map(short).unwrap_or_default();
    Block::Result { id: json::get_string(members, id), tool: None, status, output }
}

/// A call of OpenAI's, whose arguments are text that holds JSON.
fn function(value: &RawValue) -> Option<Block> {
    let members = json::object(value)?;
    let function = json::object(json::get(&members, "function")?)?;
    let arguments = json::get_string(&function, "arguments").map(|arguments| json::compact(&arguments)).unwrap_or_default();
    Some(Block::Call { id: json::get_string(&members, "id"), tool: json::get_string(&function, "name")?, input: arguments })
}

/// `{"reasoningText": {"text"}}` or `{"redactedContent": bytes}`.
fn thoughts(members: &Members<'_>) -> Option<Block> {
    let text = json::get(members, "reasoningText").and_then(json::object).and_then(|thought| json::get_string(&thought, "text"));
    text.or_else(|| json::get(members, "redactedContent").map(bytes::compact)).map(Block::Reasoning)
}

fn summary(blocks: Vec<Block>) -> String {
    blocks.into_iter().map(Block::summary).collect::<Vec<_>>().join(" ")
}
