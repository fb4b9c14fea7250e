//! The archive of long histories in MongoDB: where it lies, what it costs, and that nothing is lost on the way.

mod dump;
mod exactly_once;
mod history;
mod kill;
mod known;
mod layout;
mod movers;
mod others;
mod program;
mod proxy;
mod random;
mod redaction;
mod repair;
mod room;
mod wire;

use serde_json::json;
use session_repository::{Json, MongoStore, Repository};
use session_repository_tests::{Database, mongodb_uri};
use std::time::Duration;

/// After this long a test that waits for something that does not come fails. Nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(120);

/// A session `s` with an agent `a`, whose messages are numbered bodies.
struct History {
    database: Database,
    store: MongoStore,
    repo: Repository,
}

fn text(number: i64) -> String {
    format!("message {number:0>60}")
}

fn body(number: i64) -> Json {
    Json::from(json!({"role": "user", "content": text(number)}).to_string())
}

impl History {
    /// A history of so many messages in a store with a threshold.
    async fn of(archive_after: u64, messages: i64) -> anyhow::Result<Self> {
        let database = Database::fresh().await?;
        let options = database.archiving(Some(archive_after));
        let store = MongoStore::connect(&mongodb_uri()?, options).await?;
        let repo = Repository::builder(store.clone()).build()?;
        repo.sessions().create("s", None).await?;
        repo.agents().create("s", "a", "{}").await?;
        for number in 0..messages {
            assert_eq!(repo.messages().append("s", "a", body(number), None).await?, number);
        }
        store.settled().await;
        Ok(Self { database, store, repo })
    }

    /// A store of its own on the same collection.
    async fn store(&self, archive_after: Option<u64>) -> anyhow::Result<MongoStore> {
        Ok(MongoStore::connect(&mongodb_uri()?, self.database.archiving(archive_after)).await?)
    }

    /// Checks that the history is what it was made as, through every kind of read.
    async fn holds(&self, messages: i64) -> anyhow::Result<()> {
        let all = self.repo.messages().list("s", "a", None, 0).await?;
        let expected: Vec<_> = (0..messages).map(|number| (number, body(number))).collect();
        assert_eq!(all.iter().map(|message| (message.message_id, message.body.clone())).collect::<Vec<_>>(), expected);
        for size in [1, 7, 64] {
            let mut paged = Vec::new();
            for offset in (0..messages).step_by(size) {
                paged.extend(self.repo.messages().list("s", "a", Some(i64::try_from(size)?), offset).await?);
            }
            assert_eq!(paged, all, "in pages of {size}");
        }
        for message in all {
            assert_eq!(self.repo.messages().read("s", "a", message.message_id).await?, Some(message));
        }
        assert_eq!(self.repo.messages().read("s", "a", messages).await?, None);
        Ok(())
    }

    async fn end(self) -> anyhow::Result<()> {
        self.repo.close().await;
        self.database.drop().await
    }
}
