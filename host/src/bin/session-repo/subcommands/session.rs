//! Subcommands on sessions.

use super::flags::{Output, Write};
use crate::calls::{Call, SessionsCreate, SessionsRead};
use clap::Subcommand;

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

impl SessionCommand {
    /// The call that it stands for, and how its answer is printed. Reads what arguments refer to: `@FILE` and `-`.
    pub(super) fn call(self) -> anyhow::Result<(Call, Output)> {
        Ok(match self {
            Self::Create { session: session_id, session_type, write } => {
                (SessionsCreate { session_id, session_type, expected_revision: write.if_revision }.into(), write.output)
            }
            Self::Read { session: session_id, output } => (SessionsRead { session_id }.into(), output),
        })
    }
}
