//! Puts the digest of the sources into the component.

#[path = "digest.rs"]
mod digest;

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("..").canonicalize()?;
    for input in digest::INPUTS.iter().chain(&["Cargo.toml", "Cargo.lock"]) {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    std::fs::write(PathBuf::from(std::env::var("OUT_DIR")?).join("sources"), digest::digest(&root)?)?;
    Ok(())
}
