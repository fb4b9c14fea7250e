//! Documents that other programs wrote, in the reference's schema, read back right.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, Regex, Timestamp as ClusterTime, doc};
use serde_json::{Value, json};
use session_repository::{Entity, Error, Repository, Timestamp};
use session_repository_tests::Database;

const CREATED: i64 = 1_706_265_045_123;

fn date(offset: i64) -> DateTime {
    DateTime::from_millis(CREATED + offset)
}

fn session(agents: Document) -> Document {
    doc! {
        "_id": "s", "session_id": "s", "application_name": "app", "session_type": "AGENT", "session_viewer_password": "p",
        "created_at": date(0), "updated_at": date(9), "agents": agents, "metadata": {}, "feedbacks": [], "guardrail_events": [],
    }
}

fn agent(messages: Vec<Document>) -> Document {
    doc! { "a": { "agent_data": { "agent_id": "a", "created_at": date(1), "updated_at": date(2) },
    "messages": messages, "created_at": date(1), "updated_at": date(2) } }
}

async fn seed(document: Document) -> anyhow::Result<(Database, Repository)> {
    let database = Database::fresh().await?;
    database.documents().insert_one(document).await?;
    let repo = database.repository().await?;
    Ok((database, repo))
}

async fn bodies(repo: &Repository) -> anyhow::Result<Vec<Value>> {
    let listed = repo.messages().list("s", "a", None, 0).await?;
    Ok(listed.iter().map(|message| message.body.parse()).collect::<Result<_, _>>()?)
}

#[tokio::test]
async fn a_session_of_a_newer_program_reads_and_takes_writes() -> anyhow::Result<()> {
    let (database, repo) = seed(session(agent(vec![]))).await?;
    let read = repo.sessions().read("s").await?;
    assert_eq!(
        read.map(|s| (s.session_type, s.created_at, s.updated_at)),
        Some((String::from("AGENT"), Timestamp(CREATED), Timestamp(CREATED + 9)))
    );
    repo.messages().create("s", "a", 0, r#"{"message": {"role": "user", "content": [{"text": "Hi"}]}}"#).await?;
    repo.metadata().update("s", r#"{"k": 1}"#).await?;
    let after = database.document("s").await?;
    assert_eq!((after.get_str("application_name")?, after.get_str("session_viewer_password")?), ("app", "p"));
    assert_eq!(after.get_array("guardrail_events")?, &Vec::<Bson>::new());
    repo.close().await;
    database.drop().await
}

#[tokio::test]
async fn times_inside_agent_data_may_be_dates_or_text() -> anyhow::Result<()> {
    let text = |text: &str| doc! { "agent_id": "x", "model": "m", "created_at": text, "updated_at": text };
    let stored = |data: Document| doc! { "agent_data": data, "messages": [], "created_at": date(0), "updated_at": date(0) };
    let agents = doc! {
        "date": stored(doc! { "agent_id": "x", "model": "m", "created_at": date(0), "updated_at": date(0), "seen": date(1) }),
        "micros": stored(text("2024-01-26T10:30:45.123456Z")),
        "offset": stored(text("2024-01-26T11:30:45.123456+01:00")),
        "naive": stored(text("2024-01-26T10:30:45.123")),
        "none": stored(doc! { "agent_id": "x", "model": "m" }),
    };
    let (database, repo) = seed(session(agents)).await?;
    for id in ["date", "micros", "offset", "naive", "none"] {
        let agent = repo.agents().read("s", id).await?.map(|agent| (agent.created_at, agent.updated_at));
        assert_eq!(agent, Some((Timestamp(CREATED), Timestamp(CREATED))), "{id}");
    }
    let data = repo.agents().read("s", "date").await?.map(|agent| agent.data.parse::<Value>()).transpose()?;
    assert_eq!(data, Some(json!({"model": "m", "seen": "2024-01-26T10:30:45.124Z"})));
    repo.agents().update("s", "date", r#"{"model": "n"}"#).await?;
    let updated = repo.agents().read("s", "date").await?;
    assert_eq!(updated.map(|agent| agent.created_at), Some(Timestamp(CREATED)), "a date stays the creation");
    repo.close().await;
    database.drop().await
}

#[tokio::test]
async fn values_that_json_lacks_read_in_their_forms() -> anyhow::Result<()> {
    let id = ObjectId::parse_str("65b38a1e5f1b2c3d4e5f6a7b")?;
    let values = doc! {
        "date": date(0), "early": DateTime::from_millis(-1), "whole": DateTime::from_millis(0), "far": DateTime::from_millis(i64::MAX),
        "bytes": Binary { subtype: BinarySubtype::Generic, bytes: b"hi".to_vec() },
        "uuid": Binary { subtype: BinarySubtype::Uuid, bytes: vec![0; 16] },
        "id": id, "decimal": "1.50".parse::<mongodb::bson::Decimal128>()?, "nan": f64::NAN, "inf": f64::NEG_INFINITY,
        "regex": Regex { pattern: "a.b".try_into()?, options: "i".try_into()? },
        "time": ClusterTime { time: 1, increment: 2 }, "min": Bson::MinKey, "code": Bson::JavaScriptCode(String::from("f()")),
        "long": 5_i64, "nested": [{ "date": date(0) }],
    };
    let read = json!({
        "date": "2024-01-26T10:30:45.123Z", "early": "1969-12-31T23:59:59.999Z", "whole": "1970-01-01T00:00:00.000Z",
        "far": {"$date": {"$numberLong": "9223372036854775807"}},
        "bytes": {"__bytes_encoded__": true, "data": "aGk="},
        "uuid": {"__bytes_encoded__": true, "data": "AAAAAAAAAAAAAAAAAAAAAA=="},
        "id": {"$oid": "65b38a1e5f1b2c3d4e5f6a7b"}, "decimal": {"$numberDecimal": "1.50"},
        "nan": {"$numberDouble": "NaN"}, "inf": {"$numberDouble": "-Infinity"},
        "regex": {"$regularExpression": {"pattern": "a.b", "options": "i"}},
        "time": {"$timestamp": {"t": 1, "i": 2}}, "min": {"$minKey": 1}, "code": {"$code": "f()"},
        "long": 5, "nested": [{"date": "2024-01-26T10:30:45.123Z"}],
    });
    let mut message = doc! { "message_id": 1, "created_at": date(3), "updated_at": date(4) };
    message.extend(values.clone());
    let mut document = session(agent(vec![message]));
    document.insert("metadata", values.clone());
    let mut entry = values;
    entry.insert("created_at", date(5));
    document.insert("feedbacks", vec![entry]);
    let (database, repo) = seed(document).await?;
    assert_eq!(bodies(&repo).await?, std::slice::from_ref(&read));
    let one = repo.messages().read("s", "a", 1).await?;
    assert_eq!(one.map(|m| (m.created_at, m.updated_at)), Some((Timestamp(CREATED + 3), Timestamp(CREATED + 4))));
    assert_eq!(repo.metadata().get("s").await?.map(|m| m.parse::<Value>()).transpose()?, Some(read.clone()));
    let feedback = repo.feedback().list("s").await?;
    assert_eq!(feedback.iter().map(|f| (f.body.parse().ok(), f.created_at)).collect::<Vec<_>>(), [(Some(read), Timestamp(CREATED + 5))]);
    repo.close().await;
    database.drop().await
}

#[tokio::test]
async fn metric_fields_of_others_are_left_out_and_kept() -> anyhow::Result<()> {
    let metrics = doc! { "accumulated_usage": { "inputTokens": 45 }, "latencyMs": 1234_i64 };
    let message = doc! {
        "message_id": 2, "message": { "role": "assistant", "content": [] }, "redact_message": Bson::Null, "new_field": 1,
        "created_at": date(3), "updated_at": date(3), "event_loop_metrics": metrics.clone(), "latency_ms": 1234, "input_tokens": 45,
        "output_tokens": 78, "guardrail_event": { "x": 1 },
    };
    let (database, repo) = seed(session(agent(vec![message]))).await?;
    assert_eq!(bodies(&repo).await?, [json!({"message": {"role": "assistant", "content": []}, "redact_message": null, "new_field": 1})]);
    repo.messages().update("s", "a", 2, r#"{"redact_message": {"role": "assistant", "content": [{"text": "[removed]"}]}}"#).await?;
    let after = database.document("s").await?;
    let stored = after.get_document("agents")?.get_document("a")?.get_array("messages")?.first().and_then(Bson::as_document).cloned();
    let stored = stored.unwrap_or_default();
    assert_eq!((stored.get_document("event_loop_metrics")?, stored.get_i32("output_tokens")?), (&metrics, 78));
    assert_eq!((stored.get("message"), stored.get("new_field"), stored.get_datetime("created_at")?), (None, None, &date(3)));
    repo.close().await;
    database.drop().await
}

#[tokio::test]
async fn messages_list_by_time_and_equal_times_in_append_order() -> anyhow::Result<()> {
    // Hosts' clocks differ, so the append order is not the order of the times; many are equal.
    let message = |id: i32, at: i64| doc! { "message_id": id, "created_at": date(at), "updated_at": date(at) };
    let stored: Vec<_> = (0..200).map(|n| message(n, i64::from(n * 7 % 5))).collect();
    let (database, repo) = seed(session(agent(stored))).await?;
    let mut expected: Vec<i64> = (0..200).collect();
    expected.sort_by_key(|n| n * 7 % 5);
    let ids = |page: Vec<session_repository::Message>| page.into_iter().map(|m| m.message_id).collect::<Vec<_>>();
    assert_eq!(ids(repo.messages().list("s", "a", None, 0).await?), expected);
    for offset in [0, 39, 41, 195, 200] {
        let page = ids(repo.messages().list("s", "a", Some(10), offset).await?);
        assert_eq!(page, expected.iter().copied().skip(usize::try_from(offset)?).take(10).collect::<Vec<_>>());
    }
    repo.close().await;
    database.drop().await
}

#[tokio::test]
async fn message_ids_are_found_whatever_number_type_they_have() -> anyhow::Result<()> {
    for id in [Bson::Int32(1), Bson::Int64(1), Bson::Double(1.0)] {
        let stored = doc! { "message_id": id, "k": "old", "created_at": date(1), "updated_at": date(1) };
        let (database, repo) = seed(session(agent(vec![stored]))).await?;
        repo.messages().create("s", "a", 1, r#"{"k": "old"}"#).await?;
        assert_eq!(repo.messages().create("s", "a", 1, r#"{"k": "other"}"#).await, Err(Error::AlreadyExists(Entity::Message)));
        repo.messages().update("s", "a", 1, r#"{"k": "new"}"#).await?;
        assert_eq!(bodies(&repo).await?, [json!({"k": "new"})]);
        repo.close().await;
        database.drop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_message_that_was_stored_twice_is_redacted_twice() -> anyhow::Result<()> {
    let stored = |content: &str, at: i64| doc! { "message_id": 1, "content": content, "created_at": date(at), "updated_at": date(at) };
    let (database, repo) = seed(session(agent(vec![stored("secret", 1), stored("another", 2), stored("secret", 3)]))).await?;
    repo.messages().update("s", "a", 1, r#"{"content": "[removed]"}"#).await?;
    let contents = [json!({"content": "[removed]"}), json!({"content": "another"}), json!({"content": "[removed]"})];
    assert_eq!(bodies(&repo).await?, contents, "another message that took the id by mistake is not lost");
    repo.close().await;
    database.drop().await
}

#[tokio::test]
async fn an_agent_that_has_messages_and_nothing_else_is_made_whole_by_an_update() -> anyhow::Result<()> {
    let message = doc! { "message_id": 1, "k": 1, "created_at": date(1), "updated_at": date(1) };
    let (database, repo) = seed(session(doc! { "a": { "messages": [message], "updated_at": date(1) } })).await?;
    assert_eq!(repo.agents().read("s", "a").await?.map(|agent| agent.data.to_string()), Some(String::from("{}")));
    assert_eq!(repo.agents().create("s", "a", "{}").await, Err(Error::AlreadyExists(Entity::Agent)));
    repo.agents().update("s", "a", r#"{"model": "m"}"#).await?;
    let agent = repo.agents().read("s", "a").await?;
    assert_eq!(agent.map(|agent| agent.data.to_string()), Some(String::from(r#"{"model":"m"}"#)));
    let stored = database.document("s").await?;
    assert!(stored.get_document("agents")?.get_document("a")?.get_datetime("created_at").is_ok());
    assert_eq!(bodies(&repo).await?, [json!({"k": 1})]);
    repo.close().await;
    database.drop().await
}

#[tokio::test]
async fn a_thing_in_an_agents_place_is_corrupt_and_stays() -> anyhow::Result<()> {
    for thing in [Bson::Null, Bson::from("text"), Bson::from(vec![1]), Bson::Array(vec![Bson::Document(doc! {})])] {
        let (database, repo) = seed(session(doc! { "a": thing.clone() })).await?;
        for refused in [
            repo.agents().create("s", "a", "{}").await,
            repo.agents().update("s", "a", "{}").await,
            repo.messages().create("s", "a", 1, "{}").await,
            repo.messages().update("s", "a", 1, "{}").await,
        ] {
            assert!(matches!(refused, Err(Error::Corrupt(_))), "{thing}: {refused:?}");
        }
        assert_eq!(database.document("s").await?.get_document("agents")?, &doc! { "a": thing });
        repo.close().await;
        database.drop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn writes_never_move_a_time_back() -> anyhow::Result<()> {
    // Another host, whose clock is an hour ahead, wrote last.
    let ahead = DateTime::from_millis(DateTime::now().timestamp_millis() + 3_600_000);
    let mut document = session(doc! { "a": { "agent_data": { "agent_id": "a", "created_at": ahead, "updated_at": ahead },
    "messages": [{ "message_id": 1, "created_at": ahead, "updated_at": ahead }], "created_at": ahead, "updated_at": ahead } });
    document.insert("updated_at", ahead);
    let (database, repo) = seed(document).await?;
    repo.agents().update("s", "a", "{}").await?;
    repo.messages().create("s", "a", 2, "{}").await?;
    repo.messages().update("s", "a", 1, r#"{"k": 1}"#).await?;
    repo.metadata().update("s", r#"{"k": 1}"#).await?;
    repo.metadata().delete("s", ["k"]).await?;
    repo.feedback().add("s", "{}").await?;
    let ahead = Timestamp(ahead.timestamp_millis());
    assert_eq!(repo.sessions().read("s").await?.map(|s| s.updated_at), Some(ahead));
    assert_eq!(repo.agents().read("s", "a").await?.map(|a| a.updated_at), Some(ahead));
    assert_eq!(repo.messages().read("s", "a", 1).await?.map(|m| m.updated_at), Some(ahead));
    repo.close().await;
    database.drop().await
}
