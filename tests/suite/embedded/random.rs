//! Chance that can be had again.

use std::hash::{BuildHasher, Hasher, RandomState};

/// The variable that names a seed to repeat.
const SEED: &str = "EMBEDDED_TEST_SEED";

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// A new stream in each run. Its seed is in the output of a test that fails.
    pub(crate) fn seeded() -> Self {
        let given = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        println!("to repeat the choices of this run, set {SEED}={seed}");
        Self(seed)
    }

    /// The same stream in each run.
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64: a few lines that give the same numbers for ever.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number less than `end`, or 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or_default()
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Another stream.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }
}
