//! Text of a dump on its way out.

use super::Dumped;
use crate::error::Result;
use std::fmt;
use tokio::sync::mpsc;

/// How much text goes out at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// Text on its way out, never much more of it than a chunk. Blocks while nobody takes it, so it belongs on a thread that may block.
pub(crate) struct Out {
    text: String,
    chunks: mpsc::Sender<Result<Dumped>>,
    is_unwanted: bool,
}

impl Out {
    pub(crate) fn new(chunks: mpsc::Sender<Result<Dumped>>) -> Self {
        Self { text: String::with_capacity(2 * CHUNK), chunks, is_unwanted: false }
    }

    /// Whether nobody takes it any more. Then all that is written fails.
    pub(crate) fn is_unwanted(&self) -> bool {
        self.is_unwanted
    }

    /// Ends a session's line.
    pub(crate) fn end(&mut self, session_id: &str) -> fmt::Result {
        self.text.push('\n');
        self.flush()?;
        self.send(Dumped::Session(session_id.to_owned()))
    }

    /// Leaves a session out of which nothing was written.
    #[cfg(feature = "mongodb")]
    pub(crate) fn skip(&mut self, session_id: &str, why: String) -> fmt::Result {
        self.send(Dumped::Skipped { session_id: session_id.to_owned(), why })
    }

    fn flush(&mut self) -> fmt::Result {
        let text = std::mem::replace(&mut self.text, String::with_capacity(2 * CHUNK));
        self.send(Dumped::Text(text))
    }

    fn send(&mut self, piece: Dumped) -> fmt::Result {
        self.chunks.blocking_send(Ok(piece)).map_err(|_| {
            self.is_unwanted = true;
            fmt::Error
        })
    }
}

impl fmt::Write for Out {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text.push_str(text);
        if self.text.len() >= CHUNK { self.flush() } else { Ok(()) }
    }
}
