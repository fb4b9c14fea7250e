//! From older formats of the database to the newest, one step after another.
//!
//! A step has two parts. The first gives tables another type, in one transaction; a program that is too old for that refuses the database
//! even where no header tells it to. The second brings rows up to date, in pieces. Rows are read in every form, so readers need only the
//! first parts of all steps, in memory. Each part does nothing where it is done already: a step that was cut off is taken again.

use super::fault::Result;
use super::header::FORMAT;
use super::order;
use super::rows::up_to_date;
use super::tables::{Bytes, FORMAT_KEY, NEXT, Text, agents, message_order, numbers, sessions};
use crate::error::Error;
use redb::{Database, Key, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition, TableError, TableHandle};

struct Step {
    /// The format that it begins with. It ends with the next one.
    from: u64,
    /// Gives tables another type.
    tables: fn(&Database) -> Result<()>,
    /// Brings rows up to date.
    rows: fn(&Database) -> Result<()>,
}

/// All steps, from the oldest format on.
const STEPS: [Step; 2] =
    [Step { from: 1, tables: order_as_runs, rows: |_| Ok(()) }, Step { from: 2, tables: numbers_of_one, rows: rows_with_a_version }];

/// The first format that a database notes. Older ones are known by the types of their tables.
const FIRST_NOTED: u64 = 2;

/// How many rows, and about how many bytes of them, are rewritten in one transaction.
const PIECE: usize = 4_096;
const PIECE_BYTES: usize = 8 << 20;

/// Brings a database to the newest format.
pub(super) fn for_writing(database: &Database) -> Result<()> {
    let format = known_format(database)?;
    if format == FORMAT {
        return Ok(());
    }
    for step in STEPS.iter().filter(|step| step.from >= format) {
        (step.tables)(database)?;
        (step.rows)(database)?;
        if step.from >= FIRST_NOTED {
            let transaction = database.begin_write()?;
            transaction.open_table(numbers())?.insert(FORMAT_KEY, (step.from + 1,))?;
            transaction.commit()?;
        }
    }
    tracing::info!("the store has format {FORMAT}");
    Ok(())
}

/// Brings the tables of a database to the types of the newest format, and leaves its rows as they are.
pub(super) fn for_reading(database: &Database) -> Result<()> {
    let format = known_format(database)?;
    STEPS.iter().filter(|step| step.from >= format).try_for_each(|step| (step.tables)(database))
}

/// The format of a database, if it is known here.
fn known_format(database: &Database) -> Result<u64> {
    let format = format_of(database)?;
    if format > FORMAT {
        let why =
            format!("the store has format {format}, which a newer version of this program wrote; this one reads formats up to {FORMAT}");
        return Err(Error::InvalidArgument(why).into());
    }
    Ok(format)
}

/// The format of a database. One that has nothing in it yet has the newest.
fn format_of(database: &Database) -> Result<u64> {
    let reading = database.begin_read()?;
    match reading.open_table(numbers()) {
        Ok(numbers) => return Ok(numbers.get(FORMAT_KEY)?.map_or(FORMAT, |format| format.value().0)),
        Err(TableError::TableDoesNotExist(_)) => return Ok(FORMAT),
        Err(TableError::TableTypeMismatch { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    match reading.open_table(message_order()) {
        Ok(_) | Err(TableError::TableDoesNotExist(_)) => Ok(2),
        Err(TableError::TableTypeMismatch { .. }) => Ok(1),
        Err(error) => Err(error.into()),
    }
}

fn order_as_runs(database: &Database) -> Result<()> {
    match database.begin_read()?.open_table(message_order()) {
        Err(TableError::TableTypeMismatch { .. }) => order::places_to_runs(database),
        _ => Ok(()),
    }
}

/// The numbers as files up to format 2 have them.
const BARE_NUMBERS: TableDefinition<Text, u64> = TableDefinition::new("numbers");

/// Makes each number a tuple of one, a type that programs which know only formats up to 2 refuse. Notes the format.
fn numbers_of_one(database: &Database) -> Result<()> {
    let next = match database.begin_read()?.open_table(BARE_NUMBERS) {
        Ok(numbers) => numbers.get(NEXT)?.map_or(0, |next| next.value()),
        Err(TableError::TableTypeMismatch { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let transaction = database.begin_write()?;
    transaction.delete_table(BARE_NUMBERS)?;
    {
        let mut numbers = transaction.open_table(numbers())?;
        numbers.insert(NEXT, (next,))?;
        numbers.insert(FORMAT_KEY, (2,))?;
    }
    Ok(transaction.commit()?)
}

fn rows_with_a_version(database: &Database) -> Result<()> {
    rewrite(database, sessions(), up_to_date)?;
    rewrite(database, agents(), up_to_date)
}

/// Rewrites the rows of a table, all but those that are as they are to be.
fn rewrite<K: Key>(database: &Database, table: TableDefinition<K, Bytes>, rewritten: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Result<()> {
    let before = match database.begin_read()?.open_table(table) {
        Ok(before) => before,
        Err(TableError::TableDoesNotExist(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let (mut rows, of, mut done) = (before.iter()?.peekable(), before.len()?, 0_u64);
    while rows.peek().is_some() {
        tracing::info!(table = table.name(), done, of, "rows are being brought to format {FORMAT}");
        let transaction = database.begin_write()?;
        {
            let mut after = transaction.open_table(table)?;
            let (mut count, mut bytes) = (0, 0);
            while count < PIECE
                && bytes < PIECE_BYTES
                && let Some(row) = rows.next()
            {
                let (key, row) = row?;
                (count, bytes) = (count + 1, bytes + row.value().len());
                if let Some(row) = rewritten(row.value()) {
                    after.insert(key.value(), row.as_slice())?;
                }
                done += 1;
            }
        }
        transaction.commit()?;
    }
    Ok(())
}
