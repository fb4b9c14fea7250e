//! Flags that subcommands share.

use clap::Args;

/// How an answer is printed.
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
