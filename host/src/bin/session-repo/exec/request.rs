//! From a line to a call: the envelope, then the arguments.

use crate::wire::Subject;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// A request that is well formed: what to answer to, what to call.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) subject: Subject,
    /// The revision that a write expects the session to be at.
    pub(super) expected_revision: Option<u64>,
    pub(super) call: Call,
}

/// A call with its arguments. JSON arguments stay text, so that the component sees what was written.
#[derive(Debug)]
pub(super) enum Call {
    SessionsCreate { session_type: Option<String> },
    SessionsRead,
    AgentsCreate { agent: Box<RawValue> },
    AgentsRead,
    AgentsUpdate { agent: Box<RawValue> },
    MessagesCreate { message: Box<RawValue> },
    MessagesAppend { message: Box<RawValue>, idempotency_key: Option<String> },
    MessagesAppendMany { messages: Vec<Box<RawValue>>, idempotency_key: Option<String> },
    MessagesRead,
    MessagesUpdate { message: Box<RawValue> },
    MessagesList { limit: Option<i64>, offset: i64 },
    MetadataUpdate { metadata: Box<RawValue> },
    MetadataGet,
    MetadataDelete { keys: Vec<String> },
    FeedbackAdd { feedback: Box<RawValue> },
    FeedbackList,
}

/// Reads a line: the id to answer with, as far as there is one, and the request or what is wrong with it.
pub(super) fn parse(line: &[u8]) -> (Option<Box<RawValue>>, Result<Request, String>) {
    let mut envelope = Envelope::default();
    let mut parser = serde_json::Deserializer::from_slice(line);
    let read = envelope.deserialize_into(&mut parser).and_then(|()| parser.end());
    if let Err(error) = read {
        return (None, Err(format!("not a JSON object: {error}")));
    }
    let Envelope { id, call, args, fault } = envelope;
    let request = match fault {
        Some(fault) => Err(fault),
        None => request(call.as_deref(), args.as_deref()),
    };
    (id, request)
}

#[derive(Default)]
struct Envelope {
    id: Option<Box<RawValue>>,
    call: Option<Box<RawValue>>,
    args: Option<Box<RawValue>>,
    /// What is wrong with the keys. The line is read to its end all the same, because what is not JSON has no id.
    fault: Option<String>,
}

impl Envelope {
    fn deserialize_into<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        struct Fill<'a>(&'a mut Envelope);
        impl<'de> DeserializeSeed<'de> for Fill<'_> {
            type Value = ();
            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
                deserializer.deserialize_map(self)
            }
        }
        impl<'de> Visitor<'de> for Fill<'_> {
            type Value = ();
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
                let Fill(envelope) = self;
                while let Some(key) = map.next_key::<String>()? {
                    let slot = match key.as_str() {
                        "id" => &mut envelope.id,
                        "call" => &mut envelope.call,
                        "args" => &mut envelope.args,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            envelope.fault.get_or_insert(format!("unknown key {}, expected `id`, `call` or `args`", quoted(&key)));
                            continue;
                        }
                    };
                    let value = map.next_value()?;
                    if slot.replace(value).is_some() {
                        envelope.fault.get_or_insert(format!("the key `{key}` occurs twice"));
                    }
                }
                Ok(())
            }
        }
        Fill(self).deserialize(deserializer)
    }
}

fn request(call: Option<&RawValue>, args: Option<&RawValue>) -> Result<Request, String> {
    let call = call.ok_or("the key `call` is missing")?;
    let call: String = serde_json::from_str(call.get()).map_err(|_| String::from("`call` must be a string"))?;
    // The name is settled first: who calls what does not exist is not told about its arguments.
    let read = Arguments::reader(&call).ok_or_else(|| format!("unknown call {}", quoted(&call)))?;
    let args = args.ok_or("the key `args` is missing")?;
    read(args)
}

type Reader = fn(&RawValue) -> Result<Request, String>;

/// Namespace of the readers of each call's arguments.
struct Arguments;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfSession {
    session_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfAgent {
    session_id: String,
    agent_id: String,
}

impl Arguments {
    fn reader(call: &str) -> Option<Reader> {
        Some(match call {
            "sessions.create" => Self::sessions_create,
            "sessions.read" => |args| Self::of_session(args, Call::SessionsRead),
            "agents.create" => |args| Self::of_agent_body(args, |agent| Call::AgentsCreate { agent }),
            "agents.read" => |args| Self::of_agent(args, Call::AgentsRead),
            "agents.update" => |args| Self::of_agent_body(args, |agent| Call::AgentsUpdate { agent }),
            "messages.create" => |args| Self::of_message_body(args, |message| Call::MessagesCreate { message }),
            "messages.append" => Self::messages_append,
            "messages.append-many" => Self::messages_append_many,
            "messages.read" => Self::messages_read,
            "messages.update" => |args| Self::of_message_body(args, |message| Call::MessagesUpdate { message }),
            "messages.list" => Self::messages_list,
            "metadata.update" => Self::metadata_update,
            "metadata.get" => |args| Self::of_session(args, Call::MetadataGet),
            "metadata.delete" => Self::metadata_delete,
            "feedback.add" => Self::feedback_add,
            "feedback.list" => |args| Self::of_session(args, Call::FeedbackList),
            _ => return None,
        })
    }

    fn of_session(args: &RawValue, call: Call) -> Result<Request, String> {
        let OfSession { session_id } = object("args", args)?;
        Ok(Request { subject: Subject { session_id, ..Subject::default() }, expected_revision: None, call })
    }

    fn of_agent(args: &RawValue, call: Call) -> Result<Request, String> {
        let OfAgent { session_id, agent_id } = object("args", args)?;
        Ok(Request { subject: Subject { session_id, agent_id: Some(agent_id), ..Subject::default() }, expected_revision: None, call })
    }

    fn of_agent_body(args: &RawValue, call: fn(Box<RawValue>) -> Call) -> Result<Request, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Args {
            session_id: String,
            agent: Box<RawValue>,
            expected_revision: Option<u64>,
        }
        #[derive(Deserialize)]
        struct Named {
            agent_id: String,
        }
        let Args { session_id, agent, expected_revision } = object("args", args)?;
        let Named { agent_id } = object("agent", &agent)?;
        Ok(Request {
            subject: Subject { session_id, agent_id: Some(agent_id), ..Subject::default() },
            expected_revision,
            call: call(agent),
        })
    }

    fn of_message_body(args: &RawValue, call: fn(Box<RawValue>) -> Call) -> Result<Request, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Args {
            session_id: String,
            agent_id: String,
            message: Box<RawValue>,
            expected_revision: Option<u64>,
        }
        #[derive(Deserialize)]
        struct Named {
            message_id: i64,
        }
        let Args { session_id, agent_id, message, expected_revision } = object("args", args)?;
        let Named { message_id } = object("message", &message)?;
        Ok(Request {
            subject: Subject { session_id, agent_id: Some(agent_id), message_id: Some(message_id), ..Subject::default() },
            expected_revision,
            call: call(message),
        })
    }

    fn sessions_create(args: &RawValue) -> Result<Request, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Args {
            session_id: String,
            session_type: Option<String>,
            expected_revision: Option<u64>,
        }
        let Args { session_id, session_type, expected_revision } = object("args", args)?;
        Ok(Request {
            subject: Subject { session_id, ..Subject::default() },
            expected_revision,
            call: Call::SessionsCreate { session_type },
        })
    }

    fn messages_append(args: &RawValue) -> Result<Request, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Args {
            session_id: String,
            agent_id: String,
            message: Box<RawValue>,
            idempotency_key: Option<String>,
            expected_revision: Option<u64>,
        }
        let Args { session_id, agent_id, message, idempotency_key, expected_revision } = object("args", args)?;
        let subject = Subject { session_id, agent_id: Some(agent_id), ..Subject::default() };
        Ok(Request { subject, expected_revision, call: Call::MessagesAppend { message, idempotency_key } })
    }

    fn messages_append_many(args: &RawValue) -> Result<Request, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Args {
            session_id: String,
            agent_id: String,
            messages: Vec<Box<RawValue>>,
            idempotency_key: Option<String>,
            expected_revision: Option<u64>,
        }
        let Args { session_id, agent_id, messages, idempotency_key, expected_revision } = object("args", args)?;
        let subject = Subject { session_id, agent_id: Some(agent_id), ..Subject::default() };
        Ok(Request { subject, expected_revision, call: Call::MessagesAppendMany { messages, idempotency_key } })
    }

    fn messages_read(args: &RawValue) -> Result<Request, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Args {
            session_id: String,
            agent_id: String,
            message_id: i64,
        }
        let Args { session_id, agent_id, message_id } = object("args", args)?;
        let subject = Subject { session_id, agent_id: Some(agent_id), message_id: Some(message_id), ..Subject::default() };
        Ok(Request { subject, expected_revision: None, call: Call::MessagesRead })
    }

    fn messages_list(args: &RawValue) -> Result<Request, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Args {
            session_id: String,
            agent_id: String,
            limit: Option<i64>,
            #[serde(default)]
            offset: i64,
        }
        let Args { session_id, agent_id, limit, offset } = object("args", args)?;
        let subject = Subject { session_id, agent_id: Some(agent_id), message_id: None, is_page: true };
        Ok(Request { subject, expected_revision: None, call: Call::MessagesList { limit, offset } })
    }

    fn metadata_update(args: &RawValue) -> Result<Request, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Args {
            session_id: String,
            metadata: Box<RawValue>,
            expected_revision: Option<u64>,
        }
        let Args { session_id, metadata, expected_revision } = object("args", args)?;
        Ok(Request { subject: Subject { session_id, ..Subject::default() }, expected_revision, call: Call::MetadataUpdate { metadata } })
    }

    fn metadata_delete(args: &RawValue) -> Result<Request, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Args {
            session_id: String,
            keys: Vec<String>,
            expected_revision: Option<u64>,
        }
        let Args { session_id, keys, expected_revision } = object("args", args)?;
        Ok(Request { subject: Subject { session_id, ..Subject::default() }, expected_revision, call: Call::MetadataDelete { keys } })
    }

    fn feedback_add(args: &RawValue) -> Result<Request, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Args {
            session_id: String,
            feedback: Box<RawValue>,
            expected_revision: Option<u64>,
        }
        let Args { session_id, feedback, expected_revision } = object("args", args)?;
        Ok(Request { subject: Subject { session_id, ..Subject::default() }, expected_revision, call: Call::FeedbackAdd { feedback } })
    }
}

/// A foreign name, fit to stand in a short message.
fn quoted(name: &str) -> String {
    format!("{:?}", name.chars().take(64).collect::<String>())
}

/// Reads an object; serde alone would take an array for one as well.
fn object<'a, T: Deserialize<'a>>(name: &str, value: &'a RawValue) -> Result<T, String> {
    if !value.get().starts_with('{') {
        return Err(format!("{name}: must be a JSON object"));
    }
    serde_json::from_str(value.get()).map_err(|error| {
        let text = error.to_string();
        // The position is one within the argument and would mislead; what was found there can be long.
        let short: String = text.split(" at line ").next().unwrap_or_default().chars().take(256).collect();
        format!("{name}: {short}")
    })
}
