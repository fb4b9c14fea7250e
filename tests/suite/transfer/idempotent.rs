//! An import can be repeated: what is there stays as it is, and what is missing comes.

use super::{agent, at, line, message, raw, session, zoo};
use crate::run::{Desk, Site};
use mongodb::bson::{Bson, Document, doc};
use session_repository_tests::Database;

/// Sessions of all kinds, as a dump.
async fn dump_of_all_kinds(desk: &Desk) -> anyhow::Result<String> {
    let database = Database::fresh().await?;
    let mut strange = session("b strange", doc! {});
    strange.insert("metadata", zoo::all()?);
    let mut theirs = agent("z", vec![message(2, doc! { "n": 1 }), message(1, zoo::all()?), doc! {}]);
    theirs.insert("agent_data", zoo::all()?);
    strange.insert("agents", doc! { "z": theirs, "a": {} });
    let documents = [session("a plain", doc! { "a": agent("a", vec![message(1, doc! {})]) }), strange, doc! { "_id": "c bare" }];
    database.documents().insert_many(documents).await?;
    let text = desk.dump(&Site::mongo(&database)?).await?;
    database.drop().await?;
    Ok(text)
}

#[tokio::test]
async fn the_second_import_finds_all_there_and_changes_nothing() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let dump = dump_of_all_kinds(&desk).await?;
    for site in [desk.file_site("sessions.store"), Site::mongo(&database)?] {
        let first = desk.feed(&site, &["import"], dump.clone()).await?;
        assert_eq!(first.ok()?, "imported from stdin: 3 new, 0 there already: complete\n");
        let before = (desk.dump(&site).await?, raw(&database).await?);
        let second = desk.feed(&site, &["import"], dump.clone()).await?;
        assert_eq!(second.ok()?, "imported from stdin: 0 new, 3 there already: complete\n");
        assert_eq!(second.stderr, "");
        assert_eq!((desk.dump(&site).await?, raw(&database).await?), before);
        // Also within one dump.
        let third = desk.feed(&site, &["import"], format!("{dump}{}\n{dump}{}\n", line("d", "x"), line("d", "x"))).await?;
        assert_eq!(third.ok()?, "imported from stdin: 1 new, 7 there already: complete\n");
    }
    database.drop().await
}

type Change = (&'static str, fn(&mut Document));

/// Ways in which a session can differ from the one that is there.
fn changes() -> Vec<Change> {
    fn at_path<'a>(session: &'a mut Document, path: &[&str]) -> &'a mut Document {
        path.iter().fold(session, |document, name| match document.get_mut(name) {
            Some(Bson::Document(inner)) => inner,
            _ => panic!("no {name}"),
        })
    }
    fn of_agent(session: &mut Document) -> &mut Document {
        at_path(session, &["agents", "a"])
    }
    fn messages(session: &mut Document) -> &mut Vec<Bson> {
        match of_agent(session).get_mut("messages") {
            Some(Bson::Array(messages)) => messages,
            _ => panic!("no messages"),
        }
    }
    fn feedbacks(session: &mut Document) -> &mut Vec<Bson> {
        match session.get_mut("feedbacks") {
            Some(Bson::Array(entries)) => entries,
            _ => panic!("no feedback"),
        }
    }
    fn last_message(session: &mut Document) -> &mut Document {
        match messages(session).last_mut() {
            Some(Bson::Document(message)) => message,
            _ => panic!("no message"),
        }
    }
    vec![
        ("a field changed", |session| drop(session.insert("session_type", "other"))),
        ("a field more", |session| drop(session.insert("theirs", 1))),
        ("a field less", |session| drop(session.remove("session_type"))),
        ("the time of the last write", |session| drop(session.insert("updated_at", at(10)))),
        ("metadata changed", |session| drop(at_path(session, &["metadata"]).insert("priority", "low"))),
        ("the type of a number", |session| drop(at_path(session, &["metadata"]).insert("n", 1_i64))),
        ("metadata less", |session| drop(session.remove("metadata"))),
        ("feedback changed", |session| feedbacks(session)[0] = Bson::Document(doc! { "rating": "down" })),
        ("feedback more", |session| feedbacks(session).push(Bson::Document(doc! {}))),
        ("feedback less", |session| feedbacks(session).clear()),
        ("an agent more", |session| drop(at_path(session, &["agents"]).insert("c", doc! {}))),
        ("an agent less", |session| drop(at_path(session, &["agents"]).remove("b"))),
        ("the first agent less", |session| drop(at_path(session, &["agents"]).remove("a"))),
        ("agents in another order", |session| {
            let agents = at_path(session, &["agents"]);
            let first = agents.remove("a");
            agents.insert("a", first);
        }),
        ("agent data changed", |session| drop(at_path(session, &["agents", "b", "agent_data"]).insert("model", "other"))),
        ("agent data less", |session| drop(of_agent(session).remove("agent_data"))),
        ("a field of an agent", |session| drop(of_agent(session).insert("theirs", 1))),
        ("a message changed", |session| drop(last_message(session).insert("content", "other"))),
        ("the order of fields", |session| {
            let message = last_message(session);
            let id = message.remove("message_id");
            message.insert("message_id", id);
        }),
        ("a message more", |session| messages(session).push(Bson::Document(doc! {}))),
        ("a message less", |session| drop(messages(session).pop())),
        ("messages in another order", |session| messages(session).reverse()),
    ]
}

#[tokio::test]
async fn a_session_that_differs_is_named_and_left_as_it_is() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    let agents = doc! { "a": agent("a", vec![message(1, doc! { "n": 1 }), message(2, doc! { "n": 2 })]), "b": agent("b", vec![]) };
    let mut original = session("known", agents);
    original.insert("metadata", doc! { "priority": "high", "n": 1 });
    let text = |document: &Document| Bson::Document(document.clone()).into_canonical_extjson().to_string();
    for site in [desk.file_site("sessions.store"), Site::mongo(&database)?] {
        assert_eq!(desk.feed(&site, &["import"], text(&original)).await?.status, Some(0));
        let before = desk.dump(&site).await?;
        for (index, (what, change)) in changes().into_iter().enumerate() {
            let mut changed = original.clone();
            change(&mut changed);
            let new = format!("{index}");
            let ran = desk.feed(&site, &["import"], format!("{}\n{}\n", text(&changed), line(&new, "x"))).await?;
            assert_eq!(
                ran.stderr,
                "session-repo: session \"known\": another one is there and was left as it is\nsession-repo: imported from stdin: 1 new, \
                0 there already, 1 different, 0 refused: not complete\n",
                "{what}"
            );
            assert_eq!((ran.status, ran.text()?), (Some(1), ""), "{what}");
            let after = desk.dump(&site).await?;
            assert!(after.contains(&before) && after.contains(&line(&new, "x")), "{what}");
        }
    }
    database.drop().await
}

#[tokio::test]
async fn a_session_that_was_used_since_differs() -> anyhow::Result<()> {
    let (desk, database) = (Desk::new()?, Database::fresh().await?);
    for site in [desk.file_site("sessions.store"), Site::mongo(&database)?] {
        desk.feed(&site, &["import"], format!("{}\n{}\n", line("a", "x"), line("b", "x"))).await?.ok()?;
        let dump = desk.dump(&site).await?;
        desk.run(&site, &["message", "create", "a", "a", "2", "{}"]).await?.ok()?;
        let ran = desk.feed(&site, &["import"], dump.clone()).await?;
        assert_eq!(ran.status, Some(1));
        assert!(ran.stderr.contains("session \"a\"") && ran.stderr.contains("1 there already, 1 different"), "{}", ran.stderr);
        // What was written behind an import is part of the next dump, which the store knows as its own.
        let second = desk.dump(&site).await?;
        assert_ne!(second, dump);
        assert_eq!(desk.feed(&site, &["import"], second).await?.ok()?, "imported from stdin: 0 new, 2 there already: complete\n");
    }
    database.drop().await
}
