//! The committed component: what it asks of its host, what it was built from, how large it is.

#[path = "../../guest/digest.rs"]
mod digest;

use anyhow::Context;
use session_repository::COMPONENT;
use std::collections::BTreeSet;
use std::path::Path;
use wasmparser::{Encoding, Parser, Payload};

/// The names of the component's own imports or exports, those of what is nested in it left out.
fn names(select: impl Fn(&Payload<'_>, &mut BTreeSet<String>) -> anyhow::Result<()>) -> anyhow::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(COMPONENT) {
        let payload = payload?;
        match &payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            _ if depth == 0 => select(&payload, &mut names)?,
            _ => {}
        }
    }
    Ok(names)
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn it_imports_storage_its_types_and_the_clock_and_nothing_else() -> anyhow::Result<()> {
    let imports = names(|payload, names| {
        if let Payload::ComponentImportSection(imports) = payload {
            for import in imports.clone() {
                names.insert(import?.name.name.to_owned());
            }
        }
        Ok(())
    })?;
    // The lowest version of the clock, so that every host has it.
    let expected = ["session:repository/storage@0.1.0", "session:repository/types@0.1.0", "wasi:clocks/wall-clock@0.2.0"];
    assert_eq!(imports, set(&expected));
    Ok(())
}

#[test]
fn it_exports_the_five_interfaces() -> anyhow::Result<()> {
    let exports = names(|payload, names| {
        if let Payload::ComponentExportSection(exports) = payload {
            for export in exports.clone() {
                names.insert(export?.name.name.to_owned());
            }
        }
        Ok(())
    })?;
    let expected = ["sessions", "agents", "messages", "metadata", "feedback"].map(|name| format!("session:repository/{name}@0.1.0"));
    assert_eq!(exports, expected.into_iter().collect());
    Ok(())
}

#[test]
fn it_is_a_component_of_at_most_400_kilobytes() {
    let is_component =
        matches!(Parser::new(0).parse_all(COMPONENT).next(), Some(Ok(Payload::Version { encoding: Encoding::Component, .. })));
    assert!(is_component);
    // Each cold start of the program loads and compiles it, which takes about a millisecond for each kilobyte. If it outgrows this, look at
    // what `twiggy` or `wasm-tools objdump` shows to be new; if all of it is needed, measure a cold start and raise the limit.
    assert!(COMPONENT.len() <= 400_000, "{} bytes", COMPONENT.len());
}

#[test]
fn it_says_nothing_of_where_it_was_built() {
    for place in ["registry/src", "/.cargo/", "/home/", "/root/", "/Users/"] {
        assert!(COMPONENT.windows(place.len()).all(|bytes| bytes != place.as_bytes()), "{place}");
    }
}

#[test]
fn it_was_built_from_these_sources() -> anyhow::Result<()> {
    let built_from = Parser::new(0).parse_all(COMPONENT).find_map(|payload| match payload {
        Ok(Payload::CustomSection(section)) if section.name() == digest::SECTION => Some(section.data().to_owned()),
        _ => None,
    });
    let built_from = String::from_utf8(built_from.context("the component carries no digest of its sources")?)?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    assert_eq!(built_from, digest::digest(&root)?, "host/session-repository.wasm is out of date: run `make component`");
    Ok(())
}
