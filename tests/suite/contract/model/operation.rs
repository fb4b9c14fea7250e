//! Random calls: all that a repository has, with few enough names that they meet each other, and a broken rule now and then. How they are
//! performed on a repository.

use super::body::{Body, body, broken, json, one_of};
use super::told::{Answer, Told};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use session_repository::{Error, Json, Message, Repository, Session, Timestamp};

/// A call on a session.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) on: &'static str,
    pub(super) call: Call,
    pub(super) expected: Expected,
}

/// The revision that a call expects, by that which the session is at.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expected {
    Any,
    Current,
    Earlier,
    Later,
    Last,
}

impl Operation {
    pub(super) fn new(on: &'static str, call: Call) -> Self {
        Self { on, call, expected: Expected::Any }
    }
}

impl Expected {
    /// The argument for a session at a revision.
    pub(super) fn at(self, current: u64) -> Option<u64> {
        match self {
            Self::Any => None,
            Self::Current => Some(current),
            // Before the first revision there is none.
            Self::Earlier => Some(current.checked_sub(1).unwrap_or(current + 2)),
            Self::Later => Some(current + 1),
            Self::Last => Some(u64::MAX),
        }
    }
}

/// A call; agents are named by their ids, messages by theirs.
#[derive(Debug, Clone)]
pub(super) enum Call {
    CreateSession(Option<&'static str>),
    ReadSession,
    CreateAgent(&'static str, Body),
    ReadAgent(&'static str),
    UpdateAgent(&'static str, Body),
    CreateMessage(&'static str, i64, Body),
    Append { agent: &'static str, body: Body, key: Option<&'static str> },
    AppendMany { agent: &'static str, bodies: Vec<Body>, key: Option<&'static str> },
    ReadMessage(&'static str, i64),
    UpdateMessage(&'static str, i64, Body),
    ListMessages { agent: &'static str, limit: Option<i64>, offset: i64 },
    UpdateMetadata(Body),
    GetMetadata,
    DeleteMetadata(Vec<String>),
    AddFeedback(Body),
    ListFeedback,
}

/// The ids of the sessions that a sequence is about.
pub(super) const SESSIONS: [&str; 3] = ["s", "$where.é", "t"];
/// The ids of the agents.
pub(super) const AGENTS: [&str; 5] = ["a", "0", "a b", "é$x", "messages"];

/// A sequence, most often one that finds a session with an agent.
pub(super) fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let prepared = prop_oneof![1 => Just(0), 1 => Just(1), 8 => Just(2)];
    (prepared, prop::collection::vec(operation(), 0..60)).prop_map(|(prepared, random)| {
        let calls = [Call::CreateSession(None), Call::CreateAgent(AGENTS[0], Body::Sound(Map::new()))];
        let preparation = calls.into_iter().take(prepared).map(|call| Operation::new(SESSIONS[0], call));
        preparation.chain(random).collect()
    })
}

fn operation() -> impl Strategy<Value = Operation> {
    let on = prop_oneof![
        32 => Just(SESSIONS[0]),
        4 => one_of(SESSIONS),
        1 => one_of(["", "s\0"]),
    ];
    let expected = prop_oneof![
        12 => Just(Expected::Any),
        6 => Just(Expected::Current),
        3 => one_of([Expected::Earlier, Expected::Later, Expected::Last]),
    ];
    (on, call(), expected).prop_map(|(on, call, expected)| Operation { on, call, expected })
}

fn call() -> impl Strategy<Value = Call> {
    let session_type = || one_of([None, Some("chat"), Some(""), Some("$type")]);
    let bodies = prop_oneof![8 => prop::collection::vec(body(), 1..4), 1 => Just(Vec::new())];
    prop_oneof![
        3 => session_type().prop_map(Call::CreateSession),
        2 => Just(Call::ReadSession),
        4 => (agent(), body()).prop_map(|(agent, body)| Call::CreateAgent(agent, body)),
        2 => agent().prop_map(Call::ReadAgent),
        4 => (agent(), body()).prop_map(|(agent, body)| Call::UpdateAgent(agent, body)),
        10 => (agent(), message(), body()).prop_map(|(agent, id, body)| Call::CreateMessage(agent, id, body)),
        6 => (agent(), body(), key()).prop_map(|(agent, body, key)| Call::Append { agent, body, key }),
        6 => (agent(), bodies, key()).prop_map(|(agent, bodies, key)| Call::AppendMany { agent, bodies, key }),
        2 => (agent(), message()).prop_map(|(agent, id)| Call::ReadMessage(agent, id)),
        4 => (agent(), message(), body()).prop_map(|(agent, id, body)| Call::UpdateMessage(agent, id, body)),
        3 => page(),
        10 => prop_oneof![12 => fields(), 1 => broken()].prop_map(Call::UpdateMetadata),
        2 => Just(Call::GetMetadata),
        4 => prop::collection::vec(path(), 0..4).prop_map(Call::DeleteMetadata),
        3 => body().prop_map(Call::AddFeedback),
        1 => Just(Call::ListFeedback),
    ]
}

fn agent() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        24 => Just(AGENTS[0]),
        6 => one_of(AGENTS),
        1 => one_of(["", "a.b", "$a", "a\0"]),
    ]
}

/// The id of a message.
fn message() -> impl Strategy<Value = i64> {
    prop_oneof![
        12 => Just(1),
        12 => one_of([1, 0, 2, 3, 7, i64::from(i32::MAX) + 1]),
        1 => one_of([i64::MAX, i64::MAX - 2]),
        1 => one_of([-1, i64::MIN]),
    ]
}

/// The idempotency key of an append: few, so that they are met again.
fn key() -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![
        8 => Just(None),
        8 => one_of([Some("k"), Some("l"), Some("$k.0")]),
        1 => one_of([Some(""), Some("k\0")]),
    ]
}

fn page() -> impl Strategy<Value = Call> {
    let limit = prop_oneof![
        12 => one_of([None, Some(1), Some(2), Some(3), Some(0), Some(i64::MAX)]),
        1 => one_of([Some(-1), Some(i64::MIN)]),
    ];
    let offset = prop_oneof![
        12 => one_of([0, 1, 2, 3, i64::from(i32::MAX) + 1, i64::MAX]),
        1 => one_of([-1, i64::MIN]),
    ];
    (agent(), limit, offset).prop_map(|(agent, limit, offset)| Call::ListMessages { agent, limit, offset })
}

/// Metadata to set.
fn fields() -> impl Strategy<Value = Body> {
    let holders = [json!({}), json!({"a": 1, "1": {"b": 2}}), json!([]), json!([1, [2], {"a": 3}]), json!([null, 2])];
    let bytes = json!({"__bytes_encoded__": true, "data": "aGk="});
    let value = prop_oneof![6 => one_of(holders), 1 => Just(bytes), 6 => json()];
    prop::collection::vec((path(), value), 0..4).prop_map(|fields| Body::Sound(Map::<String, Value>::from_iter(fields)))
}

/// A path into metadata.
fn path() -> impl Strategy<Value = String> {
    let common = ["a", "b", "0", "1", "01", "3", "list", "map"];
    let rare = ["02", "-1", "1e0", "٣", "9999999", "4294967296", "99999999999999999999", "a b", "_id", "x$"];
    let segment = prop_oneof![16 => one_of(common), 1 => one_of(rare)];
    let invalid = ["", ".", "a.", ".a", "a..b", "$a", "a.$b", "a.$[].b", "a\0"];
    prop_oneof![
        32 => prop::collection::vec(segment, 1..5).prop_map(|segments| segments.join(".")),
        1 => one_of(invalid).prop_map(str::to_owned),
    ]
}

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
        Call::CreateSession(session_type) => sessions.create(on, *session_type).await.map(|created| told_session(created, suffix)),
        Call::ReadSession => sessions.read(on).await.map(|found| found.map_or_else(Told::nothing, |found| told_session(found, suffix))),
        Call::CreateAgent(agent, body) => agents.create(on, *agent, body.text()).await.map(nothing),
        Call::ReadAgent(agent) => agents.read(on, *agent).await.map(|found| {
            found.map_or_else(Told::nothing, |found| Told::agent(&found.agent_id, value(&found.data), found.created_at, found.updated_at))
        }),
        Call::UpdateAgent(agent, body) => agents.update(on, *agent, body.text()).await.map(nothing),
        Call::CreateMessage(agent, id, body) => messages.create(on, *agent, *id, body.text()).await.map(nothing),
        Call::Append { agent, body, key } => messages.append(on, *agent, body.text(), *key).await.map(Told::number),
        Call::AppendMany { agent, bodies, key } => {
            messages.append_many(on, *agent, bodies.iter().map(Body::text), *key).await.map(Told::number)
        }
        Call::ReadMessage(agent, id) => messages.read(on, *agent, *id).await.map(|found| found.map_or_else(Told::nothing, told_message)),
        Call::UpdateMessage(agent, id, body) => messages.update(on, *agent, *id, body.text()).await.map(nothing),
        Call::ListMessages { agent, limit, offset } => {
            messages.list(on, *agent, *limit, *offset).await.map(|page| Told::list(page.into_iter().map(told_message)))
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

fn told_session(session: Session, suffix: &str) -> Told<Timestamp> {
    let id = session.session_id.strip_suffix(suffix).unwrap_or(&session.session_id);
    Told::session(id, &session.session_type, session.revision, session.created_at, session.updated_at)
}

fn told_message(message: Message) -> Told<Timestamp> {
    Told::message(message.message_id, value(&message.body), message.created_at, message.updated_at)
}

/// The value of a text; of a text that has none, something that no model answers.
fn value(json: &Json) -> Value {
    json.parse().unwrap_or_else(|error| json!(format!("{error}: {json}")))
}
