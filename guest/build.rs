//! Writes the component's bindings, in the flavour that is built.

#[path = "flavour.rs"]
mod flavour;

use std::path::PathBuf;
use std::{fs, io};

/// What stands in the place of `wit/deps/clocks` where the clock is that of WASI 0.3.
const CLOCKS: &str = "clocks-0-3.wit";

fn main() -> io::Result<()> {
    for file in ["flavour.rs", CLOCKS] {
        println!("cargo::rerun-if-changed={file}");
    }
    let wit = flavour::generate("../wit", "repository", "")?;
    if std::env::var_os("CARGO_FEATURE_WASI_0_3").is_some() { with_clock_of_wasi_0_3(wit) } else { Ok(()) }
}

/// Changes the clock that the written package imports.
fn with_clock_of_wasi_0_3(wit: PathBuf) -> io::Result<()> {
    let world = wit.join("world.wit");
    let text = fs::read_to_string(&world)?;
    fs::write(world, text.replace("wasi:clocks/wall-clock@0.2.0", "wasi:clocks/system-clock@0.3.0"))?;
    fs::copy(CLOCKS, wit.join("deps/clocks/wall-clock.wit")).map(drop)
}
