//! Sizes: what does not fit is refused before the server refuses it, and the session stays usable; what can be archived always fits.

use super::history::{Place, SMALL};
use super::proxy::{Command, Moment, Plan, Proxy};
use super::{History, body};
use serde_json::json;
use session_repository::{Error, Repository};
use session_repository_tests::Database;

const MIB: usize = 1024 * 1024;

fn of_size(bytes: usize) -> serde_json::Value {
    json!({ "content": "x".repeat(bytes) })
}

fn too_large<T: std::fmt::Debug>(result: Result<T, Error>) -> (u64, u64) {
    match result {
        Err(Error::TooLarge { size, limit }) => (size, limit),
        other => panic!("expected too-large, got {other:?}"),
    }
}

/// All that a full session must still be able to do.
async fn is_usable(repo: &Repository, message: i64) -> anyhow::Result<()> {
    repo.metadata().update("s", json!({"full": true})).await?;
    repo.messages().update("s", "a", message, json!({"content": "[removed]"})).await?;
    repo.agents().update("s", "a", json!({"state": 1})).await?;
    assert!(repo.messages().read("s", "a", message).await?.is_some());
    repo.messages().append("s", "a", body(0), None).await?;
    Ok(())
}

#[tokio::test]
async fn without_an_archive_a_full_session_refuses_appends_and_stays_usable() -> anyhow::Result<()> {
    let history = History::of(MIB as u64, 0).await?;
    let repo = Repository::builder(history.store(None).await?).build()?;
    let mut stored = 0;
    let refused = loop {
        match repo.messages().append("s", "a", of_size(MIB), None).await {
            Ok(_) => stored += 1,
            refused => break too_large(refused),
        }
    };
    assert_eq!(stored, 15);
    assert!(refused.0 > refused.1 && refused.1 == 16 * MIB as u64, "{refused:?}");
    assert_eq!(too_large(repo.messages().create("s", "a", 99, of_size(MIB)).await).1, refused.1);
    too_large(repo.feedback().add("s", of_size(MIB)).await);
    too_large(repo.agents().create("s", "b", of_size(MIB)).await);
    // Smaller ones fill it up.
    while repo.messages().append("s", "a", of_size(MIB / 64), None).await.is_ok() {
        stored += 1;
    }
    while repo.messages().append("s", "a", of_size(100), None).await.is_ok() {
        stored += 1;
    }
    assert_eq!(repo.messages().list("s", "a", None, 0).await?.len(), stored);
    is_usable(&repo, 3).await?;
    repo.close().await;
    history.end().await
}

#[tokio::test]
async fn many_agents_below_the_threshold_do_not_fill_a_session() -> anyhow::Result<()> {
    let history = History::of(8 * MIB as u64, 0).await?;
    let agents = ["b", "c", "d", "e"];
    for agent in agents {
        history.repo.agents().create("s", agent, "{}").await?;
        for number in 0..6 {
            assert_eq!(history.repo.messages().append("s", agent, of_size(MIB), None).await?, number);
        }
    }
    for agent in agents {
        assert_eq!(history.repo.messages().list("s", agent, None, 0).await?.len(), 6);
    }
    history.end().await
}

#[tokio::test]
async fn a_session_that_another_program_filled_takes_appends() -> anyhow::Result<()> {
    let history = History::of(MIB as u64, 0).await?;
    let never = Repository::builder(history.store(None).await?).build()?;
    while never.messages().append("s", "a", of_size(MIB), None).await.is_ok() {}
    let stored = never.messages().list("s", "a", None, 0).await?.len();
    never.close().await;
    assert_eq!(history.repo.messages().append("s", "a", of_size(MIB), None).await?, i64::try_from(stored)?);
    history.repo.feedback().add("s", of_size(MIB)).await?;
    assert_eq!(history.repo.messages().list("s", "a", None, 0).await?.len(), stored + 1);
    is_usable(&history.repo, 3).await?;
    history.end().await
}

#[tokio::test]
async fn the_largest_messages_are_archived() -> anyhow::Result<()> {
    let history = History::of(1024, 0).await?;
    // What one document can hold: less than 16 MiB with what is around it.
    let largest = 16 * MIB - 66 * 1024;
    for id in 0..3 {
        assert_eq!(history.repo.messages().append("s", "a", of_size(largest), None).await?, id);
    }
    too_large(history.repo.messages().append("s", "a", of_size(16 * MIB), None).await);
    let page = history.repo.messages().list("s", "a", Some(3), 0).await?;
    assert_eq!(page.iter().map(|message| message.message_id).collect::<Vec<_>>(), [0, 1, 2]);
    history.store.settled().await;
    let store = history.store(Some(1024)).await?;
    let status = store.archive_status("s").await?.unwrap_or_default();
    assert_eq!(status.first().map(|agent| agent.archived_messages), Some(3), "{status:?}");
    session_repository::Store::close(&store).await;
    is_usable(&history.repo, 1).await?;
    history.end().await
}

#[tokio::test]
async fn a_full_answer_says_how_much_it_was() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let store = session_repository::MongoStore::connect(&session_repository_tests::mongodb_uri()?, database.options()).await?;
    let limits = session_repository::Limits::default().page_bytes(100_000);
    let repo = Repository::builder(store).limits(limits).build()?;
    repo.sessions().create("s", None).await?;
    repo.agents().create("s", "a", "{}").await?;
    for _ in 0..30 {
        repo.messages().append("s", "a", of_size(50_000), None).await?;
    }
    assert_eq!(too_large(repo.messages().list("s", "a", None, 0).await).1, 100_000);
    assert_eq!(repo.messages().list("s", "a", Some(1), 29).await?.len(), 1);
    assert_eq!(repo.messages().list("s", "a", Some(1), 0).await?.len(), 1);
    repo.close().await;
    database.drop().await
}

/// A write finds a session full. Before it looks how to make room, a move that was under way comes to its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn room_that_others_make_meanwhile_is_room() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let others = Place::open(&database, Some(SMALL)).await?;
    let never = Place::open(&database, None).await?;
    never.seed_empty("s").await?;
    let large = 9 * MIB;
    never.repo.messages().append("s", "a", of_size(large), None).await?;
    // What is asked before room is made tells also of what is pending.
    let asks = |command: &Command| command.name == "find" && command.body.to_string().contains("\"pending\"");
    let mut proxy = Proxy::start(move |command| if asks(command) { Plan::Hold(Moment::Before) } else { Plan::Pass }).await?;
    let place = Place::through(&proxy.uri(), &database, Some(SMALL)).await?;
    let repo = place.repo.clone();
    let appending = tokio::spawn(async move { repo.messages().append("s", "a", of_size(large), None).await });
    let held = proxy.held().await?;
    others.store.archive_run("s").await?;
    held.resume();
    assert_eq!(appending.await??, 1);
    for place in [place, others, never] {
        place.close().await;
    }
    database.drop().await
}
