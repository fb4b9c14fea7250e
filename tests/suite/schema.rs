//! What is written is the reference's schema, field by field and BSON type by type.

use mongodb::bson::{Bson, Document, doc};
use session_repository_tests::Database;

/// The names of a document's fields in their order, each with its BSON type.
fn shape(document: &Document) -> Vec<(String, String)> {
    document.iter().map(|(key, value)| (key.clone(), format!("{:?}", value.element_type()))).collect()
}

fn expected(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(key, kind)| ((*key).to_owned(), (*kind).to_owned())).collect()
}

#[tokio::test]
async fn a_session_document_has_the_schema_of_the_reference() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let repo = database.repository().await?;
    repo.sessions().create("s", Some("chat")).await?;
    repo.agents().create("s", "a", r#"{"model": "m", "state": {"n": 1}}"#).await?;
    let body = r#"{"role": "user", "content": [{"text": "Hi"}, {"big": 2147483648, "small": -1, "real": 1.0, "none": null, "yes": true,
        "bytes": {"__bytes_encoded__": true, "data": "aGk="}}], "event_loop_metrics": {"accumulated_usage": {"inputTokens": 45}}}"#;
    repo.messages().create("s", "a", 1, body).await?;
    repo.messages().create("s", "a", 4_294_967_296, "{}").await?;
    repo.metadata().update("s", r#"{"priority": "high", "a.b": 1}"#).await?;
    repo.feedback().add("s", r#"{"rating": "up", "comment": "Great!"}"#).await?;

    let document = database.document("s").await?;
    let fields = [
        ("_id", "String"),
        ("session_id", "String"),
        ("session_type", "String"),
        ("created_at", "DateTime"),
        ("updated_at", "DateTime"),
        ("metadata", "EmbeddedDocument"),
        ("feedbacks", "Array"),
        ("agents", "EmbeddedDocument"),
        // A field of ours.
        ("revision", "Int64"),
    ];
    assert_eq!(shape(&document), expected(&fields));
    assert_eq!((document.get_str("_id")?, document.get_str("session_id")?, document.get_str("session_type")?), ("s", "s", "chat"));
    assert_eq!(document.get_document("metadata")?, &doc! { "priority": "high", "a": { "b": 1 } });

    let agent = document.get_document("agents")?.get_document("a")?;
    let fields = [
        ("agent_data", "EmbeddedDocument"),
        ("created_at", "DateTime"),
        ("updated_at", "DateTime"),
        ("messages", "Array"),
        // Ours, too.
        ("in_order", "Int32"),
    ];
    assert_eq!(shape(agent), expected(&fields));
    let data = agent.get_document("agent_data")?;
    let fields =
        [("agent_id", "String"), ("model", "String"), ("state", "EmbeddedDocument"), ("created_at", "String"), ("updated_at", "String")];
    assert_eq!(shape(data), expected(&fields));
    let created = agent.get_datetime("created_at")?;
    assert_eq!(mongodb::bson::DateTime::parse_rfc3339_str(data.get_str("created_at")?)?, *created);
    assert_eq!(data.get_document("state")?, &doc! { "n": 1_i32 });

    let messages = agent.get_array("messages")?;
    let message = messages.first().and_then(Bson::as_document).cloned().unwrap_or_default();
    let fields = [
        ("message_id", "Int32"),
        ("role", "String"),
        ("content", "Array"),
        ("event_loop_metrics", "EmbeddedDocument"),
        ("created_at", "DateTime"),
        ("updated_at", "DateTime"),
    ];
    assert_eq!(shape(&message), expected(&fields));
    let part = message.get_array("content")?.get(1).and_then(Bson::as_document).cloned().unwrap_or_default();
    let fields = [("big", "Int64"), ("small", "Int32"), ("real", "Double"), ("none", "Null"), ("yes", "Boolean"), ("bytes", "Binary")];
    assert_eq!(shape(&part), expected(&fields));
    assert_eq!(part.get_binary_generic("bytes")?.as_slice(), b"hi");
    assert_eq!(message.get_datetime("created_at")?, message.get_datetime("updated_at")?);
    let other = messages.get(1).and_then(Bson::as_document).cloned().unwrap_or_default();
    assert_eq!(shape(&other), expected(&[("message_id", "Int64"), ("created_at", "DateTime"), ("updated_at", "DateTime")]));

    let entry = document.get_array("feedbacks")?.first().and_then(Bson::as_document).cloned().unwrap_or_default();
    assert_eq!(shape(&entry), expected(&[("rating", "String"), ("comment", "String"), ("created_at", "DateTime")]));
    assert_eq!(document.get_datetime("updated_at")?, entry.get_datetime("created_at")?);
    repo.close().await;
    database.drop().await
}

#[tokio::test]
async fn updates_keep_the_schema_and_what_others_stored() -> anyhow::Result<()> {
    let database = Database::fresh().await?;
    let repo = database.repository().await?;
    repo.sessions().create("s", None).await?;
    repo.agents().create("s", "a", r#"{"model": "m", "gone": 1}"#).await?;
    let metrics = r#"{"role": "user", "content": "old", "event_loop_metrics": {"n": 1}, "latency_ms": 7}"#;
    repo.messages().create("s", "a", 1, metrics).await?;
    let others = doc! { "application_name": "app", "session_viewer_password": "p", "guardrail_events": [1], "agents.a.note": "theirs" };
    database.documents().update_one(doc! { "_id": "s" }, doc! { "$set": others }).await?;
    let before = database.document("s").await?;

    repo.agents().update("s", "a", r#"{"state": {}}"#).await?;
    repo.messages().update("s", "a", 1, r#"{"role": "user", "content": "new", "latency_ms": 9}"#).await?;

    let after = database.document("s").await?;
    assert_eq!(shape(&after), shape(&before));
    for field in ["application_name", "session_viewer_password", "guardrail_events", "created_at"] {
        assert_eq!(after.get(field), before.get(field), "{field}");
    }
    let (agent, agent_before) = (after.get_document("agents")?.get_document("a")?, before.get_document("agents")?.get_document("a")?);
    assert_eq!((agent.get_str("note")?, agent.get("created_at")), ("theirs", agent_before.get("created_at")));
    let data = agent.get_document("agent_data")?;
    let fields =
        [("agent_id", "String"), ("state", "EmbeddedDocument"), ("created_at", "String"), ("updated_at", "String"), ("model", "String")];
    assert_eq!(shape(data), expected(&fields));
    assert_eq!(data.get("created_at"), agent_before.get_document("agent_data")?.get("created_at"));
    let message = agent.get_array("messages")?.first().and_then(Bson::as_document).cloned().unwrap_or_default();
    assert_eq!(message.get_document("event_loop_metrics")?, &doc! { "n": 1 });
    assert_eq!((message.get_str("content")?, message.get_i32("latency_ms")?), ("new", 9));
    assert!(message.get_datetime("created_at")? <= message.get_datetime("updated_at")?);
    assert!(!after.to_string().contains("old"), "nothing of the old text stays");
    repo.close().await;
    database.drop().await
}
