//! What a plugin may take of the host's memory.

use wasmtime::ResourceLimiter;

/// How many tables, memories and instances a plugin may have: more than any toolchain makes of one component.
const PIECES: usize = 100;

/// How many entries one table may have.
const ENTRIES: usize = 1_000_000;

/// Bounds the memory of a plugin, for [`wasmtime::Store::limiter`]: all its linear memories together, and its tables. Wasmtime's own
/// `StoreLimits` bounds each memory by itself.
///
/// A plugin that asks for more is refused; what becomes of that is the plugin's affair, mostly a trap.
#[derive(Debug, Clone)]
pub struct MemoryLimiter {
    limit: usize,
    granted: usize,
    has_refused: bool,
}

impl MemoryLimiter {
    /// A limiter for so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self { limit: bytes, granted: 0, has_refused: false }
    }

    /// How many bytes the plugin has.
    pub fn granted(&self) -> usize {
        self.granted
    }

    /// Whether the plugin wanted more than it may have. What became of that is mostly a trap that does not say so.
    pub fn has_refused(&self) -> bool {
        self.has_refused
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let granted = self.granted.saturating_add(desired.saturating_sub(current));
        let is_granted = granted <= self.limit;
        if is_granted {
            self.granted = granted;
        }
        self.has_refused |= !is_granted;
        Ok(is_granted)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let is_granted = desired <= ENTRIES;
        self.has_refused |= !is_granted;
        Ok(is_granted)
    }

    fn instances(&self) -> usize {
        PIECES
    }

    fn tables(&self) -> usize {
        PIECES
    }

    fn memories(&self) -> usize {
        PIECES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_count_together() -> wasmtime::Result<()> {
        let mut limiter = MemoryLimiter::new(100);
        assert!(limiter.memory_growing(0, 60, None)? && !limiter.has_refused());
        assert!(!limiter.memory_growing(0, 60, None)?, "a second memory");
        assert!(limiter.has_refused());
        assert!(limiter.memory_growing(0, 40, None)?);
        assert!(!limiter.memory_growing(60, 61, None)?);
        assert_eq!(limiter.granted(), 100);
        assert!(limiter.table_growing(0, ENTRIES, None)? && !limiter.table_growing(0, ENTRIES + 1, None)?);
        Ok(())
    }
}
