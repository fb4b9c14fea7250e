//! `session-repo`: the session repository on the command line.

#![forbid(unsafe_code)]

mod archive;
mod args;
mod calls;
mod check;
mod compact;
mod conformance;
mod exec;
mod failure;
mod input;
mod json;
mod log;
mod output;
mod place;
mod plugin;
mod prepare;
mod refusal;
mod show;
mod subcommands;
mod terminal;
mod transfer;
mod wire;

use anyhow::Context;
use args::{Cli, Command, PluginCommand};
use calls::Kind;
use clap::CommandFactory;
use place::{Opened, Place};
use session_repository::Repository;
use std::path::Path;
use subcommands::Operation;

#[tokio::main]
async fn main() {
    let cli = Cli::read().unwrap_or_else(|error| refusal::exit(error));
    log::init();
    quiet_panics_of_threads();
    let done = run(cli).await;
    if let Err(error) = &done {
        say(error);
    }
    // Without waiting for a read of stdin that nothing comes of any more.
    std::process::exit(i32::from(done.is_err()));
}

fn completions(shell: args::Shell) -> String {
    // The script for bash has two spellings of a program's name with a hyphen and finds no subcommand by them, so it gets one without.
    let name = if matches!(shell, args::Shell::Bash) { "session_repo" } else { "session-repo" };
    let mut script = Vec::new();
    clap_complete::generate(clap_complete::Shell::from(shell), &mut Cli::command(), name, &mut script);
    String::from_utf8_lossy(&script).replace("default session_repo\n", "default session-repo\n")
}

fn man(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Cli::command(), folder)
}

/// A panic on another thread (the database panics on some damaged files) becomes an error that is told like others; its text is for those
/// who look for the cause.
fn quiet_panics_of_threads() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() == Some("main") {
            usual(panic);
        } else {
            tracing::debug!(%panic, "a thread panicked");
        }
    }));
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    if let Command::Completions { shell } = cli.command {
        return output::print_exact(completions(shell).trim_end());
    }
    if let Command::Man { folder } = &cli.command {
        return man(folder).with_context(|| folder.display().to_string());
    }
    let place = match Place::of(cli.store) {
        Ok(place) => place,
        Err(error) => refusal::refuse(&[], &error.to_string()),
    };
    let command = match cli.command {
        Command::Operation(operation) => return operate(&place, operation).await,
        command => command,
    };
    // `conformance` takes none that is not named.
    let uses_no_store =
        matches!(command, Command::Conformance(_) | Command::Plugin(PluginCommand::Inspect { .. } | PluginCommand::New { .. }));
    if !uses_no_store {
        place.announce(matches!(command, Command::Show { .. } | Command::Export { .. }));
    }
    match command {
        Command::Exec(exec) => {
            on(place.open(), async |repository| exec::run(repository, exec.concurrency).await.context("exec stopped")).await
        }
        Command::Show { session, follow } => show::run(&place, &session, follow).await,
        Command::Export { file, resume } => transfer::export(&place, file, resume).await,
        Command::Import { file } => transfer::import(&place, file).await,
        Command::Compact { output } => compact::run(&place, output.json).await,
        Command::Archive(command) => archive::run(&place, command).await,
        Command::Plugin(command) => plugin::run(&place, command).await,
        Command::Conformance(args) => conformance::run(&place, args).await,
        Command::Check { repair, dry_run, output } => check::run(&place, repair.then_some(dry_run), output.json).await,
        Command::Operation(_) | Command::Completions { .. } | Command::Man { .. } => Ok(()),
    }
}

async fn operate(place: &Place, operation: Operation) -> anyhow::Result<()> {
    // What cannot be read is found before a store is opened for it.
    let (call, output) = operation.call().context("cannot read the argument")?;
    let is_reading = call.kind() == Kind::Read;
    place.announce(is_reading);
    let open = async { if is_reading { place.open_to_read().await } else { place.open().await } };
    on(open, async |repository| subcommands::run(repository, call, &output).await).await
}

/// Opens a store, does something with a repository on it, and closes it.
async fn on(
    open: impl Future<Output = anyhow::Result<Opened>>,
    work: impl AsyncFnOnce(&Repository) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    // Before the store is opened, because others may wait for it.
    prepare::component()?;
    let repository = open.await?.repository()?;
    let done = work(&repository).await;
    // Before the store is closed, which may wait for what is under way.
    if let Err(error) = &done {
        say(error);
    }
    place::closed(repository.close()).await;
    done.map_err(|_| Said.into())
}

/// A failure that was said when it happened.
#[derive(Debug, thiserror::Error)]
#[error("a failure that was said already")]
struct Said;

/// Says why the command failed.
fn say(error: &anyhow::Error) {
    if !error.is::<Said>() {
        terminal::tell(&format!("{error:#}"));
    }
}
