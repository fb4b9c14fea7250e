//! Messages are listed by their times, in whatever order these come.

use super::disk::Disk;
use super::message;
use proptest::prelude::*;
use session_repository::{Agent, Appended, EmbeddedStore, Message, Page, Session, Store, StoreOptions, Timestamp};
use tokio::runtime::Builder;

/// The ids and the times of messages: both often equal, often rising, anything else now and then.
fn appends() -> impl Strategy<Value = Vec<(i64, i64)>> {
    let id = prop_oneof![4 => -5..25_i64, 1 => any::<i64>(), 1 => Just(i64::MIN), 1 => Just(i64::MAX)];
    let time = prop_oneof![6 => 0..8_i64, 1 => -1_000_000..1_000_000_i64];
    let scattered = prop::collection::vec((id, time), 0..40);
    let rising = (any::<i32>(), 0..40_i64).prop_map(|(first, count)| (0..count).map(|n| (i64::from(first) + n, n / 3)).collect::<Vec<_>>());
    (rising, scattered).prop_map(|(mut rising, scattered)| {
        rising.extend(scattered);
        rising
    })
}

async fn with_agent(store: &EmbeddedStore) -> anyhow::Result<()> {
    let (now, session_id, session_type) = (Timestamp(0), String::from("s"), String::from("default"));
    store.insert_session(Session { session_id, session_type, created_at: now, updated_at: now, revision: 0 }).await?;
    let agent = Agent { agent_id: String::from("a"), data: "{}".into(), created_at: now, updated_at: now };
    Ok(store.insert_agent("s", agent, None).await?)
}

/// Appends messages. `expected` is what is to be there, in the order in which it is to be listed.
async fn append(store: &EmbeddedStore, appends: &[(i64, i64)], expected: &mut Vec<Message>) -> anyhow::Result<()> {
    for (id, time) in appends {
        let message = message(*id, *time, &format!(r#"{{"length":{}}}"#, expected.len()));
        let appended = store.append_message("s", "a", message.clone(), &[], None).await?;
        match expected.iter().find(|known| known.message_id == *id) {
            Some(known) => assert_eq!(appended, Appended::Taken(known.clone())),
            None => {
                assert_eq!(appended, Appended::New);
                expected.push(message);
                // Stable: equal times stay in the order of their appends.
                expected.sort_by_key(|message| message.created_at);
            }
        }
    }
    Ok(())
}

/// Checks all messages of a session, their pages, and each by its id.
async fn check(store: &EmbeddedStore, expected: &[Message]) -> anyhow::Result<()> {
    assert_eq!(store.list_messages("s", "a", Page::default(), &[]).await?, expected);
    for limit in [1, 7] {
        for offset in 0..=expected.len() {
            let page =
                store.list_messages("s", "a", Page { offset: offset as u64, limit: Some(limit as u64), ..Page::default() }, &[]).await?;
            assert_eq!(page, expected[offset..expected.len().min(offset + limit)], "{limit} from {offset}");
        }
    }
    for message in expected {
        assert_eq!(store.find_message("s", "a", message.message_id, &[]).await?.as_ref(), Some(message));
        for other in [message.message_id.wrapping_add(1), message.message_id.wrapping_sub(1)] {
            let found = store.find_message("s", "a", other, &[]).await?;
            assert_eq!(found.as_ref(), expected.iter().find(|message| message.message_id == other));
        }
    }
    Ok(())
}

/// Appends messages in two parts, the second one after the store was opened again.
async fn append_and_check(appends: &[(i64, i64)]) -> anyhow::Result<()> {
    let disk = Disk::empty();
    let mut expected = Vec::new();
    let (first, second) = appends.split_at(appends.len() / 2);
    for (part, is_new) in [(first, true), (second, false)] {
        let store = EmbeddedStore::on_backend(disk.clone(), StoreOptions::default()).await?;
        if is_new {
            with_agent(&store).await?;
        }
        check(&store, &expected).await?;
        append(&store, part, &mut expected).await?;
        check(&store, &expected).await?;
        store.close().await;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_messages_are_listed_by_their_times_and_found_by_their_ids(appends in appends()) {
        let runtime = Builder::new_current_thread().build().map_err(|error| TestCaseError::fail(error.to_string()))?;
        runtime.block_on(append_and_check(&appends)).map_err(|error| TestCaseError::fail(format!("{error:#}")))?;
    }
}
