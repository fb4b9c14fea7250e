//! The segments of paths into metadata: their order, and positions in arrays. By the rules of MongoDB's `$set` and `$unset`.

use std::cmp::Ordering;

/// How far beyond the end of an array a value may be set; the places between are filled with null.
pub(crate) const MAX_PADDING: usize = 1_500_000;

/// The order in which new fields are added: segment by segment.
pub(crate) fn in_order(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one.split('.'), other.split('.'));
    loop {
        match (one.next(), other.next()) {
            (Some(segment), Some(other_segment)) => match segments_in_order(segment, other_segment) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
            (rest, other_rest) => return rest.is_some().cmp(&other_rest.is_some()),
        }
    }
}

/// By bytes; of two that begin like numbers without leading zeros the shorter comes first.
fn segments_in_order(one: &str, other: &str) -> Ordering {
    let like_number =
        |segment: &str| segment.starts_with(|c: char| c.is_ascii_digit()) && (segment.len() == 1 || !segment.starts_with('0'));
    let by_length = if like_number(one) && like_number(other) { one.len().cmp(&other.len()) } else { Ordering::Equal };
    by_length.then_with(|| one.cmp(other))
}

/// A position in an array: digits, of which leading zeros count for nothing, up to 32 bits.
pub(crate) fn index(segment: &str) -> Option<usize> {
    let digits = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { segment.parse::<u32>().ok() } else { None };
    number.and_then(|number| usize::try_from(number).ok())
}
