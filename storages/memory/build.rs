//! Writes the WIT package that the component's bindings are made from, as it is or for the synchronous flavour, and the call that makes them:
//! it takes the package's folder as a literal only.

#[path = "../../guest/flavour.rs"]
mod flavour;

use std::error::Error;
use std::fs;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let wit = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../../wit");
    println!("cargo::rerun-if-changed={}", wit.display());
    println!("cargo::rerun-if-changed=../../guest/flavour.rs");
    let out = std::env::var("OUT_DIR")?;
    let to = Path::new(&out).join("wit");
    let is_sync = std::env::var_os("CARGO_FEATURE_SYNC").is_some();
    flavour::write(&wit, &to, if is_sync { flavour::synchronous } else { str::to_owned })?;
    let call = format!("wit_bindgen::generate!({{ path: {to:?}, world: \"storage-provider\", generate_all }});\n");
    Ok(fs::write(Path::new(&out).join("bindings.rs"), call)?)
}
