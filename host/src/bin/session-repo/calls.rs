//! The calls of the repository, for `exec` and for the subcommands: what each takes, how it is made and what it answers. One table names
//! them all.

mod agents;
mod answer;
mod arguments;
mod feedback;
mod messages;
mod metadata;
mod sessions;

pub(crate) use agents::{AgentsCreate, AgentsRead, AgentsUpdate};
pub(crate) use answer::Answer;
pub(crate) use feedback::{FeedbackAdd, FeedbackList};
pub(crate) use messages::{MessagesAppend, MessagesAppendMany, MessagesCreate, MessagesList, MessagesRead, MessagesUpdate};
pub(crate) use metadata::{MetadataDelete, MetadataGet, MetadataUpdate};
pub(crate) use sessions::{SessionsCreate, SessionsRead};

use crate::wire::Subject;
use arguments::{Arguments, read};
use serde_json::value::RawValue;
use session_repository::{Repository, Result};

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

/// A function that reads the arguments of one call, or says what is wrong with them.
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
