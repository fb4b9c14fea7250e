//! What a process knows of an agent from its own appends counts only while nobody has appended or moved, also where all numbers are equal.

use super::history::{Place, SMALL, body};
use anyhow::ensure;
use mongodb::bson::{DateTime, doc};
use serde_json::json;
use session_repository_tests::Database;

/// How many messages the session's document has.
async fn recent(database: &Database) -> anyhow::Result<usize> {
    let document = database.document("s").await?;
    Ok(document.get_document("agents")?.get_document("a")?.get_array("messages")?.len())
}

async fn ids(place: &Place) -> anyhow::Result<Vec<i64>> {
    Ok(place.repo.messages().list("s", "a", None, 0).await?.iter().map(|message| message.message_id).collect())
}

/// Two places; the first one, which moves nothing, has just appended to `a`.
async fn two(database: &Database) -> anyhow::Result<(Place, Place, i64)> {
    let (one, other) = (Place::open(database, None).await?, Place::open(database, Some(SMALL)).await?);
    one.seed_empty("s").await?;
    one.repo.agents().create("s", "b", "{}").await?;
    for next in 0..4 {
        ensure!(one.repo.messages().append("s", "a", body(next), None).await? == next);
    }
    Ok((one, other, 4))
}

async fn is_whole(database: Database, places: [Place; 2], next: i64) -> anyhow::Result<()> {
    for place in &places {
        ensure!(ids(place).await? == (0..next).collect::<Vec<_>>(), "{:?}", ids(place).await?);
    }
    for place in places {
        place.close().await;
    }
    database.drop().await
}

#[tokio::test]
async fn another_process_has_appended_and_moved_as_many() -> anyhow::Result<()> {
    for large in [false, true] {
        let database = Database::fresh().await?;
        let (one, other, mut next) = two(&database).await?;
        let before = recent(&database).await?;
        while next == 4 || recent(&database).await? != before {
            other.append("s", next..next + 1).await?;
            next += 1;
            ensure!(next < 50, "it does not move");
        }
        if large {
            // A look at the session, for another agent.
            one.repo.messages().append("s", "b", json!({"text": "x".repeat(300 * 1024)}), None).await?;
        }
        ensure!(one.repo.messages().append("s", "a", body(next), None).await? == next);
        // An id that is taken is taken.
        let again = one.repo.messages().create("s", "a", next - 1, json!({"other": true})).await;
        ensure!(matches!(again, Err(session_repository::Error::AlreadyExists(_))), "{again:?}");
        is_whole(database, [one, other], next + 1).await?;
    }
    Ok(())
}

#[tokio::test]
async fn another_process_has_moved_and_the_reference_has_appended_as_many() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let (one, other, mut next) = two(&database).await?;
    one.append("s", next..next + 4).await?;
    next += 4;
    let before = recent(&database).await?;
    ensure!(other.store.archive_run("s").await?.is_some_and(|moved| moved > 0), "nothing was moved");
    while recent(&database).await? < before {
        let number = i32::try_from(next)?;
        let message = doc! { "message_id": number, "n": number, "created_at": DateTime::now(), "updated_at": DateTime::now() };
        database.documents().update_one(doc! { "_id": "s" }, doc! { "$push": { "agents.a.messages": message } }).await?;
        next += 1;
    }
    ensure!(one.repo.messages().append("s", "a", body(next), None).await? == next);
    is_whole(database, [one, other], next + 1).await
}

/// The reference makes an agent anew, which removes its messages, and stores as many as were known.
#[tokio::test]
async fn the_reference_has_begun_the_agent_anew() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let (one, other, next) = two(&database).await?;
    let messages: Vec<_> = (next..2 * next)
        .map(|n| doc! { "message_id": i32::try_from(n).unwrap_or(0), "by": "the reference", "created_at": DateTime::now() })
        .collect();
    let agent =
        doc! { "agent_data": { "agent_id": "a" }, "created_at": DateTime::now(), "updated_at": DateTime::now(), "messages": messages };
    database.documents().update_one(doc! { "_id": "s" }, doc! { "$set": { "agents.a": agent } }).await?;
    ensure!(one.repo.messages().append("s", "a", body(2 * next), None).await? == 2 * next);
    let again = one.repo.messages().create("s", "a", next, json!({"other": true})).await;
    ensure!(matches!(again, Err(session_repository::Error::AlreadyExists(_))), "{again:?}");
    ensure!(ids(&one).await? == (next..=2 * next).collect::<Vec<_>>());
    one.close().await;
    other.close().await;
    database.drop().await
}
