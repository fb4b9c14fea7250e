//! The committed components, one of each flavour: what they ask of their host, what they were built from, how large they are.

#[path = "../../guest/digest.rs"]
mod digest;

use crate::parity::exported;
use anyhow::Context;
use session_repository::{COMPONENT, COMPONENT_SYNC};
use std::collections::BTreeSet;
use std::path::Path;
use wasmparser::{Encoding, Parser, Payload};

/// The package and the bytes of each flavour.
const FLAVOURS: [(&str, &[u8]); 2] = [("session:repository", COMPONENT), ("session:repository-sync", COMPONENT_SYNC)];

/// The names of a component's own imports or exports, those of what is nested in it left out.
fn names(component: &[u8], select: impl Fn(&Payload<'_>, &mut BTreeSet<String>) -> anyhow::Result<()>) -> anyhow::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
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

fn set(names: &[String]) -> BTreeSet<String> {
    names.iter().cloned().collect()
}

#[test]
fn it_imports_storage_its_types_and_the_clock_and_nothing_else() -> anyhow::Result<()> {
    for (package, component) in FLAVOURS {
        let imports = names(component, |payload, names| {
            if let Payload::ComponentImportSection(imports) = payload {
                for import in imports.clone() {
                    names.insert(import?.name.name.to_owned());
                }
            }
            Ok(())
        })?;
        // The lowest version of the clock, so that every host has it.
        let clock = String::from("wasi:clocks/wall-clock@0.2.0");
        assert_eq!(imports, set(&[format!("{package}/storage@0.1.0"), format!("{package}/types@0.1.0"), clock]));
    }
    Ok(())
}

#[test]
fn it_exports_the_five_interfaces() -> anyhow::Result<()> {
    for (package, component) in FLAVOURS {
        let exports = names(component, |payload, names| {
            if let Payload::ComponentExportSection(exports) = payload {
                for export in exports.clone() {
                    names.insert(export?.name.name.to_owned());
                }
            }
            Ok(())
        })?;
        let expected = ["sessions", "agents", "messages", "metadata", "feedback"].map(|name| format!("{package}/{name}@0.1.0"));
        assert_eq!(exports, set(&expected));
    }
    Ok(())
}

#[test]
fn it_is_a_component_of_at_most_400_kilobytes() {
    for (package, component) in FLAVOURS {
        let is_component =
            matches!(Parser::new(0).parse_all(component).next(), Some(Ok(Payload::Version { encoding: Encoding::Component, .. })));
        assert!(is_component, "{package}");
        // Each cold start of the program loads and compiles it, which takes about a millisecond for each kilobyte. If it outgrows this, look
        // at what `twiggy` or `wasm-tools objdump` shows to be new; if all of it is needed, measure a cold start and raise the limit.
        assert!(component.len() <= 400_000, "{package}: {} bytes", component.len());
    }
}

#[test]
fn it_says_nothing_of_where_it_was_built() {
    for (package, component) in FLAVOURS {
        for place in ["registry/src", "/.cargo/", "/home/", "/root/", "/Users/", "/out/wit", "OUT_DIR"] {
            assert!(component.windows(place.len()).all(|bytes| bytes != place.as_bytes()), "{package}: {place}");
        }
    }
}

/// The content of a component's own custom sections of a name.
fn sections(component: &[u8], wanted: &str) -> anyhow::Result<BTreeSet<String>> {
    names(component, |payload, names| {
        if let Payload::CustomSection(section) = payload
            && section.name() == wanted
        {
            names.insert(String::from_utf8_lossy(section.data()).into_owned());
        }
        Ok(())
    })
}

fn section(component: &[u8], wanted: &str) -> anyhow::Result<String> {
    sections(component, wanted)?.pop_last().with_context(|| format!("the component has no section {wanted}: run `make component`"))
}

#[test]
fn it_was_built_from_these_sources() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let sources = format!("sha256:{}", digest::digest(&root)?);
    for (package, component) in FLAVOURS {
        assert_eq!(section(component, "revision")?, sources, "the committed component of {package} is out of date: run `make component`");
    }
    Ok(())
}

#[test]
fn it_says_what_it_is() -> anyhow::Result<()> {
    for (package, component) in FLAVOURS {
        assert_eq!(section(component, "version")?, env!("CARGO_PKG_VERSION"));
        assert_eq!(section(component, "licenses")?, "Apache-2.0");
        assert!(section(component, "source")?.starts_with("https://"));
        let named = |name: &String| name.ends_with(&format!("{}{package}", char::from(package.len() as u8)));
        assert!(sections(component, "component-name")?.iter().any(named), "{package}");
        let docs: serde_json::Value = serde_json::from_str(section(component, "package-docs")?.trim_start_matches('\0'))?;
        let docs = docs["worlds"]["root"]["docs"].as_str().context("no docs")?.to_owned();
        for function in exported()? {
            let (_, rest) = docs.split_once(&format!("\n## {function}\n\n")).with_context(|| format!("{function} has no docs"))?;
            assert!(rest.split("\n## ").next().is_some_and(|text| text.contains("Errors: ")), "{function}: {rest}");
        }
    }
    Ok(())
}
