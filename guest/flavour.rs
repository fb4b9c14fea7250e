//! The WIT package of the synchronous flavour, made from the one in `wit/`. Shared by the build scripts that need it.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// The text of a WIT file in the synchronous flavour: plain functions, in a package of another name, so that nobody takes one flavour for
/// the other.
pub(crate) fn synchronous(text: &str) -> String {
    text.replace(": async func(", ": func(").replace("session:repository", "session:repository-sync")
}

/// Writes the WIT package that a component's bindings are made from, in the flavour that is built, and the call that makes them: it takes the
/// package's folder as a literal only. Returns the folder.
#[allow(dead_code, reason = "the host's bindings are made by another macro")]
pub(crate) fn generate(wit: &str, world: &str, options: &str) -> io::Result<PathBuf> {
    println!("cargo::rerun-if-changed={wit}");
    let set = |variable: &str| std::env::var_os(variable).ok_or_else(|| io::Error::other(format!("cargo sets no {variable}")));
    let (root, out) = (set("CARGO_MANIFEST_DIR")?, set("OUT_DIR")?);
    let to = Path::new(&out).join("wit");
    let is_sync = std::env::var_os("CARGO_FEATURE_SYNC").is_some();
    write(&Path::new(&root).join(wit), &to, if is_sync { synchronous } else { str::to_owned })?;
    let call = format!("wit_bindgen::generate!({{ path: {to:?}, world: \"{world}\", generate_all, {options} }});\n");
    fs::write(Path::new(&out).join("bindings.rs"), call)?;
    Ok(to)
}

/// Writes a WIT package anew, each file of it changed.
pub(crate) fn write(from: &Path, to: &Path, change: fn(&str) -> String) -> io::Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    copy(from, to, change)
}

fn copy(from: &Path, to: &Path, change: fn(&str) -> String) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to, change)?;
        } else {
            fs::write(to, change(&fs::read_to_string(from)?))?;
        }
    }
    Ok(())
}
