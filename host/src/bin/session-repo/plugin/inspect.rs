//! `session-repo plugin inspect`.

use super::functions::functions;
use super::imports::{Import, what};
use super::load::{compile, name, read};
use super::metadata::metadata;
use crate::args::ScopeArgs;
use crate::output;
use crate::refusal::refuse;
use crate::terminal::one_line;
use std::path::Path;

pub(super) fn run(plugin: &Path, args: &ScopeArgs) -> anyhow::Result<()> {
    let scope = args.scope(&name(plugin)).unwrap_or_else(|why| refuse(&["plugin", "inspect"], why));
    let bytes = read(plugin)?;
    let component = compile(plugin, &bytes)?;
    let (ty, engine) = (component.component_type(), component.engine());
    output::print(&format!("plugin   {}, {} bytes", one_line(&plugin.display().to_string()), bytes.len()))?;
    let mut heading = "metadata";
    for (name, text) in metadata(&bytes) {
        output::print(&format!("{heading:<8} {name}: {}", one_line(&text)))?;
        heading = "";
    }
    if let Some(shown) = args.shown() {
        output::print(&format!("scope    {}", one_line(&shown)))?;
    }
    let mut heading = "imports";
    for (import, item) in ty.imports(engine) {
        let grant = match (what(import, &item.ty), &scope) {
            (Import::Types, _) => String::from("types"),
            (Import::Wasi, _) => String::from("needs --wasi cli"),
            (Import::Unknown, _) => String::from("not granted by anything: the plugin cannot be run"),
            (Import::Session(_), None) => String::from("granted under a scope"),
            (Import::Session(interface), Some(scope)) => {
                String::from(match [false, true].map(|is_write| scope.allows(interface, is_write)) {
                    [_, true] => "granted for reading and writing",
                    [true, false] => "granted for reading",
                    [false, false] => "denied",
                })
            }
        };
        output::print(&format!("{heading:<8} {}: {grant}", one_line(import)))?;
        heading = "";
    }
    let mut heading = "exports";
    for function in functions(&component) {
        output::print(&format!("{heading:<8} {}", one_line(&format!("{}: {}", function.full_name(), function.shown()))))?;
        heading = "";
    }
    Ok(())
}
