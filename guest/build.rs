//! Writes the WIT package that the component's bindings are made from, as it is or for the synchronous flavour, and the call that makes them:
//! it takes the package's folder as a literal only.

#[path = "flavour.rs"]
mod flavour;

use std::error::Error;
use std::fs;
use std::path::Path;

/// What stands in the place of `wit/deps/clocks` where the clock is that of WASI 0.3.
const CLOCKS: &str = "clocks-0-3.wit";

fn main() -> Result<(), Box<dyn Error>> {
    let wit = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../wit");
    println!("cargo::rerun-if-changed={}", wit.display());
    for file in ["flavour.rs", CLOCKS] {
        println!("cargo::rerun-if-changed={file}");
    }
    let out = std::env::var("OUT_DIR")?;
    let to = Path::new(&out).join("wit");
    let is_sync = std::env::var_os("CARGO_FEATURE_SYNC").is_some();
    flavour::write(&wit, &to, if is_sync { flavour::synchronous } else { str::to_owned })?;
    if std::env::var_os("CARGO_FEATURE_WASI_0_3").is_some() {
        let world = fs::read_to_string(to.join("world.wit"))?;
        fs::write(to.join("world.wit"), world.replace("wasi:clocks/wall-clock@0.2.0", "wasi:clocks/system-clock@0.3.0"))?;
        fs::copy(CLOCKS, to.join("deps/clocks/wall-clock.wit"))?;
    }
    let call = format!("wit_bindgen::generate!({{ path: {to:?}, world: \"repository\", generate_all }});\n");
    Ok(fs::write(Path::new(&out).join("bindings.rs"), call)?)
}
