//! Operations, performed on a repository.

use super::body::Body;
use super::operation::{Call, Operation};
use super::told::{Answer, Told};
use serde_json::{Value, json};
use session_repository::{Error, Json, Message, Repository, Session, Timestamp};

/// Performs an operation, bound to a revision if there is one. The session's id gets a suffix, so that each sequence has sessions of its
/// own in one store.
pub(super) async fn perform(
    repo: &Repository,
    suffix: &str,
    Operation { on, call, .. }: &Operation,
    expected: Option<u64>,
) -> Answer<Timestamp> {
    macro_rules! bound {
        ($($calls:ident)+) => {
            $(let $calls = match expected {
                Some(revision) => repo.$calls().if_revision(revision),
                None => repo.$calls(),
            };)+
        };
    }
    bound!(sessions agents messages metadata feedback);
    // An empty id is to stay one.
    let on = if on.is_empty() { String::new() } else { format!("{on}{suffix}") };
    let answer = match call {
        Call::CreateSession(session_type) => sessions.create(on, *session_type).await.map(|created| session(created, suffix)),
        Call::ReadSession => sessions.read(on).await.map(|found| found.map_or_else(Told::nothing, |found| session(found, suffix))),
        Call::CreateAgent(agent, body) => agents.create(on, *agent, body.text()).await.map(nothing),
        Call::ReadAgent(agent) => agents.read(on, *agent).await.map(|found| {
            found.map_or_else(Told::nothing, |found| Told::agent(&found.agent_id, value(&found.data), found.created_at, found.updated_at))
        }),
        Call::UpdateAgent(agent, body) => agents.update(on, *agent, body.text()).await.map(nothing),
        Call::CreateMessage(agent, id, body) => messages.create(on, *agent, *id, body.text()).await.map(nothing),
        Call::Append { agent, body, key } => messages.append(on, *agent, body.text(), *key).await.map(Told::message_id),
        Call::AppendMany { agent, bodies, key } => {
            messages.append_many(on, *agent, bodies.iter().map(Body::text), *key).await.map(Told::message_id)
        }
        Call::ReadMessage(agent, id) => messages.read(on, *agent, *id).await.map(|found| found.map_or_else(Told::nothing, message)),
        Call::UpdateMessage(agent, id, body) => messages.update(on, *agent, *id, body.text()).await.map(nothing),
        Call::ListMessages { agent, limit, offset } => {
            messages.list(on, *agent, *limit, *offset).await.map(|page| Told::list(page.into_iter().map(message)))
        }
        Call::UpdateMetadata(fields) => metadata.update(on, fields.text()).await.map(nothing),
        Call::GetMetadata => metadata.get(on).await.map(|found| found.map_or_else(Told::nothing, |found| Told::metadata(value(&found)))),
        Call::DeleteMetadata(keys) => metadata.delete(on, keys.clone()).await.map(nothing),
        Call::AddFeedback(body) => feedback.add(on, body.text()).await.map(nothing),
        Call::ListFeedback => {
            let listed = feedback.list(on).await;
            listed.map(|entries| Told::list(entries.into_iter().map(|entry| Told::feedback(value(&entry.body), entry.created_at))))
        }
    };
    answer.map_err(|error| match error {
        Error::InvalidArgument(_) => Error::InvalidArgument(String::new()),
        other => other,
    })
}

fn nothing((): ()) -> Told<Timestamp> {
    Told::nothing()
}

fn session(session: Session, suffix: &str) -> Told<Timestamp> {
    let id = session.session_id.strip_suffix(suffix).unwrap_or(&session.session_id);
    Told::session(id, &session.session_type, session.revision, session.created_at, session.updated_at)
}

fn message(message: Message) -> Told<Timestamp> {
    Told::message(message.message_id, value(&message.body), message.created_at, message.updated_at)
}

/// The value of a text; of a text that has none, something that no model answers.
fn value(json: &Json) -> Value {
    json.parse().unwrap_or_else(|error| json!(format!("{error}: {json}")))
}
