//! What an agent remembers of appends moves with its session, and so does the session's revision.

use super::round_trip::round_trip;
use super::{agent, message, session};
use crate::run::{Desk, Site};
use mongodb::bson::{Bson, Document, doc};
use session_repository::{AgentRef, AnyStore, AppendKey, Error, NewMessages, Result, StoreUrl, Timestamp, Write};
use session_repository_tests::Database;

/// An agent whose messages have the ids 1 and 7.
fn with_appends(appends: impl Into<Bson>) -> Document {
    let mut agent = agent("a", vec![message(1, doc! {}), message(7, doc! {})]);
    agent.insert("appends", appends);
    agent.insert("theirs", "behind it");
    agent
}

/// Lists that are what a store remembers.
fn remembered() -> Vec<Bson> {
    let many: Vec<Document> = (0..300_i64).map(|n| doc! { "key": n.to_string(), "first": n }).collect();
    vec![
        Bson::Null,
        Bson::Array(Vec::new()),
        Bson::from(vec![doc! { "key": "k", "first": 1_i64 }]),
        Bson::from(vec![doc! { "key": "k", "first": i64::MAX }, doc! { "key": "$k.\0\"é", "first": 0_i64 }]),
        // As other programs write numbers, and with more than a store needs.
        Bson::from(vec![doc! { "key": "k", "first": 1 }, doc! { "first": 7.0, "more": { "n": 1_i64 }, "key": "l" }]),
        Bson::from(many),
    ]
}

/// What another program may have there.
fn foreign() -> Vec<Bson> {
    let known = doc! { "key": "k", "first": 1_i64 };
    vec![
        Bson::from("text"),
        Bson::from(5),
        Bson::from(doc! {}),
        Bson::from(known.clone()),
        Bson::from(vec![Bson::from(known.clone()), Bson::Null]),
        Bson::from(vec![known.clone(), doc! {}]),
        Bson::from(vec![known.clone(), doc! { "key": "l" }]),
        Bson::from(vec![known.clone(), doc! { "key": 5, "first": 1_i64 }]),
        Bson::from(vec![known.clone(), doc! { "key": "l", "first": 1.5 }]),
        Bson::from(vec![known, doc! { "key": "l", "first": -1_i64 }]),
    ]
}

fn sessions(appends: Vec<Bson>) -> Vec<Document> {
    let with = |(index, appends): (usize, Bson)| session(&index.to_string(), doc! { "a": with_appends(appends), "b": agent("b", vec![]) });
    appends.into_iter().enumerate().map(with).collect()
}

/// A store in memory that took in these sessions.
async fn store(sessions: &[Document]) -> anyhow::Result<AnyStore> {
    let store = AnyStore::open(&StoreUrl::Memory, Default::default()).await?;
    let lines: String = sessions.iter().map(|session| Bson::from(session.clone()).into_canonical_extjson().to_string() + "\n").collect();
    let imported = super::load(&store, lines.as_str()).await?;
    assert_eq!((imported.new, imported.complaints), (sessions.len() as u64, Vec::<String>::new()));
    Ok(store)
}

async fn append(store: &AnyStore, session_id: &str, key: Option<&str>) -> Result<i64> {
    let new = NewMessages::new(vec!["{}".into()]).key(key.map(|key| AppendKey::new(key, "0")));
    store.clone().into_store().append_messages(&AgentRef::new(session_id, "a"), new, Write::at(Timestamp(0))).await
}

#[tokio::test]
async fn what_is_remembered_of_appends_keeps_its_place_and_its_types() -> anyhow::Result<()> {
    round_trip(sessions(remembered())).await?;
    round_trip(sessions(foreign())).await
}

#[tokio::test]
async fn revisions_keep_their_place_and_their_types() -> anyhow::Result<()> {
    let revisions = [Bson::Int64(5), Bson::Int32(5), Bson::Double(5.0), Bson::Int64(0), Bson::Null, Bson::from("5"), Bson::Int64(-1)];
    let with = |(index, revision): (usize, Bson)| {
        let mut session = session(&index.to_string(), doc! {});
        session.insert("revision", revision);
        session.insert("theirs", "behind it");
        session
    };
    round_trip(revisions.into_iter().enumerate().map(with).collect()).await
}

#[tokio::test]
async fn a_revision_is_a_whole_number_of_any_type_or_corrupt() -> anyhow::Result<()> {
    let read = [(Bson::Int64(5), 5), (Bson::Int32(5), 5), (Bson::Double(5.0), 5), (Bson::Null, 0), (Bson::Int64(1 << 60), 1 << 60)];
    let corrupt = [Bson::Int64(-1), Bson::Int32(-1), Bson::Double(0.5), Bson::Double(-5.0), Bson::from("5"), Bson::from(doc! {})];
    let mut sessions = sessions(vec![Bson::Null; read.len() + corrupt.len()]);
    let stored = read.iter().map(|(stored, _)| stored).chain(&corrupt);
    sessions.iter_mut().zip(stored).for_each(|(session, stored)| drop(session.insert("revision", stored.clone())));
    let store = store(&sessions).await?;
    let seam = store.clone().into_store();
    for (session, (stored, revision)) in sessions.iter().zip(&read) {
        let id = session.get_str("_id")?;
        assert_eq!(seam.find_session(id).await?.map(|session| session.revision), Some(*revision), "{stored}");
        seam.unset_metadata(id, vec![String::from("k")], Write::at(Timestamp(0)).expecting(Some(*revision))).await?;
        assert_eq!(seam.find_session(id).await?.map(|session| session.revision), Some(revision + 1), "{stored}");
    }
    let before = super::dump(&store).await?;
    for (session, stored) in sessions.iter().skip(read.len()).zip(&corrupt) {
        let id = session.get_str("_id")?;
        assert!(matches!(seam.find_session(id).await, Err(Error::Corrupt(_))), "{stored}");
        let written = seam.unset_metadata(id, vec![String::from("k")], Write::at(Timestamp(0))).await;
        assert!(matches!(written, Err(Error::Corrupt(_))), "{stored}: {written:?}");
    }
    assert_eq!(super::dump(&store).await?, before);
    Ok(())
}

#[tokio::test]
async fn a_key_that_came_with_a_session_is_known() -> anyhow::Result<()> {
    let store = store(&sessions(remembered())).await?;
    for (session_id, key, first) in [("2", "k", 1), ("3", "k", i64::MAX), ("3", "$k.\0\"é", 0), ("4", "k", 1), ("4", "l", 7), ("5", "0", 0)]
    {
        assert_eq!(append(&store, session_id, Some(key)).await?, first, "{session_id} {key}");
    }
    for session_id in ["0", "1", "2", "5"] {
        assert_eq!(append(&store, session_id, Some("new")).await?, 8, "{session_id}");
        assert_eq!(append(&store, session_id, Some("new")).await?, 8, "{session_id}");
    }
    // There were more than are kept; now the oldest are gone.
    assert_eq!(append(&store, "5", Some("299")).await?, 299);
    assert_eq!(append(&store, "5", Some("45")).await?, 45);
    assert_eq!(append(&store, "5", Some("44")).await?, 9);
    Ok(())
}

#[tokio::test]
async fn what_is_no_list_of_appends_stays_and_refuses_keys() -> anyhow::Result<()> {
    let sessions = sessions(foreign());
    let store = store(&sessions).await?;
    let before = super::dump(&store).await?;
    for session in &sessions {
        let session_id = session.get_str("_id")?;
        assert!(matches!(append(&store, session_id, Some("k")).await, Err(Error::Corrupt(_))), "{session_id}");
    }
    assert_eq!(super::dump(&store).await?, before);
    assert_eq!(append(&store, "0", None).await?, 8);
    Ok(())
}

#[tokio::test]
async fn an_agent_that_appended_since_is_another_one() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    for site in [desk.file_site("sessions.store"), Site::memory(), Site::mongo(&database)?] {
        let store = site.open().await?;
        super::load(&store, super::line("s", "x")).await?;
        assert_eq!(append(&store, "s", Some("k")).await?, 2);
        let dump = super::dump(&store).await?;
        assert!(dump.contains(r#""appends":[{"key":"k","first":{"$numberLong":"2"},"digest":"0"}]"#), "{dump}");
        assert!(dump.contains(r#""revision":{"$numberLong":"1"}"#), "{dump}");
        assert_eq!(super::load(&store, dump.as_str()).await?.same, 1);
        for (known, other) in [
            (r#""key":"k""#, r#""key":"l""#),
            (r#""first":{"$numberLong":"2"}"#, r#""first":{"$numberLong":"1"}"#),
            (r#"[{"key":"k","first":{"$numberLong":"2"},"digest":"0"}]"#, "[]"),
            (r#""digest":"0""#, r#""digest":"1""#),
            (r#"[{"key":"k""#, r#"[{"key":"j","first":{"$numberLong":"1"}},{"key":"k""#),
            (r#""digest":"0"}]"#, r#""digest":"0"},{"key":"l","first":{"$numberLong":"2"}}]"#),
            (r#""appends":[{"key":"k","first":{"$numberLong":"2"},"digest":"0"}]"#, r#""appends":[5]"#),
            (r#""revision":{"$numberLong":"1"}"#, r#""revision":{"$numberLong":"2"}"#),
        ] {
            assert_ne!(dump.replace(known, other), dump, "{other}");
            assert_eq!(super::load(&store, dump.replace(known, other)).await?.different, 1, "{other}");
        }
        assert_eq!(super::dump(&store).await?, dump);
        store.into_store().close().await;
    }
    database.drop().await
}
