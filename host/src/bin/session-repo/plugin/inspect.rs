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
    print("plugin", [format!("{}, {} bytes", plugin.display(), bytes.len())])?;
    print("metadata", metadata(&bytes).into_iter().map(|(name, text)| format!("{name}: {text}")))?;
    print("scope", args.shown())?;
    let imports = ty.imports(engine).map(|(import, item)| {
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
        format!("{import}: {grant}")
    });
    print("imports", imports)?;
    print("exports", functions(&component).iter().map(|function| format!("{}: {}", function.full_name(), function.shown())))
}

/// Prints a part, with its heading before the first of its lines. What a plugin says begins no lines of its own.
fn print(mut heading: &str, lines: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
    for line in lines {
        output::print(&one_line(&format!("{heading:<8} {line}")))?;
        heading = "";
    }
    Ok(())
}
