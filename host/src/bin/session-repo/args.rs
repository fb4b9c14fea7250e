//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Keeps the sessions of AI agents (agents, messages, metadata, feedback) in a file or in MongoDB, through a sandboxed component.
#[derive(Debug, Parser)]
#[command(
    name = "session-repo",
    version,
    arg_required_else_help = true,
    after_help = "\
Examples:
  session-repo session create user-123 --type chat
  session-repo agent create user-123 assistant-1 '{\"model\": \"claude-3-sonnet\"}'
  session-repo message create user-123 assistant-1 1 '{\"role\": \"user\", \"content\": \"Hello!\"}'
  session-repo message list user-123 assistant-1
  session-repo show user-123
  session-repo --store mongodb://localhost:27017 session read user-123

Stores: file:PATH, mongodb://…, mongodb+srv://…, memory: (gone with the process). With none named, a file in your data folder.

Exit status: 0 done, 1 the operation failed (code and message on stderr), 2 bad command line.
RUST_LOG sets what is logged on stderr, for example RUST_LOG=session_repository=debug."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct StoreArgs {
    /// Where the sessions are: file:PATH, memory:, or a MongoDB connection string (in the environment a password stays out of the process
    /// list) [default: a file in your data folder].
    #[arg(long, global = true, value_name = "URL", env = "SESSION_REPO_STORE", hide_env_values = true)]
    pub(crate) store: Option<String>,
    /// The database.
    #[arg(long, global = true, value_name = "NAME", default_value = "database_name")]
    pub(crate) database: String,
    /// The collection.
    #[arg(long, global = true, value_name = "NAME", default_value = "collection_name")]
    pub(crate) collection: String,
    /// A metadata field to index; may be repeated.
    #[arg(long = "metadata-field", global = true, value_name = "FIELD")]
    pub(crate) metadata_fields: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answer JSON requests, one on each line of stdin, with JSON responses on stdout.
    #[command(after_help = EXEC_EXAMPLE, after_long_help = format!("{EXEC_EXAMPLE}\n\n{EXEC_PROTOCOL}"))]
    Exec(ExecArgs),
    /// Show a conversation as people read it: metadata, agents, messages in the order of their times, feedback.
    #[command(after_help = "Examples:\n  session-repo show user-123 | less\n  session-repo show user-123 --follow")]
    Show {
        /// The session's id.
        session: String,
        /// Go on printing what is new as it arrives, until Ctrl-C.
        #[arg(long, short)]
        follow: bool,
    },
    /// Write all sessions as NDJSON: one session document on each line, as MongoDB Extended JSON that keeps every type.
    #[command(after_help = EXPORT_EXAMPLES)]
    Export {
        /// The file to make; stdout if there is none, or for -.
        file: Option<PathBuf>,
        /// Complete a file that an export did not finish: go on after the last session in it.
        #[arg(long)]
        resume: bool,
    },
    /// Store the sessions of a dump: of export, or of mongoexport on a collection of the reference.
    ///
    /// Sessions that are there already are never changed, so an import can be repeated, and one that was cut off is simply done again.
    #[command(after_help = IMPORT_EXAMPLES)]
    Import {
        /// The file to read; stdin if there is none, or for -.
        file: Option<PathBuf>,
    },
    /// Check the store without changing it: server, topology, indexes, counts, the oldest and newest session, and what is wrong.
    #[command(after_help = "Example:\n  session-repo check --store mongodb://localhost:27017 --metadata-field priority")]
    Check {
        #[command(flatten)]
        output: Output,
    },
    /// Print a completion script for a shell.
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell.
        shell: Shell,
    },
    #[command(flatten)]
    Operation(Operation),
}

const EXPORT_EXAMPLES: &str = "\
Examples:
  session-repo export sessions.ndjson
  session-repo export sessions.ndjson --resume
  session-repo export --store mongodb://localhost:27017 | session-repo import --store file:sessions.store

Sessions come in the order of their ids. Exit status: 0 complete, 1 not.";

const IMPORT_EXAMPLES: &str = "\
Examples:
  session-repo import sessions.ndjson
  mongoexport --db chat_db --collection sessions | session-repo import

Exit status: 0 if every session of the dump is in the store now, 1 if not: a line that is no session document is refused, and a session
whose id another one has is left out. Both are named on stderr, and the rest is stored.";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  session-repo completions bash > ~/.local/share/bash-completion/completions/session-repo
  session-repo completions zsh > ~/.zfunc/_session-repo
  session-repo completions fish > ~/.config/fish/completions/session-repo.fish";

/// A shell that completions are there for.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl From<Shell> for clap_complete::Shell {
    fn from(shell: Shell) -> Self {
        match shell {
            Shell::Bash => Self::Bash,
            Shell::Zsh => Self::Zsh,
            Shell::Fish => Self::Fish,
        }
    }
}

/// One operation of the repository.
#[derive(Debug, Subcommand)]
pub(crate) enum Operation {
    /// Create or read a session.
    #[command(subcommand)]
    Session(SessionCommand),
    /// Create, read or update an agent of a session.
    #[command(subcommand)]
    Agent(AgentCommand),
    /// Create, read, update or list the messages of an agent.
    #[command(subcommand)]
    Message(MessageCommand),
    /// Set, get or delete metadata of a session.
    #[command(subcommand)]
    Metadata(MetadataCommand),
    /// Add or list feedback on a session.
    #[command(subcommand)]
    Feedback(FeedbackCommand),
}

const EXEC_EXAMPLE: &str = "\
Example:
  echo '{\"id\": 1, \"call\": \"sessions.read\", \"args\": {\"session_id\": \"user-123\"}}' | session-repo exec
  {\"id\":1,\"result\":null}";

const EXEC_PROTOCOL: &str = "\
Requests: {\"id\": any JSON value, echoed back; \"call\": a call; \"args\": an object of its parameters}, and nothing else.
Responses: {\"id\": …, \"result\": …} or {\"id\": …, \"error\": {\"code\": …, \"message\": …}}, one for each line that is not blank.

Calls:
  sessions.create       session_id, session_type (default \"default\")  *  -> session
  sessions.read         session_id                                       -> session or null
  agents.create         session_id, agent                              *  -> null
  agents.read           session_id, agent_id                             -> agent or null
  agents.update         session_id, agent                              *  -> null
  messages.create       session_id, agent_id, message                  *  -> null
  messages.append       session_id, agent_id, message,
                          idempotency_key (none)                       *  -> {\"message_id\": n}
  messages.append-many  session_id, agent_id, messages,
                          idempotency_key (none)                       *  -> {\"first_message_id\": n}
  messages.read         session_id, agent_id, message_id                 -> message or null
  messages.update       session_id, agent_id, message                  *  -> null
  messages.list         session_id, agent_id, limit (all), offset (0)    -> array of messages
  metadata.update       session_id, metadata                           *  -> null
  metadata.get          session_id                                       -> {\"metadata\": {…}} or null
  metadata.delete       session_id, keys                               *  -> null
  feedback.add          session_id, feedback                           *  -> null
  feedback.list         session_id                                       -> array of objects

* Writes also take an expected_revision (none): the number that a session's revision must be, or nothing is written and the error is stale.

Agents have their agent_id, messages their message_id among their own fields; those that are appended get theirs from the store. An append \
with an idempotency_key can be repeated: the key's first append stores, the others return the same id. Times are RFC 3339 in UTC with \
milliseconds.

Errors: not-found and already-exists (with entity: session, agent or message), stale (with current, the revision that the session is at), \
invalid-argument, too-large (with size and limit in bytes), access-denied, timeout, unavailable, corrupt, internal.

Responses come as calls finish; calls that name the same session take effect in the order of their lines. At the end of stdin all calls \
are answered, then the exit status is 0: a refused call is an answer. The store is opened first; if that fails, the exit status is 1.";

#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    /// How many calls may be in flight; reading stdin waits when this many are.
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) concurrency: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Print JSON instead of text; null where there is nothing to tell.
    #[arg(long)]
    pub(crate) json: bool,
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
        output: Output,
    },
    /// Read a session: its type and times.
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
        output: Output,
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
        output: Output,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum MessageCommand {
    /// Append a message. The same message again changes nothing, so this is safe to repeat.
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
        output: Output,
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
        output: Output,
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
        output: Output,
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
        output: Output,
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
        output: Output,
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
