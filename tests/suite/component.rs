//! The committed component: what it asks of its host, what it was built from, how large it is.

#[path = "../../guest/digest.rs"]
mod digest;

use crate::parity::exported;
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

/// The content of the component's own custom sections of a name.
fn sections(wanted: &str) -> anyhow::Result<BTreeSet<String>> {
    names(|payload, names| {
        if let Payload::CustomSection(section) = payload
            && section.name() == wanted
        {
            names.insert(String::from_utf8_lossy(section.data()).into_owned());
        }
        Ok(())
    })
}

fn section(wanted: &str) -> anyhow::Result<String> {
    sections(wanted)?.pop_last().with_context(|| format!("the component has no section {wanted}: run `make component`"))
}

#[test]
fn it_was_built_from_these_sources() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let sources = format!("sha256:{}", digest::digest(&root)?);
    assert_eq!(section("revision")?, sources, "host/session-repository.wasm is out of date: run `make component`");
    Ok(())
}

#[test]
fn it_says_what_it_is() -> anyhow::Result<()> {
    assert_eq!(section("version")?, env!("CARGO_PKG_VERSION"));
    assert_eq!(section("licenses")?, "Apache-2.0");
    assert!(section("source")?.starts_with("https://"));
    assert!(sections("component-name")?.contains("\0\u{13}\u{12}session:repository"));
    let docs: serde_json::Value = serde_json::from_str(section("package-docs")?.trim_start_matches('\0'))?;
    let docs = docs["worlds"]["root"]["docs"].as_str().context("no docs")?.to_owned();
    for function in exported()? {
        let (_, rest) = docs.split_once(&format!("\n## {function}\n\n")).with_context(|| format!("{function} has no docs"))?;
        assert!(rest.split("\n## ").next().is_some_and(|text| text.contains("Errors: ")), "{function}: {rest}");
    }
    Ok(())
}
