//! Code that does not come to an end by itself.

use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

pub(super) fn spin() {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

pub(super) fn allocate() {
    let mut taken = Vec::new();
    loop {
        taken.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Each call is in the stack of the host alone: it keeps nothing in the memory of the plugin.
pub(super) fn recurse() -> u64 {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    match CALLS.fetch_add(1, Ordering::Relaxed) {
        u64::MAX => 0,
        // Turned, so that no compiler makes a loop of it.
        calls => recurse().rotate_left(1) ^ calls,
    }
}
