//! Many tasks on one repository, and callers that go away.

use mongodb::Client;
use mongodb::bson::doc;
use serde_json::json;
use session_repository::{Error, Limits, MongoStore, Repository, StoreOptions};
use session_repository_tests::{Database, Mongod, mongodb_uri};
use std::collections::BTreeSet;
use std::time::Duration;

const TASKS: i64 = 64;
const MESSAGES: i64 = 20;

async fn append_all(repo: Repository, session: String, task: i64) -> Result<(), Error> {
    for n in 0..MESSAGES {
        repo.messages().create(session.as_str(), "a", task * MESSAGES + n, json!({"task": task, "n": n})).await?;
        repo.metadata().update(session.as_str(), json!({format!("task-{task}"): n})).await?;
    }
    repo.feedback().add(session, json!({"task": task})).await
}

async fn run(shared: bool) -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let repo = database.repository().await?;
    let name = |task: i64| if shared { String::from("s") } else { format!("s-{task}") };
    for session in (0..TASKS).map(name).collect::<BTreeSet<_>>() {
        repo.sessions().create(session.as_str(), None).await?;
        repo.agents().create(session, "a", "{}").await?;
    }
    let tasks: Vec<_> = (0..TASKS).map(|task| tokio::spawn(append_all(repo.clone(), name(task), task))).collect();
    for task in tasks {
        task.await??;
    }
    for task in 0..TASKS {
        let listed = repo.messages().list(name(task), "a", None, 0).await?;
        let ids: Vec<_> = listed.iter().map(|message| message.message_id).collect();
        let own: Vec<_> = ids.iter().copied().filter(|id| id / MESSAGES == task).collect();
        assert_eq!(own, (task * MESSAGES..(task + 1) * MESSAGES).collect::<Vec<_>>(), "each writer's order holds, nothing is lost");
        assert_eq!(ids.len() as i64, if shared { TASKS * MESSAGES } else { MESSAGES }, "nothing is stored twice");
        assert!(listed.is_sorted_by_key(|message| message.created_at));
        let metadata: serde_json::Value = repo.metadata().get(name(task)).await?.map_or(Ok(json!(null)), |m| m.parse())?;
        assert_eq!(metadata.get(format!("task-{task}")), Some(&json!(MESSAGES - 1)));
        assert_eq!(repo.feedback().list(name(task)).await?.len() as i64, if shared { TASKS } else { 1 });
    }
    repo.close().await;
    database.drop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_tasks_on_one_session_lose_nothing() -> anyhow::Result<()> {
    run(true).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_tasks_on_sessions_of_their_own_lose_nothing() -> anyhow::Result<()> {
    run(false).await
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_stop_its_write() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let (repo, watch) = super::driver::watched(&database).await?;
    repo.sessions().create("s", None).await?;
    repo.agents().create("s", "a", "{}").await?;
    for id in 0..20 {
        watch.take();
        let call = repo.messages().create("s", "a", id, r#"{"k": 1}"#);
        // Whatever comes first; the command is on its way in both cases, and nobody waits for it after this.
        tokio::select! {
            created = call => created?,
            () = watch.command_started() => {}
        }
    }
    // Waits for all that was begun.
    repo.close().await;
    let repo = database.repository().await?;
    let stored = repo.messages().list("s", "a", None, 0).await?;
    assert_eq!(stored.iter().map(|message| message.message_id).collect::<BTreeSet<_>>(), (0..20).collect());
    repo.close().await;
    database.drop().await
}

#[tokio::test]
async fn a_write_that_outlives_its_deadline_comes_before_the_next_on_its_session() -> anyhow::Result<()> {
    // A server of its own, because its writes are held up.
    let server = Mongod::start()?;
    let client = Client::with_uri_str(server.uri()).await?;
    let open = async |limits: Limits| -> anyhow::Result<Repository> {
        let store = MongoStore::with_client(&client, StoreOptions::default()).await?;
        Ok(Repository::builder(store).limits(limits).build()?)
    };
    let patient = open(Limits::default()).await?;
    let hasty = open(Limits::default().call_deadline(Duration::from_secs(2))).await?;
    patient.sessions().create("s", None).await?;
    patient.agents().create("s", "a", "{}").await?;
    client.database("admin").run_command(doc! { "fsync": 1, "lock": true }).await?;
    assert_eq!(hasty.messages().create("s", "a", 0, "{}").await, Err(Error::Timeout));
    assert_eq!(hasty.messages().create("s", "a", 1, "{}").await, Err(Error::Timeout), "it waits for the first and is never begun");
    client.database("admin").run_command(doc! { "fsyncUnlock": 1 }).await?;
    // On a busy machine its deadline may pass, too; creating a message again is safe.
    while hasty.messages().create("s", "a", 2, "{}").await == Err(Error::Timeout) {}
    let ids: Vec<_> = patient.messages().list("s", "a", None, 0).await?.iter().map(|message| message.message_id).collect();
    assert_eq!(ids, [0, 2]);
    hasty.close().await;
    patient.close().await;
    Ok(())
}

#[tokio::test]
async fn bodies_and_pages_have_limits() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let limits = Limits::default().message_bytes(1000).page_bytes(2500);
    let store = MongoStore::connect(&mongodb_uri()?, database.options()).await?;
    let repo = Repository::builder(store).limits(limits).build()?;
    repo.sessions().create("s", None).await?;
    repo.agents().create("s", "a", "{}").await?;
    let large = json!({"content": "x".repeat(1000)});
    let refused = Err(Error::TooLarge { size: 1014, limit: 1000 });
    assert_eq!(repo.messages().create("s", "a", 0, large.clone()).await, refused);
    assert_eq!(repo.messages().update("s", "a", 0, large.clone()).await, refused);
    assert_eq!(repo.agents().create("s", "b", large.clone()).await, refused);
    assert_eq!(repo.feedback().add("s", large).await, refused);
    for id in 0..3 {
        repo.messages().create("s", "a", id, json!({"content": "x".repeat(900)})).await?;
    }
    assert_eq!(repo.messages().list("s", "a", None, 0).await, Err(Error::TooLarge { size: 2934, limit: 2500 }));
    assert_eq!(repo.messages().list("s", "a", Some(2), 0).await?.len(), 2);
    repo.close().await;
    database.drop().await
}
