//! A write that is refused leaves nothing, whatever it had changed and whoever shares its transaction.

use super::disk::Disk;
use super::group::Gated;
use super::{PATIENCE, a, at, message};
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};
use session_repository::{
    Agent, AgentRef, AnyStore, Appended, Dumped, EmbeddedStore, Error, Session, Store, StoreOptions, Timestamp, Write,
};
use std::io::{BufReader, Cursor, Read};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use tokio::time::timeout;

const MESSAGES: TableDefinition<(u64, u64), &[u8]> = TableDefinition::new("messages");

/// A disk with sessions `s` and `t`, each with ten messages of agent `a`; one of `s` cannot be read. And the dump of `s` as it was.
async fn damaged() -> anyhow::Result<(Disk, String)> {
    let disk = Disk::empty();
    let store = EmbeddedStore::on_backend(disk.clone(), StoreOptions::default()).await?;
    let now = Timestamp(0);
    for session in ["s", "t"] {
        let (session_id, session_type) = (String::from(session), String::from("default"));
        store.insert_session(Session::new(session_id, session_type, now)).await?;
        let agent = Agent::new("a", "{}", now);
        store.insert_agent(session, agent, Write::at(now)).await?;
        for id in 10..20 {
            store.append_message(&AgentRef::new(session, "a"), message(id, id, r#"{"in":"s"}"#), &[], at(id)).await?;
        }
    }
    let (mut dump, mut pieces) = (String::new(), AnyStore::Embedded(store.clone()).export(None));
    while let Some(piece) = pieces.recv().await {
        match piece? {
            Dumped::Text(text) => dump.push_str(&text),
            _ => break,
        }
    }
    drop(pieces);
    store.close().await;
    let database = Database::builder().create_with_backend(disk.clone())?;
    let transaction = database.begin_write()?;
    {
        let mut messages = transaction.open_table(MESSAGES)?;
        let first = messages.first()?.map(|(key, _)| key.value());
        let (agent, _) = first.ok_or_else(|| anyhow::anyhow!("no messages"))?;
        messages.insert((agent, 5), &b"no document"[..])?;
    }
    transaction.commit()?;
    Ok((disk, dump))
}

async fn ids(store: &EmbeddedStore, session: &str) -> anyhow::Result<Vec<i64>> {
    let mut ids = Vec::new();
    for id in 0..100 {
        // The damaged one is not looked for.
        if id != 15 && store.find_message(&AgentRef::new(session, "a"), id, &[]).await?.is_some() {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// Polls a future once.
fn begin<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn an_append_that_meets_a_damaged_message_leaves_nothing_and_its_neighbours_are_done() -> anyhow::Result<()> {
    let disk = Gated::on(damaged().await?.0);
    let store = EmbeddedStore::on_backend(disk.clone(), StoreOptions::default()).await?;
    let append = |session: &'static str, id, time| {
        let (store, agent) = (store.clone(), AgentRef::new(session, "a"));
        Box::pin(tokio::task::unconstrained(async move { store.append_message(&agent, message(id, time, "{}"), &[], at(time)).await }))
    };
    disk.shut(true);
    let mut first = append("t", 20, 20);
    assert!(begin(first.as_mut()).is_pending());
    disk.is_waiting().await?;
    // These share the next transaction. The second one looks for its place among older messages, in one of which no time can be read.
    let (mut before, mut refused, mut after) = (append("t", 50, 5), append("s", 70, 1), append("t", 22, 22));
    for write in [&mut before, &mut refused, &mut after] {
        assert!(begin(write.as_mut()).is_pending());
    }
    disk.shut(false);
    for write in [first, before, after] {
        assert_eq!(timeout(PATIENCE, write).await??, Appended::New);
    }
    let answer = timeout(PATIENCE, refused).await?;
    assert!(matches!(answer, Err(Error::Corrupt(_))), "{answer:?}");
    let old: Vec<i64> = (10..20).collect();
    let without_damage: Vec<i64> = old.iter().copied().filter(|id| *id != 15).collect();
    assert_eq!(ids(&store, "s").await?, without_damage, "nothing of the refused append is there");
    // What comes next at its position is found by its own id only.
    store.append_message(&a(), message(20, 20, "{}"), &[], at(20)).await?;
    assert_eq!(ids(&store, "s").await?, [without_damage, vec![20]].concat());
    assert_eq!(ids(&store, "t").await?, [(10..20).filter(|id| *id != 15).collect(), vec![20, 22, 50]].concat());
    store.close().await;
    Ok(())
}

/// Lines of a dump, and how many bytes of them were asked for.
struct Watched(Cursor<Vec<u8>>, Arc<AtomicUsize>);

impl Read for Watched {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.0.read(out)?;
        self.1.fetch_add(read, Ordering::SeqCst);
        Ok(read)
    }
}

/// An import that meets a session which it cannot compare with what comes has stored another one just before, in the same work.
#[tokio::test]
async fn work_that_is_refused_after_it_has_changed_something_is_undone_and_its_neighbours_are_done() -> anyhow::Result<()> {
    let (image, known) = damaged().await?;
    let disk = Gated::on(image.clone());
    let store = EmbeddedStore::on_backend(disk.clone(), StoreOptions::default()).await?;
    let messages: Vec<String> = (0..100).rev().map(|id| format!(r#"{{"message_id":{id}}}"#)).collect();
    let created = r#""created_at":{"$date":"2024-01-26T10:00:00Z"}"#;
    let new = format!("{{\"_id\":\"new\",{created},\"agents\":{{\"a\":{{\"messages\":[{}]}}}}}}\n", messages.join(","));
    // Each of these is more than the store is given at once, and one lot waits for it: when the third is read, the store has the first.
    let filler = format!("{}\n", "x".repeat(2_000_000));
    let (third, asked) = (new.len() + known.len() + 5 * filler.len() / 2, Arc::new(AtomicUsize::new(0)));
    let dump = [new, known, filler.repeat(3)].concat().into_bytes();
    disk.shut(true);
    let t = AgentRef::new("t", "a");
    let mut first = pin!(tokio::task::unconstrained(store.append_message(&t, message(20, 20, "{}"), &[], at(20))));
    assert!(begin(first.as_mut()).is_pending());
    disk.is_waiting().await?;
    let imported = {
        let (store, asked) = (AnyStore::Embedded(store.clone()), Arc::clone(&asked));
        tokio::spawn(async move { store.import(BufReader::new(Watched(Cursor::new(dump), asked))).await })
    };
    let is_there = async {
        while asked.load(Ordering::SeqCst) < third {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, is_there).await?;
    let mut after = pin!(tokio::task::unconstrained(store.append_message(&t, message(22, 22, "{}"), &[], at(22))));
    assert!(begin(after.as_mut()).is_pending());
    disk.shut(false);
    assert_eq!((timeout(PATIENCE, first).await??, timeout(PATIENCE, after).await??), (Appended::New, Appended::New));
    let answer = timeout(PATIENCE, imported).await??;
    assert!(matches!(answer, Err(Error::Corrupt(_))), "{answer:?}");
    assert_eq!(store.find_session("new").await?, None);
    assert_eq!(ids(&store, "t").await?, [(10..20).filter(|id| *id != 15).collect(), vec![20, 22]].concat());
    store.close().await;
    let database = Database::builder().create_with_backend(image)?;
    let reading = database.begin_read()?;
    let unfinished = reading.open_table(TableDefinition::<u64, ()>::new("unfinished"))?.len()?;
    let ids = reading.open_table(TableDefinition::<(u64, i64, u64), ()>::new("message_ids"))?.len()?;
    let order = reading.open_table(TableDefinition::<(u64, u64), &[u8]>::new("message_order"))?.len()?;
    let agents = reading.open_table(TableDefinition::<(u64, &str), &[u8]>::new("agents"))?.len()?;
    assert_eq!((reading.open_table(MESSAGES)?.len()?, unfinished, ids, order, agents), (22, 0, 1, 0, 2));
    Ok(())
}
