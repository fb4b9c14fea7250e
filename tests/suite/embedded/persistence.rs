//! What was written is there when the file is opened again.

use super::{a, at, message, open, unavailable};
use crate::samples::samples;
use serde_json::{Value, json};
use session_repository::{
    Agent, AgentRef, EmbeddedStore, Feedback, Json, Page, Replacement, Repository, Result, Session, Store, StoreOptions, Timestamp,
};
use std::path::Path;

fn session(session_id: &str, session_type: &str, time: i64) -> Session {
    let (session_id, session_type) = (session_id.to_owned(), session_type.to_owned());
    Session::new(session_id, session_type, Timestamp(time))
}

fn agent(agent_id: &str, data: &str, time: i64) -> Agent {
    Agent::new(agent_id, data, Timestamp(time))
}

fn feedback(body: &str, time: i64) -> Feedback {
    Feedback::new(body, Timestamp(time))
}

fn replacement(fields: &str, keep: &[&str]) -> Replacement {
    Replacement::new(fields).keep(keep.iter().copied())
}

/// Agent `b` of session `s`.
fn b() -> AgentRef {
    AgentRef::new("s", "b")
}

/// A session with everything in it.
async fn write(store: &EmbeddedStore) -> Result<()> {
    store.insert_session(session("s", "chat", 10)).await?;
    store.insert_agent("s", agent("b", r#"{"model":"m","state":{"n":1.0}}"#, 11), at(11)).await?;
    store.insert_agent("s", agent("a", "{}", 12), at(12)).await?;
    store.append_message(&b(), message(7, 13, r#"{"role":"user","content":"Hello!"}"#), &[], at(13)).await?;
    store.append_message(&b(), message(8, 14, r#"{"role":"assistant","content":"é\u0000"}"#), &[], at(14)).await?;
    store.append_message(&b(), message(3, 5, r#"{"late":true}"#), &[], at(5)).await?;
    store.replace_message(&b(), 7, replacement(r#"{"content":"Hi!"}"#, &["role"]), at(15)).await?;
    store.replace_agent(&b(), replacement(r#"{"state":{"n":2}}"#, &["model"]), at(16)).await?;
    store.set_metadata("s", vec![("a.b".to_owned(), Json::from("1")), ("c".to_owned(), Json::from("[null]"))], at(17)).await?;
    store.unset_metadata("s", vec!["c".to_owned()], at(18)).await?;
    store.append_feedback("s", feedback(r#"{"rating":"up"}"#, 19), at(19)).await?;
    store.append_feedback("s", feedback(r#"{"rating":"down"}"#, 20), at(20)).await
}

fn value(json: &Json) -> anyhow::Result<Value> {
    Ok(json.parse()?)
}

async fn check(store: &EmbeddedStore) -> anyhow::Result<()> {
    let mut stored = session("s", "chat", 10);
    (stored.updated_at, stored.revision) = (Timestamp(20), 11);
    assert_eq!(store.find_session("s").await?, Some(stored));
    assert_eq!(store.agent_ids("s").await?, Some(vec!["b".to_owned(), "a".to_owned()]));
    let found = store.find_agent(&b()).await?.map(|agent| (agent.data, agent.created_at, agent.updated_at));
    let (data, created_at, updated_at) = found.ok_or_else(|| anyhow::anyhow!("no agent"))?;
    assert_eq!((value(&data)?, created_at, updated_at), (json!({"state": {"n": 2}, "model": "m"}), Timestamp(11), Timestamp(16)));
    assert_eq!(store.find_agent(&a()).await?, Some(agent("a", "{}", 12)));
    let mut messages = Vec::new();
    for message in store.list_messages(&b(), Page::default(), &[]).await? {
        assert_eq!(store.find_message(&b(), message.message_id, &[]).await?.as_ref(), Some(&message));
        messages.push((message.message_id, value(&message.body)?, message.created_at.0, message.updated_at.0));
    }
    let expected = [
        (3, json!({"late": true}), 5, 5),
        (7, json!({"content": "Hi!", "role": "user"}), 13, 15),
        (8, json!({"role": "assistant", "content": "é\0"}), 14, 14),
    ];
    assert_eq!(messages, expected);
    assert_eq!(store.get_metadata("s").await?.as_ref().map(value).transpose()?, Some(json!({"a": {"b": 1}})));
    let entries = [feedback(r#"{"rating":"up"}"#, 19), feedback(r#"{"rating":"down"}"#, 20)];
    assert_eq!(store.list_feedback("s", usize::MAX).await?, entries);
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_opened_again_has_everything() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store");
    let store = open(&file).await?;
    write(&store).await?;
    check(&store).await?;
    store.close().await;
    for _ in 0..2 {
        let store = open(&file).await?;
        check(&store).await?;
        store.close().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_store_that_is_dropped_has_kept_what_it_acknowledged() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store");
    let store = open(&file).await?;
    write(&store).await?;
    drop(store);
    let store = super::lock::open_when_free(&file).await?;
    check(&store).await?;
    store.close().await;
    Ok(())
}

async fn open_collection(file: &Path, database: &str, collection: &str) -> Result<EmbeddedStore> {
    let options = StoreOptions::default().database(database).collection(collection);
    EmbeddedStore::open(file, options).await
}

#[tokio::test]
async fn collections_of_one_file_are_kept_apart() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("store");
    let places = [("d", "c"), ("d", "e"), ("e", "c"), ("d", "c.c"), ("d", "d.c")];
    for (index, (database, collection)) in places.iter().enumerate() {
        let store = open_collection(&file, database, collection).await?;
        assert_eq!(store.find_session("s").await?, None, "{database}.{collection}");
        write(&store).await?;
        store.insert_session(session("own", &index.to_string(), 0)).await?;
        store.close().await;
    }
    for (index, (database, collection)) in places.iter().enumerate() {
        let store = open_collection(&file, database, collection).await?;
        check(&store).await?;
        assert_eq!(store.find_session("own").await?, Some(session("own", &index.to_string(), 0)), "{database}.{collection}");
        store.close().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_closed_store_is_unavailable() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    for store in [open(folder.path().join("store")).await?, EmbeddedStore::in_memory(StoreOptions::default()).await?] {
        write(&store).await?;
        let clone = store.clone();
        store.close().await;
        for store in [store, clone] {
            store.close().await;
            unavailable(store.agent_ids("s").await);
            let repo = Repository::builder(store).build()?;
            for sample in samples() {
                unavailable((sample.make)(&repo, "s").await);
            }
        }
    }
    Ok(())
}
