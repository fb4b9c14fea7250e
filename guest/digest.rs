//! The digest of everything that decides what the component is. Shared by the program that puts it into the component and by the test that
//! finds a committed component out of date.

use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Files and folders that decide, below the workspace's root; folders count as a whole.
pub(crate) const INPUTS: [&str; 9] = [
    "guest/Cargo.toml",
    "guest/build.rs",
    "guest/clocks-0-3.wit",
    "guest/describe.rs",
    "guest/digest.rs",
    "guest/flavour.rs",
    "guest/src",
    "wit",
    ".cargo/config.toml",
];

/// The digest of the guest's sources, the WIT package, the build profile and the guest's part of the lock file.
pub(crate) fn digest(root: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    for input in INPUTS {
        collect(&root.join(input), &mut files)?;
    }
    let mut hasher = Sha256::new();
    let mut add = |name: &str, content: &str| {
        // Line ends as git stores them, whatever the checkout made of them.
        let content = content.replace("\r\n", "\n");
        hasher.update(format!("{name}\n{}\n", content.len()));
        hasher.update(content);
    };
    let mut named = Vec::new();
    for file in files {
        let name = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        named.push((name, fs::read_to_string(&file)?));
    }
    named.sort();
    for (name, content) in &named {
        add(name, content);
    }
    add("profile", &profile(&fs::read_to_string(root.join("Cargo.toml"))?));
    add("lock", &locked(&fs::read_to_string(root.join("Cargo.lock"))?, "session-repository-component"));
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    } else {
        files.push(path.to_owned());
    }
    Ok(())
}

/// The `component` profile out of the workspace's manifest, and the edition.
fn profile(manifest: &str) -> String {
    let edition = manifest.lines().filter(|line| line.starts_with("edition"));
    let section = manifest.lines().skip_while(|line| *line != "[profile.component]");
    let section = section.enumerate().take_while(|(number, line)| *number == 0 || !line.starts_with('[')).map(|(_, line)| line);
    edition.chain(section).map(|line| format!("{line}\n")).collect()
}

/// The lock file's entries for a package and all that it depends on.
fn locked(lock: &str, package: &str) -> String {
    let entries: Vec<&str> = lock.split("[[package]]").skip(1).map(str::trim).collect();
    let mut wanted = vec![package.to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        // A dependency is listed as `name`, or as `name version` where several versions are locked.
        let (name, version) = name.split_once(' ').unwrap_or((&name, ""));
        for entry in &entries {
            let is = |line: &str, value: &str| value.is_empty() || entry.lines().any(|l| l == format!("{line} = \"{value}\""));
            if !is("name", name) || !is("version", version) || !seen.insert(*entry) {
                continue;
            }
            let dependencies = entry.split("dependencies = [").nth(1).unwrap_or_default();
            wanted.extend(dependencies.lines().filter_map(|line| Some(line.trim().strip_prefix('"')?.split('"').next()?.to_owned())));
        }
    }
    seen.into_iter().collect::<Vec<_>>().join("\n")
}
