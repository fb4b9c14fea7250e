//! Writers share syncs, and who waits for a disk keeps nobody else waiting.

use super::disk::Disk;
use super::{PATIENCE, at, message};
use session_repository::{
    Agent, AgentRef, Appended, EmbeddedStore, Page, Result, Session, StorageBackend, Store, StoreOptions, Timestamp, Write,
};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Waker};
use tokio::sync::watch;
use tokio::time::timeout;

const WRITERS: i64 = 64;
const ROUNDS: i64 = 3;

/// A disk whose syncs wait while a gate is shut.
#[derive(Debug, Clone)]
pub(super) struct Gated {
    disk: Disk,
    gate: Arc<(Mutex<bool>, Condvar)>,
    waiting: watch::Sender<bool>,
}

impl Gated {
    /// A gate before a disk, open.
    pub(super) fn on(disk: Disk) -> Self {
        Self { disk, gate: Arc::default(), waiting: watch::Sender::new(false) }
    }

    pub(super) fn shut(&self, is_shut: bool) {
        *self.gate.0.lock().unwrap_or_else(PoisonError::into_inner) = is_shut;
        self.gate.1.notify_all();
    }

    /// Returns when a sync waits.
    pub(super) async fn is_waiting(&self) -> anyhow::Result<()> {
        timeout(PATIENCE, self.waiting.subscribe().wait_for(|waiting| *waiting)).await??;
        Ok(())
    }
}

impl StorageBackend for Gated {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.set_len(len)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.write(offset, data)
    }

    fn sync_data(&self) -> io::Result<()> {
        let is_shut = self.gate.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.send_replace(*is_shut);
        // A test that cannot open the gate is to fail, not to hang.
        let waited = self.gate.1.wait_timeout_while(is_shut, PATIENCE, |is_shut| *is_shut);
        self.waiting.send_replace(false);
        if waited.unwrap_or_else(PoisonError::into_inner).1.timed_out() {
            return Err(io::Error::other("nobody opened the gate"));
        }
        self.disk.sync_data()
    }
}

async fn store(disk: &Gated) -> Result<EmbeddedStore> {
    let store = EmbeddedStore::on_backend(disk.clone(), StoreOptions::default()).await?;
    let now = Timestamp(0);
    for session in 0..WRITERS {
        let (session_id, session_type) = (session.to_string(), String::from("default"));
        store.insert_session(Session::new(session_id, session_type, now)).await?;
        let agent = Agent::new("a", "{}", now);
        store.insert_agent(&session.to_string(), agent, Write::at(now)).await?;
    }
    Ok(store)
}

/// A write that was begun.
type Begun<'s> = Pin<Box<dyn Future<Output = Result<Appended>> + 's>>;

fn append(store: &EmbeddedStore, session: i64, id: i64) -> Begun<'_> {
    // Each write gets as far as it can at once; Tokio's budget would hold some of them back.
    let agent = AgentRef::new(session.to_string(), "a");
    Box::pin(tokio::task::unconstrained(async move { store.append_message(&agent, message(id, id, "{}"), &[], at(id)).await }))
}

fn is_answered(write: &mut Begun<'_>) -> bool {
    write.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[tokio::test]
async fn sixty_four_writers_need_at_most_an_eighth_of_the_syncs_of_one() -> anyhow::Result<()> {
    let disk = Gated::on(Disk::empty());
    let store = store(&disk).await?;
    let before = disk.disk.syncs();
    for id in 0..ROUNDS * WRITERS {
        assert_eq!(append(&store, 0, id).await?, Appended::New);
    }
    let alone = disk.disk.syncs() - before;
    assert!(alone >= usize::try_from(ROUNDS * WRITERS)?, "a sync stands behind every write, but there were {alone}");

    let before = disk.disk.syncs();
    for id in 1..=ROUNDS {
        disk.shut(true);
        // While the sync for one writer is under way, the others come.
        let mut writes = vec![append(&store, 0, 1000 + id)];
        assert!(!is_answered(&mut writes[0]), "nothing is durable yet");
        disk.is_waiting().await?;
        writes.extend((1..WRITERS).map(|session| append(&store, session, id)));
        assert!(!writes.iter_mut().any(is_answered), "nothing is durable yet");
        disk.shut(false);
        for write in writes {
            assert_eq!(timeout(PATIENCE, write).await??, Appended::New);
        }
    }
    let together = disk.disk.syncs() - before;
    assert!(together * 8 <= alone, "{together} syncs for {WRITERS} writers, {alone} for one that writes as much");
    store.close().await;
    Ok(())
}

#[tokio::test]
async fn a_slow_disk_keeps_only_writers_waiting() -> anyhow::Result<()> {
    let disk = Gated::on(Disk::empty());
    let store = store(&disk).await?;
    disk.shut(true);
    let mut write = append(&store, 0, 1);
    assert!(!is_answered(&mut write));
    disk.is_waiting().await?;
    // This runtime has one thread, and it does all that.
    for _ in 0..100 {
        tokio::spawn(tokio::task::yield_now()).await?;
    }
    assert!(timeout(PATIENCE, store.find_session("0")).await??.is_some());
    assert_eq!(
        timeout(PATIENCE, store.list_messages(&AgentRef::new("0", "a"), Page::default(), &[])).await??,
        [],
        "what is not durable is not read either"
    );
    assert!(!is_answered(&mut write));
    disk.shut(false);
    assert_eq!(timeout(PATIENCE, write).await??, Appended::New);
    store.close().await;
    Ok(())
}
