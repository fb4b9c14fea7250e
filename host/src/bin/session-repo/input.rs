//! JSON arguments: given as they are, in a file, or on stdin.

use anyhow::Context;
use std::io::Read;

/// The text that an argument stands for: itself, a file's for `@FILE`, stdin's for `-`.
pub(crate) fn text(argument: String) -> anyhow::Result<String> {
    if argument == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("stdin")?;
        return Ok(text);
    }
    match argument.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).with_context(|| file.to_owned()),
        None => Ok(argument),
    }
}

/// The texts that several arguments stand for.
pub(crate) fn texts(arguments: Vec<String>) -> anyhow::Result<Vec<String>> {
    if arguments.iter().filter(|argument| *argument == "-").count() > 1 {
        anyhow::bail!("stdin can stand for one argument only");
    }
    arguments.into_iter().map(text).collect()
}
