//! Writes the WIT package of the synchronous flavour into a folder, for those who bind to it: `wit-sync FOLDER`.

#[path = "flavour.rs"]
mod flavour;

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).ok_or("usage: wit-sync FOLDER")?;
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    Ok(flavour::write(&wit, Path::new(&folder), flavour::synchronous)?)
}
