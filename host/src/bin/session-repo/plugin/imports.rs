//! What a plugin imports, and who grants it.

use super::text;
use crate::args::Wasi;
use session_repository::Interface;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

/// The version of the WIT package, without what the linker takes for the same.
const VERSION: &str = "0.1";

/// The packages that `--wasi cli` grants.
const WASI: [&str; 6] = ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];

/// What a plugin's import is to this program.
pub(super) enum Import {
    Session(Interface),
    /// Types alone, which need nothing of the host.
    Types,
    Wasi,
    Unknown,
}

/// What a plugin imports that it does not get, as far as the names tell.
pub(super) fn lacking(component: &Component, wasi: Wasi) -> Option<String> {
    let lacking = |(import, item): (&str, ComponentItem)| match what(import, &item) {
        Import::Session(_) | Import::Types => None,
        Import::Wasi if wasi == Wasi::Cli => None,
        Import::Wasi => Some(format!("{import} needs --wasi cli")),
        Import::Unknown => Some(format!("{import} is not granted by anything")),
    };
    let (ty, engine) = (component.component_type(), component.engine());
    let mut found = ty.imports(engine).filter_map(|(import, item)| lacking((import, item.ty))).peekable();
    found.peek().is_some().then(|| text::names(found))
}

pub(super) fn what(import: &str, item: &ComponentItem) -> Import {
    let named = import.strip_prefix("session:repository/").and_then(|rest| rest.split_once('@'));
    let ours = named.filter(|(_, version)| version.rsplit_once('.').is_some_and(|(version, _)| version == VERSION)).map(|(name, _)| name);
    if let (Some(name), ComponentItem::ComponentInstance(_)) = (ours, item)
        && let Some(interface) = Interface::ALL.into_iter().find(|interface| interface.name() == name)
    {
        return Import::Session(interface);
    }
    match item {
        _ if ours == Some("types") => Import::Types,
        ComponentItem::ComponentInstance(_) if WASI.iter().any(|package| import.starts_with(package)) => Import::Wasi,
        _ => Import::Unknown,
    }
}
