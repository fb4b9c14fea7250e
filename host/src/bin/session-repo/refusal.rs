//! Refusing a command line: as clap does, but it repeats arguments, and these may hold anything.

use crate::args::Cli;
use crate::terminal::{harmless, one_line};
use clap::CommandFactory;
use clap::builder::StyledStr;
use clap::error::{ContextValue, ErrorKind};

/// Ends the process as for a bad command line, where clap itself finds nothing wrong. `command` leads to the subcommand that it is about.
pub(crate) fn refuse(command: &[&str], why: &str) -> ! {
    let mut cli = Cli::command();
    // Gives each subcommand its full name.
    cli.build();
    let found = command.iter().try_fold(&mut cli, |cli, name| cli.find_subcommand_mut(name));
    exit(found.unwrap_or(&mut Cli::command()).error(ErrorKind::ValueValidation, why))
}

/// Ends the process. No connection string is repeated: it may hold a password and stand in the wrong place.
pub(crate) fn exit(error: clap::Error) -> ! {
    let error = on_its_lines(error);
    let text = error.to_string();
    let is_harmless = harmless(&text) == text;
    if !error.use_stderr() || is_harmless && !text.contains("://") {
        error.exit();
    }
    for line in text.lines() {
        eprintln!("{}", harmless(&line.split_once("://").map_or(line.to_owned(), |(before, _)| format!("{before}://…"))));
    }
    std::process::exit(error.exit_code());
}

/// The error with arguments that begin no lines of their own.
fn on_its_lines(mut error: clap::Error) -> clap::Error {
    let styled = |text: &StyledStr| StyledStr::from(one_line(&text.to_string()));
    let context: Vec<_> = error.context().map(|(kind, value)| (kind, value.clone())).collect();
    for (kind, value) in context {
        let value = match value {
            ContextValue::String(text) => ContextValue::String(one_line(&text)),
            ContextValue::Strings(texts) => ContextValue::Strings(texts.iter().map(|text| one_line(text)).collect()),
            ContextValue::StyledStrs(texts) if texts.iter().any(|text| text.to_string().contains('\n')) => {
                ContextValue::StyledStrs(texts.iter().map(styled).collect())
            }
            other => other,
        };
        error.insert(kind, value);
    }
    error
}
