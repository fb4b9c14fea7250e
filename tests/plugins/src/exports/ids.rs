//! Every call, on any session and with any text.

use super::bindings::session::repository::types::Error;
use super::bindings::session::repository::{agents, feedback, messages, metadata, sessions};
use core::fmt::Debug;

fn text(text: &str) -> String {
    text.to_owned()
}

/// Makes every call on a session; `$line` turns each name and answer into what is told of it.
macro_rules! everything {
    ($id:expr, $line:ident) => {{
        let (s, a, body) = (|| text($id), || text("a"), || text("{}"));
        vec![
            $line("sessions.create", sessions::create(s(), None, None).await.map(|session| (session.session_type, session.revision))),
            $line(
                "sessions.read",
                sessions::read(s()).await.map(|session| session.map(|session| (session.session_type, session.revision))),
            ),
            $line("agents.create", agents::create(s(), a(), body(), None).await),
            $line("agents.read", agents::read(s(), a()).await.map(|agent| agent.map(|agent| agent.data))),
            $line("agents.update", agents::update(s(), a(), body(), None).await),
            $line("messages.create", messages::create(s(), a(), 0, body(), None).await),
            $line("messages.read", messages::read(s(), a(), 0).await.map(|message| message.map(|message| message.body))),
            $line("messages.append", messages::append(s(), a(), body(), None, None).await),
            $line("messages.append-many", messages::append_many(s(), a(), vec![body()], None, None).await),
            $line("messages.update", messages::update(s(), a(), 0, body(), None).await),
            $line(
                "messages.list",
                messages::list(s(), a(), None, 0)
                    .await
                    .map(|page| page.into_iter().map(|message| (message.message_id, message.body)).collect::<Vec<_>>()),
            ),
            $line("metadata.update", metadata::update(s(), text(r#"{"k": 1}"#), None).await),
            $line("metadata.delete", metadata::delete(s(), vec![text("k")], None).await),
            $line("metadata.get", metadata::get(s()).await),
            $line("feedback.add", feedback::add(s(), body(), None).await),
            $line(
                "feedback.list",
                feedback::list(s()).await.map(|entries| entries.into_iter().map(|entry| entry.body).collect::<Vec<_>>()),
            ),
        ]
    }};
}

fn how<T>(name: &str, answer: Result<T, Error>) -> String {
    match answer {
        Ok(_) => format!("{name} ok"),
        Err(error) => format!("{name} {error:?}"),
    }
}

/// What a call answers, without the times in it.
fn what<T: Debug>(name: &str, answer: Result<T, Error>) -> String {
    format!("{name} {answer:?}")
}

pub(super) async fn everything(session_id: &str) -> Vec<String> {
    everything!(session_id, how)
}

pub(super) async fn answers(session_id: &str) -> Vec<String> {
    everything!(session_id, what)
}

/// A JSON string.
fn quoted(given: &str) -> String {
    let mut quoted = text("\"");
    for c in given.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c < ' ' => quoted += &format!("\\u{:04x}", c as u32),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

pub(super) async fn texts(session_id: &str, given: &str) -> Vec<String> {
    let (s, a, t, body) = (|| text(session_id), || text("a"), || text(given), || text("{}"));
    let value = || format!(r#"{{"k": {}}}"#, quoted(given));
    let key = || format!(r#"{{{}: 1}}"#, quoted(given));
    vec![
        how("session-type", sessions::create(s() + "/typed", Some(t()), None).await),
        how("agent", agents::create(s(), t(), body(), None).await),
        how("agent body", agents::create(s(), a() + "/new", t(), None).await),
        how("agent value", agents::update(s(), a(), value(), None).await),
        how("agent field", agents::update(s(), a(), key(), None).await),
        how("agent read", agents::read(s(), t()).await),
        how("agent update", agents::update(s(), t(), body(), None).await),
        how("message agent", messages::append(s(), t(), body(), None, None).await),
        how("message body", messages::append(s(), a(), t(), None, None).await),
        how("message value", messages::append(s(), a(), value(), None, None).await),
        how("message field", messages::append(s(), a(), key(), None, None).await),
        how("message key", messages::append(s(), a(), body(), Some(t()), None).await),
        how("messages key", messages::append_many(s(), a(), vec![value(), key()], Some(t()), None).await),
        how("message create", messages::create(s(), t(), 0, body(), None).await),
        how("message update", messages::update(s(), a(), 0, value(), None).await),
        how("message read", messages::read(s(), t(), 0).await),
        how("messages list", messages::list(s(), t(), None, 0).await),
        how("metadata body", metadata::update(s(), t(), None).await),
        how("metadata value", metadata::update(s(), value(), None).await),
        how("metadata path", metadata::update(s(), key(), None).await),
        how("metadata delete", metadata::delete(s(), vec![t()], None).await),
        how("feedback body", feedback::add(s(), t(), None).await),
        how("feedback value", feedback::add(s(), value(), None).await),
        how("feedback field", feedback::add(s(), key(), None).await),
    ]
}
