//! The command line of what concerns plugins.

use bytesize::ByteSize;
use clap::{Args, Subcommand, ValueEnum};
use session_repository::{Quotas, Scope};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Run a function of a plugin, and print its result as WAVE (the text form of component values).
    ///
    /// The plugin gets the five session interfaces under the scope, and nothing else unless --wasi says so: no files, no network, no clock.
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Tell what a plugin is, what it imports and exports, and what a scope would grant it. Nothing of it is run.
    #[command(after_help = INSPECT_EXAMPLES)]
    Inspect {
        /// The plugin: a component.
        plugin: PathBuf,
        #[command(flatten)]
        scope: ScopeArgs,
    },
    /// Begin a plugin: write a project that builds, with the WIT that it needs.
    #[command(after_help = NEW_EXAMPLES)]
    New {
        /// What it is written in.
        language: Language,
        /// Its name, and that of its folder: words of small letters and digits with - between them.
        name: Name,
    },
}

const RUN_EXAMPLES: &str = "\
Examples:
  session-repo plugin run summary.wasm --scope session:chat-1 --invoke 'run(\"chat-1\", \"assistant\")'
  session-repo plugin run summary.wasm --scope prefix:tenant-7/ --map-ids --calls-per-second 50 --invoke 'run(\"chat-1\", \"assistant\")'

Exit status: 0 the function returned, 1 it returned an error, trapped or ran too long, 2 bad command line, also where the function or its
arguments do not fit the plugin.";

const INSPECT_EXAMPLES: &str = "\
Examples:
  session-repo plugin inspect summary.wasm
  session-repo plugin inspect summary.wasm --scope session:chat-1 --read-only";

const NEW_EXAMPLES: &str = "\
Examples:
  session-repo plugin new rust summary
  session-repo plugin new python summary

The project's README says how to build and run it.";

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The plugin: a component.
    pub(crate) plugin: PathBuf,
    /// The function to call with its arguments, as WAVE: 'run("x", 1, some([true]))'. One of an exported interface may be named INTERFACE#NAME, one of none #NAME.
    #[arg(long, value_name = "CALL")]
    pub(crate) invoke: String,
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,
    /// What of WASI the plugin gets: nothing, or clocks, random numbers, stdin, stdout and stderr. Files, network, arguments and environment
    /// stay empty.
    #[arg(long, value_enum, default_value_t = Wasi::None)]
    pub(crate) wasi: Wasi,
    /// How long it may run, for example 500ms or 2m.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = some_time)]
    pub(crate) timeout: Duration,
}

/// What a plugin may do.
#[derive(Debug, Args)]
#[command(next_help_heading = "Scope")]
pub(crate) struct ScopeArgs {
    /// The sessions that it may use: session:ID, which may be repeated, or prefix:P, all whose ids begin with P and go on after it. Everything
    /// else is denied.
    #[arg(long, value_name = "session:ID|prefix:P")]
    pub(crate) scope: Vec<Sessions>,
    /// Let it read and not write.
    #[arg(long, requires = "scope")]
    pub(crate) read_only: bool,
    /// With a prefix: put it in front of the ids that the plugin names and take it off those that it gets.
    #[arg(long, requires = "scope")]
    pub(crate) map_ids: bool,
    /// How many calls it may make in a second; as many may come at once.
    #[arg(long, value_name = "N", requires = "scope", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) calls_per_second: Option<u32>,
    /// How much one call may bring, for example 64KiB.
    #[arg(long, value_name = "SIZE", requires = "scope")]
    pub(crate) bytes_per_call: Option<ByteSize>,
}

/// Sessions that a scope allows.
#[derive(Debug, Clone)]
pub(crate) enum Sessions {
    One(String),
    Prefix(String),
}

impl FromStr for Sessions {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("session" | "prefix", "")) => Err("an id or a prefix must follow the colon"),
            Some(("session", id)) => Ok(Self::One(id.to_owned())),
            Some(("prefix", prefix)) => Ok(Self::Prefix(prefix.to_owned())),
            _ => Err("must be session:ID or prefix:P"),
        }
    }
}

/// A duration that is more than nothing.
fn some_time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err(String::from("must be more than nothing")),
        parsed => parsed.map_err(|error| error.to_string()),
    }
}

impl ScopeArgs {
    /// What the flags say, for people; none if no sessions are named.
    pub(crate) fn shown(&self) -> Option<String> {
        if self.scope.is_empty() {
            return None;
        }
        let mut parts: Vec<_> = self.scope.iter().map(Sessions::shown).collect();
        parts.extend(self.map_ids.then(|| String::from("without the prefix in the ids that the plugin sees")));
        parts.extend(self.read_only.then(|| String::from("for reading")));
        parts.extend(self.calls_per_second.map(|calls| format!("{calls} calls a second")));
        parts.extend(self.bytes_per_call.map(|bytes| format!("{bytes} a call")));
        Some(parts.join(", "))
    }

    /// The scope under a name; none if no sessions are named.
    pub(crate) fn scope(&self, name: &str) -> Result<Option<Scope>, &'static str> {
        let scope = match self.scope.as_slice() {
            [] => return Ok(None),
            [Sessions::Prefix(prefix)] if self.map_ids => Scope::hidden_prefix(prefix),
            [Sessions::Prefix(prefix)] => Scope::prefix(prefix),
            _ if self.map_ids => return Err("--map-ids needs one --scope prefix:P"),
            some => Scope::sessions(some.iter().map(Sessions::id).collect::<Result<Vec<_>, _>>()?),
        };
        let mut quotas = Quotas::default();
        quotas.calls_per_second = self.calls_per_second;
        quotas.bytes_per_call = self.bytes_per_call.map(|ByteSize(bytes)| usize::try_from(bytes).unwrap_or(usize::MAX));
        let scope = scope.named(name).quotas(quotas);
        Ok(Some(if self.read_only { scope.read_only() } else { scope }))
    }
}

impl Sessions {
    fn shown(&self) -> String {
        match self {
            Self::One(id) => format!("session {id}"),
            Self::Prefix(prefix) => format!("sessions that begin with {prefix} and go on after it"),
        }
    }

    fn id(&self) -> Result<&str, &'static str> {
        match self {
            Self::One(id) => Ok(id),
            Self::Prefix(_) => Err("--scope prefix:P cannot be combined with another --scope"),
        }
    }
}

/// What of WASI a plugin gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wasi {
    None,
    Cli,
}

/// What a plugin is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    Rust,
    Python,
}

/// Words that name nothing in WIT.
const WIT_KEYWORDS: [&str; 43] = [
    "as",
    "async",
    "bool",
    "borrow",
    "char",
    "constructor",
    "enum",
    "error-context",
    "export",
    "f32",
    "f64",
    "flags",
    "from",
    "func",
    "future",
    "import",
    "include",
    "interface",
    "list",
    "map",
    "option",
    "own",
    "package",
    "record",
    "resource",
    "result",
    "s16",
    "s32",
    "s64",
    "s8",
    "static",
    "stream",
    "string",
    "tuple",
    "type",
    "u16",
    "u32",
    "u64",
    "u8",
    "use",
    "variant",
    "with",
    "world",
];

/// The name of a plugin.
#[derive(Debug, Clone)]
pub(crate) struct Name(pub(crate) String);

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_word = |word: &str| {
            word.starts_with(|first: char| first.is_ascii_lowercase())
                && word.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
        };
        if text.len() > 64 || !text.split('-').all(is_word) {
            return Err("must be words of small letters and digits that begin with a letter, with - between them");
        }
        if WIT_KEYWORDS.contains(&text) {
            return Err("is a word of WIT; take another name");
        }
        Ok(Self(text.to_owned()))
    }
}
