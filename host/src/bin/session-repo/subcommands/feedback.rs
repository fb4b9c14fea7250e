//! Subcommands on feedback.

use super::flags::{Output, Write};
use crate::calls::{Call, FeedbackAdd, FeedbackList};
use crate::input::text;
use clap::Subcommand;
use session_repository::Json;

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

impl FeedbackCommand {
    /// The call that it stands for, and how its answer is printed. Reads what arguments refer to: `@FILE` and `-`.
    pub(super) fn call(self) -> anyhow::Result<(Call, Output)> {
        Ok(match self {
            Self::Add { session: session_id, fields, write } => {
                let feedback = Json::from(text(fields)?);
                (FeedbackAdd { session_id, feedback, expected_revision: write.if_revision }.into(), write.output)
            }
            Self::List { session: session_id, output } => (FeedbackList { session_id }.into(), output),
        })
    }
}
