//! How a store takes the revision of a session that another program stored: absent or null is 0, a whole number counts whatever its type,
//! and anything else is corrupt for reads and for every write, which changes nothing.

use crate::transfer::{dump, load};
use session_repository::{
    Agent, AgentRef, AnyStore, EmbeddedStore, Error, Feedback, Json, Message, MongoStore, NewMessages, Replacement, Result, Store,
    StoreOptions, Timestamp, Write,
};
use session_repository_tests::{Database, mongodb_uri};
use std::sync::Arc;

const NOW: Timestamp = Timestamp(1_706_265_045_123);

/// The number of writes in [`write`].
const WRITES: u64 = 9;

/// One of all writes.
async fn write(store: &dyn Store, session: &str, which: u64, expected: Option<u64>) -> Result<()> {
    let replacement = || Replacement::new("{}");
    let (a, now) = (AgentRef::new(session, "a"), Write::at(NOW).expecting(expected));
    match which {
        0 => {
            let agent = Agent::new("b", "{}", NOW);
            store.insert_agent(session, agent, now).await
        }
        1 => store.replace_agent(&a, replacement(), now).await,
        2 => store.append_message(&a, message(77, NOW.0, "{}"), &[], now).await.map(drop),
        3 => {
            let new = NewMessages::new(vec!["{}".into()]);
            store.append_messages(&a, new, now).await.map(drop)
        }
        4 => store.replace_message(&a, 0, replacement(), now).await,
        5 => store.set_metadata(session, vec![(String::from("k"), Json::from("1"))], now).await,
        6 => store.unset_metadata(session, vec![String::from("k")], now).await,
        7 => store.append_feedback(session, Feedback::new("{}", NOW), now).await,
        // A message that is older than others.
        _ => store.append_message(&a, message(90, 0, "{}"), &[], Write::at(Timestamp(0)).expecting(expected)).await.map(drop),
    }
}

fn message(id: i64, time: i64, body: &str) -> Message {
    Message::new(id, body, Timestamp(time))
}

#[tokio::test]
async fn a_revision_is_absent_null_or_a_whole_number_for_every_write_in_memory() -> anyhow::Result<()> {
    every_write(AnyStore::Embedded(EmbeddedStore::in_memory(StoreOptions::default()).await?)).await
}

#[tokio::test]
async fn a_revision_is_absent_null_or_a_whole_number_for_every_write_in_mongodb() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    every_write(AnyStore::Mongo(MongoStore::connect(&mongodb_uri()?, database.options()).await?)).await?;
    database.drop().await
}

async fn every_write(any: AnyStore) -> anyhow::Result<()> {
    let read = [
        ("", 0),
        ("null", 0),
        ("5", 5),
        (r#"{"$numberLong":"5"}"#, 5),
        (r#"{"$numberDouble":"5.0"}"#, 5),
        (r#"{"$numberDouble":"-0.0"}"#, 0),
        (r#"{"$numberDouble":"9007199254740000.0"}"#, 9_007_199_254_740_000),
        (r#"{"$numberLong":"9223372036854775000"}"#, 9_223_372_036_854_775_000),
    ];
    let corrupt = [
        "-1",
        r#"{"$numberDouble":"0.5"}"#,
        r#"{"$numberDouble":"-5.0"}"#,
        r#"{"$numberDouble":"NaN"}"#,
        r#"{"$numberDouble":"Infinity"}"#,
        // Not every number is one of these any more.
        r#"{"$numberDouble":"9007199254740992.0"}"#,
        r#"{"$numberDecimal":"5"}"#,
        r#""5""#,
        "true",
        "[5]",
        "{}",
    ];
    let date = format!(r#"{{"$date":{{"$numberLong":"{}"}}}}"#, NOW.0);
    let message = format!(r#"{{"message_id":0,"created_at":{date},"updated_at":{date}}}"#);
    let agent = format!(r#"{{"agent_data":{{"agent_id":"a"}},"created_at":{date},"updated_at":{date},"messages":[{message}]}}"#);
    let stored = read.iter().map(|(stored, _)| *stored).chain(corrupt);
    let lines = stored.enumerate().map(|(index, stored)| {
        let revision = if stored.is_empty() { String::new() } else { format!(r#","revision":{stored}"#) };
        format!("{{\"_id\":\"{index}\",\"created_at\":{date}{revision},\"agents\":{{\"a\":{agent}}}}}\n")
    });
    let imported = load(&any, lines.collect::<String>()).await?;
    let store: Arc<dyn Store> = any.clone().into_store();
    assert_eq!(imported.new as usize, read.len() + corrupt.len(), "{imported:?}");
    let before = dump(&any).await?;
    for (index, stored) in corrupt.iter().enumerate() {
        let session = (read.len() + index).to_string();
        assert!(matches!(store.find_session(&session).await, Err(Error::Corrupt(_))), "{stored}");
        for which in 0..WRITES {
            for expected in [None, Some(0), Some(5)] {
                let written = write(&*store, &session, which, expected).await;
                assert!(matches!(written, Err(Error::Corrupt(_))), "{stored}, write {which}: {written:?}");
            }
        }
    }
    assert!(dump(&any).await? == before, "a refused write has changed something");
    for (index, (stored, revision)) in read.iter().enumerate() {
        let session = index.to_string();
        for which in 0..WRITES {
            let expected = revision + which;
            let stale = write(&*store, &session, which, Some(expected + 1)).await;
            assert_eq!(stale, Err(Error::Stale { current: expected }), "{stored}, write {which}");
            write(&*store, &session, which, Some(expected)).await?;
            assert_eq!(store.find_session(&session).await?.map(|session| session.revision), Some(expected + 1), "{stored}, write {which}");
        }
    }
    Ok(())
}
