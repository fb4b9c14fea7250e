//! The command line.

mod archive;
mod conformance;
mod exec;
mod plugin;

pub(crate) use archive::{ArchiveAfter, ArchiveCommand};
pub(crate) use conformance::ConformanceArgs;
pub(crate) use exec::ExecArgs;
pub(crate) use plugin::{Language, PluginCommand, RunArgs, ScopeArgs, Wasi};

use crate::subcommands::{Operation, Output};
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
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
  session-repo message append user-123 assistant-1 '{\"role\": \"user\", \"content\": \"Hello!\"}'
  session-repo message list user-123 assistant-1
  session-repo show user-123
  session-repo --store mongodb://localhost:27017 session read user-123

Stores: file:PATH, mongodb://…, mongodb+srv://…, memory: (gone with the process). With none named, a file in your data folder.

Exit status: 0 done, 1 the operation failed (code and message on stderr), 2 bad command line.
Warnings go to stderr, each kind once. RUST_LOG sets a log in their place, for example RUST_LOG=session_repository=debug."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Reads the command line of this process.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let matches = Self::command().try_get_matches()?;
        let mut cli = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut Self::command()))?;
        let is_given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        let for_writing = [("metadata_fields", "--metadata-field"), ("archive_after", "--archive-after")];
        cli.store.is_named = is_given("store");
        cli.store.for_writing = for_writing.into_iter().filter(|(id, _)| is_given(id)).map(|(_, flag)| flag).collect();
        Ok(cli)
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct StoreArgs {
    /// Where the sessions are: file:PATH, memory:, or a MongoDB connection string (in the environment a password stays out of the process
    /// list) [default: a file in your data folder].
    #[arg(long, global = true, value_name = "URL", env = "SESSION_REPO_STORE", hide_env_values = true)]
    pub(crate) store: Option<String>,
    /// The database [default: the one in the connection string, else database_name].
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) database: Option<String>,
    /// The collection.
    #[arg(long, global = true, value_name = "NAME", default_value = "collection_name")]
    pub(crate) collection: String,
    /// In MongoDB: a metadata field to index; may be repeated.
    #[arg(long = "metadata-field", global = true, value_name = "FIELD")]
    pub(crate) metadata_fields: Vec<String>,
    /// In MongoDB: how much of an agent's messages stays in the session's document (1KiB to 8MiB) before the oldest move to the collection
    /// NAME.archive. With never, all stay: strictly the reference's layout, one document of at most 16 MiB.
    #[arg(
        long,
        global = true,
        value_name = "SIZE|never",
        env = "SESSION_REPO_ARCHIVE_AFTER",
        hide_env_values = true,
        default_value = "1MiB",
        allow_negative_numbers = true
    )]
    pub(crate) archive_after: ArchiveAfter,
    /// Whether the command line itself names the store, and not an environment variable that is there for other commands.
    #[arg(skip)]
    pub(crate) is_named: bool,
    /// Flags on the command line that have an effect on writing to MongoDB only. Environment variables may be there for other commands.
    #[arg(skip)]
    pub(crate) for_writing: Vec<&'static str>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answer JSON requests, one on each line of stdin, with JSON responses on stdout.
    #[command(after_help = exec::EXAMPLE, after_long_help = format!("{}\n\n{}", exec::EXAMPLE, exec::protocol()))]
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
    /// Check the store: server, topology, indexes, counts, the oldest and newest session, and what is wrong.
    ///
    /// Nothing is changed without --repair. Damage costs itself only, so a store with problems goes on working; this names them.
    #[command(after_help = CHECK_EXAMPLES)]
    Check {
        /// Mend what can be mended: remove orphans of the archive, complete moves that nobody completes, make derived data anew.
        #[arg(long)]
        repair: bool,
        /// With --repair: tell what would be mended, and change nothing.
        #[arg(long, requires = "repair")]
        dry_run: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Rewrite a store file with what is in it now, and nothing of what was replaced or deleted. Nobody else can use it meanwhile.
    #[command(after_help = COMPACT_EXAMPLES)]
    Compact {
        #[command(flatten)]
        output: Output,
    },
    /// See, fill or empty the archive of a session, where MongoDB has the oldest messages of a long history.
    #[command(subcommand)]
    Archive(ArchiveCommand),
    /// Run plugins (components that import the session interfaces) under a scope, look into them, or begin one.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Test whether a component, a storage or a program keeps the promises of a session repository.
    #[command(after_help = conformance::EXAMPLES)]
    Conformance(ConformanceArgs),
    /// Print a completion script for a shell.
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write the manual pages of all subcommands into a folder. For packagers: users find them in the archive of the program.
    #[command(hide = true)]
    Man {
        /// The folder, which is made if it is missing.
        folder: PathBuf,
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

const COMPACT_EXAMPLES: &str = "\
Examples:
  session-repo compact
  session-repo compact --store file:sessions.store --json

Text that was updated, redacted or removed stays in unused parts of the file until these are used again. Compaction leaves none of it. The
new file is made beside the old one and takes its place in one step: a command that is killed leaves one of the two, complete.
Exit status: 0 done, 1 not; then the file is as it was.";

const CHECK_EXAMPLES: &str = "\
Examples:
  session-repo check --store mongodb://localhost:27017 --metadata-field priority
  session-repo check --repair --dry-run

Exit status: 0 if all is well (again), 1 if anything is wrong. In MongoDB, damage is looked for in collections of up to 100,000 sessions;
with --repair, in any.";

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
