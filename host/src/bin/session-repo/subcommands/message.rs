//! Subcommands on messages.

use super::flags::{Output, Write};
use crate::calls::{Call, MessagesAppend, MessagesAppendMany, MessagesCreate, MessagesList, MessagesRead, MessagesUpdate};
use crate::input::{text, texts};
use clap::Subcommand;
use session_repository::Json;

#[derive(Debug, Subcommand)]
pub(crate) enum MessageCommand {
    /// Append messages under the next ids, and print the id, of several messages the first one.
    ///
    /// Several messages are appended in one step: all of them or none, with ids that count up by one.
    #[command(after_help = "\
Examples:
  session-repo message append user-123 assistant-1 '{\"role\": \"user\", \"content\": \"Hello!\"}'
  session-repo message append user-123 assistant-1 @question.json @answer.json --idempotency-key turn-7")]
    Append {
        /// The session's id.
        session: String,
        /// The agent's id.
        agent: String,
        /// The fields of each message: a JSON object, @FILE, or - for stdin.
        #[arg(required = true, value_name = "FIELDS")]
        messages: Vec<String>,
        /// Make a retry safe: with the key of an append that is done, print its id again and store nothing. The same key with other messages
        /// is an error.
        #[arg(long, value_name = "KEY")]
        idempotency_key: Option<String>,
        #[command(flatten)]
        write: Write,
    },
    /// Append a message under an id of your own. The same message again changes nothing, so this is safe to repeat.
    #[command(after_help = "\
Examples:
  session-repo message create user-123 assistant-1 1 '{\"role\": \"user\", \"content\": \"Hello!\"}'
  echo '{\"role\": \"user\", \"content\": \"Hello!\"}' | session-repo message create user-123 assistant-1 1 -")]
    Create {
        /// The session's id.
        session: String,
        /// The agent's id.
        agent: String,
        /// The message's id, 0 or more.
        #[arg(allow_negative_numbers = true)]
        id: i64,
        /// The message's fields: a JSON object, @FILE, or - for stdin.
        fields: String,
        #[command(flatten)]
        write: Write,
    },
    /// Read one message, without its metrics.
    #[command(after_help = "Example:\n  session-repo message read user-123 assistant-1 1")]
    Read {
        /// The session's id.
        session: String,
        /// The agent's id.
        agent: String,
        /// The message's id.
        #[arg(allow_negative_numbers = true)]
        id: i64,
        #[command(flatten)]
        output: Output,
    },
    /// Replace a message's fields, for example to redact it.
    #[command(after_help = "\
Example:
  session-repo message update user-123 assistant-1 2 '{\"role\": \"assistant\", \"content\": \"[removed]\"}'")]
    Update {
        /// The session's id.
        session: String,
        /// The agent's id.
        agent: String,
        /// The message's id.
        #[arg(allow_negative_numbers = true)]
        id: i64,
        /// The message's fields: a JSON object, @FILE, or - for stdin.
        fields: String,
        #[command(flatten)]
        write: Write,
    },
    /// List an agent's messages, oldest first.
    #[command(after_help = "Example:\n  session-repo message list user-123 assistant-1 --limit 10 --offset 20")]
    List {
        /// The session's id.
        session: String,
        /// The agent's id.
        agent: String,
        /// How many to list at most [default: all].
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        limit: Option<i64>,
        /// How many to skip.
        #[arg(long, value_name = "N", default_value = "0", allow_negative_numbers = true)]
        offset: i64,
        #[command(flatten)]
        output: Output,
    },
}

impl MessageCommand {
    /// The call that it stands for, and how its answer is printed. Reads what arguments refer to: `@FILE` and `-`.
    pub(super) fn call(self) -> anyhow::Result<(Call, Output)> {
        Ok(match self {
            Self::Append { session: session_id, agent: agent_id, messages, idempotency_key, write } => {
                let expected_revision = write.if_revision;
                let mut messages: Vec<Json> = texts(messages)?.into_iter().map(Json::from).collect();
                let call = match messages.pop() {
                    Some(message) if messages.is_empty() => {
                        MessagesAppend { session_id, agent_id, message, idempotency_key, expected_revision }.into()
                    }
                    last => {
                        messages.extend(last);
                        MessagesAppendMany { session_id, agent_id, messages, idempotency_key, expected_revision }.into()
                    }
                };
                (call, write.output)
            }
            Self::Create { session: session_id, agent: agent_id, id: message_id, fields, write } => {
                let message = Json::from(text(fields)?);
                (MessagesCreate { session_id, agent_id, message_id, message, expected_revision: write.if_revision }.into(), write.output)
            }
            Self::Read { session: session_id, agent: agent_id, id: message_id, output } => {
                (MessagesRead { session_id, agent_id, message_id }.into(), output)
            }
            Self::Update { session: session_id, agent: agent_id, id: message_id, fields, write } => {
                let message = Json::from(text(fields)?);
                (MessagesUpdate { session_id, agent_id, message_id, message, expected_revision: write.if_revision }.into(), write.output)
            }
            Self::List { session: session_id, agent: agent_id, limit, offset, output } => {
                (MessagesList { session_id, agent_id, limit, offset }.into(), output)
            }
        })
    }
}
