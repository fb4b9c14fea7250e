//! How source files depend on each other: never in a cycle, and in the library only downwards.
//!
//! A file depends on another one if a `use` or a path in its code leads to an item that the other one defines. A re-export is no
//! dependency: paths lead through it to the file that defines the item. Code under `#[cfg(test)]` does not count.

mod code;
mod files;

use anyhow::{Context, ensure};
use files::{Files, Module};
use std::path::Path;

/// The rooms of the library from the bottom up. A room depends on those below it; `lib.rs` stands on top.
const ROOMS: [&[&str]; 5] =
    [&["error", "guide", "limits", "scope", "types"], &["keyvalue", "store"], &["component"], &["api"], &["plugin"]];

/// A crate of the repository.
fn files(root: &str) -> anyhow::Result<Files> {
    Files::read(Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no repository")?, root)
}

#[test]
fn no_file_depends_on_one_that_depends_on_it() -> anyhow::Result<()> {
    let mut cycles = Vec::new();
    for root in [
        "host/src/lib.rs",
        "host/src/bin/session-repo/main.rs",
        "guest/src/lib.rs",
        "storages/keyvalue/src/lib.rs",
        "storages/memory/src/lib.rs",
        "storages/rules/src/lib.rs",
    ] {
        cycles.extend(files(root)?.cycles());
    }
    ensure!(cycles.is_empty(), "these files depend on each other:\n{}", cycles.join("\n"));
    Ok(())
}

#[test]
fn rooms_of_the_library_depend_on_those_below_them() -> anyhow::Result<()> {
    let library = files("host/src/lib.rs")?;
    let mut wrong = Vec::new();
    for (from, definers) in library.dependencies() {
        let floor = floor(from).with_context(|| format!("{} is in no room", library.name(from)))?;
        for to in definers {
            if self::floor(&to).is_none_or(|below| below > floor) || leaves_schema(&library, from, &to) {
                wrong.push(format!("{} -> {}", library.name(from), library.name(&to)));
            }
        }
    }
    ensure!(wrong.is_empty(), "these dependencies lead upwards:\n{}", wrong.join("\n"));
    Ok(())
}

/// What an operator sees by default names no session and repeats nothing that a driver says: a log is read by more people than the store is.
#[test]
fn no_log_at_info_names_sessions_or_repeats_the_driver() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src");
    let mut folders = vec![root.clone()];
    let (mut events, mut wrong) = (0, Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                // The program has no log of its own.
                folders.extend((!path.ends_with("bin")).then_some(path));
                continue;
            }
            let code = std::fs::read_to_string(&path)?;
            let is_mongo = path.starts_with(root.join("store/mongo"));
            for event in ["tracing::info!(", "tracing::warn!(", "tracing::error!("].iter().flat_map(|level| code.split(level).skip(1)) {
                events += 1;
                let event = event.split(");").next().unwrap_or_default();
                let names = ["session_id", "agent_id"].iter().any(|name| event.contains(name));
                let repeats = is_mongo && ["%error", "?error", "message =", "?taken"].iter().any(|field| event.contains(field));
                if names || repeats {
                    wrong.push(format!("{}: {event}", path.display()));
                }
            }
        }
    }
    ensure!(events > 20 && wrong.is_empty(), "of {events}, these do not belong into a log at info:\n{}", wrong.join("\n"));
    Ok(())
}

/// The floor that a module's room is on.
fn floor(module: &Module) -> Option<usize> {
    match module.first() {
        None => Some(ROOMS.len()),
        Some(room) => ROOMS.iter().position(|rooms| rooms.contains(&room.as_str())),
    }
}

/// Whether a dependency leads from the schema, which all stores share, to another folder of the store.
fn leaves_schema(library: &Files, from: &Module, to: &Module) -> bool {
    let in_schema = |module: &Module| module.starts_with(&["store", "schema"].map(String::from));
    let is_folder = |module: &Module| module.len() > 1 && library.modules().any(|other| other.len() > 2 && other.starts_with(&module[..2]));
    in_schema(from) && !in_schema(to) && is_folder(to)
}

#[test]
fn dependencies_are_found_through_trees_paths_and_re_exports() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::create_dir(folder.path().join("c"))?;
    for (file, code) in [
        ("lib.rs", "mod a; mod b; mod c; mod d; pub use c::deep::Item;"),
        ("a.rs", r"use crate::{b::{self, B}, Item}; pub struct A; fn f<'b>(_: &'b B, _: Item) { b::f('\'', '{') }"),
        ("b.rs", "use super::c; pub struct B; pub fn f(_: char, _: char) { c::run() } #[cfg(test)] mod tests { use crate::d::D; }"),
        ("c.rs", "pub(crate) mod deep; mod one { pub(crate) fn own() {} } pub(super) use {deep::go as run, one::own};"),
        ("c/deep.rs", "pub struct Item; pub fn go() -> super::super::a::A { f(r#\"\"crate::d::D\"#) } // crate::d::D"),
        ("d.rs", "use crate::c::own; pub struct D(crate::b::B, std::fs::File); /* crate::a::A */ fn f() { own(); g(\"\\\"crate::a::A\") }"),
    ] {
        std::fs::write(folder.path().join(file), code)?;
    }
    let planted = Files::read(folder.path(), "lib.rs")?;
    let name = |module: &Module| planted.name(module);
    let found = planted.dependencies().into_iter().map(|(from, to)| (name(from), to.iter().map(name).collect::<Vec<_>>().join(" ")));
    let [root, c] = ["lib.rs", "c.rs"].map(|file| (file, ""));
    let expected = [root, ("a.rs", "b.rs c/deep.rs"), ("b.rs", "c/deep.rs"), c, ("c/deep.rs", "a.rs"), ("d.rs", "b.rs c.rs")];
    assert_eq!(found.collect::<Vec<_>>(), expected.map(|(from, to)| (from.to_owned(), to.to_owned())));
    assert_eq!(planted.cycles(), ["a.rs -> c/deep.rs -> a.rs", "b.rs -> c/deep.rs -> a.rs -> b.rs"]);
    Ok(())
}
