//! The calls of the repository, for `exec` and for the subcommands: what each takes, how it is made and what it answers. One table names
//! them all.

mod agents;
mod feedback;
mod messages;
mod metadata;
mod sessions;

pub(crate) use agents::{AgentsCreate, AgentsRead, AgentsUpdate};
pub(crate) use feedback::{FeedbackAdd, FeedbackList};
pub(crate) use messages::{MessagesAppend, MessagesAppendMany, MessagesCreate, MessagesList, MessagesRead, MessagesUpdate};
pub(crate) use metadata::{MetadataDelete, MetadataGet, MetadataUpdate};
pub(crate) use sessions::{SessionsCreate, SessionsRead};

use crate::wire::{self, Subject};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use session_repository::{Agent, Entity, Feedback, Json, Message, Repository, Result, Session};

/// The arguments of a call. JSON arguments stay text, so that the component sees what was written.
pub(crate) trait Arguments: DeserializeOwned {
    /// Looks up the ids that stand within a JSON argument.
    fn look_up_ids(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// What the call is about.
    fn subject(&self) -> Subject;

    /// Makes the call.
    async fn execute(self, repository: &Repository) -> Result<Answer>;
}

/// What a call answers: an object with named fields, a record or a list of records, or that it is done.
#[derive(Debug)]
pub(crate) enum Answer {
    Done,
    /// There is no such thing.
    Absent(Entity),
    Session(Session),
    Agent(Agent),
    Message(Message),
    Messages(Vec<Message>),
    Metadata(Json),
    Feedback(Vec<Feedback>),
    /// The id of the message that was appended.
    Appended(i64),
    /// The id of the first one.
    AppendedMany(i64),
}

impl Answer {
    /// The answer to a read that found something, or nothing.
    fn found<T>(found: Option<T>, absent: Entity, answer: impl FnOnce(T) -> Self) -> Self {
        found.map_or(Self::Absent(absent), answer)
    }

    /// The result in the `exec` protocol.
    pub(crate) fn json(&self) -> String {
        match self {
            Self::Done | Self::Absent(_) => String::from("null"),
            Self::Session(session) => wire::session(session),
            Self::Agent(agent) => wire::agent(agent),
            Self::Message(message) => wire::message(message),
            Self::Messages(messages) => wire::list(messages, wire::message),
            Self::Metadata(metadata) => wire::metadata(metadata),
            Self::Feedback(entries) => wire::list(entries, wire::feedback),
            Self::Appended(message_id) => format!(r#"{{"message_id":{message_id}}}"#),
            Self::AppendedMany(first_message_id) => format!(r#"{{"first_message_id":{first_message_id}}}"#),
        }
    }
}

/// Whether a call writes. Every write takes an `expected_revision`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
}

/// A line of the table, for the help.
struct Row {
    name: &'static str,
    kind: Kind,
    takes: &'static str,
    answers: &'static str,
}

/// Reads the arguments of a call, or says what is wrong with them.
pub(crate) type Reader = fn(&RawValue) -> Result<Call, String>;

macro_rules! calls {
    ($($name:literal $kind:ident $arguments:ident $takes:literal => $answers:literal)+) => {
        /// A call with its arguments.
        #[derive(Debug)]
        pub(crate) enum Call {
            $($arguments($arguments),)+
        }

        $(
            impl From<$arguments> for Call {
                fn from(arguments: $arguments) -> Self {
                    Self::$arguments(arguments)
                }
            }
        )+

        impl Call {
            /// What reads the arguments of a call with a name; none if there is no such call.
            pub(crate) fn reader(name: &str) -> Option<Reader> {
                Some(match name {
                    $($name => |arguments| read::<$arguments>(arguments).map(Self::$arguments),)+
                    _ => return None,
                })
            }

            pub(crate) fn kind(&self) -> Kind {
                match self {
                    $(Self::$arguments(_) => Kind::$kind,)+
                }
            }

            pub(crate) fn subject(&self) -> Subject {
                match self {
                    $(Self::$arguments(arguments) => arguments.subject(),)+
                }
            }

            pub(crate) async fn execute(self, repository: &Repository) -> Result<Answer> {
                match self {
                    $(Self::$arguments(arguments) => arguments.execute(repository).await,)+
                }
            }
        }

        const TABLE: &[Row] = &[$(Row { name: $name, kind: Kind::$kind, takes: $takes, answers: $answers },)+];
    };
}

calls! {
    "sessions.create" Write SessionsCreate "session_id, session_type (default \"default\")" => "session"
    "sessions.read" Read SessionsRead "session_id" => "session or null"
    "agents.create" Write AgentsCreate "session_id, agent" => "null"
    "agents.read" Read AgentsRead "session_id, agent_id" => "agent or null"
    "agents.update" Write AgentsUpdate "session_id, agent" => "null"
    "messages.create" Write MessagesCreate "session_id, agent_id, message" => "null"
    "messages.append" Write MessagesAppend "session_id, agent_id, message,\n  idempotency_key (none)" => "{\"message_id\": n}"
    "messages.append-many" Write MessagesAppendMany
        "session_id, agent_id, messages,\n  idempotency_key (none)" => "{\"first_message_id\": n}"
    "messages.read" Read MessagesRead "session_id, agent_id, message_id" => "message or null"
    "messages.update" Write MessagesUpdate "session_id, agent_id, message" => "null"
    "messages.list" Read MessagesList "session_id, agent_id, limit (all), offset (0)" => "array of messages"
    "metadata.update" Write MetadataUpdate "session_id, metadata" => "null"
    "metadata.get" Read MetadataGet "session_id" => "{\"metadata\": {…}} or null"
    "metadata.delete" Write MetadataDelete "session_id, keys" => "null"
    "feedback.add" Write FeedbackAdd "session_id, feedback" => "null"
    "feedback.list" Read FeedbackList "session_id" => "array of objects"
}

/// The table as the help shows it: a call on each line, writes with an asterisk.
pub(crate) fn table() -> String {
    let mut text = String::new();
    for Row { name, kind, takes, answers } in TABLE {
        let (mut before, mut lines) = (*name, takes.lines().peekable());
        while let Some(line) = lines.next() {
            text += format!("  {before:<22}{line:<45}").trim_end_matches(|blank| blank == ' ' && lines.peek().is_some());
            before = "";
            if lines.peek().is_some() {
                text.push('\n');
            }
        }
        let mark = if *kind == Kind::Write { '*' } else { ' ' };
        text += &format!("{mark}  -> {answers}\n");
    }
    text
}

fn read<A: Arguments>(arguments: &RawValue) -> Result<A, String> {
    let mut arguments: A = object("args", arguments.get())?;
    arguments.look_up_ids()?;
    Ok(arguments)
}

/// Reads an object; serde alone would take an array for one as well.
fn object<'a, T: Deserialize<'a>>(name: &str, value: &'a str) -> Result<T, String> {
    if !value.starts_with('{') {
        return Err(format!("{name}: must be a JSON object"));
    }
    serde_json::from_str(value).map_err(|error| {
        let text = error.to_string();
        // The position is one within the argument and would mislead; what was found there can be long.
        let short: String = text.split(" at line ").next().unwrap_or_default().chars().take(256).collect();
        format!("{name}: {short}")
    })
}

/// Any JSON value, as text.
fn json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
    Ok(as_json(Box::<RawValue>::deserialize(deserializer)?))
}

/// A list of any JSON values, each as text.
fn jsons<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Json>, D::Error> {
    Ok(Vec::<Box<RawValue>>::deserialize(deserializer)?.into_iter().map(as_json).collect())
}

fn as_json(value: Box<RawValue>) -> Json {
    Json::from(String::from(Box::<str>::from(value)))
}
