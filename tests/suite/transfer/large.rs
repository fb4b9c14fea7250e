//! What is large or deep: it moves wherever it fits, and is refused by name where it does not.

use super::round_trip::assert_same_bytes;
use super::{agent, line, message, raw, session};
use crate::run::{Desk, Site};
use mongodb::bson::{Bson, DateTime, Document, doc};
use session_repository_tests::Database;

const MIB: usize = 1024 * 1024;

/// Documents and lists in one another, so many levels, around what takes most levels as text.
fn nested(levels: usize) -> Bson {
    (0..levels).fold(Bson::DateTime(DateTime::MAX), |inner, level| match level % 3 {
        0 => Bson::Array(vec![inner]),
        _ => Bson::Document(doc! { "k": inner }),
    })
}

/// From MongoDB into a file and into another collection.
async fn moves(document: &Document) -> anyhow::Result<()> {
    let (desk, source, target) = (Desk::new()?, Database::fresh().await?, Database::fresh().await?);
    source.documents().insert_one(document).await?;
    let (file, complete) = (desk.file_site("sessions.store"), "imported from stdin: 1 new, 0 there already: complete\n");
    assert_eq!(desk.feed(&file, &["import"], desk.dump(&Site::mongo(&source)?).await?).await?.ok()?, complete);
    assert_eq!(desk.feed(&Site::mongo(&target)?, &["import"], desk.dump(&file).await?).await?.ok()?, complete);
    assert_same_bytes(&raw(&target).await?, &raw(&source).await?);
    source.drop().await?;
    target.drop().await
}

#[tokio::test]
async fn a_session_with_as_many_levels_as_mongodb_documents_moves() -> anyhow::Result<()> {
    // A hundred, of which the session, its agents, the agent, the list and the message have five.
    moves(&session("deep", doc! { "a": agent("a", vec![message(1, doc! { "k": nested(95) })]) })).await
}

#[tokio::test]
async fn a_session_that_fills_mongodb_moves_into_a_file_and_back() -> anyhow::Result<()> {
    let mut full = doc! { "_id": "full", "agents": { "a": { "messages": [{ "message_id": 1, "content": "" }] } } };
    let rest = 16 * MIB - mongodb::bson::serialize_to_vec(&full)?.len();
    full.insert("agents", doc! { "a": { "messages": [{ "message_id": 1, "content": "x".repeat(rest) }] } });
    assert_eq!(mongodb::bson::serialize_to_vec(&full)?.len(), 16 * MIB);
    moves(&full).await
}

#[tokio::test]
async fn a_message_that_no_store_takes_is_refused_and_the_others_are_stored() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let dump = format!("{}\n{}\n{}\n", line("a", "x"), line("b", &"x".repeat(17 * MIB)), line("c", "x"));
    for site in [desk.file_site("sessions.store"), Site::mongo(&database)?] {
        let ran = desk.feed(&site, &["import"], dump.clone()).await?;
        assert_eq!((ran.status, ran.text()?), (Some(1), ""));
        let refused = ran.stderr.lines().next().unwrap_or_default();
        assert!(refused.starts_with("session-repo: session \"b\": "), "{}", ran.stderr);
        assert!(ran.stderr.contains("imported from stdin: 2 new, 0 there already, 0 different, 1 refused"), "{}", ran.stderr);
        let left = desk.dump(&site).await?;
        assert_eq!(left, format!("{}\n{}\n", line("a", "x"), line("c", "x")));
        // Nothing of it is in the way of one that fits.
        assert_eq!(desk.feed(&site, &["import"], line("b", "small")).await?.status, Some(0));
        assert_eq!(desk.dump(&site).await?.lines().nth(1), Some(line("b", "small").as_str()));
    }
    database.drop().await
}

#[tokio::test]
async fn a_session_larger_than_a_document_of_mongodb_moves_between_files_and_through_mongodb() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let (one, other, mongo) = (desk.file_site("one"), desk.file_site("other"), Site::mongo(&database)?);
    let messages: Vec<_> = (0..40).map(|id| message(id, doc! { "content": "x".repeat(MIB / 2) })).collect();
    let large = session("large", doc! { "a": agent("a", messages) });
    let dump = format!("{}\n{}\n{}\n", line("a", "x"), Bson::Document(large).into_relaxed_extjson(), line("z", "x"));
    assert_eq!(desk.feed(&one, &["import"], dump).await?.status, Some(0));
    let dump = desk.dump(&one).await?;
    assert_eq!(desk.feed(&other, &["import"], dump.clone()).await?.status, Some(0));
    assert!(desk.dump(&other).await? == dump, "the dumps are not the same");
    assert_eq!(desk.feed(&mongo, &["import"], dump.clone()).await?.status, Some(0));
    assert!(desk.dump(&mongo).await? == dump, "the dumps are not the same");
    let ids: Vec<_> = raw(&database).await?.iter().map(|session| session.get_str("_id").map(str::to_owned)).collect::<Result<_, _>>()?;
    assert_eq!(ids, ["a", "large", "z"]);
    database.drop().await
}
