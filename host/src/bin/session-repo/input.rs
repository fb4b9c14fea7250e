//! Texts that come in: JSON arguments (given as they are, in a file, or on stdin), and how any input begins.

use anyhow::{Context, bail};
use std::io::Read;

/// What a text that is not UTF-8 is refused with.
pub(crate) const UTF_16: &str = "this is UTF-16 text; it must be UTF-8";

/// Whether an input begins with a byte order mark of UTF-16 or UTF-32.
pub(crate) fn is_utf_16(input: &[u8]) -> bool {
    input.starts_with(b"\xFF\xFE") || input.starts_with(b"\xFE\xFF") || input.starts_with(b"\0\0\xFE\xFF")
}

/// An input without the byte order mark of UTF-8, which some programs put before text.
pub(crate) fn without_mark(input: &[u8]) -> &[u8] {
    input.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(input)
}

/// The text that an argument stands for: itself, a file's for `@FILE`, stdin's for `-`.
pub(crate) fn text(argument: String) -> anyhow::Result<String> {
    if argument == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("stdin")?;
        return decoded(&bytes).context("stdin");
    }
    match argument.strip_prefix('@') {
        Some(file) => std::fs::read(file).map_err(Into::into).and_then(|bytes| decoded(&bytes)).with_context(|| file.to_owned()),
        None => decoded(argument.as_bytes()),
    }
}

fn decoded(bytes: &[u8]) -> anyhow::Result<String> {
    if is_utf_16(bytes) {
        bail!(UTF_16);
    }
    Ok(std::str::from_utf8(without_mark(bytes)).context("this is no UTF-8 text")?.to_owned())
}

/// The texts that several arguments stand for.
pub(crate) fn texts(arguments: Vec<String>) -> anyhow::Result<Vec<String>> {
    if arguments.iter().filter(|argument| *argument == "-").count() > 1 {
        bail!("stdin can stand for one argument only");
    }
    arguments.into_iter().map(text).collect()
}
