//! The tables of the file, and their keys.
//!
//! A session, an agent, a message or a feedback entry is a key of its own, so that a write touches what it writes and nothing else. A
//! number stands for a session or an agent in the keys of what belongs to it. Rows hold the documents of the reference's schema, with an
//! empty value in the place of each part that has a row of its own; so every field keeps its place and its type.
//!
//! An index over sessions, by a time or a metadata field, would be one more table of (collection, value, session id).

use super::copy::copy_table;
use super::fault::Result;
use super::numbers::{AgentNo, CollectionNo, SessionNo};
use super::rows::{AgentRow, SessionRow, damaged, raw};
use super::tracked::Tracked;
use crate::store::schema::read;
use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};

pub(super) type Text = &'static str;
pub(super) type Bytes = &'static [u8];

macro_rules! tables {
    ($($(#[$doc:meta])* $name:ident($table:literal): $key:ty => $value:ty;)+) => {
        $($(#[$doc])* pub(super) fn $name() -> TableDefinition<'static, $key, $value> {
            TableDefinition::new($table)
        })+

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
                Ok(Self { $($name: Tracked::new(transaction.open_table($name())?),)+ changed: false })
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
                Ok(self.transaction.open_table($name())?)
            })+
        }
    };
}

tables! {
    /// The number of each collection, by `database.collection`.
    collections("collections"): Text => CollectionNo;
    /// The next number to give, under [`NEXT`], and the format of the rows, under [`FORMAT_KEY`].
    numbers("numbers"): Text => (u64,);
    /// The numbers of sessions that are being imported and have no row yet.
    unfinished("unfinished"): SessionNo => ();
    /// Session rows, by collection and session id.
    sessions("sessions"): (CollectionNo, Text) => Bytes;
    /// The metadata of a session.
    metadata("metadata"): SessionNo => Bytes;
    /// The feedback of a session, by position.
    feedback("feedback"): (SessionNo, u64) => Bytes;
    /// Agent rows, by session and agent id.
    agents("agents"): (SessionNo, Text) => Bytes;
    /// The `agent_data` of an agent.
    agent_data("agent_data"): AgentNo => Bytes;
    /// The messages of an agent, by position in the order of appends.
    messages("messages"): (AgentNo, u64) => Bytes;
    /// The positions of the messages of an agent whose id does not tell them: see [`positions`].
    message_ids("message_ids"): (AgentNo, i64, u64) => ();
    /// The order of an agent's messages by time where it is not that of their positions: see [`order`](super::order).
    message_order("message_order"): (AgentNo, u64) => Bytes;
    /// The appends of an agent that had a key, oldest first: documents of `key` and `first`.
    appends("appends"): (AgentNo, u64) => Bytes;
    /// Of an agent whose highest message id is not to be found at once: how many messages were looked at, and the highest id of those.
    /// See [`WriteTables::highest_id`].
    highest_ids("highest_ids"): AgentNo => (u64, i64);
}

/// The key of the next number.
pub(super) const NEXT: &str = "next";

/// The key of the number of the format.
pub(super) const FORMAT_KEY: &str = "format";

impl WriteTables<'_> {
    /// A number that nothing has. It is given once [`NEXT`] is beyond it.
    pub(super) fn free_number(&self) -> Result<u64> {
        let next = self.numbers.get(NEXT)?.map_or(0, |next| next.value().0);
        // A row has its version in the highest byte.
        if next > u64::MAX >> u8::BITS { Err(damaged()) } else { Ok(next) }
    }

    /// Gives a number that nothing has.
    pub(super) fn next_number(&mut self) -> Result<u64> {
        let number = self.free_number()?;
        self.numbers.insert(NEXT, (number + 1,))?;
        Ok(number)
    }

    pub(super) fn put_session(&mut self, collection: CollectionNo, session_id: &str, row: &SessionRow) -> Result<()> {
        self.sessions.insert((collection, session_id), row.encode()?.as_slice())?;
        Ok(())
    }

    pub(super) fn put_agent(&mut self, session: SessionNo, agent_id: &str, row: &AgentRow) -> Result<()> {
        self.agents.insert((session, agent_id), row.encode()?.as_slice())?;
        Ok(())
    }
}

pub(super) fn find_session(
    sessions: &impl ReadableTable<(CollectionNo, Text), Bytes>,
    collection: CollectionNo,
    session_id: &str,
) -> Result<Option<SessionRow>> {
    sessions.get((collection, session_id))?.map(|row| SessionRow::decode(row.value())).transpose()
}

pub(super) fn find_agent(
    agents: &impl ReadableTable<(SessionNo, Text), Bytes>,
    session: SessionNo,
    agent_id: &str,
) -> Result<Option<AgentRow>> {
    agents.get((session, agent_id))?.map(|row| AgentRow::decode(row.value())).transpose()
}

/// The positions of the messages that have an id: one at most, unless another program stored it twice.
///
/// Nearly always ids count up by one, and then an id tells the position and nothing is stored for it.
pub(super) fn positions(
    ids: &impl ReadableTable<(AgentNo, i64, u64), ()>,
    messages: &impl ReadableTable<(AgentNo, u64), Bytes>,
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
pub(super) fn agents_of(agents: &impl ReadableTable<(SessionNo, Text), Bytes>, session: SessionNo) -> Result<Vec<(String, AgentRow)>> {
    let mut found = Vec::new();
    for entry in agents.range((session, "")..(session.next(), ""))? {
        let (key, row) = entry?;
        found.push((key.value().1.to_owned(), AgentRow::decode(row.value())?));
    }
    found.sort_by_key(|(_, agent)| agent.place);
    Ok(found)
}
