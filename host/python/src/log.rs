//! Warnings and errors of the host's log, for Python's `logging`.

use crate::process::Process;
use pyo3::prelude::*;
use std::fmt::{self, Write};
use std::sync::RwLock;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// The logger in Python, and the prefix of the targets in Rust.
const LOGGER: &str = "session_repository";

/// The process whose delivery thread logs. It is never waited for: in a child of a fork a thread that does not exist may hold the lock.
static PROCESS: RwLock<Option<&'static Process>> = RwLock::new(None);

/// Has the delivery thread of a process log from now on.
pub(crate) fn to(process: &'static Process) {
    // Nobody reads yet. If a thread of the parent did at the time of a fork, this process does not log.
    if let Ok(mut current) = PROCESS.try_write() {
        *current = Some(process);
    }
    // Fails in the child of a fork, which has the parent's subscriber.
    tracing::subscriber::set_global_default(Warnings).ok();
}

/// Takes warnings and errors of the host, and nothing else.
struct Warnings;

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::WARN && metadata.target().starts_with(LOGGER)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn event(&self, event: &Event<'_>) {
        let current = PROCESS.try_read().ok().and_then(|current| *current);
        let Some(process) = current.filter(|process| process.is_ours()) else { return };
        let mut line = Line::default();
        event.record(&mut line);
        // The levels of Python's `logging`.
        let level = if *event.metadata().level() == Level::ERROR { 40 } else { 30 };
        process.deliver(Box::new(move |py| {
            // A handler that raises must not end the delivery of answers.
            log(py, level, &line).ok();
        }));
    }

    // Spans are never enabled.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn log(py: Python<'_>, level: u8, line: &Line) -> PyResult<()> {
    let logger = py.import("logging")?.call_method1("getLogger", (LOGGER,))?;
    logger.call_method1("log", (level, "%s%s", &line.text, &line.fields)).map(drop)
}

/// An event as text: its message and its fields.
#[derive(Default)]
struct Line {
    text: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.text, "{value:?}"),
            name => write!(self.fields, "; {name}: {value:?}"),
        };
        // Writing to text does not fail; a value that cannot be shown is left out.
        written.ok();
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}
