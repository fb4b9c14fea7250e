//! `session-repo plugin`: running plugins under a scope, looking into them, beginning one.

mod functions;
mod imports;
mod inspect;
pub(crate) mod load;
mod metadata;
mod new;
mod run;
mod text;

use crate::args::PluginCommand;
use crate::place::Place;

pub(crate) async fn run(place: &Place, command: PluginCommand) -> anyhow::Result<()> {
    match command {
        PluginCommand::Run(args) => run::run(place, args).await,
        PluginCommand::Inspect { plugin, scope } => inspect::run(&plugin, &scope),
        PluginCommand::New { language, name } => new::run(language, &name.0),
    }
}
