//! What the cases cover: each error that the WIT docs name for a function, and each rule.

use super::data::{Rule, Suite};
use std::collections::{BTreeMap, BTreeSet};

/// The exported interfaces as they are documented.
const INTERFACES: [(&str, &str); 5] = [
    ("sessions", include_str!("../../../../wit/sessions.wit")),
    ("agents", include_str!("../../../../wit/agents.wit")),
    ("messages", include_str!("../../../../wit/messages.wit")),
    ("metadata", include_str!("../../../../wit/metadata.wit")),
    ("feedback", include_str!("../../../../wit/feedback.wit")),
];

/// The errors that functions name as their own.
const ERRORS: [&str; 7] =
    ["invalid-argument", "not-found(session)", "not-found(agent)", "not-found(message)", "already-exists(", "stale", "too-large"];

/// How many cases there are about something.
#[derive(Debug, Clone)]
pub(super) struct Covered {
    pub(super) promise: String,
    pub(super) cases: usize,
}

/// The functions and their errors in the order of the interfaces, then the rules. What depends on the limits of a host is left out.
pub(super) fn of(suite: &Suite) -> Vec<Covered> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for case in &suite.cases {
        for about in case.about.iter().map(String::as_str).collect::<BTreeSet<_>>() {
            *counts.entry(about).or_default() += 1;
        }
    }
    let promises = functions().into_iter().chain(suite.rules.iter().map(|Rule { name, .. }| name.clone()));
    promises.map(|promise| Covered { cases: counts.get(promise.as_str()).copied().unwrap_or_default(), promise }).collect()
}

/// What cases are about that is neither a function, nor an error of one, nor a rule.
pub(super) fn unknown(suite: &Suite) -> Vec<String> {
    let known: BTreeSet<String> = of(suite).into_iter().map(|covered| covered.promise).collect();
    suite.cases.iter().flat_map(|case| &case.about).filter(|about| !known.contains(*about)).cloned().collect()
}

/// Each function, followed by its errors: `messages.read`, `messages.read: invalid-argument`.
fn functions() -> Vec<String> {
    let mut promises = Vec::new();
    for (interface, wit) in INTERFACES {
        let mut errors: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut docs = String::new();
        for line in wit.lines().map(str::trim) {
            if let Some(text) = line.strip_prefix("///") {
                docs.push_str(text);
            } else if let Some((name, _)) = line.split_once(": async func(") {
                let name = name.trim_start_matches('%');
                let text = docs.rsplit_once("Errors: ").map(|(_, text)| text).unwrap_or_default();
                let mut own = Vec::new();
                for code in text.split('`').skip(1).step_by(2) {
                    if ERRORS.iter().any(|error| code.starts_with(error)) {
                        own.push(code.to_owned());
                    } else if let Some(others) = errors.get(code).filter(|_| text.contains(&format!("as for `{code}`"))) {
                        own.extend(others.clone());
                    }
                }
                let mut seen = BTreeSet::new();
                own.retain(|error| error != "too-large" && seen.insert(error.clone()));
                promises.push(format!("{interface}.{name}"));
                promises.extend(own.iter().map(|error| format!("{interface}.{name}: {error}")));
                errors.insert(name, own);
                docs.clear();
            } else if !line.starts_with('@') {
                docs.clear();
            }
        }
    }
    promises
}
