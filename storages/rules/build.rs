//! Writes the bindings of the exported interface, in the flavour that is built.

#[path = "../../guest/flavour.rs"]
mod flavour;

use std::io;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=../../guest/flavour.rs");
    // Components are other crates: they export through a public macro.
    flavour::generate(
        "../../wit",
        "storage-provider",
        "pub_export_macro: true, default_bindings_module: \"session_repository_storage::bindings\",",
    )
    .map(drop)
}
