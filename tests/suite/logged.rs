//! Counting what is logged on the test's own thread.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tracing::field::Field;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

/// Events of a level whose text holds a part, counted until this is dropped.
pub(crate) struct Logged {
    count: Arc<AtomicUsize>,
    _guard: DefaultGuard,
    _another: Dispatch,
}

impl Logged {
    pub(crate) fn count(level: Level, part: &'static str) -> Self {
        let count = Arc::<AtomicUsize>::default();
        Self {
            // If there is only one, threads without it decide that nobody is interested.
            _another: Dispatch::new(Counter { level, part, count: Arc::default() }),
            _guard: tracing::subscriber::set_default(Counter { level, part, count: Arc::clone(&count) }),
            count,
        }
    }

    /// How many there were since this was asked last.
    pub(crate) fn take(&self) -> usize {
        self.count.swap(0, Ordering::Relaxed)
    }
}

struct Counter {
    level: Level,
    part: &'static str,
    count: Arc<AtomicUsize>,
}

impl Subscriber for Counter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == self.level
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut |_: &Field, value: &dyn Debug| {
            if format!("{value:?}").contains(self.part) {
                self.count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
