//! The suite as it is written: files of cases. `README.md` beside them says what each member means.

use anyhow::{Context, ensure};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeSet;

/// The files of the suite.
macro_rules! files {
    ($($name:literal)+) => {
        &[$(($name, include_str!(concat!("../../../../conformance/", $name, ".json")))),+]
    };
}

const FILES: &[(&str, &str)] = files![
    "sessions" "agents" "messages" "pages" "metadata" "feedback" "values" "corners" "arguments" "bodies" "effects" "appends" "keys" "revisions"
    "expectations"
    "rules"
];

/// A set of promises that a repository keeps as a whole. Each is above those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Level {
    /// The calls of the reference's API.
    Core,
    /// Ids from the store, idempotency keys, revisions.
    Appends,
}

impl Level {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Appends => "appends",
        }
    }
}

/// The cases and the rules that they are about.
pub(super) struct Suite {
    pub(super) cases: Vec<Case>,
    pub(super) rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[expect(dead_code, reason = "for readers of the file")]
    about: String,
    #[serde(default)]
    cases: Vec<Case>,
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) about: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) level: Level,
    pub(super) about: Vec<String>,
    pub(super) steps: Vec<Step>,
    #[serde(skip)]
    pub(super) file: &'static str,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Step {
    Call(Expected),
    Wait(Wait),
    Later(Later),
    NotEarlier(NotEarlier),
    Repeat(Repeat),
    ForEach(ForEach),
    AtOnce(AtOnce),
}

/// A call with the answer that it must get.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    pub(super) call: String,
    pub(super) args: Value,
    #[serde(default, deserialize_with = "present")]
    pub(super) result: Option<Value>,
    pub(super) error: Option<Value>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wait {
    #[serde(rename = "wait")]
    _for: Millisecond,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Millisecond {
    Millisecond,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Later {
    pub(super) later: [String; 2],
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NotEarlier {
    #[serde(rename = "not-earlier")]
    pub(super) not_earlier: [String; 2],
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Repeat {
    pub(super) repeat: u64,
    #[serde(rename = "as")]
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ForEach {
    #[serde(rename = "for-each")]
    pub(super) values: Vec<Value>,
    #[serde(rename = "as")]
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AtOnce {
    #[serde(rename = "at-once")]
    pub(super) writers: Vec<Writer>,
    pub(super) answers: Vec<Outcome>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Writer {
    InTurn(Vec<Made>),
    Single(Made),
}

/// A call, or the same several times.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Made {
    pub(super) repeat: Option<u64>,
    #[serde(rename = "as")]
    pub(super) name: Option<String>,
    pub(super) call: String,
    pub(super) args: Value,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Outcome {
    pub(super) count: u64,
    #[serde(default, deserialize_with = "present")]
    pub(super) result: Option<Value>,
    pub(super) error: Option<Value>,
    #[serde(rename = "as")]
    pub(super) winner: Option<String>,
}

/// A member that is there, null included.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Suite {
    pub(super) fn read() -> anyhow::Result<Self> {
        let mut suite = Self { cases: Vec::new(), rules: Vec::new() };
        for (name, text) in FILES {
            let file: File = serde_json::from_str(text).with_context(|| format!("{name}.json"))?;
            suite.cases.extend(file.cases.into_iter().map(|case| Case { file: name, ..case }));
            suite.rules.extend(file.rules);
        }
        let mut names = BTreeSet::new();
        for case in &suite.cases {
            ensure!(names.insert(&case.name), "two cases are called {}", case.name);
        }
        Ok(suite)
    }
}
