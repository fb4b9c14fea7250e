//! What lies in the file: the tables, their keys, and the rows that are more than one document.
//!
//! A session, an agent, a message or a feedback entry is a key of its own, so that a write touches what it writes and nothing else. A
//! number stands for a session or an agent in the keys of what belongs to it. Rows hold the documents of the reference's schema, with an
//! empty value in the place of each part that has a row of its own; so every field keeps its place and its type.
//!
//! An index over sessions, by a time or a metadata field, would be one more table of (collection, value, session id).

use super::compact::copy_table;
use super::fault::{Fault, Result};
use super::tracked::Tracked;
use crate::error::Error;
use crate::store::schema::read;
use bson::raw::RawDocument;
use bson::{Document, RawDocumentBuf};
use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};

pub(super) type Text = &'static str;
pub(super) type Bytes = &'static [u8];
/// The number of a collection, a session or an agent; each has its own.
pub(super) type Number = u64;

macro_rules! tables {
    ($($(#[$doc:meta])* $name:ident($table:literal): $key:ty => $value:ty;)+) => {
        /// The tables of a transaction that writes.
        pub(super) struct WriteTables<'t> {
            $($(#[$doc])* pub(super) $name: Tracked<'t, $key, $value>,)+
            /// Whether any piece of work changed anything that is kept.
            pub(super) changed: bool,
        }

        impl<'t> WriteTables<'t> {
            /// How many there are.
            pub(super) const COUNT: usize = [$($table),+].len();

            /// Opens all tables, and makes those that are not there.
            pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, redb::TableError> {
                Ok(Self { $($name: Tracked::new(transaction.open_table(TableDefinition::new($table))?),)+ changed: false })
            }

            /// Ends a piece of work that is done.
            pub(super) fn keep(&mut self) {
                $(self.changed |= self.$name.keep();)+
            }

            /// Ends a piece of work that is refused: the tables are as they were before it.
            pub(super) fn take_back(&mut self) -> Result<(), redb::StorageError> {
                $(self.$name.take_back()?;)+
                Ok(())
            }
        }

        /// The tables as they were when reading began.
        pub(super) struct ReadTables {
            transaction: ReadTransaction,
        }

        #[allow(dead_code, reason = "some tables are read by writes only")]
        impl ReadTables {
            pub(super) fn new(transaction: ReadTransaction) -> Self {
                Self { transaction }
            }

            /// Copies all rows to another database. After each it is told how many are copied, and of how many.
            pub(super) fn copy_to(&self, target: &Database, mut progress: impl FnMut(u64, u64)) -> Result<()> {
                let total = 0 $(+ self.$name()?.len()?)+;
                let mut copied = 0;
                $(copy_table($table, &self.$name()?, target, || {
                    copied += 1;
                    progress(copied, total);
                })?;)+
                Ok(())
            }

            $($(#[$doc])* pub(super) fn $name(&self) -> Result<ReadOnlyTable<$key, $value>> {
                Ok(self.transaction.open_table(TableDefinition::new($table))?)
            })+
        }
    };
}

tables! {
    /// The number of each collection, by `database.collection`.
    collections("collections"): Text => Number;
    /// The next number to give, under [`NEXT`].
    numbers("numbers"): Text => Number;
    /// The numbers of sessions that are being imported and have no row yet.
    unfinished("unfinished"): Number => ();
    /// Session rows, by collection and session id.
    sessions("sessions"): (Number, Text) => Bytes;
    /// The metadata of a session.
    metadata("metadata"): Number => Bytes;
    /// The feedback of a session, by position.
    feedback("feedback"): (Number, u64) => Bytes;
    /// Agent rows, by session and agent id.
    agents("agents"): (Number, Text) => Bytes;
    /// The `agent_data` of an agent.
    agent_data("agent_data"): Number => Bytes;
    /// The messages of an agent, by position in the order of appends.
    messages("messages"): (Number, u64) => Bytes;
    /// The positions of the messages of an agent whose id does not tell them: see [`positions`].
    message_ids("message_ids"): (Number, i64, u64) => ();
    /// The order of an agent's messages by time where it is not that of their positions: see [`order`](super::order).
    message_order("message_order"): (Number, u64) => Bytes;
    /// The appends of an agent that had a key, oldest first: documents of `key` and `first`.
    appends("appends"): (Number, u64) => Bytes;
    /// Of an agent whose highest message id is not to be found at once: how many messages were looked at, and the highest id of those.
    /// See [`WriteTables::highest_id`].
    highest_ids("highest_ids"): Number => (u64, i64);
}

/// The key of the next number.
pub(super) const NEXT: &str = "next";

impl WriteTables<'_> {
    /// A number that nothing has.
    pub(super) fn next_number(&mut self) -> Result<Number> {
        let number = self.numbers.get(NEXT)?.map_or(0, |next| next.value());
        self.numbers.insert(NEXT, number + 1)?;
        Ok(number)
    }

    pub(super) fn put_session(&mut self, collection: Number, session_id: &str, row: &SessionRow) -> Result<()> {
        self.sessions.insert((collection, session_id), row.encode()?.as_slice())?;
        Ok(())
    }

    pub(super) fn put_agent(&mut self, session: Number, agent_id: &str, row: &AgentRow) -> Result<()> {
        self.agents.insert((session, agent_id), row.encode()?.as_slice())?;
        Ok(())
    }
}

/// A session: its document with `metadata`, `feedbacks` and `agents` empty.
#[derive(Debug)]
pub(super) struct SessionRow {
    pub(super) number: Number,
    /// How many agents it has.
    pub(super) agents: u64,
    /// How many feedback entries it has.
    pub(super) feedback: u64,
    pub(super) document: Document,
}

/// An agent: its document with `agent_data` and `messages` empty.
#[derive(Debug)]
pub(super) struct AgentRow {
    pub(super) number: Number,
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
    fn encode(&self) -> Result<Vec<u8>> {
        encode([self.number, self.agents, self.feedback], &self.document)
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self> {
        let ([number, agents, feedback], document) = split(row)?;
        Ok(Self { number, agents, feedback, document: owned(document)? })
    }
}

impl AgentRow {
    fn encode(&self) -> Result<Vec<u8>> {
        let numbers = [self.number, self.place, self.messages, self.latest.cast_unsigned(), self.base.cast_unsigned()];
        encode(numbers, &self.document)
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self> {
        let ([number, place, messages, latest, base], document) = split(row)?;
        Ok(Self { number, place, messages, latest: latest.cast_signed(), base: base.cast_signed(), document: owned(document)? })
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

fn encode<const N: usize>(numbers: [u64; N], document: &Document) -> Result<Vec<u8>> {
    let mut row: Vec<u8> = numbers.into_iter().flat_map(u64::to_le_bytes).collect();
    row.extend_from_slice(bytes(document)?.as_bytes());
    Ok(row)
}

/// The numbers that a row begins with, and its document.
pub(super) fn split<const N: usize>(row: &[u8]) -> Result<([u64; N], &RawDocument)> {
    let (mut numbers, mut rest) = ([0; N], row);
    for number in &mut numbers {
        let (bytes, after) = rest.split_first_chunk().ok_or_else(damaged)?;
        (*number, rest) = (u64::from_le_bytes(*bytes), after);
    }
    Ok((numbers, raw(rest)?))
}

/// A document as it is stored.
pub(super) fn bytes(document: &Document) -> Result<RawDocumentBuf> {
    Ok(crate::store::schema::build::serialized(document)?)
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

/// What only a defect or somebody else's hand can have left behind.
pub(super) fn damaged() -> Fault {
    Fault::Refused(Error::Corrupt(String::from("the store file is damaged")))
}

pub(super) fn find_session(
    sessions: &impl ReadableTable<(Number, Text), Bytes>,
    collection: Number,
    session_id: &str,
) -> Result<Option<SessionRow>> {
    sessions.get((collection, session_id))?.map(|row| SessionRow::decode(row.value())).transpose()
}

pub(super) fn find_agent(agents: &impl ReadableTable<(Number, Text), Bytes>, session: Number, agent_id: &str) -> Result<Option<AgentRow>> {
    agents.get((session, agent_id))?.map(|row| AgentRow::decode(row.value())).transpose()
}

/// The positions of the messages that have an id: one at most, unless another program stored it twice.
///
/// Nearly always ids count up by one, and then an id tells the position and nothing is stored for it.
pub(super) fn positions(
    ids: &impl ReadableTable<(Number, i64, u64), ()>,
    messages: &impl ReadableTable<(Number, u64), Bytes>,
    agent: &AgentRow,
    message_id: i64,
) -> Result<Vec<u64>> {
    let stored = ids.range((agent.number, message_id, 0)..=(agent.number, message_id, u64::MAX))?;
    let mut positions = stored.map(|entry| Ok(entry?.0.value().2)).collect::<Result<Vec<u64>>>()?;
    if let Some(told) = agent.told(message_id) {
        let message = messages.get((agent.number, told))?.ok_or_else(damaged)?;
        if read::message_id(raw(message.value())?)? == Some(message_id) {
            positions.push(told);
            positions.sort_unstable();
        }
    }
    Ok(positions)
}

/// The agents of a session, in the order in which they were made.
pub(super) fn agents_of(agents: &impl ReadableTable<(Number, Text), Bytes>, session: Number) -> Result<Vec<(String, AgentRow)>> {
    let mut found = Vec::new();
    for entry in agents.range((session, "")..(session + 1, ""))? {
        let (key, row) = entry?;
        found.push((key.value().1.to_owned(), AgentRow::decode(row.value())?));
    }
    found.sort_by_key(|(_, agent)| agent.place);
    Ok(found)
}
