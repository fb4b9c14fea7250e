//! What a plugin may take of the host's memory.

use wasmtime::ResourceLimiter;

/// How many tables, memories and instances a plugin may have: more than any toolchain makes of one component.
const PIECES: usize = 100;

/// What an entry of a table takes, in bytes.
const ENTRY: usize = 16;

/// Bounds the memory of a plugin, for [`wasmtime::Store::limiter`]: all its linear memories and tables together. Wasmtime's own `StoreLimits`
/// bounds each by itself.
///
/// A plugin that asks for more is refused; what becomes of that is the plugin's affair, mostly a trap.
#[derive(Debug, Clone)]
pub struct MemoryLimiter {
    limit: usize,
    granted: usize,
    /// What was granted last, which may not come to be.
    last: usize,
    has_refused: bool,
}

impl MemoryLimiter {
    /// A limiter for so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self { limit: bytes, granted: 0, last: 0, has_refused: false }
    }

    /// How many bytes the plugin has.
    pub fn granted(&self) -> usize {
        self.granted
    }

    /// Grants more for something that may become so large, if its own maximum allows that.
    fn grant(&mut self, more: usize, desired: usize, maximum: Option<usize>) -> bool {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return false;
        }
        let granted = self.granted.saturating_add(more);
        let is_granted = granted <= self.limit;
        if is_granted {
            (self.granted, self.last) = (granted, more);
        }
        self.has_refused |= !is_granted;
        is_granted
    }

    fn take_back(&mut self) {
        self.granted = self.granted.saturating_sub(std::mem::take(&mut self.last));
    }

    /// Whether the plugin wanted more than it may have. What became of that is mostly a trap that does not say so.
    pub fn has_refused(&self) -> bool {
        self.has_refused
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grant(desired.saturating_sub(current), desired, maximum))
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.take_back();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grant(desired.saturating_sub(current).saturating_mul(ENTRY), desired, maximum))
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.take_back();
        Ok(())
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
        // What does not come to be is not counted, nor is what a memory's own maximum forbids.
        let mut limiter = MemoryLimiter::new(100);
        assert!(limiter.memory_growing(0, 90, None)? && !limiter.memory_growing(90, 100, Some(95))?);
        limiter.memory_grow_failed(wasmtime::Error::msg("no memory"))?;
        assert_eq!((limiter.granted(), limiter.has_refused()), (0, false));
        let mut limiter = MemoryLimiter::new(100);
        assert!(limiter.table_growing(0, 4, None)? && limiter.table_growing(4, 6, None)?, "tables count, too");
        assert!(!limiter.table_growing(0, 1, None)? && limiter.memory_growing(0, 4, None)?);
        Ok(())
    }
}
