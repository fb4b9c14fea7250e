//! What a plugin says of itself, in the custom sections that toolchains write.

use std::collections::{BTreeMap, BTreeSet};
use wasmparser::{ComponentName, KnownCustom, Parser, Payload, ProducersSectionReader};

/// Sections with a text, which the outermost component has about all of the plugin.
const TEXTS: [&str; 7] = ["version", "description", "authors", "licenses", "source", "homepage", "revision"];

/// Fields of the section `producers`, by its specification.
const PRODUCERS: [&str; 3] = ["language", "processed-by", "sdk"];

/// How many names of a field of `producers` are taken, and how many characters of a text: whoever wrote them is not trusted.
const MOST_NAMES: usize = 20;
const MOST_CHARACTERS: usize = 200;

/// Names and values, in the order in which they are to be shown. What is malformed is left out: nothing depends on it.
pub(super) fn metadata(plugin: &[u8]) -> Vec<(&'static str, String)> {
    let (mut texts, mut producers, mut depth) = (BTreeMap::new(), BTreeMap::<_, BTreeSet<String>>::new(), 0_usize);
    for payload in Parser::new(0).parse_all(plugin).map_while(Result::ok) {
        match payload {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) => match section.as_known() {
                KnownCustom::ComponentName(names) if depth == 1 => {
                    for name in names.into_iter().map_while(Result::ok) {
                        if let ComponentName::Component { name, .. } = name {
                            texts.insert("name", shortened(name));
                        }
                    }
                }
                KnownCustom::Producers(fields) => add(&mut producers, fields),
                _ if depth == 1 => {
                    if let Some(name) = TEXTS.into_iter().find(|name| *name == section.name()) {
                        // A character has four bytes at most; one that is cut in two is behind the last that is shown.
                        let data = section.data().get(..4 * (MOST_CHARACTERS + 1)).unwrap_or(section.data());
                        texts.insert(name, shortened(&String::from_utf8_lossy(data)));
                    }
                }
                _ => {}
            },
            _ => {}
        }
    }
    let mut said: Vec<_> = ["name"].into_iter().chain(TEXTS).filter_map(|name| Some((name, texts.remove(name)?))).collect();
    said.extend(PRODUCERS.into_iter().filter_map(|name| Some((name, producers.remove(name)?.into_iter().collect::<Vec<_>>().join(", ")))));
    said.into_iter().map(|(name, text)| (name, shortened(&text))).collect()
}

/// Adds what one module or component was made by.
fn add(producers: &mut BTreeMap<&'static str, BTreeSet<String>>, fields: ProducersSectionReader<'_>) {
    for field in fields.into_iter().map_while(Result::ok) {
        let Some(name) = PRODUCERS.into_iter().find(|name| *name == field.name) else { continue };
        let names = producers.entry(name).or_default();
        for value in field.values.into_iter().map_while(Result::ok) {
            if names.len() == MOST_NAMES {
                break;
            }
            names.insert(format!("{} {}", shortened(value.name), shortened(value.version)).trim().to_owned());
        }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
