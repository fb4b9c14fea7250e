//! From MongoDB to a file and back, through the program: the documents are the same bytes.

use super::{agent, at, message, raw, session, zoo};
use crate::run::{Desk, Site};
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use session_repository::{AgentRef, AnyStore, Dumped, Message, Store};
use session_repository_tests::Database;

/// Sends documents from MongoDB to a file store and from there to another database, by text each time.
pub(super) async fn round_trip(documents: Vec<Document>) -> anyhow::Result<()> {
    let (desk, source, target) = (Desk::new()?, Database::fresh().await?, Database::fresh().await?);
    source.documents().insert_many(&documents).await?;
    let (from, file, to) = (Site::mongo(&source)?, desk.file_site("sessions.store"), Site::mongo(&target)?);
    let text = desk.dump(&from).await?;
    assert_eq!(text.lines().count(), documents.len());
    let counts = format!("imported from stdin: {} new, 0 there already: complete\n", documents.len());
    assert_eq!(desk.feed(&file, &["import"], text.clone()).await?.ok()?, counts);
    assert_same_text(&desk.dump(&file).await?, &text);
    assert_eq!(desk.feed(&to, &["import"], desk.dump(&file).await?).await?.ok()?, counts);
    assert_same_bytes(&raw(&target).await?, &raw(&source).await?);
    assert_same_messages(&from, &file).await?;
    source.drop().await?;
    target.drop().await
}

/// Shows where texts differ rather than all of them.
#[track_caller]
fn assert_same_text(one: &str, other: &str) {
    for (one, other) in one.lines().zip(other.lines()) {
        let same = one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
        let from = |text: &str| text.bytes().skip(same.saturating_sub(80)).take(200).map(char::from).collect::<String>();
        assert!(one == other, "after {same} bytes:\n{}\n{}", from(one), from(other));
    }
    assert_eq!(one.len(), other.len());
}

#[track_caller]
pub(super) fn assert_same_bytes(one: &[RawDocumentBuf], other: &[RawDocumentBuf]) {
    for (one, other) in one.iter().zip(other) {
        if one.as_bytes() != other.as_bytes() {
            let (one, other) = (Document::try_from(one.as_ref()), Document::try_from(other.as_ref()));
            panic!("not the same:\n{one:?}\n{other:?}");
        }
    }
    assert_eq!(one.len(), other.len());
}

/// Both stores answer the same for every agent: what a store keeps beside the documents came along.
async fn assert_same_messages(one: &Site, other: &Site) -> anyhow::Result<()> {
    let (one, other) = (one.open().await?, other.open().await?);
    let mut pieces = one.export(None);
    while let Some(piece) = pieces.recv().await {
        let Dumped::Session(id) = piece? else { continue };
        let id = id.as_str();
        let agents = one.agent_ids(id).await?;
        assert_eq!(other.agent_ids(id).await?, agents, "{id}");
        // MongoDB cannot be asked for an agent with such an id.
        for agent in agents.unwrap_or_default().iter().filter(|id| !id.is_empty() && !id.contains(['.', '$'])) {
            let listed = listed(&one, id, agent).await;
            assert_eq!(self::listed(&other, id, agent).await, listed, "{id} {agent}");
            for message in listed.into_iter().flatten() {
                let (agent, store) = (&AgentRef::new(id, agent), |store: &AnyStore| store.clone().into_store());
                let found = store(&one).find_message(agent, message.message_id, &[]).await;
                assert_eq!(store(&other).find_message(agent, message.message_id, &[]).await, found, "{agent:?} {}", message.message_id);
            }
        }
    }
    one.into_store().close().await;
    other.into_store().close().await;
    Ok(())
}

async fn listed(store: &AnyStore, session_id: &str, agent_id: &str) -> session_repository::Result<Vec<Message>> {
    let store: std::sync::Arc<dyn Store> = store.clone().into_store();
    store.list_messages(&AgentRef::new(session_id, agent_id), session_repository::Page::default(), &[]).await
}

#[tokio::test]
async fn every_type_at_every_place_stays() -> anyhow::Result<()> {
    let all = zoo::all()?;
    let mut everywhere = session("everywhere", doc! {});
    everywhere.insert("metadata", all.clone());
    everywhere.insert("feedbacks", vec![all.clone(), doc! {}, all.clone()]);
    everywhere.insert("theirs", all.clone());
    let mut agent = agent("a", vec![message(1, all.clone()), all.clone(), doc! {}]);
    agent.insert("agent_data", all.clone());
    agent.insert("theirs", all.clone());
    everywhere.insert("agents", doc! { "a": agent });
    everywhere.extend(all);
    round_trip(vec![everywhere]).await
}

#[tokio::test]
async fn what_looks_like_a_type_stays_as_a_whole_message_metadata_feedback_and_agent_data() -> anyhow::Result<()> {
    let mut documents = Vec::new();
    for (index, impostor) in zoo::impostors().into_iter().enumerate() {
        let mut session = session(&format!("impostor {index}"), doc! {});
        session.insert("metadata", impostor.clone());
        session.insert("feedbacks", vec![impostor.clone(), impostor.clone()]);
        let mut agent = agent("a", vec![impostor.clone()]);
        agent.insert("agent_data", impostor);
        session.insert("agents", doc! { "a": agent });
        documents.push(session);
    }
    round_trip(documents).await
}

#[tokio::test]
async fn fields_of_sessions_and_agents_and_ids_of_agents_may_be_called_like_types() -> anyhow::Result<()> {
    let mut documents = Vec::new();
    for (index, impostor) in zoo::impostors().into_iter().enumerate() {
        let mut of_agent = session(&format!("agent {index}"), doc! {});
        let mut agent = agent("a", vec![message(1, doc! { "n": 5_i64 })]);
        agent.extend(impostor.clone());
        of_agent.insert("agents", doc! { "a": agent.clone(), "b": impostor.clone() });
        documents.push(of_agent);
        let ids: Document = impostor.keys().map(|id| (id.clone(), Bson::Document(agent.clone()))).collect();
        documents.push(session(&format!("ids {index}"), ids));
        let mut of_session = session(&format!("session {index}"), doc! { "a": agent });
        // The server keeps these names to itself, at the top of a document.
        of_session.extend(impostor.into_iter().filter(|(name, _)| !["$ref", "$id", "$db"].contains(&name.as_str())));
        documents.push(of_session);
    }
    round_trip(documents).await
}

#[tokio::test]
async fn fields_keep_their_order_and_may_be_missing() -> anyhow::Result<()> {
    let mut documents = vec![doc! { "_id": "" }, doc! { "_id": "only an id" }, session("empty", doc! {})];
    for missing in ["session_id", "session_type", "created_at", "updated_at", "metadata", "feedbacks", "agents"] {
        let mut session = session(&format!("no {missing}"), doc! { "a": agent("a", vec![message(1, doc! {})]) });
        session.remove(missing);
        documents.push(session);
    }
    for missing in ["agent_data", "created_at", "updated_at", "messages"] {
        let mut agent = agent("a", vec![message(1, doc! {})]);
        agent.remove(missing);
        documents.push(session(&format!("no {missing} of an agent"), doc! { "a": agent, "b": {} }));
    }
    let backwards = |document: Document| {
        let mut fields: Vec<_> = document.into_iter().collect();
        fields.reverse();
        Document::from_iter(fields)
    };
    let mut turned = doc! { "_id": "turned" };
    let agents = doc! { "z": backwards(agent("z", vec![backwards(message(1, doc! { "b": 1, "a": 2 }))])), "a": agent("a", vec![]) };
    turned.extend(backwards(session("turned", agents)).into_iter().filter(|(name, _)| name != "_id"));
    documents.push(turned);
    // Empty, and yet there.
    let hollow = doc! { "messages": [], "agent_data": {} };
    documents.push(doc! { "_id": "hollow", "agents": { "a": hollow, "b": {} }, "feedbacks": [], "metadata": {} });
    round_trip(documents).await
}

#[tokio::test]
async fn parts_that_are_null_stay_null() -> anyhow::Result<()> {
    let mut documents = Vec::new();
    for null in ["session_id", "session_type", "created_at", "metadata", "feedbacks", "agents"] {
        let mut session = session(&format!("null {null}"), doc! { "a": agent("a", vec![message(1, doc! {})]) });
        session.insert(null, Bson::Null);
        documents.push(session);
    }
    for null in ["agent_data", "created_at", "messages"] {
        let mut agent = agent("a", vec![message(1, doc! {})]);
        agent.insert(null, Bson::Null);
        documents.push(session(&format!("null {null} of an agent"), doc! { "a": agent }));
    }
    round_trip(documents).await
}

#[tokio::test]
async fn ids_may_be_any_text() -> anyhow::Result<()> {
    let long = "x".repeat(900);
    let ids =
        ["", " ", "a", "a\0", "a\0b", "ab", "A", "é", "😀", "\u{ffff}", "\n", "\"\\", "{\"$oid\":1}", "$oid", "a.b", "\u{1b}[31m", &long];
    let agents = || ids.iter().filter(|id| !id.contains('\0')).map(|id| (String::from(*id), Bson::Document(agent(id, vec![])))).collect();
    round_trip(ids.iter().map(|id| session(id, agents())).collect()).await
}

#[tokio::test]
async fn agents_and_messages_keep_their_order() -> anyhow::Result<()> {
    let ids = ["zoe", "adam", "Zoe", "10", "9", "b", "a"];
    let mut documents = vec![session("agents", ids.iter().map(|id| (String::from(*id), Bson::Document(agent(id, vec![])))).collect())];
    let stamped = |id: Bson, seconds: i64| doc! { "message_id": id, "created_at": at(seconds), "n": seconds };
    let orders: [&[i64]; 7] = [&[1, 2, 3], &[3, 2, 1], &[2, 1, 3], &[1, 3, 2], &[5, 1, 5, 1, 5], &[2, 1], &[1, 1, 0, 9, 8, 7, 7, 6, 10]];
    let ordered = |times: &[i64]| (1..).zip(times).map(|(id, time)| stamped(Bson::Int64(id), *time)).collect();
    let agents = (0..).zip(orders).map(|(index, times)| (format!("a{index}"), Bson::Document(agent("a", ordered(times))))).collect();
    documents.push(session("orders", agents));
    let ids = |ids: Vec<Bson>| agent("a", (1..).zip(ids).map(|(time, id)| stamped(id, time)).collect());
    let twins = [Bson::Int32(1), Bson::Int64(1), Bson::Double(1.0), Bson::Int32(2), Bson::Int32(1), Bson::Int32(0)];
    let odd =
        [Bson::Int32(-1), Bson::Double(1.5), Bson::Double(f64::NAN), Bson::String(String::from("1")), Bson::Null, Bson::Int64(i64::MAX)];
    documents.push(session(
        "ids",
        doc! { "twins": ids(twins.to_vec()), "odd": ids(odd.to_vec()), "jumps": ids(vec![9.into(), 3.into(), 12.into()]) },
    ));
    let untimed = doc! { "message_id": 1, "content": "no time" };
    let text = doc! { "message_id": 2, "created_at": "2024-01-26T10:30:44Z", "updated_at": "2024-01-26T10:30:44Z" };
    documents.push(session("times", doc! { "untimed": agent("a", vec![untimed]), "text": agent("b", vec![text]) }));
    round_trip(documents).await
}
