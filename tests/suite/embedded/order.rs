//! Messages are listed by their times, in whatever order these come.

use super::disk::Disk;
use super::{a, at, message};
use proptest::prelude::*;
use session_repository::{
    Agent, Appended, EmbeddedStore, Error, Message, NewMessages, Page, Session, Store, StoreOptions, Timestamp, Write,
};
use tokio::runtime::Builder;

/// The id of a message and when it comes, or how many come at once and get the next ids.
type Append = (std::result::Result<i64, u8>, i64);

/// The ids and the times of messages: both often equal, often rising, anything else now and then.
fn appends() -> impl Strategy<Value = Vec<Append>> {
    let id = prop_oneof![
        8 => (-5..25_i64).prop_map(Ok),
        4 => (1..4_u8).prop_map(Err),
        1 => any::<i64>().prop_map(Ok),
        1 => prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(i64::MAX - 3)].prop_map(Ok),
    ];
    let time = prop_oneof![6 => 0..8_i64, 1 => -1_000_000..1_000_000_i64];
    let scattered = prop::collection::vec((id, time), 0..40);
    let rising =
        (any::<i32>(), 0..40_i64).prop_map(|(first, count)| (0..count).map(|n| (Ok(i64::from(first) + n), n / 3)).collect::<Vec<_>>());
    (rising, scattered).prop_map(|(mut rising, scattered)| {
        rising.extend(scattered);
        rising
    })
}

async fn with_agent(store: &EmbeddedStore) -> anyhow::Result<()> {
    let (now, session_id, session_type) = (Timestamp(0), String::from("s"), String::from("default"));
    store.insert_session(Session::new(session_id, session_type, now)).await?;
    let agent = Agent::new("a", "{}", now);
    Ok(store.insert_agent("s", agent, Write::at(now)).await?)
}

/// Appends messages. `expected` is what is to be there, in the order in which it is to be listed.
async fn append(store: &EmbeddedStore, appends: &[Append], expected: &mut Vec<Message>) -> anyhow::Result<()> {
    for (id, time) in appends {
        let id = match id {
            Ok(id) => id,
            Err(count) => {
                append_next(store, *count, *time, expected).await?;
                continue;
            }
        };
        let message = message(*id, *time, &format!(r#"{{"length":{}}}"#, expected.len()));
        let appended = store.append_message(&a(), message.clone(), &[], at(*time)).await?;
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

/// Appends so many messages under the next ids.
async fn append_next(store: &EmbeddedStore, count: u8, time: i64, expected: &mut Vec<Message>) -> anyhow::Result<()> {
    let new = NewMessages::new(vec!["{}".into(); count.into()]);
    let answer = store.append_messages(&a(), new, at(time)).await;
    let highest = expected.iter().map(|message| message.message_id).max();
    let first = highest.map_or(Some(0), |highest| highest.max(-1).checked_add(1));
    let Some((first, last)) = first.and_then(|first| Some((first, first.checked_add(i64::from(count) - 1)?))) else {
        assert!(matches!(answer, Err(Error::InvalidArgument(_))), "{answer:?}");
        return Ok(());
    };
    assert_eq!(answer?, first);
    let time = expected.last().map_or(time, |newest| newest.created_at.0.max(time));
    expected.extend((first..=last).map(|id| message(id, time, "{}")));
    Ok(())
}

/// Checks all messages of a session, their pages, and each by its id.
async fn check(store: &EmbeddedStore, expected: &[Message]) -> anyhow::Result<()> {
    assert_eq!(store.list_messages(&a(), Page::default(), &[]).await?, expected);
    for limit in [1, 7] {
        for offset in 0..=expected.len() {
            let page = store.list_messages(&a(), Page::default().offset(offset as u64).limit(limit as u64), &[]).await?;
            assert_eq!(page, expected[offset..expected.len().min(offset + limit)], "{limit} from {offset}");
        }
    }
    for message in expected {
        assert_eq!(store.find_message(&a(), message.message_id, &[]).await?.as_ref(), Some(message));
        for other in [message.message_id.wrapping_add(1), message.message_id.wrapping_sub(1)] {
            let found = store.find_message(&a(), other, &[]).await?;
            assert_eq!(found.as_ref(), expected.iter().find(|message| message.message_id == other));
        }
    }
    Ok(())
}

/// Appends messages in two parts, the second one after the store was opened again.
async fn append_and_check(appends: &[Append]) -> anyhow::Result<()> {
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
