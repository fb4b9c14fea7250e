//! Tables that can take back what a piece of work did to them.

use redb::{Key, ReadableTable, StorageError, Table, Value};
use std::borrow::Borrow;
use std::ops::{Deref, RangeBounds};

type Result<T, E = StorageError> = std::result::Result<T, E>;

/// A table of a transaction that writes, and the rows that the current piece of work has overwritten.
///
/// Many pieces of work share a transaction, and the database can only undo a whole transaction. So a refused piece of work is undone row by
/// row. Reads go to the table itself; writes go through this.
pub(super) struct Tracked<'t, K: Key + 'static, V: Value + 'static> {
    table: Table<'t, K, V>,
    /// The rows that were written, oldest first: key and value before, as the database writes them.
    before: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Whether rows were discarded.
    discarded: bool,
}

impl<'t, K: Key, V: Value> Tracked<'t, K, V> {
    pub(super) fn new(table: Table<'t, K, V>) -> Self {
        Self { table, before: Vec::new(), discarded: false }
    }

    pub(super) fn insert<'k, 'v>(&mut self, key: impl Borrow<K::SelfType<'k>>, value: impl Borrow<V::SelfType<'v>>) -> Result<()> {
        let before = self.table.insert(key.borrow(), value.borrow())?.map(|value| bytes::<V>(&value.value()));
        self.before.push((bytes::<K>(key.borrow()), before));
        Ok(())
    }

    pub(super) fn remove<'k>(&mut self, key: impl Borrow<K::SelfType<'k>>) -> Result<()> {
        if let Some(before) = self.table.remove(key.borrow())?.map(|value| bytes::<V>(&value.value())) {
            self.before.push((bytes::<K>(key.borrow()), Some(before)));
        }
        Ok(())
    }

    /// Removes the rows in a range, which are few.
    pub(super) fn remove_range<'k, R: Borrow<K::SelfType<'k>> + 'k>(&mut self, range: impl RangeBounds<R> + 'k) -> Result<()>
    where
        K: 'k,
    {
        let keys = self.table.range(range)?.map(|row| Ok(bytes::<K>(&row?.0.value()))).collect::<Result<Vec<Vec<u8>>>>()?;
        keys.into_iter().try_for_each(|key| self.remove(K::from_bytes(&key)))
    }

    /// Removes rows that nothing leads to, however many. Nothing brings them back.
    pub(super) fn discard<'k, R: Borrow<K::SelfType<'k>> + 'k>(&mut self, range: impl RangeBounds<R> + 'k) -> Result<()>
    where
        K: 'k,
    {
        self.discarded = true;
        self.table.retain_in(range, |_, _| false)
    }

    /// Ends a piece of work that is done; tells whether it changed anything.
    pub(super) fn keep(&mut self) -> bool {
        let changed = self.discarded || !self.before.is_empty();
        self.before.clear();
        changed
    }

    /// Ends a piece of work that is refused: restores the rows that it has overwritten.
    pub(super) fn take_back(&mut self) -> Result<()> {
        while let Some((key, before)) = self.before.pop() {
            let key = K::from_bytes(&key);
            match &before {
                Some(value) => drop(self.table.insert(key, V::from_bytes(value))?),
                None => drop(self.table.remove(key)?),
            }
        }
        Ok(())
    }
}

fn bytes<T: Value>(value: &T::SelfType<'_>) -> Vec<u8> {
    T::as_bytes(value).as_ref().to_vec()
}

impl<'t, K: Key, V: Value> Deref for Tracked<'t, K, V> {
    type Target = Table<'t, K, V>;

    fn deref(&self) -> &Self::Target {
        &self.table
    }
}
