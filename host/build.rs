//! Chooses the component that the crate embeds: the committed one, or a fresh build for tests and packagers.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let committed = format!("{}/session-repository.wasm", std::env::var("CARGO_MANIFEST_DIR")?);
    let component = std::env::var("SESSION_REPOSITORY_COMPONENT").unwrap_or(committed);
    println!("cargo::rerun-if-env-changed=SESSION_REPOSITORY_COMPONENT");
    println!("cargo::rerun-if-changed={component}");
    println!("cargo::rustc-env=SESSION_REPOSITORY_COMPONENT={component}");
    Ok(())
}
