//! Writes the component's bindings, in the flavour that is built.

#[path = "flavour.rs"]
mod flavour;

use std::io;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=flavour.rs");
    flavour::generate("../wit", "repository", "")
}
