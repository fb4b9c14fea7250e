//! Random calls: the storage answers as the one in memory does, whatever is in blobs.

use session_repository_storage::error::{Error, Result};
use session_repository_storage::object::Object;
use session_repository_storage::storage::Storage;
use session_repository_storage::types::{Agent, AppendKey, Feedback, Field, Message, Page, Replacement, Session, Write};
use session_repository_storage_keyvalue::bucket::Bucket;
use session_repository_storage_keyvalue::keyvalue::KeyValue;
use session_repository_storage_memory::sessions::Sessions;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// A bucket in memory.
#[derive(Debug, Default)]
struct Values {
    values: RefCell<BTreeMap<String, Vec<u8>>>,
    number: Cell<i64>,
}

impl Bucket for Values {
    type Swap = (String, Option<Vec<u8>>);

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.values.borrow().get(key).cloned())
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        self.values.borrow_mut().insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.values.borrow_mut().remove(key);
        Ok(())
    }

    fn begin(&self, key: &str) -> Result<(Self::Swap, Option<Vec<u8>>)> {
        let value = self.get(key)?;
        Ok(((key.to_owned(), value.clone()), value))
    }

    fn swap(&self, (key, seen): Self::Swap, value: &[u8]) -> Result<bool> {
        let is_same = self.get(&key)? == seen;
        if is_same {
            self.set(&key, value)?;
        }
        Ok(is_same)
    }

    fn number(&self) -> Result<i64> {
        self.number.set(self.number.get() + 1);
        Ok(self.number.get())
    }
}

/// Random numbers, the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn object(&mut self, bytes: u64) -> Result<Object> {
        let length = self.below(bytes);
        Object::parse(format!(r#"{{"n":{},"text":"{}"}}"#, self.below(1000), "x".repeat(usize::try_from(length).unwrap_or(0))))
    }
}

/// Makes a random call, and returns what it answers.
fn call(storage: &mut impl Storage, random: &mut Random, step: i64) -> Result<String> {
    let agent = format!("a{}", random.below(3));
    // Mostly in order, sometimes late.
    let at = if random.below(5) == 0 { step - 40 } else { step };
    let id = i64::try_from(random.below(400)).unwrap_or(0);
    let write = Write { at, expected: None };
    let omit = [String::from("n")];
    let answer = match random.below(12) {
        0 => format!(
            "{:?}",
            storage.insert_agent("s", Agent { agent_id: agent, data: random.object(9000)?, created_at: at, updated_at: at }, None)
        ),
        1 => format!(
            "{:?}",
            storage.replace_agent("s", &agent, Replacement { fields: random.object(9000)?, keep: vec![String::from("n")] }, write)
        ),
        2..4 => {
            let message = Message { message_id: id, body: random.object(9000)?, created_at: at, updated_at: at };
            format!("{:?}", storage.append_message("s", &agent, message, &omit, None))
        }
        4..6 => {
            let bodies = (0..=random.below(9)).map(|_| random.object(9000)).collect::<Result<_>>()?;
            let key = AppendKey { key: format!("k{}", random.below(50)), digest: String::from("d") };
            format!("{:?}", storage.append_messages("s", &agent, bodies, Some(key), write))
        }
        6..8 => format!(
            "{:?}",
            storage.replace_message("s", &agent, id, Replacement { fields: random.object(30_000)?, keep: Vec::new() }, write)
        ),
        8 => {
            let fields = [Field { path: format!("m{}.x", random.below(5)), value: random.object(20_000)?.into_string() }];
            format!("{:?}", storage.set_metadata("s", &fields, write))
        }
        9 => format!("{:?}", storage.append_feedback("s", Feedback { body: random.object(5000)?, created_at: at }, None)),
        10 => format!("{:?}", storage.find_message("s", &agent, id, &omit)),
        _ => {
            let page = Page { offset: random.below(300), limit: Some(random.below(30)) };
            format!("{:?}", storage.list_messages("s", &agent, page, &omit))
        }
    };
    Ok(answer)
}

/// All that can be read of the session.
fn seen(storage: &impl Storage) -> Result<String> {
    let mut seen = format!("{:?} {:?} {:?}", storage.find_session("s")?, storage.get_metadata("s")?, storage.list_feedback("s")?);
    for agent in ["a0", "a1", "a2"] {
        let messages = storage.list_messages("s", agent, Page::default(), &[])?;
        for message in &messages {
            assert_eq!(storage.find_message("s", agent, message.message_id, &[])?.as_ref(), Some(message));
        }
        seen += &format!("{:?} {messages:?}", storage.find_agent("s", agent)?);
    }
    Ok(seen)
}

#[test]
fn it_answers_as_the_storage_in_memory_does() -> Result<()> {
    for seed in 0..6 {
        let (mut keyvalue, mut memory) = (KeyValue(Values::default()), Sessions::default());
        let session = Session { session_id: String::from("s"), session_type: String::new(), created_at: 0, updated_at: 0, revision: 0 };
        keyvalue.insert_session(session.clone())?;
        memory.insert_session(session)?;
        for step in 0..300 {
            let (mut one, mut other) = (Random(seed * 1000 + step), Random(seed * 1000 + step));
            let at = i64::try_from(step).unwrap_or(0);
            assert_eq!(call(&mut keyvalue, &mut one, at)?, call(&mut memory, &mut other, at)?, "seed {seed}, step {step}");
        }
        assert_eq!(seen(&keyvalue)?, seen(&memory)?, "seed {seed}");
        // What is not named any more is gone.
        let named = keyvalue.0.values.borrow();
        let head = named.iter().find(|(key, _)| key.ends_with(".head")).map(|(_, head)| String::from_utf8_lossy(head));
        let blobs = named.keys().filter(|key| !key.ends_with(".head")).count();
        assert!(head.is_some_and(|head| head.len() <= 512 << 10) && blobs > 10, "seed {seed}: {blobs}");
    }
    Ok(())
}

/// The attempts end, and leave no blobs.
#[test]
fn a_bucket_that_always_changes_is_unavailable() -> Result<()> {
    /// Swaps never find what they expect.
    struct Busy(Values);

    impl Bucket for Busy {
        type Swap = ();

        fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
            self.0.get(key)
        }

        fn set(&self, key: &str, value: &[u8]) -> Result<()> {
            self.0.set(key, value)
        }

        fn delete(&self, key: &str) -> Result<()> {
            self.0.delete(key)
        }

        fn begin(&self, key: &str) -> Result<((), Option<Vec<u8>>)> {
            Ok(((), self.0.get(key)?))
        }

        fn swap(&self, (): (), _: &[u8]) -> Result<bool> {
            Ok(false)
        }

        fn number(&self) -> Result<i64> {
            self.0.number()
        }
    }

    let session = Session { session_id: String::from("s"), session_type: String::new(), created_at: 0, updated_at: 0, revision: 0 };
    let mut prepared = KeyValue(Values::default());
    prepared.insert_session(session)?;
    prepared.insert_agent("s", Agent { agent_id: String::from("a"), data: Object::default(), created_at: 0, updated_at: 0 }, None)?;
    let before = prepared.0.values.borrow().clone();
    let mut busy = KeyValue(Busy(prepared.0));
    let bodies = vec![Random(1).object(9000)?; 20];
    let answer = busy.append_messages("s", "a", bodies, None, Write { at: 1, expected: None });
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    assert_eq!(*busy.0.0.values.borrow(), before);
    Ok(())
}
