//! A history, and what must be found of it.

use anyhow::{Context, ensure};
use mongodb::bson::doc;
use serde_json::{Value, json};
use session_repository::{Error, Message, MongoStore, Repository};
use session_repository_tests::{Database, mongodb_uri};
use std::ops::Range;

/// What the agents of these tests have in the session's document at most, in bytes: a few of their messages.
pub(super) const SMALL: u64 = 1024;

/// A message of about 200 bytes.
pub(super) fn body(n: impl Into<Value>) -> Value {
    json!({"n": n.into(), "text": "x".repeat(150)})
}

/// The messages of a list: their ids and what they say.
pub(super) type Said = Vec<(i64, Value)>;

pub(super) fn said(range: Range<i64>) -> Said {
    range.map(|n| (n, body(n))).collect()
}

/// A store and a repository on it.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) store: MongoStore,
    pub(super) repo: Repository,
}

impl Place {
    pub(super) async fn open(database: &Database, archive_after: Option<u64>) -> anyhow::Result<Self> {
        Self::through(&mongodb_uri()?, database, archive_after).await
    }

    /// One that is reached by another way.
    pub(super) async fn through(uri: &str, database: &Database, archive_after: Option<u64>) -> anyhow::Result<Self> {
        let store = MongoStore::connect(uri, database.archiving(archive_after)).await?;
        Ok(Self { repo: Repository::builder(store.clone()).build()?, store })
    }

    pub(super) async fn close(self) {
        self.repo.close().await;
    }

    /// Makes a session with so many messages, the first ones in the archive if this archives.
    pub(super) async fn seed(&self, session: &str, messages: i64) -> anyhow::Result<Said> {
        self.seed_empty(session).await?;
        self.append(session, 0..messages).await?;
        Ok(said(0..messages))
    }

    /// Makes a session with an agent that has no messages.
    pub(super) async fn seed_empty(&self, session: &str) -> anyhow::Result<()> {
        self.repo.sessions().create(session, None).await?;
        Ok(self.repo.agents().create(session, "a", "{}").await?)
    }

    /// Appends messages in one step.
    pub(super) async fn append(&self, session: &str, range: Range<i64>) -> anyhow::Result<()> {
        let first = self.repo.messages().append_many(session, "a", range.clone().map(body), None).await?;
        ensure!(first == range.start, "the next id was {first}, not {}", range.start);
        self.store.settled().await;
        Ok(())
    }

    pub(super) async fn update(&self, session: &str, id: i64, body: Value) -> anyhow::Result<()> {
        self.repo.messages().update(session, "a", id, body).await.with_context(|| format!("update of {id}"))
    }

    /// The same through a proxy that does not let the block get the update: it takes place, and is not acknowledged.
    pub(super) async fn update_lamely(&self, session: &str, id: i64, body: Value) -> anyhow::Result<()> {
        let updated = self.repo.messages().update(session, "a", id, body).await;
        ensure!(matches!(updated, Err(Error::Unavailable(_))), "update of {id}: {updated:?}");
        Ok(())
    }

    /// All that is to be read of a history, in each way that there is. The ways must agree.
    pub(super) async fn read(&self, session: &str) -> anyhow::Result<Said> {
        let messages = self.repo.messages();
        let list = messages.list(session, "a", None, 0).await?;
        ensure!(list.is_sorted_by_key(|message| message.created_at), "the order is not that of the times");
        let ids: Vec<i64> = list.iter().map(|message| message.message_id).collect();
        ensure!(ids.is_sorted_by(|one, next| one < next), "ids that do not count up: {ids:?}");
        self.pages(session, &list, 3).await?;
        for message in &list {
            let read = messages.read(session, "a", message.message_id).await?;
            ensure!(read.as_ref() == Some(message), "the list has {message:?}, but read {read:?}");
        }
        let next = ids.last().map_or(0, |last| last + 1);
        ensure!(messages.read(session, "a", next).await?.is_none(), "a message that is not in the list");
        list.iter().map(|message| Ok((message.message_id, message.body.parse()?))).collect()
    }

    /// Reads the list page by page.
    pub(super) async fn pages(&self, session: &str, list: &[Message], size: usize) -> anyhow::Result<()> {
        let (mut pages, mut offset) = (Vec::new(), 0);
        loop {
            let page = self.repo.messages().list(session, "a", Some(size as i64), offset).await?;
            let is_last = page.len() < size;
            offset += page.len() as i64;
            pages.extend(page);
            if is_last {
                break;
            }
        }
        ensure!(pages == list, "pages of {size} are not the list: {} and {} messages", pages.len(), list.len());
        Ok(())
    }
}

/// Two places that look at what others do: one that archives, and one that never does.
pub(super) struct Witnesses {
    pub(super) archiving: Place,
    pub(super) never: Place,
}

impl Witnesses {
    pub(super) async fn open(database: &Database) -> anyhow::Result<Self> {
        Ok(Self { archiving: Place::open(database, Some(SMALL)).await?, never: Place::open(database, None).await? })
    }

    pub(super) async fn close(self) {
        self.archiving.close().await;
        self.never.close().await;
    }

    /// What both find.
    pub(super) async fn read(&self, session: &str) -> anyhow::Result<Said> {
        let (found, again) = (self.never.read(session).await?, self.archiving.read(session).await?);
        ensure!(again == found, "what is read changes: {found:?}, then {again:?}");
        Ok(found)
    }

    /// Lists it in one place, to see that it is all there.
    async fn glance(&self, session: &str, expected: &Said) -> anyhow::Result<()> {
        let list = self.never.repo.messages().list(session, "a", None, 0).await?;
        let found = list.iter().map(|message| Ok((message.message_id, message.body.parse()?))).collect::<anyhow::Result<Said>>()?;
        ensure!(found == *expected, "expected {expected:?}, found {found:?}");
        Ok(())
    }

    pub(super) async fn check(&self, session: &str, expected: &Said) -> anyhow::Result<()> {
        let found = self.read(session).await?;
        ensure!(found == *expected, "expected {expected:?}, found {found:?}");
        Ok(())
    }

    /// Goes on with a history in every way that there is, and folds it back in the end; it stays what it must be.
    pub(super) async fn go_on(&self, database: &Database, session: &str, mut expected: Said) -> anyhow::Result<()> {
        self.check(session, &expected).await.context("at first")?;
        let next = expected.last().map_or(0, |(id, _)| id + 1);
        self.archiving.append(session, next..next + 2).await?;
        self.never.append(session, next + 2..next + 4).await?;
        expected.extend(said(next..next + 4));
        self.glance(session, &expected).await.context("after appends")?;
        // The oldest ones are in the archive, the newest ones are not.
        for (n, at) in [1, 2, expected.len() - 1, 1, 3, 0].into_iter().enumerate() {
            let new = json!({"anew": n, "text": "y".repeat(if n == 4 { 5_000 } else { 10 })});
            let place = if n % 2 == 0 { &self.archiving } else { &self.never };
            place.update(session, expected[at].0, new.clone()).await?;
            expected[at].1 = new;
        }
        self.glance(session, &expected).await.context("after updates")?;
        self.archiving.store.archive_run(session).await?.context("no session")?;
        self.check(session, &expected).await.context("after another move")?;
        let status = self.archiving.store.archive_status(session).await?.context("no session")?;
        ensure!(status.iter().all(|agent| agent.archived_messages > 0 && agent.bytes <= SMALL), "it has not moved: {status:?}");
        self.fold_back(database, session, &expected).await
    }

    /// Folds the archive back: the history stays, and no block does.
    pub(super) async fn fold_back(&self, database: &Database, session: &str, expected: &Said) -> anyhow::Result<()> {
        self.never.store.archive_undo(session).await?.context("no session")?;
        self.glance(session, expected).await.context("folded back")?;
        let blocks = database.blocks().count_documents(doc! { "session_id": session }).await?;
        ensure!(blocks == 0, "{blocks} blocks are left");
        let agent = database.document(session).await?;
        let agent = agent.get_document("agents")?.get_document("a")?;
        ensure!(!agent.contains_key("archive") && !agent.contains_key("moving"), "the document still tells of an archive");
        ensure!(agent.get_i32("in_order").ok() == Some(i32::try_from(expected.len())?), "the order is not known: {agent:?}");
        ensure!(agent.get_array("messages")?.len() == expected.len(), "messages are missing in the document");
        Ok(())
    }
}
