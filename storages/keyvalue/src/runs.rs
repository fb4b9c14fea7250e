//! The message ids in a block, as a few runs of neighbours.

use serde::{Deserialize, Serialize};

/// How many runs a block is described by at most.
const MAX_RUNS: usize = 16;

/// Runs of ids, from the first to the last, in ascending order. They contain every id of the block, and may contain others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Runs(Vec<(i64, i64)>);

impl Runs {
    /// The runs of some ids. If these are too many, those with the least between them become one.
    pub(crate) fn of(ids: impl Iterator<Item = i64>) -> Self {
        let mut ids: Vec<i64> = ids.collect();
        ids.sort_unstable();
        let mut gaps: Vec<i64> = ids.windows(2).filter_map(|pair| gap(pair.first(), pair.last())).filter(|gap| *gap > 1).collect();
        gaps.sort_unstable_by_key(|gap| std::cmp::Reverse(*gap));
        // A wider gap than the widest one that is too many begins a run.
        let least = gaps.get(MAX_RUNS - 1).map_or(2, |gap| gap.saturating_add(1));
        let mut runs: Vec<(i64, i64)> = Vec::new();
        for id in ids {
            match runs.last_mut() {
                Some((_, last)) if id.saturating_sub(*last) < least => *last = id,
                _ => runs.push((id, id)),
            }
        }
        Self(runs)
    }

    /// Whether the block may have a message with this id.
    pub(crate) fn may_contain(&self, id: i64) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&id))
    }
}

fn gap(one: Option<&i64>, other: Option<&i64>) -> Option<i64> {
    Some(other?.saturating_sub(*one?))
}

#[cfg(test)]
mod tests {
    use super::{MAX_RUNS, Runs};

    #[test]
    fn neighbours_are_one_run() {
        assert_eq!(Runs::of([3, 1, 2, 9].into_iter()).0, [(1, 3), (9, 9)]);
        assert_eq!(Runs::of([0, i64::MAX].into_iter()).0, [(0, 0), (i64::MAX, i64::MAX)]);
        assert_eq!(Runs::of(0..1000).0, [(0, 999)]);
    }

    #[test]
    fn there_are_few_runs_and_each_id_is_in_one() {
        for step in [2, 3, 1_000_003] {
            let ids = || (0..100).map(|n: i64| (n * step * step) % 7919 + n / 50 * 1_000_000);
            let runs = Runs::of(ids());
            assert!(runs.0.len() <= MAX_RUNS, "{runs:?}");
            assert!(ids().all(|id| runs.may_contain(id)), "{runs:?}");
            assert!(!runs.may_contain(500_000), "{runs:?}");
        }
    }
}
