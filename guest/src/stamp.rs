//! Time, read from the host.

/// Milliseconds since the Unix epoch of a clock's reading, whose seconds have a sign or not.
pub fn milliseconds(seconds: impl TryInto<i64>, nanoseconds: u32) -> i64 {
    let seconds = seconds.try_into().unwrap_or(i64::MAX);
    seconds.saturating_mul(1000).saturating_add(i64::from(nanoseconds / 1_000_000))
}
