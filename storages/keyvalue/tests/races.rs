//! Other writes that come first, blobs that are lost, and a bucket that refuses.

mod common;

use common::Values;
use session_repository_storage::error::{Error, Result};
use session_repository_storage::object::Object;
use session_repository_storage::storage::Storage;
use session_repository_storage::types::{Agent, Field, Page, Replacement, Session, Write};
use session_repository_storage_keyvalue::bucket::Bucket;
use session_repository_storage_keyvalue::keyvalue::KeyValue;
use std::cell::Cell;

/// An operation of a bucket.
enum Operation {
    GetHead,
    GetBlob,
    Set,
    Delete,
    Swap,
}

/// A bucket with something that happens before each operation.
struct Watched<'v, F> {
    values: &'v Values,
    before: F,
}

impl<F: Fn(Operation) -> Result<()>> Bucket for Watched<'_, F> {
    type Swap = <&'static Values as Bucket>::Swap;

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        (self.before)(if key.ends_with(".head") { Operation::GetHead } else { Operation::GetBlob })?;
        self.values.get(key)
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        (self.before)(Operation::Set)?;
        self.values.set(key, value)
    }

    fn delete(&self, key: &str) -> Result<()> {
        (self.before)(Operation::Delete)?;
        self.values.delete(key)
    }

    fn begin(&self, key: &str) -> Result<(Self::Swap, Option<Vec<u8>>)> {
        (self.before)(Operation::GetHead)?;
        self.values.begin(key)
    }

    fn swap(&self, swap: Self::Swap, value: &[u8]) -> Result<bool> {
        (self.before)(Operation::Swap)?;
        self.values.swap(swap, value)
    }

    fn number(&self) -> Result<i64> {
        self.values.number()
    }
}

const NOW: Write = Write { at: 1, expected: None };

fn body(name: &str) -> Result<Object> {
    Object::parse(format!(r#"{{"name":"{name}","text":"{}"}}"#, "x".repeat(9000)))
}

/// A session with an agent and 20 messages: four fill a block.
fn prepared() -> Result<Values> {
    let values = Values::default();
    let mut storage = KeyValue(&values);
    let session = Session { session_id: String::from("s"), session_type: String::new(), created_at: 0, updated_at: 0, revision: 0 };
    storage.insert_session(session)?;
    storage.insert_agent("s", Agent { agent_id: String::from("a"), data: Object::default(), created_at: 0, updated_at: 0 }, None)?;
    storage.append_messages("s", "a", vec![body("old")?; 20], None, NOW)?;
    assert_eq!(values.blobs().len(), 5);
    Ok(values)
}

/// Replaces message 1, whose block is a new blob then.
fn update(mut storage: KeyValue<impl Bucket>, name: &str) -> Result<()> {
    storage.replace_message("s", "a", 1, Replacement { fields: body(name)?, keep: Vec::new() }, NOW)
}

/// Writes something that is small.
fn set_metadata(mut storage: KeyValue<impl Bucket>, value: usize) -> Result<()> {
    storage.set_metadata("s", &[Field { path: String::from("any"), value: value.to_string() }], NOW)
}

/// How many blobs are there that nothing names.
fn orphans(values: &Values) -> Result<usize> {
    Ok(values.blobs().difference(&values.named()?).count())
}

#[test]
fn a_read_whose_block_is_replaced_meanwhile_answers_the_new_state() -> Result<()> {
    let values = prepared()?;
    let is_over = Cell::new(false);
    let overtaken = |operation| match operation {
        Operation::GetBlob if !is_over.replace(true) => update(KeyValue(&values), "new"),
        _ => Ok(()),
    };
    let storage = KeyValue(Watched { values: &values, before: overtaken });
    let found = storage.find_message("s", "a", 1, &[])?;
    assert!(is_over.take());
    assert_eq!(found.map(|message| message.body), Some(body("new")?));
    let listed = storage.list_messages("s", "a", Page { offset: 1, limit: Some(1) }, &[])?;
    assert!(is_over.take());
    assert_eq!(listed.into_iter().map(|message| message.body).collect::<Vec<_>>(), [body("new")?]);
    Ok(())
}

#[test]
fn a_lost_block_is_corrupt() -> Result<()> {
    let values = prepared()?;
    values.values.borrow_mut().retain(|key, _| key.ends_with(".head"));
    let gets = Cell::new(0);
    let count = |operation| {
        gets.set(gets.get() + usize::from(matches!(operation, Operation::GetHead | Operation::GetBlob)));
        Ok(())
    };
    let mut storage = KeyValue(Watched { values: &values, before: count });
    let read = storage.find_message("s", "a", 1, &[]);
    assert!(matches!(read, Err(Error::Corrupt(_))), "{read:?}");
    // The head and the block, and both again.
    assert_eq!(gets.take(), 4);
    let written = storage.replace_message("s", "a", 1, Replacement { fields: body("new")?, keep: Vec::new() }, NOW);
    assert!(matches!(written, Err(Error::Corrupt(_))), "{written:?}");
    assert_eq!(gets.take(), 4);
    Ok(())
}

#[test]
fn a_read_that_is_always_overtaken_is_unavailable_after_16_attempts() -> Result<()> {
    let values = prepared()?;
    let (heads, blobs) = (Cell::new(0), Cell::new(0));
    let overtaken = |operation| match operation {
        Operation::GetHead => {
            heads.set(heads.get() + 1);
            Ok(())
        }
        Operation::GetBlob => {
            blobs.set(blobs.get() + 1);
            update(KeyValue(&values), &format!("new-{}", blobs.get()))
        }
        _ => Ok(()),
    };
    let answer = KeyValue(Watched { values: &values, before: overtaken }).find_message("s", "a", 1, &[]);
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    assert_eq!((heads.get(), blobs.get()), (16, 16));
    Ok(())
}

#[test]
fn a_write_that_is_always_overtaken_is_unavailable_after_64_attempts_and_leaves_no_blobs() -> Result<()> {
    let values = prepared()?;
    let (swaps, before) = (Cell::new(0), values.blobs());
    let overtaken = |operation| match operation {
        Operation::Swap => {
            swaps.set(swaps.get() + 1);
            set_metadata(KeyValue(&values), swaps.get())
        }
        _ => Ok(()),
    };
    let answer = KeyValue(Watched { values: &values, before: overtaken }).append_messages("s", "a", vec![body("new")?; 20], None, NOW);
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    assert_eq!(swaps.get(), 64);
    assert_eq!(values.blobs(), before);
    Ok(())
}

#[test]
fn blobs_of_an_overtaken_attempt_that_are_left_go_with_the_next_write() -> Result<()> {
    let values = prepared()?;
    let (swaps, is_refusing) = (Cell::new(0), Cell::new(true));
    let before = |operation| match operation {
        // Two writes come first.
        Operation::Swap if swaps.replace(swaps.get() + 1) < 2 => set_metadata(KeyValue(&values), swaps.get()),
        Operation::Delete if is_refusing.get() => Err(Error::Unavailable(String::from("on command"))),
        _ => Ok(()),
    };
    let watched = || KeyValue(Watched { values: &values, before });
    watched().append_messages("s", "a", vec![body("new")?; 20], None, NOW)?;
    // Five blocks of each of two attempts.
    assert_eq!((swaps.get(), orphans(&values)?), (3, 10));
    is_refusing.set(false);
    set_metadata(watched(), 0)?;
    assert_eq!(orphans(&values)?, 0);
    Ok(())
}

#[test]
fn a_head_keeps_the_names_of_256_blobs_that_could_not_be_removed() -> Result<()> {
    let values = prepared()?;
    let is_refusing = Cell::new(true);
    let before = |operation| match operation {
        Operation::Delete if is_refusing.get() => Err(Error::Unavailable(String::from("on command"))),
        _ => Ok(()),
    };
    let watched = || KeyValue(Watched { values: &values, before });
    for n in 0..260 {
        update(watched(), &format!("new-{n}"))?;
    }
    assert_eq!(orphans(&values)?, 260);
    is_refusing.set(false);
    set_metadata(watched(), 0)?;
    // The oldest were forgotten.
    assert_eq!(orphans(&values)?, 4);
    Ok(())
}
