//! Random calls: the storage answers as the one in memory does, whatever is in blobs.

mod common;

use common::Values;
use session_repository_storage::error::Result;
use session_repository_storage::object::Object;
use session_repository_storage::storage::Storage;
use session_repository_storage::types::{Agent, AppendKey, Feedback, Field, Message, Page, Replacement, Session, Write};
use session_repository_storage_keyvalue::keyvalue::KeyValue;
use session_repository_storage_memory::sessions::Sessions;

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
    let revision = storage.find_session("s")?.map(|session| session.revision);
    let expected = match random.below(8) {
        0 | 1 => revision,
        2 => revision.map(|revision| revision.saturating_sub(1 + random.below(3))),
        3 => Some(u64::MAX),
        _ => None,
    };
    let write = Write { at, expected };
    let omit = [String::from("n")];
    let answer = match random.below(13) {
        0 => format!(
            "{:?}",
            storage.insert_agent("s", Agent { agent_id: agent, data: random.object(9000)?, created_at: at, updated_at: at }, expected)
        ),
        1 => format!(
            "{:?}",
            storage.replace_agent("s", &agent, Replacement { fields: random.object(9000)?, keep: vec![String::from("n")] }, write)
        ),
        2..4 => {
            let message = Message { message_id: id, body: random.object(9000)?, created_at: at, updated_at: at };
            format!("{:?}", storage.append_message("s", &agent, message, &omit, expected))
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
        9 => format!("{:?}", storage.append_feedback("s", Feedback { body: random.object(5000)?, created_at: at }, expected)),
        10 => {
            let paths: Vec<_> = (0..random.below(3)).map(|_| format!("m{}.x", random.below(5))).collect();
            format!("{:?}", storage.unset_metadata("s", &paths, write))
        }
        11 => format!("{:?}", storage.find_message("s", &agent, id, &omit)),
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
        let values = Values::default();
        let (mut keyvalue, mut memory) = (KeyValue(&values), Sessions::default());
        let session = Session { session_id: String::from("s"), session_type: String::new(), created_at: 0, updated_at: 0, revision: 0 };
        keyvalue.insert_session(session.clone())?;
        memory.insert_session(session)?;
        for step in 0..300 {
            let (mut one, mut other) = (Random(seed * 1000 + step), Random(seed * 1000 + step));
            let at = i64::try_from(step).unwrap_or(0);
            assert_eq!(call(&mut keyvalue, &mut one, at)?, call(&mut memory, &mut other, at)?, "seed {seed}, step {step}");
            if step % 10 == 9 {
                assert_eq!(values.blobs(), values.named()?, "seed {seed}, step {step}");
            }
        }
        assert_eq!(seen(&keyvalue)?, seen(&memory)?, "seed {seed}");
        assert!(values.blobs().len() > 10, "seed {seed}");
    }
    Ok(())
}
