//! Storage that is read and never written.

use redb::StorageBackend;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Result};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The size of a piece of the overlay, in bytes: a page of the database.
const PAGE: u64 = 4096;

/// Storage whose base is never written: writes stay in memory, above it, and are gone with it.
///
/// The database writes when it opens and closes, and more when it repairs a file after a crash. Above an overlay it does all that in memory,
/// so readers and writers open a file by the same code.
#[derive(Debug)]
pub(super) struct Overlay<B> {
    base: B,
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    /// The pages that were written, by their number.
    pages: BTreeMap<u64, Vec<u8>>,
    length: u64,
    /// The part of the base that counts, in bytes. Behind it there are zeros: the base was cut off there, or ends there.
    base_length: u64,
}

impl<B: StorageBackend> Overlay<B> {
    pub(super) fn above(base: B) -> Result<Self> {
        let length = base.len()?;
        Ok(Self { base, state: RwLock::new(State { pages: BTreeMap::new(), length, base_length: length }) })
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fills `out` with what is at `offset`.
    fn fill(&self, state: &State, offset: u64, out: &mut [u8]) -> Result<()> {
        let of_base = usize::try_from(state.base_length.saturating_sub(offset)).unwrap_or(usize::MAX).min(out.len());
        let (base, beyond) = out.split_at_mut(of_base);
        if !base.is_empty() {
            self.base.read(offset, base)?;
        }
        beyond.fill(0);
        let end = offset + out.len() as u64;
        for (number, page) in state.pages.range(offset / PAGE..end.div_ceil(PAGE)) {
            let (behind, within) = distance(offset, number * PAGE);
            out.iter_mut().skip(behind).zip(page.iter().skip(within)).for_each(|(to, from)| *to = *from);
        }
        Ok(())
    }
}

/// How far the second place is behind the first, and how far the first is behind the second; one of them is zero.
fn distance(first: u64, second: u64) -> (usize, usize) {
    let distance = |from: u64, to: u64| usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
    (distance(first, second), distance(second, first))
}

impl<B: StorageBackend> StorageBackend for Overlay<B> {
    fn len(&self) -> Result<u64> {
        Ok(self.state().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let state = self.state();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > state.length) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.fill(&state, offset, out)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut state = self.state_mut();
        state.pages.split_off(&len.div_ceil(PAGE));
        if let Some(mut last) = state.pages.last_entry() {
            let (kept, _) = distance(last.key() * PAGE, len);
            last.get_mut().iter_mut().skip(kept).for_each(|byte| *byte = 0);
        }
        (state.length, state.base_length) = (len, state.base_length.min(len));
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut state = self.state_mut();
        let end = offset.checked_add(data.len() as u64).ok_or(ErrorKind::InvalidInput)?;
        for number in offset / PAGE..end.div_ceil(PAGE) {
            let mut page = vec![0; PAGE as usize];
            self.fill(&state, number * PAGE, &mut page)?;
            let (behind, within) = distance(number * PAGE, offset);
            page.iter_mut().skip(behind).zip(data.iter().skip(within)).for_each(|(to, from)| *to = *from);
            state.pages.insert(number, page);
        }
        state.length = state.length.max(end);
        Ok(())
    }

    fn close(&self) -> Result<()> {
        self.base.close()
    }
}
