//! Chooses the components that the crate embeds, the committed ones or fresh builds for tests and packagers, and writes the call that makes the
//! bindings of the synchronous flavour from the WIT package: it takes the package's folder as a literal only.

#[path = "flavour.rs"]
mod flavour;

use std::error::Error;
use std::fs;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let root = std::env::var("CARGO_MANIFEST_DIR")?;
    for (variable, file) in
        [("SESSION_REPOSITORY_COMPONENT", "session-repository.wasm"), ("SESSION_REPOSITORY_COMPONENT_SYNC", "session-repository-sync.wasm")]
    {
        let component = std::env::var(variable).unwrap_or(format!("{root}/{file}"));
        println!("cargo::rerun-if-env-changed={variable}");
        println!("cargo::rerun-if-changed={component}");
        println!("cargo::rustc-env={variable}={component}");
    }
    let wit = Path::new(&root).join("wit");
    println!("cargo::rerun-if-changed={}", wit.display());
    println!("cargo::rerun-if-changed=flavour.rs");
    let out = std::env::var("OUT_DIR")?;
    let to = Path::new(&out).join("wit-sync");
    flavour::write(&wit, &to, flavour::synchronous)?;
    let call = format!(
        "wasmtime::component::bindgen!({{
    path: {to:?},
    world: \"repository\",
    exports: {{ default: async | store }},
    with: {{
        \"session:repository-sync/types\": super::generated::session::repository::types,
        \"session:repository-sync/storage\": super::generated::session::repository::storage,
        \"wasi:clocks/wall-clock\": super::generated::wasi::clocks::wall_clock,
    }},
}});
"
    );
    Ok(fs::write(Path::new(&out).join("synchronous.rs"), call)?)
}
