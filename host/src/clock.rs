//! The host's clock, which guests read through `wasi:clocks/wall-clock`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The latest reading that this process has handed out, in nanoseconds since the Unix epoch.
static LATEST: Latest = Latest::new();

/// The time of day in nanoseconds since the Unix epoch. Never steps back within a process, whatever the machine's clock does: messages
/// are ordered by these stamps.
pub(crate) fn now() -> u64 {
    let reading = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    LATEST.advance(u64::try_from(reading.as_nanos()).unwrap_or(u64::MAX))
}

struct Latest(AtomicU64);

impl Latest {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    fn advance(&self, reading: u64) -> u64 {
        self.0.fetch_max(reading, Ordering::AcqRel).max(reading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_steps_back_is_held_at_its_latest_reading() {
        let latest = Latest::new();
        assert_eq!([5, 9, 3, 9, 12].map(|reading| latest.advance(reading)), [5, 9, 9, 9, 12]);
    }
}
