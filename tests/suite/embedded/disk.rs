//! A disk in memory that loses its power, fails, or waits, when a test says so.

use super::random::Random;
use session_repository::StorageBackend;
use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What happens at one of the coming calls that write, resize or synchronise.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    /// The machine stops: nothing reaches the disk any more.
    PowerLoss,
    /// Each call fails from then on.
    Failure(ErrorKind),
    /// One call fails.
    OneFailure(ErrorKind),
}

/// Storage with a cache of writes that are not synchronised yet. Clones are the same disk.
#[derive(Debug, Clone)]
pub(super) struct Disk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// What programs read.
    cached: Vec<u8>,
    /// What was there at the last synchronisation.
    durable: Vec<u8>,
    /// What happened since.
    changes: Vec<Change>,
    fate: Option<(usize, Fate)>,
    has_failed: bool,
    has_power: bool,
    syncs: usize,
    /// How many bytes were written, and read.
    written: usize,
    read: usize,
    random: Random,
}

#[derive(Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Change {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Write(offset, data) => put(image, *offset, data),
            Self::Length(length) => image.resize(*length, 0),
        }
    }
}

fn put(image: &mut Vec<u8>, offset: usize, data: &[u8]) {
    image.resize(image.len().max(offset + data.len()), 0);
    image[offset..offset + data.len()].copy_from_slice(data);
}

impl Disk {
    /// A disk with nothing on it, for tests that leave nothing to chance.
    pub(super) fn empty() -> Self {
        Self::of(Vec::new())
    }

    /// A disk that holds `image`, for tests that leave nothing to chance.
    pub(super) fn of(image: Vec<u8>) -> Self {
        Self::holding(image, &mut Random::of(0))
    }

    /// A disk that holds `image`.
    pub(super) fn holding(image: Vec<u8>, random: &mut Random) -> Self {
        let (durable, random) = (image.clone(), random.fork());
        let state = State {
            cached: image,
            durable,
            changes: Vec::new(),
            fate: None,
            has_failed: false,
            has_power: true,
            syncs: 0,
            written: 0,
            read: 0,
            random,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has something happen after `calls` more calls.
    pub(super) fn doom(&self, calls: usize, fate: Fate) {
        self.state().fate = Some((calls, fate));
    }

    /// Whether what was to happen has happened.
    pub(super) fn has_failed(&self) -> bool {
        self.state().has_failed
    }

    /// How often it was synchronised.
    pub(super) fn syncs(&self) -> usize {
        self.state().syncs
    }

    /// How many bytes were written to it so far.
    pub(super) fn bytes_written(&self) -> usize {
        self.state().written
    }

    /// How many bytes were read from it so far.
    pub(super) fn bytes_read(&self) -> usize {
        self.state().read
    }

    /// What programs read.
    pub(super) fn cached(&self) -> Vec<u8> {
        self.state().cached.clone()
    }

    /// What is on the disk after the power was lost: all that was synchronised, and of the rest whatever the disk happened to have written.
    pub(super) fn wreck(&self) -> Vec<u8> {
        let mut state = self.state();
        state.has_power = false;
        state.wreck()
    }
}

impl State {
    /// Each sector holds any of its versions since the last synchronisation, and the file has any of its lengths.
    fn wreck(&mut self) -> Vec<u8> {
        let sector = [512, 4096][self.random.below(2)];
        // Some disks lose nearly nothing, some nearly all; some keep the order.
        let (luck, in_order) = (1 + self.random.below(4), self.random.once_in(4));
        let last = self.random.below(self.changes.len() + 1);
        let mut lengths = vec![self.durable.len()];
        lengths.extend(self.changes.iter().filter_map(|change| if let Change::Length(length) = change { Some(*length) } else { None }));
        let resized = self.random.below(lengths.len());
        let mut cuts: Vec<Option<usize>> = Vec::new();
        let (mut image, mut resizes) = (self.durable.clone(), 0);
        for (index, change) in self.changes.iter().enumerate() {
            match change {
                Change::Length(length) => {
                    resizes += 1;
                    // A file that was cut off and grew again has nothing of the old there.
                    if resizes <= resized {
                        image.resize(image.len().min(*length), 0);
                    }
                }
                Change::Write(offset, data) => {
                    let mut at = *offset;
                    while at < offset + data.len() {
                        let end = (at / sector + 1) * sector;
                        cuts.resize(cuts.len().max(end / sector), None);
                        let random = &mut self.random;
                        let count = self.changes.len();
                        let cut = cuts[end / sector - 1].get_or_insert_with(|| match random.below(luck + 2) {
                            _ if in_order => last,
                            0 => 0,
                            1 => random.below(count + 1),
                            _ => count,
                        });
                        let end = end.min(offset + data.len());
                        if index < *cut {
                            put(&mut image, at, &data[at - offset..end - offset]);
                        }
                        at = end;
                    }
                }
            }
        }
        image.resize(lengths[resized], 0);
        image
    }

    /// Counts a call; what happens to it?
    fn call(&mut self) -> Result<()> {
        if !self.has_power {
            return Err(Error::other("no power"));
        }
        let Some((calls, fate)) = &mut self.fate else { return Ok(()) };
        if *calls > 0 {
            *calls -= 1;
            return Ok(());
        }
        self.has_failed = true;
        match *fate {
            Fate::PowerLoss => {
                self.has_power = false;
                Err(Error::other("no power"))
            }
            Fate::Failure(kind) => Err(kind.into()),
            Fate::OneFailure(kind) => {
                self.fate = None;
                Err(kind.into())
            }
        }
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.cached);
        self.changes.push(change);
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64> {
        Ok(self.state().cached.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let mut state = self.state();
        state.read += out.len();
        let offset = usize::try_from(offset).map_err(Error::other)?;
        let stored = state.cached.get(offset..offset + out.len()).ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(stored);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut state = self.state();
        state.call()?;
        state.change(Change::Length(usize::try_from(len).map_err(Error::other)?));
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        let mut state = self.state();
        state.call()?;
        state.syncs += 1;
        for change in std::mem::take(&mut state.changes) {
            change.apply(&mut state.durable);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut state = self.state();
        let offset = usize::try_from(offset).map_err(Error::other)?;
        if let Err(error) = state.call() {
            // Of a write that fails, some may have been done.
            let done = state.random.below(data.len() + 1);
            state.change(Change::Write(offset, data[..done].to_vec()));
            return Err(error);
        }
        state.written += data.len();
        state.change(Change::Write(offset, data.to_vec()));
        Ok(())
    }
}
