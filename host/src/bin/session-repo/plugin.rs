//! `session-repo plugin`: running plugins under a scope, looking into them, beginning one.

mod inspect;
mod load;
mod new;
mod run;

use crate::args::{Cli, PluginCommand};
use crate::place::Place;
use crate::refusal;
use clap::CommandFactory;
use clap::error::ErrorKind;
use std::path::Path;

pub(crate) async fn run(place: &Place, command: PluginCommand) -> anyhow::Result<()> {
    match command {
        PluginCommand::Run(args) => run::run(place, args).await,
        PluginCommand::Inspect { plugin, scope } => inspect::run(&plugin, &scope),
        PluginCommand::New { language, name } => new::run(language, &name.0),
    }
}

/// Ends the process as for any other bad command line.
fn refuse(why: &str) -> ! {
    refusal::exit(Cli::command().error(ErrorKind::ValueValidation, why))
}

/// By which logs and audits know a plugin.
fn name(plugin: &Path) -> String {
    plugin.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}
