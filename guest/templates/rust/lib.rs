//! Summarises the last messages of an agent into the metadata of its session.

use serde_json::{Value, json};
use session::repository::types::{Error, Message};
use session::repository::{messages, metadata};

wit_bindgen::generate!({ path: "wit", world: "{name}", generate_all });

/// How many messages a call reads, and how many the summary is about.
const PAGE: usize = 100;
const LAST: usize = 5;

struct Plugin;

export!(Plugin);

impl Guest for Plugin {
    async fn run(session_id: String, agent_id: String) -> Result<String, String> {
        summarise(session_id, agent_id).await.map_err(|error| format!("{error:?}"))
    }
}

async fn summarise(session_id: String, agent_id: String) -> Result<String, Error> {
    let (mut count, mut last) = (0, Vec::new());
    loop {
        let page = messages::list(session_id.clone(), agent_id.clone(), Some(PAGE as i64), count as i64).await?;
        let read = page.len();
        count += read;
        last.extend(page);
        last.drain(..last.len().saturating_sub(LAST));
        if read < PAGE {
            break;
        }
    }
    let lines: Vec<String> = last.iter().map(line).collect();
    let summary = json!({"summary": {"messages": count, "last": lines}});
    metadata::update(session_id, summary.to_string(), None).await?;
    Ok(format!("{count} messages"))
}

/// A message in one line of at most 80 characters.
fn line(message: &Message) -> String {
    let body: Value = serde_json::from_str(&message.body).unwrap_or_default();
    let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
    format!("{}: {}", text("role"), text("content").replace('\n', " ")).chars().take(80).collect()
}
