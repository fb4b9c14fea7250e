//! The host's clock, which guests read through `wasi:clocks/wall-clock`.
//!
//! Messages are ordered by its stamps, so it never steps back within a process, whatever the machine's clock does. A machine's clock that
//! jumps forward must not pin the process to the future, so the monotonic clock watches it:
//!
//! - A reading within [`TOLERANCE`] of what the monotonic clock allows is believed.
//! - Any other reading is doubted: the stamp is the earlier one of the two clocks. When the machine's clock jumps back to where it was, it
//!   is believed again at once.
//! - A machine that was suspended, or whose clock was corrected, keeps its distance. It is believed once it has kept it for [`PATIENCE`].

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How far the machine's clock may be from the monotonic clock between two readings.
const TOLERANCE: u64 = nanoseconds(Duration::from_mins(1));

/// How long the machine's clock must keep a greater distance until it is believed.
const PATIENCE: u64 = nanoseconds(Duration::from_mins(5));

/// The clock of this process.
static CLOCK: Mutex<Clock> = Mutex::new(Clock { latest: 0, believed: None, doubt: None });

/// The time of day in nanoseconds since the Unix epoch. Never steps back within a process.
pub(crate) fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    // Both clocks are read under the lock, so that readings come in their order.
    let mut clock = CLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    clock.stamp(Reading { wall: nanoseconds(wall), monotonic: nanoseconds(start.elapsed()) })
}

/// All there are up to the year 2554, and that many from then on.
const fn nanoseconds(duration: Duration) -> u64 {
    let nanoseconds = duration.as_nanos();
    if nanoseconds > u64::MAX as u128 { u64::MAX } else { nanoseconds as u64 }
}

/// One look at both clocks, in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Reading {
    /// Since the Unix epoch.
    wall: u64,
    /// Since a moment of its own.
    monotonic: u64,
}

#[derive(Debug, Default)]
struct Clock {
    /// The latest stamp.
    latest: u64,
    /// The last reading that was believed.
    believed: Option<Reading>,
    /// The first of the readings that keep a distance for which they are doubted.
    doubt: Option<Doubt>,
}

#[derive(Debug)]
struct Doubt {
    since: u64,
    /// How far the machine's clock is from the monotonic one; negative if it is behind.
    distance: i128,
}

impl Clock {
    fn stamp(&mut self, reading: Reading) -> u64 {
        let believed = *self.believed.get_or_insert(reading);
        let expected = believed.wall.saturating_add(reading.monotonic.saturating_sub(believed.monotonic));
        let time = if self.believes(reading, expected) {
            self.believed = Some(reading);
            self.doubt = None;
            reading.wall
        } else {
            reading.wall.min(expected)
        };
        self.latest = self.latest.max(time);
        self.latest
    }

    fn believes(&mut self, reading: Reading, expected: u64) -> bool {
        let distance = i128::from(reading.wall) - i128::from(expected);
        if distance.unsigned_abs() <= u128::from(TOLERANCE) {
            return true;
        }
        match &self.doubt {
            Some(doubt) if doubt.distance.abs_diff(distance) <= u128::from(TOLERANCE) => {
                reading.monotonic.saturating_sub(doubt.since) >= PATIENCE
            }
            _ => {
                self.doubt = Some(Doubt { since: reading.monotonic, distance });
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const MINUTE: u64 = 60 * SECOND;
    const DAY: u64 = 24 * 60 * MINUTE;
    /// What the machine's clock shows at first.
    const START: u64 = 20_000 * DAY;

    /// Stamps, in seconds after the start, for readings of the machine's clock and the monotonic clock, in seconds after theirs.
    fn stamps<const N: usize>(readings: [(i64, u64); N]) -> [i64; N] {
        let mut clock = Clock::default();
        let mut latest = 0;
        readings.map(|(wall, monotonic)| {
            let wall = START.saturating_add_signed(wall.saturating_mul(1_000_000_000));
            let stamp = clock.stamp(Reading { wall, monotonic: monotonic * SECOND });
            assert!(stamp >= latest, "a clock that steps back");
            latest = stamp;
            (i128::from(stamp) - i128::from(START)).div_euclid(i128::from(SECOND)) as i64
        })
    }

    #[test]
    fn the_machines_clock_is_believed_while_it_goes_with_the_monotonic_one() {
        assert_eq!(stamps([(0, 0), (5, 5), (5, 5), (3_600, 3_600)]), [0, 5, 5, 3_600]);
    }

    #[test]
    fn a_slow_drift_is_followed_however_far_it_goes() {
        // The machine's clock gains a tenth, then loses one.
        assert_eq!(stamps([(0, 0), (330, 300), (660, 600), (990, 900), (1260, 1200)]), [0, 330, 660, 990, 1260]);
    }

    #[test]
    fn steps_of_a_minute_are_believed() {
        assert_eq!(stamps([(0, 0), (70, 10), (141, 20)]), [0, 70, 80]);
    }

    #[test]
    fn a_jump_forward_that_is_taken_back_leaves_no_trace() {
        let year = 365 * 86_400;
        assert_eq!(stamps([(0, 0), (year, 1), (year + 100, 101), (102, 102), (103, 103)]), [0, 1, 101, 102, 103]);
    }

    #[test]
    fn a_jump_forward_for_good_is_believed_after_five_minutes() {
        assert_eq!(stamps([(0, 0), (3_600, 10), (3_709, 119), (3_899, 309), (3_900, 310), (3_901, 311)]), [0, 10, 119, 309, 3_900, 3_901]);
    }

    #[test]
    fn a_distance_that_changes_is_doubted_anew() {
        // An hour ahead for four minutes, then a day.
        assert_eq!(stamps([(0, 0), (3_600, 1), (3_840, 241), (86_400, 301), (86_500, 401), (86_700, 601)]), [0, 1, 241, 301, 401, 86_700]);
    }

    #[test]
    fn a_jump_that_was_taken_back_and_comes_again_is_doubted_anew() {
        assert_eq!(stamps([(0, 0), (3_600, 1), (2, 2), (3_999, 399), (4_298, 698), (4_299, 699)]), [0, 1, 2, 399, 698, 4_299]);
    }

    #[test]
    fn a_suspended_machine_is_believed_after_five_minutes() {
        assert_eq!(stamps([(0, 0), (30_000, 1), (30_299, 300), (30_300, 301)]), [0, 1, 300, 30_300]);
    }

    #[test]
    fn a_jump_back_is_held_at_the_latest_stamp_until_the_clock_has_caught_up() {
        assert_eq!(stamps([(1_000, 0), (0, 1), (301, 302), (999, 1_000), (1_001, 1_002)]), [1_000, 1_000, 1_000, 1_000, 1_001]);
    }

    #[test]
    fn a_jump_back_that_is_taken_back_leaves_no_trace() {
        assert_eq!(stamps([(1_000, 0), (0, 1), (1_010, 10)]), [1_000, 1_000, 1_010]);
    }

    #[test]
    fn extreme_readings_saturate() {
        let mut clock = Clock::default();
        let mut stamp = |wall, monotonic| clock.stamp(Reading { wall, monotonic });
        assert_eq!([stamp(0, 0), stamp(u64::MAX, 1), stamp(u64::MAX, u64::MAX), stamp(0, 0)], [0, 1, u64::MAX, u64::MAX]);
        assert_eq!(nanoseconds(Duration::MAX), u64::MAX);
    }
}
