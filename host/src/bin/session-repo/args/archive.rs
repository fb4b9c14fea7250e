//! The command line of what concerns the archive.

use crate::subcommands::Output;
use bytesize::ByteSize;
use clap::Subcommand;
use std::str::FromStr;

/// How much of an agent's messages stays in the session's document, in bytes; all if none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ArchiveAfter(pub(crate) Option<u64>);

impl FromStr for ArchiveAfter {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "never" {
            return Ok(Self(None));
        }
        match text.parse() {
            Ok(ByteSize(bytes)) => Ok(Self(Some(bytes))),
            Err(_) => Err("must be a size like 128KiB, or never"),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum ArchiveCommand {
    /// Tell for each agent how much is in the session's document and how much in the archive.
    #[command(after_help = "Example:\n  session-repo archive status user-123 --store mongodb://localhost:27017")]
    Status {
        /// The session's id.
        session: String,
        #[command(flatten)]
        output: Output,
    },
    /// Move the oldest messages to the archive now, down to the size that --archive-after names.
    #[command(after_help = "Example:\n  session-repo archive run user-123 --store mongodb://localhost:27017 --archive-after 128KiB")]
    Run {
        /// The session's id.
        session: String,
        #[command(flatten)]
        output: Output,
    },
    /// Fold the archive back into the session's document, if that can hold it.
    ///
    /// Blocks of the session that belong to no archive are removed, also where the session itself is not there: an import that was cut off
    /// leaves such blocks. Appends move messages to the archive again unless all programs that write to the session have
    /// --archive-after never.
    #[command(after_help = "Example:\n  session-repo archive undo user-123 --store mongodb://localhost:27017 --archive-after never")]
    Undo {
        /// The session's id.
        session: String,
        #[command(flatten)]
        output: Output,
    },
}
