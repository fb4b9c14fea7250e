//! Reading and compiling a plugin, or another component that somebody brings.

use crate::output::progress;
use crate::prepare;
use anyhow::{Context, bail};
use session_repository::plugin;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;
use wasmtime::component::Component;
use wasmtime::{Config, Engine};

/// How large the file of a plugin may be, in bytes: that of an interpreter with its libraries has some 50 MB.
const LARGEST: u64 = 256 << 20;

/// The file of a plugin.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let named = || path.display().to_string();
    // Before it is opened, which a pipe would not return from.
    if !std::fs::metadata(path).with_context(named)?.is_file() {
        bail!("{}: is no file", path.display());
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).with_context(named)?;
    if bytes.len() as u64 > LARGEST {
        bail!("{}: has more than {} MiB", path.display(), LARGEST >> 20);
    }
    Ok(bytes)
}

/// A plugin, compiled for an engine of its own, or taken from where an earlier command left it compiled.
pub(crate) fn compile(path: &Path, bytes: &[u8]) -> anyhow::Result<Component> {
    if !bytes.starts_with(b"\0asm") {
        bail!("{}: is no WebAssembly file", path.display());
    }
    if is_core_module(bytes) {
        bail!(
            "{}: is a core module, not a component: `wasm-tools component new`, or a linker such as wasm-component-ld, makes one",
            path.display()
        );
    }
    let mut config = Config::new();
    config.wasm_component_model_async(true).epoch_interruption(true);
    config.cache(prepare::cache_folder("plugins").and_then(plugin::cache));
    let engine = Engine::new(&config).map_err(|error| failed("the engine cannot be made", &error))?;
    // Of a plugin in an interpreted language, this takes seconds the first time.
    let bar = progress("{spinner} compiling the component");
    bar.enable_steady_tick(Duration::from_millis(100));
    let component = plugin::compile(&engine, bytes);
    bar.finish_and_clear();
    component.map_err(|error| failed(&format!("{}: cannot be compiled", path.display()), &error))
}

/// A failure of Wasmtime with its cause. Where in the plugin it was is for the log.
pub(super) fn failed(what: &str, error: &wasmtime::Error) -> anyhow::Error {
    tracing::debug!(?error, "a plugin failed");
    anyhow::anyhow!("{what}: {}", error.root_cause())
}

/// The name under which logs and audits know a plugin.
pub(super) fn name(path: &Path) -> String {
    path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}

/// The header of a core module: a magic number and version 1, without the layer that components have.
fn is_core_module(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x01\0\0\0")
}
