//! A write under way: the head that it makes, the blobs that the head will name, and those that it will name no longer.

use crate::blob::{BlobRef, PART_BYTES};
use crate::bucket::Bucket;
use crate::head::{Agent, Head, Part, encode};
use crate::reader::Reader;
use crate::stop::{Step, Stop};
use serde::{Deserialize, Serialize};
use session_repository_storage::error::{Entity, Error, Result};

/// The size up to which everything may be in the head.
const HEAD_BYTES: usize = 128 << 10;

/// A part that is smaller than this stays in the head.
const SMALL_PART: usize = 1 << 10;

/// How many replaced blobs a head names at most. If a store refuses so often to remove some, the oldest are forgotten.
const MAX_REPLACED: usize = 256;

/// A write under way.
#[derive(Debug)]
pub(crate) struct Draft<'b, B> {
    reader: &'b Reader<'b, B>,
    pub(crate) head: Head,
    /// Blobs that are to be written.
    new: Vec<(BlobRef, Vec<u8>)>,
    /// Blobs that are named no longer.
    replaced: Vec<BlobRef>,
}

impl<'b, B: Bucket> Draft<'b, B> {
    pub(crate) fn new(reader: &'b Reader<'b, B>, head: Head) -> Self {
        Self { reader, head, new: Vec::new(), replaced: Vec::new() }
    }

    pub(crate) fn reader(&self) -> &'b Reader<'b, B> {
        self.reader
    }

    /// Takes an agent out of the head, to be put back changed.
    pub(crate) fn take_agent(&mut self, agent_id: &str) -> Step<Agent> {
        let part = self.head.agents.remove(agent_id).ok_or(Error::NotFound(Entity::Agent))?;
        self.take(part)
    }

    /// Puts an agent into the head, changed at a time.
    pub(crate) fn put_agent(&mut self, agent_id: &str, mut agent: Agent, at: i64) {
        agent.updated_at = agent.updated_at.max(at);
        self.head.agents.insert(agent_id.to_owned(), Part::Here(agent));
    }

    /// What a part is, wherever it is. The blob that it is in is named no longer.
    pub(crate) fn take<T: for<'de> Deserialize<'de>>(&mut self, part: Part<T>) -> Step<T> {
        if let Part::Blob(blob) = &part {
            self.replace(blob.clone());
        }
        self.reader.part(part)
    }

    /// Makes a blob, which is written before the head is.
    pub(crate) fn blob(&mut self, content: &impl Serialize) -> Step<BlobRef> {
        let content = encode(content)?;
        let blob = BlobRef::of(self.reader.bucket.number()?, &content);
        self.new.push((blob.clone(), content));
        Ok(blob)
    }

    /// Has a blob removed once the head does not name it.
    pub(crate) fn replace(&mut self, blob: BlobRef) {
        self.replaced.push(blob);
    }

    /// Writes it: first its blobs, then the head, unless that has changed.
    ///
    /// `orphans` are blobs of earlier attempts that could not be removed. The head names them, and if it has changed, those of this attempt join them.
    pub(crate) fn commit(mut self, swap: B::Swap, orphans: &mut Vec<BlobRef>) -> Step<()> {
        let (reader, before) = (self.reader, std::mem::take(&mut self.head.replaced));
        let mut left = reader.remove(before);
        *orphans = reader.remove(std::mem::take(orphans));
        // The head is swapped before the blobs are removed, so it names them all.
        left.extend(orphans.iter().chain(&self.replaced).cloned());
        self.head.replaced = left.split_off(left.len().saturating_sub(MAX_REPLACED));
        let head = self.shrink()?;
        if head.len() > PART_BYTES {
            return Err(Error::TooLarge { size: head.len() as u64, limit: PART_BYTES as u64 }.into());
        }
        let written = self.write_blobs();
        let swapped = written.map_err(Ended::Before).and_then(|()| reader.bucket.swap(swap, &head).map_err(Ended::Unknown));
        let new = self.new.into_iter().map(|(blob, _)| blob).collect();
        match swapped {
            Ok(true) => {
                // If some are left, the next write removes them.
                reader.remove(self.replaced);
                Ok(())
            }
            Ok(false) => {
                orphans.extend(reader.remove(new));
                Err(Stop::Changed)
            }
            Err(Ended::Before(error)) => {
                reader.remove(new);
                Err(error.into())
            }
            // The head may name them.
            Err(Ended::Unknown(error)) => Err(error.into()),
        }
    }

    fn write_blobs(&self) -> Result<()> {
        for (blob, content) in &self.new {
            for (key, part) in self.reader.keys.parts(blob).zip(content.chunks(PART_BYTES)) {
                self.reader.bucket.set(&key, part)?;
            }
        }
        Ok(())
    }

    /// Moves the largest parts of the head to blobs until it is small, and returns its bytes.
    fn shrink(&mut self) -> Step<Vec<u8>> {
        loop {
            let bytes = self.head.encode()?;
            if bytes.len() <= HEAD_BYTES || !self.move_largest()? {
                return Ok(bytes);
            }
        }
    }

    /// Moves the largest part of the head to a blob. Tells whether there is one worth it.
    fn move_largest(&mut self) -> Step<bool> {
        let mut parts = vec![(length(&self.head.metadata)?, Place::Metadata), (length(&self.head.feedback)?, Place::Feedback)];
        for (id, agent) in &self.head.agents {
            parts.push((length(agent)?, Place::Agent(id.clone())));
        }
        let largest = parts.into_iter().max_by_key(|(length, _)| *length).filter(|(length, _)| *length > SMALL_PART);
        let Some((_, place)) = largest else { return Ok(false) };
        match place {
            Place::Metadata => {
                let part = std::mem::take(&mut self.head.metadata);
                self.head.metadata = self.moved(part)?;
            }
            Place::Feedback => {
                let part = std::mem::take(&mut self.head.feedback);
                self.head.feedback = self.moved(part)?;
            }
            Place::Agent(id) => {
                if let Some(part) = self.head.agents.remove(&id) {
                    let part = self.moved(part)?;
                    self.head.agents.insert(id, part);
                }
            }
        }
        Ok(true)
    }

    fn moved<T: Serialize>(&mut self, part: Part<T>) -> Step<Part<T>> {
        match part {
            Part::Here(part) => Ok(Part::Blob(self.blob(&part)?)),
            blob @ Part::Blob(_) => Ok(blob),
        }
    }
}

/// Which part of a head it is.
enum Place {
    Metadata,
    Feedback,
    Agent(String),
}

/// Where a write failed.
enum Ended {
    /// Before the head was written.
    Before(Error),
    /// While the head was written: it may have been.
    Unknown(Error),
}

/// How much of the head a part would free.
fn length<T: Serialize>(part: &Part<T>) -> Step<usize> {
    match part {
        Part::Here(part) => Ok(encode(part)?.len()),
        Part::Blob(_) => Ok(0),
    }
}
