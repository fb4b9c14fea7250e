//! How often something is tried that others who write to the session can get in the way of.

use crate::error::Error;
use std::time::Duration;

/// Attempts of a write whose filter matches nothing while the look that follows finds no cause. Another writer has to slip in between the
/// two each time for this to run out.
pub(crate) const ATTEMPTS: usize = 32;

/// Why a call gave up.
pub(crate) fn contended() -> Error {
    Error::Unavailable(String::from("the session changed at each attempt, because of others who write to it"))
}

/// Waits before another attempt, the longer the more there have been, so that those who are in each other's way get out of it.
pub(crate) async fn back_off(attempt: usize) {
    const FREE: usize = 2;
    if let Some(more) = attempt.checked_sub(FREE) {
        tokio::time::sleep(Duration::from_micros(500).saturating_mul(u32::try_from(more).unwrap_or(u32::MAX))).await;
    }
}
