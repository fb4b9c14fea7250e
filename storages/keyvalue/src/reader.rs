//! Reading a session: its head, and the blobs that the head names.

use crate::blob::{BlobRef, Keys};
use crate::bucket::Bucket;
use crate::head::{Head, Part, decode, unreadable};
use crate::stop::{Step, Stop};
use serde::Deserialize;

/// A session in a bucket.
#[derive(Debug)]
pub(crate) struct Reader<'b, B> {
    pub(crate) bucket: &'b B,
    pub(crate) keys: Keys,
    session_id: &'b str,
}

impl<'b, B: Bucket> Reader<'b, B> {
    pub(crate) fn new(bucket: &'b B, session_id: &'b str) -> Self {
        Self { bucket, keys: Keys::new(session_id), session_id }
    }

    /// The head out of the value of its key.
    pub(crate) fn head(&self, value: Option<Vec<u8>>) -> Step<Option<Head>> {
        let Some(value) = value else { return Ok(None) };
        let head = Head::decode(&value)?;
        if head.session.session_id == self.session_id { Ok(Some(head)) } else { Err(unreadable().into()) }
    }

    /// A part of the session, wherever it is.
    pub(crate) fn part<T: for<'de> Deserialize<'de>>(&self, part: Part<T>) -> Step<T> {
        match part {
            Part::Here(part) => Ok(part),
            Part::Blob(blob) => self.blob(&blob),
        }
    }

    /// What is in a blob.
    pub(crate) fn blob<T: for<'de> Deserialize<'de>>(&self, blob: &BlobRef) -> Step<T> {
        let mut content = Vec::new();
        for key in self.keys.parts(blob) {
            content.extend(self.bucket.get(&key)?.ok_or(Stop::Missing)?);
        }
        if blob.is_of(&content) { Ok(decode(&content)?) } else { Err(unreadable().into()) }
    }

    /// Removes blobs, and returns those that could not be removed.
    pub(crate) fn remove(&self, blobs: Vec<BlobRef>) -> Vec<BlobRef> {
        let is_left = |blob: &BlobRef| self.keys.parts(blob).any(|key| self.bucket.delete(&key).is_err());
        blobs.into_iter().filter(is_left).collect()
    }
}
