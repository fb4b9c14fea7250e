//! Copies of tables.

use super::fault::Result;
use redb::{Database, Key, ReadOnlyTable, ReadableTable, TableDefinition, Value};

/// Values copied in one transaction, in bytes.
const BATCH: usize = 64 * 1024 * 1024;

/// Copies the rows of a table in the order of their keys.
pub(super) fn copy_table<K: Key, V: Value>(name: &str, from: &ReadOnlyTable<K, V>, to: &Database, mut copied: impl FnMut()) -> Result<()> {
    let mut rows = from.iter()?.peekable();
    while rows.peek().is_some() {
        let transaction = to.begin_write()?;
        let mut table = transaction.open_table(TableDefinition::<K, V>::new(name))?;
        let mut bytes = 0;
        for row in rows.by_ref() {
            let (key, value) = row?;
            bytes += V::as_bytes(&value.value()).as_ref().len();
            table.insert(key.value(), value.value())?;
            copied();
            if bytes > BATCH {
                break;
            }
        }
        drop(table);
        transaction.commit()?;
    }
    Ok(())
}
