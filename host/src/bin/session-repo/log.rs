//! What is said on stderr beside the program's own errors: the library's warnings, and with `RUST_LOG` its log.

use crate::terminal::{note, tell};
use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Modules of the library whose warnings tell the cause of an error that a call returns. The program prints that error itself.
const OF_CALLS: [&str; 6] = [
    "session_repository::store::embedded::fault",
    "session_repository::store::embedded::rows",
    "session_repository::store::mongo::error",
    "session_repository::store::mongo::transfer",
    "session_repository::store::schema::json",
    "session_repository::store::schema::read",
];

/// Fields that tell one event from others like it, of which one is enough.
const PARTICULARS: [&str; 5] = ["agent_id", "code", "error", "session_id", "taken"];

/// How much of a field is shown, in characters: errors of the driver hold the server's answer, byte by byte.
const MOST: usize = 160;

/// Prints the library's warnings, each kind once; with `RUST_LOG`, what that asks for instead.
pub(crate) fn init() {
    match filter() {
        Some(filter) => {
            tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Lines).with_ansi(false).init();
        }
        None => tracing_subscriber::registry().with(Notices::default().with_filter(LevelFilter::WARN)).init(),
    }
}

/// What `RUST_LOG` asks for.
fn filter() -> Option<EnvFilter> {
    let directives = std::env::var_os(EnvFilter::DEFAULT_ENV).filter(|directives| !directives.is_empty())?;
    let parsed = match directives.to_str() {
        Some(directives) => EnvFilter::builder().parse(directives).map_err(|error| error.to_string()),
        None => Err(String::from("it is not UTF-8")),
    };
    match parsed {
        Ok(filter) => Some(filter),
        Err(why) => {
            tell(&format!("warning: RUST_LOG has no effect: {why}"));
            None
        }
    }
}

/// Stderr, to which the log is written line by line.
struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        note(text);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Prints warnings, each kind once.
#[derive(Default)]
struct Notices {
    said: Mutex<HashSet<String>>,
}

impl<S: Subscriber> Layer<S> for Notices {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let (level, module) = (*event.metadata().level(), event.metadata().target());
        let is_ours = module.starts_with("session_repository");
        if level > Level::ERROR && !is_ours || OF_CALLS.contains(&module) {
            return;
        }
        let mut notice = Notice::default();
        event.record(&mut notice);
        if self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(notice.kind) {
            let about = if notice.about.is_empty() { String::new() } else { format!(" ({})", notice.about) };
            tell(&format!("warning: {}{about}", notice.text));
        }
    }
}

/// An event as people read it.
#[derive(Default)]
struct Notice {
    text: String,
    about: String,
    /// The text and the fields that make it another warning than others with this text.
    kind: String,
}

impl Visit for Notice {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.text, "{value:?}").and_then(|()| write!(self.kind, "{value:?};")),
            name => {
                let comma = if self.about.is_empty() { "" } else { ", " };
                let kind = if PARTICULARS.contains(&name) { Ok(()) } else { write!(self.kind, "{name}={value:?};") };
                let value = format!("{value:?}");
                let shown: String = value.chars().take(MOST).collect();
                let more = if shown.len() < value.len() { "…" } else { "" };
                kind.and_then(|()| write!(self.about, "{comma}{name}: {shown}{more}"))
            }
        };
        // Writing to text does not fail; a value that cannot be shown is left out.
        written.ok();
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}
