//! A quota over time: a token bucket.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Holds so many tokens at most, and is filled up from empty in a time.
pub(super) struct Bucket {
    capacity: f64,
    fills_in: Duration,
    level: Mutex<Level>,
}

struct Level {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    pub(super) fn new(capacity: f64, fills_in: Duration) -> Self {
        Self { capacity, fills_in, level: Mutex::new(Level { tokens: capacity, at: Instant::now() }) }
    }

    /// Takes tokens, or tells how long it is until there are so many. A bucket never holds more than its capacity.
    pub(super) fn take(&self, tokens: f64) -> Result<(), Duration> {
        self.take_at(tokens, Instant::now())
    }

    fn take_at(&self, tokens: f64, now: Instant) -> Result<(), Duration> {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let since = now.saturating_duration_since(level.at).as_secs_f64() / self.fills_in.as_secs_f64();
        level.tokens = (level.tokens + since * self.capacity).min(self.capacity);
        level.at = level.at.max(now);
        if level.tokens >= tokens {
            level.tokens -= tokens;
            return Ok(());
        }
        // A bucket without capacity is never filled.
        let missing = (tokens - level.tokens) / self.capacity;
        Err(Duration::try_from_secs_f64(missing * self.fills_in.as_secs_f64()).unwrap_or(Duration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_full_bucket_is_emptied_at_once_and_filled_evenly() {
        let bucket = Bucket::new(10.0, SECOND);
        let begun = Instant::now();
        for _ in 0..10 {
            assert_eq!(bucket.take_at(1.0, begun), Ok(()));
        }
        assert_eq!(bucket.take_at(1.0, begun), Err(SECOND / 10));
        assert_eq!(bucket.take_at(1.0, begun + SECOND / 20), Err(SECOND / 20));
        assert_eq!(bucket.take_at(1.0, begun + SECOND / 10), Ok(()));
        assert_eq!(bucket.take_at(5.0, begun + SECOND / 10), Err(SECOND / 2));
    }

    #[test]
    fn a_bucket_saves_no_more_than_its_capacity() {
        let bucket = Bucket::new(2.0, SECOND);
        let later = Instant::now() + 100 * SECOND;
        assert_eq!([1.0, 1.0].map(|tokens| bucket.take_at(tokens, later)), [Ok(()), Ok(())]);
        assert_eq!(bucket.take_at(1.0, later), Err(SECOND / 2));
    }

    #[test]
    fn the_wait_that_it_tells_is_long_enough() {
        let bucket = Bucket::new(3.0, SECOND);
        let mut now = Instant::now();
        for _ in 0..1000 {
            if let Err(wait) = bucket.take_at(1.0, now) {
                // In whole milliseconds, as callers are told.
                now += Duration::from_millis(u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX));
                assert_eq!(bucket.take_at(1.0, now), Ok(()));
            }
        }
    }

    #[test]
    fn a_bucket_without_capacity_is_never_filled() {
        let bucket = Bucket::new(0.0, SECOND);
        assert_eq!(bucket.take_at(1.0, Instant::now() + 100 * SECOND), Err(Duration::MAX));
    }
}
