//! What became of the cases: for people, as JSON, as JUnit XML.

use super::case::Failure;
use super::data::Case;
use serde_json::{Value, json};
use std::time::Duration;

/// What became of a case.
pub(super) struct Ran<'a> {
    pub(super) case: &'a Case,
    pub(super) failure: Option<Failure>,
    pub(super) took: Duration,
}

/// How many failed.
pub(super) fn failed(ran: &[Ran<'_>]) -> usize {
    ran.iter().filter(|ran| ran.failure.is_some()).count()
}

/// A line for each case that failed, with what was wrong below it, and a count at the end.
pub(super) fn text(ran: &[Ran<'_>]) -> String {
    let mut text = String::new();
    for Ran { case, failure, .. } in ran {
        if let Some(Failure { step, why }) = failure {
            text += &format!("FAILED {} ({}, {}.json)\n  about  {}\n", case.name, case.level.name(), case.file, case.about.join(", "));
            text += &format!("  step   {step}\n  why    {why}\n\n");
        }
    }
    let failed = failed(ran);
    let passed = ran.len() - failed;
    text + &if failed == 0 { format!("{passed} cases passed") } else { format!("{passed} cases passed, {failed} failed") }
}

/// The same for programs.
pub(super) fn json(ran: &[Ran<'_>]) -> Value {
    let case = |Ran { case, failure, took }: &Ran<'_>| {
        let failure = failure.as_ref().map(|Failure { step, why }| json!({"step": step, "why": why}));
        json!({
            "name": case.name, "level": case.level.name(), "file": case.file, "about": case.about,
            "passed": failure.is_none(), "failure": failure, "seconds": took.as_secs_f64(),
        })
    };
    json!({"passed": ran.len() - failed(ran), "failed": failed(ran), "cases": ran.iter().map(case).collect::<Vec<_>>()})
}

/// The same as build servers read it.
pub(super) fn junit(ran: &[Ran<'_>]) -> String {
    let seconds: f64 = ran.iter().map(|ran| ran.took.as_secs_f64()).sum();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let counts = format!("tests=\"{}\" failures=\"{}\" time=\"{seconds:.3}\"", ran.len(), failed(ran));
    xml += &format!("<testsuites {counts}>\n  <testsuite name=\"session-repository\" {counts}>\n");
    for Ran { case, failure, took } in ran {
        let class = format!("{}.{}", case.level.name(), case.file);
        xml +=
            &format!("    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"", escaped(&class), escaped(&case.name), took.as_secs_f64());
        xml += &match failure {
            Some(Failure { step, why }) => {
                format!(">\n      <failure message=\"{}\">{}</failure>\n    </testcase>\n", escaped(why), escaped(step))
            }
            None => String::from("/>\n"),
        };
    }
    xml + "  </testsuite>\n</testsuites>\n"
}

/// Text as XML can hold it.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(c),
            // XML has no way to write these.
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            c => escaped.push(c),
        }
    }
    escaped
}
