//! `session-repo plugin inspect`.

use super::functions::functions;
use super::load::{compile, name, read};
use super::metadata::metadata;
use crate::args::ScopeArgs;
use crate::output;
use crate::refusal::refuse;
use crate::terminal::one_line;
use session_repository::Interface;
use std::path::Path;
use wasmtime::component::types::ComponentItem;

/// The version of the WIT package.
const VERSION: &str = "0.1.0";

/// The packages that `--wasi cli` grants.
const WASI: [&str; 6] = ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];

/// What a plugin's import is to this program.
enum Import {
    Session(Interface),
    /// Types alone, which need nothing of the host.
    Types,
    Wasi,
    Unknown,
}

pub(super) fn run(plugin: &Path, args: &ScopeArgs) -> anyhow::Result<()> {
    let scope = args.scope(&name(plugin)).unwrap_or_else(|why| refuse(why));
    let bytes = read(plugin)?;
    let component = compile(plugin, &bytes)?;
    let (ty, engine) = (component.component_type(), component.engine());
    output::print(&format!("plugin   {}, {} bytes", plugin.display(), bytes.len()))?;
    let mut heading = "metadata";
    for (name, text) in metadata(&bytes) {
        output::print(&format!("{heading:<8} {name}: {}", one_line(&text)))?;
        heading = "";
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
        output::print(&format!("{heading:<8} {import}: {grant}"))?;
        heading = "";
    }
    let mut heading = "exports";
    for function in functions(&component) {
        output::print(&format!("{heading:<8} {}: {}", function.full_name(), function.shown()))?;
        heading = "";
    }
    Ok(())
}

/// Whether `--wasi cli` is what grants an import.
pub(super) fn is_wasi(import: &str) -> bool {
    WASI.iter().any(|package| import.starts_with(package))
}

fn what(import: &str, item: &ComponentItem) -> Import {
    let ours = import.strip_prefix("session:repository/").and_then(|rest| rest.strip_suffix(VERSION)?.strip_suffix('@'));
    if let Some(name) = ours
        && let Some(interface) = Interface::ALL.into_iter().find(|interface| interface.name() == name)
    {
        return Import::Session(interface);
    }
    match item {
        _ if ours == Some("types") => Import::Types,
        ComponentItem::ComponentInstance(_) if is_wasi(import) => Import::Wasi,
        _ => Import::Unknown,
    }
}
