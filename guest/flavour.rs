//! The WIT package of the synchronous flavour, made from the one in `wit/`. Shared by the build scripts that need it.

use std::path::Path;
use std::{fs, io};

/// The text of a WIT file in the synchronous flavour: plain functions, in a package of another name, so that nobody takes one flavour for
/// the other.
pub(crate) fn synchronous(text: &str) -> String {
    text.replace(": async func(", ": func(").replace("session:repository", "session:repository-sync")
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
