//! One call of each kind, for tests about all calls. A new operation gets its line here, and `parity` fails without it.

use crate::parity::names;
use serde_json::{Value, json};
use session_repository::{Repository, Result};
use std::pin::Pin;

/// A call that succeeds after those before it. All are on session `s`, those on an agent on agent `a`.
pub(crate) struct Sample {
    pub(crate) call: &'static str,
    /// Its arguments in the `exec` protocol, and the result, in which each time is `true`.
    pub(crate) args: Value,
    pub(crate) result: Value,
    /// The same on the command line, and how its output begins.
    pub(crate) line: &'static [&'static str],
    pub(crate) output: &'static str,
    /// How many commands it takes in MongoDB.
    pub(crate) commands: usize,
    /// The same through the library, on a session of any id.
    pub(crate) make: for<'a> fn(&'a Repository, &'a str) -> Making<'a>,
}

type Making<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

macro_rules! samples {
    ($($call:literal $args:tt => $result:tt, $line:tt => $output:literal, $commands:literal, |$repo:ident, $session:ident| $make:expr;)+) => {
        /// One call of each kind, in an order in which each succeeds on an empty store.
        pub(crate) fn samples() -> Vec<Sample> {
            vec![$(Sample {
                call: $call,
                args: json!($args),
                result: json!($result),
                line: &$line,
                output: $output,
                commands: $commands,
                make: |$repo, $session| Box::pin(async move { $make.await.map(drop) }),
            }),+]
        }
    };
}

samples! {
    "sessions.create" {"session_id": "s"} => {"session_id": "s", "session_type": "default", "created_at": true, "updated_at": true, "revision": 0},
        ["session", "create", "s"] => "session_id: s\n", 1, |repo, s| repo.sessions().create(s, None);
    "sessions.read" {"session_id": "s"} => {"session_id": "s", "session_type": "default", "created_at": true, "updated_at": true, "revision": 0},
        ["session", "read", "s"] => "session_id: s\n", 1, |repo, s| repo.sessions().read(s);
    "agents.create" {"session_id": "s", "agent": {"agent_id": "a", "model": "m", "state": {"n": 1.0}, "created_at": "ignored"}} => null,
        ["agent", "create", "s", "a", r#"{"model": "m"}"#] => "", 1, |repo, s| repo.agents().create(s, "a", r#"{"model": "m"}"#);
    "agents.read" {"session_id": "s", "agent_id": "a"}
        => {"agent_id": "a", "model": "m", "state": {"n": 1.0}, "created_at": true, "updated_at": true},
        ["agent", "read", "s", "a"] => "agent_id: a\n", 1, |repo, s| repo.agents().read(s, "a");
    "agents.update" {"session_id": "s", "agent": {"agent_id": "a", "state": {}}} => null,
        ["agent", "update", "s", "a", "{}"] => "", 1, |repo, s| repo.agents().update(s, "a", "{}");
    "messages.create" {"session_id": "s", "agent_id": "a", "message": {"message_id": 0, "role": "user", "content": "Hello!", "latency_ms": 5}} => null,
        ["message", "create", "s", "a", "0", r#"{"content": "Hello!"}"#] => "", 1, |repo, s| repo.messages().create(s, "a", 0, r#"{"k": 0}"#);
    "messages.read" {"session_id": "s", "agent_id": "a", "message_id": 0}
        => {"message_id": 0, "role": "user", "content": "Hello!", "created_at": true, "updated_at": true},
        ["message", "read", "s", "a", "0"] => "message_id: 0\n", 1, |repo, s| repo.messages().read(s, "a", 0);
    "messages.append" {"session_id": "s", "agent_id": "a", "message": {"n": 1.0}} => {"message_id": 1},
        ["message", "append", "s", "a", "{}"] => "message_id: 1\n", 1, |repo, s| repo.messages().append(s, "a", r#"{"k": 1}"#, None);
    "messages.append-many" {"session_id": "s", "agent_id": "a", "messages": [{"n": 2}, {"n": 3}], "idempotency_key": "k"} => {"first_message_id": 2},
        ["message", "append", "s", "a", "{}", "{}"] => "first_message_id: 2\n", 1,
        |repo, s| repo.messages().append_many(s, "a", [r#"{"k": 2}"#, r#"{"k": 3}"#], Some("key"));
    // The other command looks for orphans of the archive that hold the old text.
    "messages.update" {"session_id": "s", "agent_id": "a", "message": {"message_id": 0, "role": "user"}} => null,
        ["message", "update", "s", "a", "0", r#"{"content": "Hello!"}"#] => "", 2, |repo, s| repo.messages().update(s, "a", 0, r#"{"k": 4}"#);
    "messages.list" {"session_id": "s", "agent_id": "a", "limit": 2, "offset": 0} => [
            {"message_id": 0, "role": "user", "created_at": true, "updated_at": true},
            {"message_id": 1, "n": 1.0, "created_at": true, "updated_at": true}
        ],
        ["message", "list", "s", "a"] => "ID", 1, |repo, s| repo.messages().list(s, "a", Some(5), 0);
    "metadata.update" {"session_id": "s", "metadata": {"priority": "high", "k": [1, 1.0], "a.b": "$x"}} => null,
        ["metadata", "set", "s", r#"{"priority": "high", "k": 1}"#] => "", 1, |repo, s| repo.metadata().update(s, r#"{"a.b": 1}"#);
    "metadata.delete" {"session_id": "s", "keys": ["k", "absent"]} => null,
        ["metadata", "delete", "s", "k"] => "", 1, |repo, s| repo.metadata().delete(s, ["k"]);
    "metadata.get" {"session_id": "s"} => {"metadata": {"priority": "high", "a": {"b": "$x"}}},
        ["metadata", "get", "s"] => "priority: high\n", 1, |repo, s| repo.metadata().get(s);
    "feedback.add" {"session_id": "s", "feedback": {"rating": "up", "created_at": 1}} => null,
        ["feedback", "add", "s", r#"{"rating": "up"}"#] => "", 1, |repo, s| repo.feedback().add(s, "{}");
    "feedback.list" {"session_id": "s"} => [{"rating": "up", "created_at": true}],
        ["feedback", "list", "s"] => "CREATED", 1, |repo, s| repo.feedback().list(s);
}

/// What a call that reads answers on a session that is not there.
pub(crate) fn of_nothing(call: &str) -> Value {
    match call {
        "messages.list" | "feedback.list" => json!([]),
        _ => Value::Null,
    }
}

/// Those that write, or those that read.
pub(crate) async fn samples_that(write: bool) -> anyhow::Result<Vec<Sample>> {
    let names = names(write).await?;
    Ok(samples().into_iter().filter(|sample| names.contains(sample.call)).collect())
}
