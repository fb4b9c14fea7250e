//! Subcommands on metadata.

use super::flags::{Output, Write};
use crate::calls::{Call, MetadataDelete, MetadataGet, MetadataUpdate};
use crate::input::text;
use clap::Subcommand;
use session_repository::Json;

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

impl MetadataCommand {
    /// The call that it stands for, and how its answer is printed. Reads what arguments refer to: `@FILE` and `-`.
    pub(super) fn call(self) -> anyhow::Result<(Call, Output)> {
        Ok(match self {
            Self::Set { session: session_id, fields, write } => {
                let metadata = Json::from(text(fields)?);
                (MetadataUpdate { session_id, metadata, expected_revision: write.if_revision }.into(), write.output)
            }
            Self::Get { session: session_id, output } => (MetadataGet { session_id }.into(), output),
            Self::Delete { session: session_id, keys, write } => {
                (MetadataDelete { session_id, keys, expected_revision: write.if_revision }.into(), write.output)
            }
        })
    }
}
