//! `session-repo plugin new`.

use crate::args::Language;
use crate::output;
use anyhow::{Context, bail};
use std::fs;
use std::path::Path;

/// The WIT that plugins see.
const WIT: [(&str, &str); 7] = [
    ("plugin.wit", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/wit/plugin.wit"))),
    ("types.wit", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/wit/types.wit"))),
    ("sessions.wit", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/wit/sessions.wit"))),
    ("agents.wit", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/wit/agents.wit"))),
    ("messages.wit", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/wit/messages.wit"))),
    ("metadata.wit", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/wit/metadata.wit"))),
    ("feedback.wit", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/wit/feedback.wit"))),
];

const WORLD: (&str, &str) = ("wit/world.wit", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/world.wit")));

const RUST: [(&str, &str); 4] = [
    ("Cargo.toml", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/rust/manifest.toml"))),
    (".cargo/config.toml", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/rust/config.toml"))),
    ("src/lib.rs", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/rust/lib.rs"))),
    ("README.md", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/rust/README.md"))),
];

const PYTHON: [(&str, &str); 2] = [
    ("app.py", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/python/app.py"))),
    ("README.md", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/python/README.md"))),
];

pub(super) fn run(language: Language, name: &str) -> anyhow::Result<()> {
    let folder = Path::new(name);
    if folder.exists() {
        bail!("{name} exists already");
    }
    let own: &[(&str, &str)] = match language {
        Language::Rust => &RUST,
        Language::Python => &PYTHON,
    };
    for (file, text) in own.iter().chain([&WORLD]) {
        write(&folder.join(file), &text.replace("{name}", name).replace("{module}", &name.replace('-', "_")))?;
    }
    for (file, text) in WIT {
        write(&folder.join("wit/deps/session-repository").join(file), text)?;
    }
    output::print(&format!("wrote {name}/; {name}/README.md says how to build and run it"))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let write = || {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, text)
    };
    write().with_context(|| path.display().to_string())
}
