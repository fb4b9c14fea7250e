//! Random documents: they survive a dump, and are what another implementation of Extended JSON reads and writes.

use super::{dump, load, raw, session};
use crate::run::Site;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::CString;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Decimal128, Document, JavaScriptCodeWithScope, Regex, Timestamp, doc};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use session_repository::AnyStore;
use session_repository_tests::Database;
use tokio::runtime::Runtime;

fn scalar() -> impl Strategy<Value = Bson> {
    let subtype = prop_oneof![any::<u8>().prop_map(BinarySubtype::from), Just(BinarySubtype::Generic)];
    let date = prop_oneof![any::<i64>(), -70_000_000_000_000..260_000_000_000_000_i64];
    let code = prop_oneof![any::<String>(), Just(String::from("x"))];
    prop_oneof![
        prop::sample::select(vec![Bson::Null, Bson::Undefined, Bson::MinKey, Bson::MaxKey, Bson::Boolean(true), Bson::Boolean(false)]),
        any::<i32>().prop_map(Bson::Int32),
        prop_oneof![any::<i64>(), -5..5_i64, any::<i32>().prop_map(i64::from)].prop_map(Bson::Int64),
        // A number that is none has many forms, of which text has one.
        prop_oneof![any::<f64>().prop_filter("not a number", |number| !number.is_nan()), any::<i32>().prop_map(f64::from)]
            .prop_map(Bson::Double),
        any::<String>().prop_map(Bson::String),
        date.prop_map(|date| Bson::DateTime(DateTime::from_millis(date))),
        any::<[u8; 12]>().prop_map(|bytes| Bson::ObjectId(ObjectId::from_bytes(bytes))),
        (subtype, any::<Vec<u8>>()).prop_map(|(subtype, bytes)| Bson::Binary(Binary { subtype, bytes })),
        (any::<u32>(), any::<u32>()).prop_map(|(time, increment)| Bson::Timestamp(Timestamp { time, increment })),
        (any::<i64>(), -6000..6000_i32).prop_filter_map("too many digits", |(digits, exponent)| {
            format!("{digits}E{exponent}").parse::<Decimal128>().ok().map(Bson::Decimal128)
        }),
        ("[^\0]{0,8}", "i?l?m?s?u?x?").prop_filter_map("no regular expression", |(pattern, options)| {
            Some(Bson::RegularExpression(Regex { pattern: CString::try_from(pattern).ok()?, options: CString::try_from(options).ok()? }))
        }),
        code.clone().prop_map(Bson::JavaScriptCode),
        code.prop_map(Bson::Symbol),
    ]
}

/// Documents whose fields are called as `names` says.
fn document(names: impl Strategy<Value = String> + Clone + 'static) -> impl Strategy<Value = Document> {
    let fields = |name, value: BoxedStrategy<Bson>| prop::collection::vec((name, value), 0..5).prop_map(Document::from_iter);
    let of_documents = names.clone();
    let value = scalar().prop_recursive(4, 32, 5, move |inner| {
        let document = fields(of_documents.clone(), inner.clone());
        let scoped = ("[a-z]{0,3}", document.clone()).prop_map(|(code, scope)| JavaScriptCodeWithScope { code, scope });
        prop_oneof![
            3 => document.prop_map(Bson::Document),
            2 => prop::collection::vec(inner, 0..5).prop_map(Bson::Array),
            1 => scoped.prop_map(Bson::JavaScriptCodeWithScope),
        ]
    });
    fields(names, value.boxed())
}

fn plain_name() -> impl Strategy<Value = String> + Clone {
    prop_oneof!["[a-z]{0,3}", "[^\0$]{0,4}"]
}

/// Half of them mean something in Extended JSON.
fn telling_name() -> impl Strategy<Value = String> + Clone {
    let telling = [
        "$binary",
        "$code",
        "$scope",
        "$date",
        "$dbPointer",
        "$maxKey",
        "$minKey",
        "$numberDecimal",
        "$numberDouble",
        "$numberInt",
        "$numberLong",
        "$oid",
        "$regularExpression",
        "$symbol",
        "$timestamp",
        "$undefined",
        "$uuid",
        "$literalDocument",
        "$ref",
        "$id",
        "$regex",
        "$options",
        "base64",
        "subType",
        "pattern",
        "options",
        "t",
        "i",
    ];
    prop_oneof![prop::sample::select(telling.map(str::to_owned).to_vec()), plain_name()]
}

fn with(document: &Document) -> Document {
    let mut session =
        session("s", doc! { "a": { "agent_data": document.clone(), "messages": [document.clone(), {}], "theirs": document.clone() } });
    session.insert("metadata", document.clone());
    session.insert("feedbacks", vec![document.clone()]);
    session.insert("theirs", document.clone());
    session
}

fn runner(cases: u32) -> TestRunner {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { cases };
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

fn failed(error: impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(format!("{error:#}"))
}

/// Imports text into a store in memory, and tells what comes out.
async fn through_memory(text: &str) -> anyhow::Result<String> {
    let store = Site::memory().open().await?;
    let imported = load(&store, text).await?;
    anyhow::ensure!(imported.is_complete() && imported.new > 0, "{imported:?}");
    let out = dump(&store).await?;
    store.into_store().close().await;
    Ok(out)
}

#[test]
fn what_another_implementation_writes_is_read_and_what_is_written_it_reads() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    runner(200).run(&document(plain_name()), |document| {
        let session = Bson::Document(with(&document));
        let written = runtime.block_on(through_memory(&session.clone().into_canonical_extjson().to_string())).map_err(failed)?;
        let json = serde_json::from_str::<serde_json::Value>(&written).map_err(failed)?;
        prop_assert_eq!(&Bson::try_from(json).map_err(failed)?, &session);
        // The relaxed form does not tell 64 bits from 32, but is one of the same values.
        let relaxed = session.into_relaxed_extjson();
        // The other implementation moves dates behind the year 9999 to its end.
        prop_assume!(!relaxed.to_string().contains(".999999999Z"));
        let written = runtime.block_on(through_memory(&relaxed.to_string())).map_err(failed)?;
        let json = serde_json::from_str::<serde_json::Value>(&written).map_err(failed)?;
        prop_assert_eq!(Bson::try_from(json).map_err(failed)?.into_relaxed_extjson(), relaxed);
        Ok(())
    })?;
    Ok(())
}

#[test]
fn whatever_mongodb_has_comes_back_through_text_and_a_store_in_memory() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    runner(12).run(&prop::collection::vec(document(telling_name()), 1..40), |documents| {
        runtime.block_on(comes_back(&documents)).map_err(failed)
    })?;
    Ok(())
}

async fn comes_back(documents: &[Document]) -> anyhow::Result<()> {
    let (source, target) = (Database::fresh().await?, Database::fresh().await?);
    let sessions = documents.iter().enumerate().map(|(index, document)| {
        let mut session = with(document);
        session.insert("_id", format!("{index:03}"));
        session
    });
    source.documents().insert_many(sessions).await?;
    let text = dump(&Site::mongo(&source)?.open().await?).await?;
    let again = through_memory(&text).await?;
    anyhow::ensure!(again == text, "not the same text");
    let store: AnyStore = Site::mongo(&target)?.open().await?;
    let imported = load(&store, again).await?;
    anyhow::ensure!(imported.is_complete(), "{imported:?}");
    for (one, other) in raw(&source).await?.iter().zip(raw(&target).await?) {
        anyhow::ensure!(one.as_bytes() == other.as_bytes(), "not the same:\n{one:?}\n{other:?}");
    }
    anyhow::ensure!(raw(&target).await?.len() == documents.len(), "not all");
    store.into_store().close().await;
    source.drop().await?;
    target.drop().await
}
