//! Time, read from the host.

/// Milliseconds since the Unix epoch of a wall clock's reading.
pub fn milliseconds(seconds: u64, nanoseconds: u32) -> i64 {
    let milliseconds = seconds.saturating_mul(1000).saturating_add(u64::from(nanoseconds / 1_000_000));
    i64::try_from(milliseconds).unwrap_or(i64::MAX)
}
