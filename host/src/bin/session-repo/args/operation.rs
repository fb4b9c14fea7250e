//! The operations of the repository.

use clap::{Args, Subcommand};

/// One operation of the repository.
#[derive(Debug, Subcommand)]
pub(crate) enum Operation {
    /// Create or read a session.
    #[command(subcommand)]
    Session(SessionCommand),
    /// Create, read or update an agent of a session.
    #[command(subcommand)]
    Agent(AgentCommand),
    /// Append, create, read, update or list the messages of an agent.
    #[command(subcommand)]
    Message(MessageCommand),
    /// Set, get or delete metadata of a session.
    #[command(subcommand)]
    Metadata(MetadataCommand),
    /// Add or list feedback on a session.
    #[command(subcommand)]
    Feedback(FeedbackCommand),
}

#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Print JSON instead of text; null where there is nothing to tell.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What every write takes.
#[derive(Debug, Args)]
pub(crate) struct Write {
    /// Write only if the session is at this revision, which `session read` tells; otherwise change nothing and fail as stale.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) if_revision: Option<u64>,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// Create a session.
    #[command(after_help = "Example:\n  session-repo session create user-123 --type chat")]
    Create {
        /// The session's id, 1 to 512 bytes.
        session: String,
        /// What kind of session it is [default: default].
        #[arg(long = "type", value_name = "TYPE")]
        session_type: Option<String>,
        #[command(flatten)]
        write: Write,
    },
    /// Read a session: its type, its times and its revision.
    #[command(after_help = "Example:\n  session-repo session read user-123 --json")]
    Read {
        /// The session's id.
        session: String,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Create an agent.
    #[command(after_help = "\
Examples:
  session-repo agent create user-123 assistant-1 '{\"model\": \"claude-3-sonnet\", \"system_prompt\": \"Be kind.\"}'
  session-repo agent create user-123 assistant-1 @agent.json")]
    Create {
        /// The session's id.
        session: String,
        /// The agent's id, 1 to 256 bytes, without `.` and not starting with `$`.
        agent: String,
        /// The agent's fields: a JSON object, @FILE, or - for stdin.
        #[arg(default_value = "{}")]
        fields: String,
        #[command(flatten)]
        write: Write,
    },
    /// Read an agent, without its messages.
    #[command(after_help = "Example:\n  session-repo agent read user-123 assistant-1")]
    Read {
        /// The session's id.
        session: String,
        /// The agent's id.
        agent: String,
        #[command(flatten)]
        output: Output,
    },
    /// Replace an agent's fields; model, system_prompt and prompt_metadata stay unless they are named.
    #[command(after_help = "Example:\n  session-repo agent update user-123 assistant-1 '{\"state\": {\"step\": 2}}'")]
    Update {
        /// The session's id.
        session: String,
        /// The agent's id.
        agent: String,
        /// The agent's fields: a JSON object, @FILE, or - for stdin.
        fields: String,
        #[command(flatten)]
        write: Write,
    },
}

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

#[derive(Debug, Subcommand)]
pub(crate) enum MetadataCommand {
    /// Set metadata fields and leave the others as they are. A key may be a path: "a.b" sets b within a.
    #[command(after_help = "\
Examples:
  session-repo metadata set user-123 '{\"priority\": \"high\"}'
  session-repo metadata set user-123 '{\"customer.tier\": \"gold\"}'")]
    Set {
        /// The session's id.
        session: String,
        /// The fields: a JSON object, @FILE, or - for stdin.
        fields: String,
        #[command(flatten)]
        write: Write,
    },
    /// Print all metadata of a session.
    #[command(after_help = "Example:\n  session-repo metadata get user-123 --json")]
    Get {
        /// The session's id.
        session: String,
        #[command(flatten)]
        output: Output,
    },
    /// Delete metadata fields. Absent ones are no error.
    #[command(after_help = "Example:\n  session-repo metadata delete user-123 temp_token customer.tier")]
    Delete {
        /// The session's id.
        session: String,
        /// The fields, or paths to them.
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
        #[command(flatten)]
        write: Write,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum FeedbackCommand {
    /// Add a feedback entry.
    #[command(after_help = "Example:\n  session-repo feedback add user-123 '{\"rating\": \"up\", \"comment\": \"Great!\"}'")]
    Add {
        /// The session's id.
        session: String,
        /// The entry: a JSON object, @FILE, or - for stdin.
        fields: String,
        #[command(flatten)]
        write: Write,
    },
    /// List all feedback, oldest first.
    #[command(after_help = "Example:\n  session-repo feedback list user-123")]
    List {
        /// The session's id.
        session: String,
        #[command(flatten)]
        output: Output,
    },
}
