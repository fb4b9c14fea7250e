//! `with-mongod COMMAND [ARGUMENT]…`: runs a command with `MONGODB_URI` naming a server: the one it names already, or a `mongod` of its own.

use anyhow::Context;
use session_repository_tests::mongodb_uri;
use std::process::{Command, ExitCode};

fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next().context("usage: with-mongod COMMAND [ARGUMENT]…")?;
    let status = Command::new(&program).args(arguments).env("MONGODB_URI", mongodb_uri()?).status();
    let status = status.with_context(|| program.display().to_string())?;
    Ok(u8::try_from(status.code().unwrap_or(1)).map_or(ExitCode::FAILURE, ExitCode::from))
}
