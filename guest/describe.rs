//! Writes into a built component what it is, in the standard custom sections: `describe IN OUT PACKAGE`. They are at the end, behind the code.
//!
//! Names and formats are those of <https://github.com/WebAssembly/tool-conventions>. A component has no place for the docs of the interfaces
//! that it exports, so they are all docs of its world.

#[path = "digest.rs"]
mod digest;

use std::error::Error;
use std::fs;
use std::path::Path;

/// The interfaces whose docs go into the component, in the order of the world.
const INTERFACES: [&str; 6] = ["types", "sessions", "agents", "messages", "metadata", "feedback"];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(from), Some(to), Some(name)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: describe IN OUT PACKAGE".into());
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut component = fs::read(from)?;
    section(&mut component, "component-name", &[&[0], &*length(sized(&name).len()), &*sized(&name)].concat());
    let wit = |interface: &str| fs::read_to_string(root.join("wit").join(format!("{interface}.wit")));
    let mut docs = docs(&wit("world")?, |item| item == "world repository").ok_or("the world has no docs")?;
    for interface in INTERFACES {
        docs.push_str(&chapter(interface, &wit(interface)?));
    }
    let docs = format!("{{\"worlds\":{{\"root\":{{\"docs\":{}}}}}}}", json(&docs));
    // Version 0 of the format, which all readers know.
    section(&mut component, "package-docs", &[&[0], docs.as_bytes()].concat());
    for (name, text) in [
        ("description", env!("CARGO_PKG_DESCRIPTION")),
        ("licenses", env!("CARGO_PKG_LICENSE")),
        ("source", "https://crates.io/crates/session-repository"),
        ("version", env!("CARGO_PKG_VERSION")),
        ("revision", &format!("sha256:{}", digest::digest(&root)?)),
    ] {
        section(&mut component, name, text.as_bytes());
    }
    Ok(fs::write(to, component)?)
}

/// Puts a custom section behind what is there.
fn section(component: &mut Vec<u8>, name: &str, data: &[u8]) {
    let name = sized(name);
    component.push(0);
    component.extend(length(name.len() + data.len()));
    component.extend(name);
    component.extend(data);
}

/// A text behind its length.
fn sized(text: &str) -> Vec<u8> {
    [&*length(text.len()), text.as_bytes()].concat()
}

/// A length as LEB128.
fn length(mut length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (length & 0x7f) as u8;
        length >>= 7;
        if length == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// What an interface is, and each of its functions and types that has docs, as Markdown.
fn chapter(interface: &str, wit: &str) -> String {
    let mut text = format!("\n# {interface}\n\n");
    for (item, docs) in documented(wit) {
        match item.split_once(' ') {
            Some(("interface", _)) => text.push_str(&docs),
            Some(("record" | "variant" | "enum" | "type", name)) => text.push_str(&format!("\n## {interface}.{name}\n\n{docs}")),
            _ if item.ends_with(": async func") || item.ends_with(": func") => {
                let name = item.split(':').next().unwrap_or_default().trim_start_matches('%');
                text.push_str(&format!("\n## {interface}.{name}\n\n{docs}"));
            }
            // Fields and cases.
            _ => text.push_str(&format!("\n- `{item}`: {}", docs.replace('\n', " ").trim_end())),
        }
    }
    text
}

/// The docs of the first item that is wanted.
fn docs(wit: &str, is_wanted: impl Fn(&str) -> bool) -> Option<String> {
    documented(wit).into_iter().find(|(item, _)| is_wanted(item)).map(|(_, docs)| docs)
}

/// The items of a WIT file that have docs, each by how its line begins.
fn documented(wit: &str) -> Vec<(String, String)> {
    let (mut items, mut docs) = (Vec::new(), String::new());
    for line in wit.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            docs.push_str(text.strip_prefix(' ').unwrap_or(text));
            docs.push('\n');
        } else if !docs.is_empty() && !line.starts_with('@') {
            let item = line.split(['(', '{', '=', ',', ';']).next().unwrap_or_default().trim();
            items.push((item.to_owned(), std::mem::take(&mut docs)));
        }
    }
    items
}

/// A text as JSON.
fn json(text: &str) -> String {
    let mut json = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            '\n' => json.push_str("\\n"),
            '\0'..='\x1f' => json.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => json.push(character),
        }
    }
    json.push('"');
    json
}
