//! Lines of bounded length.

use crate::input;
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// The longest line that is read, in bytes: the largest message, with every character of it escaped, and room for the rest.
pub(super) const MAX_LINE: u64 = 128 * 1024 * 1024;

pub(crate) enum Line {
    /// A line that has more than white space in it, without its end.
    Text(Vec<u8>),
    /// A line that was skipped, and its length in bytes.
    TooLong(u64),
    /// The first line of an input that is not UTF-8.
    Utf16,
}

impl Line {
    /// What it holds, in bytes.
    pub(super) fn size(&self) -> u32 {
        match self {
            Line::Text(line) => u32::try_from(line.len()).unwrap_or(u32::MAX),
            Line::TooLong(_) | Line::Utf16 => 0,
        }
    }
}

pub(crate) struct Lines<R> {
    input: BufReader<R>,
    /// Whether a line was read.
    has_begun: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input: BufReader::with_capacity(64 * 1024, input), has_begun: false }
    }

    /// The next line that is not blank; none at the end of the input.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let mut line = Vec::new();
            let mut length = 0u64;
            loop {
                let available = self.input.fill_buf().await?;
                if available.is_empty() && length == 0 {
                    return Ok(None);
                }
                let end = available.iter().position(|byte| *byte == b'\n');
                let part = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
                length += part.len() as u64;
                if length <= MAX_LINE {
                    line.extend_from_slice(part);
                } else {
                    line = Vec::new();
                }
                let (ended, consumed) = (end.is_some() || available.is_empty(), part.len() + usize::from(end.is_some()));
                self.input.consume(consumed);
                if ended {
                    break;
                }
            }
            if length > MAX_LINE {
                return Ok(Some(Line::TooLong(length)));
            }
            if !std::mem::replace(&mut self.has_begun, true) {
                if input::is_utf_16(&line) {
                    return Ok(Some(Line::Utf16));
                }
                line = input::without_mark(&line).to_vec();
            }
            if !line.trim_ascii().is_empty() {
                return Ok(Some(Line::Text(line)));
            }
        }
    }
}
