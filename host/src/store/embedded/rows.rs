//! The rows that are more than one document, and documents as they are stored.

use super::fault::{Fault, Result};
use super::numbers::{AgentNo, SessionNo};
use crate::error::Error;
use crate::store::schema::build;
use bson::raw::RawDocument;
use bson::{Document, RawDocumentBuf};

/// A session: its document with `metadata`, `feedbacks` and `agents` empty.
#[derive(Debug)]
pub(super) struct SessionRow {
    pub(super) number: SessionNo,
    /// How many agents it has.
    pub(super) agents: u64,
    /// How many feedback entries it has.
    pub(super) feedback: u64,
    pub(super) document: Document,
}

/// An agent: its document with `agent_data` and `messages` empty.
#[derive(Debug)]
pub(super) struct AgentRow {
    pub(super) number: AgentNo,
    /// Its place among the agents of the session.
    pub(super) place: u64,
    /// How many messages it has.
    pub(super) messages: u64,
    /// The latest time by which a message is ordered, in milliseconds since the epoch: [`UNDATED`](super::order::UNDATED) if one has none.
    pub(super) latest: i64,
    /// The id of a message less its position, as it is for all whose ids count up by one.
    pub(super) base: i64,
    pub(super) document: Document,
}

impl SessionRow {
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        encode([self.number.into(), self.agents, self.feedback], &self.document)
    }

    /// The document of a row.
    pub(super) fn document_of(row: &[u8]) -> Result<&RawDocument> {
        let ([_, _, _], document) = split(row)?;
        Ok(document)
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self> {
        let ([number, agents, feedback], document) = split(row)?;
        Ok(Self { number: SessionNo::new(number), agents, feedback, document: owned(document)? })
    }
}

impl AgentRow {
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let numbers = [self.number.into(), self.place, self.messages, self.latest.cast_unsigned(), self.base.cast_unsigned()];
        encode(numbers, &self.document)
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self> {
        let ([number, place, messages, latest, base], document) = split(row)?;
        let (number, latest, base) = (AgentNo::new(number), latest.cast_signed(), base.cast_signed());
        Ok(Self { number, place, messages, latest, base, document: owned(document)? })
    }

    /// Counts a message that comes behind the others. Its position, and its id where that is to be stored because the position does not tell it.
    pub(super) fn count(&mut self, message_id: Option<i64>) -> (u64, Option<i64>) {
        let position = self.messages;
        if let (0, Some(id)) = (position, message_id) {
            self.base = id;
        }
        self.messages += 1;
        (position, message_id.filter(|id| self.told(*id) != Some(position)))
    }

    /// The id that a position tells, if the message there has it.
    pub(super) fn id_told_by(&self, position: u64) -> Option<i64> {
        i64::try_from(position).ok().and_then(|position| self.base.checked_add(position))
    }

    /// The position that an id tells, if there is a message.
    pub(super) fn told(&self, message_id: i64) -> Option<u64> {
        message_id.checked_sub(self.base).and_then(|position| u64::try_from(position).ok()).filter(|position| *position < self.messages)
    }
}

/// The version of the rows that are written here, and the newest that are read. One that adds numbers to rows gets the next. Rows of
/// version 0 are those of files up to format 2; their numbers are the same.
const VERSION: u8 = 1;

/// Where a row has its version: in the highest byte of its first number. Numbers are given one after another, and none gets so far.
const VERSION_AT: usize = 7;

/// A row of an older version as it is written now. None if it is not of an older version.
pub(super) fn up_to_date(row: &[u8]) -> Option<Vec<u8>> {
    let mut row = row.to_vec();
    let version = row.get_mut(VERSION_AT).filter(|version| **version < VERSION)?;
    *version = VERSION;
    Some(row)
}

fn encode<const N: usize>(numbers: [u64; N], document: &Document) -> Result<Vec<u8>> {
    let mut row: Vec<u8> = numbers.into_iter().flat_map(u64::to_le_bytes).collect();
    row.splice(VERSION_AT..=VERSION_AT, [VERSION]);
    row.extend_from_slice(bytes(document)?.as_bytes());
    Ok(row)
}

/// The numbers that a row begins with, and its document.
fn split<const N: usize>(row: &[u8]) -> Result<([u64; N], &RawDocument)> {
    let (mut numbers, mut rest) = ([0; N], row);
    for number in &mut numbers {
        let (bytes, after) = rest.split_first_chunk().ok_or_else(damaged)?;
        (*number, rest) = (u64::from_le_bytes(*bytes), after);
    }
    if let Some(first) = numbers.first_mut() {
        let [.., version] = first.to_le_bytes();
        if version > VERSION {
            return Err(unknown(version));
        }
        *first &= u64::MAX >> u8::BITS;
    }
    Ok((numbers, raw(rest)?))
}

/// A document as it is stored.
pub(super) fn bytes(document: &Document) -> Result<RawDocumentBuf> {
    Ok(build::serialized(document)?)
}

/// A stored document.
pub(super) fn raw(bytes: &[u8]) -> Result<&RawDocument> {
    RawDocument::from_bytes(bytes).map_err(|error| {
        tracing::error!(%error, "a stored document cannot be read");
        damaged()
    })
}

/// A stored document, to be changed.
pub(super) fn owned(document: &RawDocument) -> Result<Document> {
    Document::try_from(document).map_err(|error| {
        tracing::error!(%error, "a stored document cannot be read");
        damaged()
    })
}

fn unknown(version: u8) -> Fault {
    tracing::error!(version, "a stored row has a version that is not known here");
    Fault::Refused(Error::Corrupt(String::from("a newer version of this program wrote to the store file, or it is damaged")))
}

/// What only a defect or somebody else's hand can have left behind.
pub(super) fn damaged() -> Fault {
    Fault::Refused(Error::Corrupt(String::from("the store file is damaged")))
}
