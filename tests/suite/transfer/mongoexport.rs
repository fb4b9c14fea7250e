//! Dumps of a reference collection that MongoDB's own `mongoexport` wrote: they import as they are.
//!
//! The fixtures are what `mongoexport` 100 writes of [`documents`], by default and with `--jsonFormat=canonical`: the spacing, escapes,
//! numbers and dates of the Go driver.

use super::{at, load, raw, round_trip::assert_same_bytes};
use crate::run::{Desk, Site};
use anyhow::Context;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::CString;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Decimal128, Document, JavaScriptCodeWithScope, Regex, Timestamp, doc};
use session_repository_tests::Database;

const RELAXED: &str = include_str!("../../fixtures/mongoexport-relaxed.ndjson");
const CANONICAL: &str = include_str!("../../fixtures/mongoexport-canonical.ndjson");

/// What was in the collection.
fn documents() -> anyhow::Result<Vec<Document>> {
    let later = DateTime::from_millis(1_706_265_312_456);
    let message = |id: i32, role: &str, content: &str, time: DateTime| doc! { "message_id": id, "role": role, "content": content, "created_at": time, "updated_at": time };
    let mut answer = message(2, "assistant", "Hi! How can I help you?", DateTime::from_millis(1_706_265_055_100));
    let usage = doc! { "inputTokens": 45, "outputTokens": 78, "totalTokens": 123 };
    answer.insert("event_loop_metrics", doc! { "accumulated_metrics": { "latencyMs": 1234 }, "accumulated_usage": usage });
    let agent = doc! {
        "agent_data": {
            "agent_id": "agent-id-1", "model": "claude-3-sonnet", "system_prompt": "You are a helpful assistant",
            "created_at": "2024-01-26T10:30:45.123456Z", "updated_at": "2024-01-26T10:35:12.456789Z",
        },
        "created_at": at(0), "updated_at": later,
        "messages": [message(1, "user", "Hello!", DateTime::from_millis(1_706_265_050_000)), answer],
    };
    let complete = doc! {
        "_id": "user-123", "session_id": "user-123", "session_type": "default", "created_at": at(0), "updated_at": later,
        "metadata": { "user_name": "Alice", "priority": "high", "custom_field": "value" },
        "feedbacks": [{ "rating": "up", "comment": "Great response! <b>&</b>", "created_at": DateTime::from_millis(1_706_265_360_000) }],
        "agents": { "agent-id-1": agent },
    };
    let empty = doc! {
        "_id": "user-124", "session_id": "user-124", "session_type": "default", "created_at": at(0), "updated_at": at(0),
        "metadata": {}, "feedbacks": [], "agents": {},
    };
    let theirs = doc! {
        "_id": "user-125", "session_id": "user-125", "application_name": "app", "session_type": "AGENT", "created_at": at(0),
        "metadata": types()?,
        "agents": { "zoe": { "agent_data": { "agent_id": "zoe", "state": { "n": 5_i64 } }, "messages": [] }, "adam": { "messages": [] } },
    };
    Ok(vec![complete, empty, theirs])
}

fn types() -> anyhow::Result<Document> {
    let oid = ObjectId::parse_str("65b38c25a1b2c3d4e5f60718")?;
    let binary = |subtype: BinarySubtype, bytes: &[u8]| Binary { subtype, bytes: bytes.to_vec() };
    let uuid = [0xc8, 0xed, 0xab, 0xc3, 0xf7, 0x38, 0x4c, 0xa3, 0xb6, 0x8d, 0xab, 0x92, 0xa9, 0x14, 0x78, 0xa3];
    let pointer = super::zoo::values()?.into_iter().find(|value| matches!(value, Bson::DbPointer(_))).context("no pointer")?;
    Ok(doc! {
        "oid": oid, "bytes": binary(BinarySubtype::Generic, b"\x89PNG\r\n\x1a\n"), "uuid": binary(BinarySubtype::Uuid, &uuid),
        "own": binary(BinarySubtype::UserDefined(0x80), &[0]),
        "int": -7, "small_long": 5_i64, "long": 9_007_199_254_740_993_i64, "least": i64::MIN,
        "whole": 1.0, "minus_zero": -0.0, "tenth": 0.1, "millions": 1_234_567.5, "large": 1e22, "tiny": 5e-324,
        "nan": f64::NAN, "infinity": f64::INFINITY, "decimal": "1.50".parse::<Decimal128>()?,
        "before": DateTime::from_millis(-1), "far": DateTime::from_millis(253_402_300_800_000),
        "timestamp": Timestamp { time: 1_706_265_045, increment: 7 },
        "regex": Regex { pattern: CString::try_from("^a/\"b\\.c$")?, options: CString::try_from("im")? },
        "code": Bson::JavaScriptCode(String::from("function () { return 1; }")),
        "scoped": JavaScriptCodeWithScope { code: String::from("x"), scope: doc! { "n": 1 } },
        "symbol": Bson::Symbol(String::from("s")), "pointer": pointer,
        "undefined": Bson::Undefined, "min": Bson::MinKey, "max": Bson::MaxKey, "none": Bson::Null, "yes": true,
        "reference": { "$ref": "c", "$id": oid, "$db": "d" },
        "text": "<a> & \"q\" \\ / \u{8}\u{c}\n\r\t\u{1} é 😀 \u{2028} \u{7f}", "": "empty", "a.b": { "$x": [[], {}, [Bson::Null]] },
    })
}

/// The relaxed form has no sign for a 64-bit number that fits in 32 bits, so it reads as one of 32 bits.
fn narrowed(value: Bson) -> Bson {
    match value {
        Bson::Int64(number) => i32::try_from(number).map_or(Bson::Int64(number), Bson::Int32),
        Bson::Document(document) => document.into_iter().map(|(name, value)| (name, narrowed(value))).collect::<Document>().into(),
        Bson::Array(items) => Bson::Array(items.into_iter().map(narrowed).collect()),
        other => other,
    }
}

/// Imports a dump into a file and into MongoDB; both then have what the reference stored.
async fn imports(dump: &str, stored: Vec<Document>) -> anyhow::Result<()> {
    let (desk, target, reference) = (Desk::new()?, Database::fresh().await?, Database::fresh().await?);
    reference.documents().insert_many(stored).await?;
    let (file, mongo) = (desk.file_site("sessions.store"), Site::mongo(&target)?);
    for site in [&file, &mongo] {
        let ran = desk.feed(site, &["import"], dump).await?;
        assert_eq!(ran.ok()?, "imported from stdin: 3 new, 0 there already: complete\n");
        let ran = desk.feed(site, &["import"], dump).await?;
        assert_eq!(ran.ok()?, "imported from stdin: 0 new, 3 there already: complete\n");
    }
    assert_same_bytes(&raw(&target).await?, &raw(&reference).await?);
    assert_eq!(desk.dump(&file).await?, desk.dump(&Site::mongo(&reference)?).await?);
    target.drop().await?;
    reference.drop().await
}

#[tokio::test]
async fn a_canonical_dump_imports_with_all_types() -> anyhow::Result<()> {
    imports(CANONICAL, documents()?).await
}

#[tokio::test]
async fn a_relaxed_dump_imports_with_all_types_that_it_has() -> anyhow::Result<()> {
    let narrowed = documents()?.into_iter().map(|document| match narrowed(Bson::Document(document)) {
        Bson::Document(document) => document,
        other => panic!("{other}"),
    });
    imports(RELAXED, narrowed.collect()).await
}

#[tokio::test]
async fn a_session_of_a_dump_is_used_like_any_other() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let site = desk.file_site("sessions.store");
    let store = site.open().await?;
    assert!(load(&store, RELAXED).await?.is_complete());
    store.into_store().close().await;
    let list = desk.run(&site, &["message", "list", "user-123", "agent-id-1", "--json"]).await?;
    let list: serde_json::Value = serde_json::from_str(list.ok()?)?;
    let ids: Vec<_> = list.as_array().into_iter().flatten().map(|message| message["message_id"].as_i64()).collect();
    assert_eq!((ids, &list[0]["content"]), (vec![Some(1), Some(2)], &"Hello!".into()));
    assert!(list[1].get("event_loop_metrics").is_none());
    desk.run(&site, &["message", "create", "user-123", "agent-id-1", "3", r#"{"role": "user"}"#]).await?.ok()?;
    let read = desk.run(&site, &["message", "read", "user-123", "agent-id-1", "3", "--json"]).await?;
    assert!(read.ok()?.starts_with(r#"{"message_id":3,"role":"user","#), "{}", read.text()?);
    Ok(())
}
