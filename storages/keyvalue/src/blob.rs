//! Blobs: values that are written once, under keys that no other value ever gets.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// The largest value of a key. A longer blob has a key for each of its parts. Part of the format.
pub(crate) const PART_BYTES: usize = 512 << 10;

/// How many bytes of its digest a blob's id has.
const DIGEST_BYTES: usize = 16;

/// Which blob it is: all that is needed to find and to check it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlobRef {
    /// A number that no other blob has, and the digest of the content.
    id: String,
    /// The length of the content.
    bytes: usize,
}

impl BlobRef {
    /// The name of a content that is to be stored under a number.
    pub(crate) fn of(number: i64, content: &[u8]) -> Self {
        Self { id: format!("{number:x}-{}", hex(content, DIGEST_BYTES)), bytes: content.len() }
    }

    /// Whether a content is that of the blob.
    pub(crate) fn is_of(&self, content: &[u8]) -> bool {
        content.len() == self.bytes && self.id.rsplit('-').next() == Some(&*hex(content, DIGEST_BYTES))
    }
}

/// The keys of a session.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    /// What all of them begin with.
    prefix: String,
}

impl Keys {
    /// The keys of a session. An id may be longer than a key, and may have characters that keys cannot have, so its digest is in the keys.
    pub(crate) fn new(session_id: &str) -> Self {
        Self { prefix: format!("session-repository.1.{}", hex(session_id.as_bytes(), 32)) }
    }

    /// The key of the session's head.
    pub(crate) fn head(&self) -> String {
        format!("{}.head", self.prefix)
    }

    /// The keys of a blob's parts.
    pub(crate) fn parts(&self, blob: &BlobRef) -> impl Iterator<Item = String> {
        let parts = blob.bytes.div_ceil(PART_BYTES);
        (0..parts).map(move |part| format!("{}.{}.{part}", self.prefix, blob.id))
    }
}

/// The first bytes of a SHA-256 digest, in hexadecimal.
fn hex(content: &[u8], bytes: usize) -> String {
    Sha256::digest(content).iter().take(bytes).fold(String::new(), |mut text, byte| {
        // Writing into a text does not fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}
