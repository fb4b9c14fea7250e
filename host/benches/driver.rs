//! What the MongoDB store costs beside the plainest correct command of the driver, paired in one run.
//!
//! `make bench-driver` prints a table of ratios: calls a second of the store alone (no component) to those of the driver, on the same server
//! in turns. 1 is the driver's own speed. The environment has the settings:
//!
//! - `MONGODB_URI`: the server
//! - `BENCH_ROUNDS`: how often driver and store take turns on each line; 15 unless given
//! - `BENCH_AT_ONCE`: how many calls are made at once, as a list; `1,16` unless given
//! - `BENCH_LINES`: the numbers of the lines, as a list; all unless given
//!
//! It is a measurement and no test: a line below its target is named, and the exit status is 0.

use anyhow::Context;
use mongodb::bson::{DateTime, Document, RawDocumentBuf, doc};
use mongodb::options::{CollectionOptions, WriteConcern};
use mongodb::{Client, Collection};
use session_repository::{Agent, AgentRef, Json, Message, MongoStore, NewMessages, Page, Session, Store, StoreOptions, Timestamp, Write};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const ROUNDS: usize = 15;
const AT_ONCE: &str = "1,16";
/// How long one turn takes, about.
const TURN: Duration = Duration::from_millis(120);
const SESSIONS: usize = 32;
const PAGE: u64 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    /// A message under an id of the caller's.
    Create,
    /// A message under the next id.
    Append,
    /// Ten messages.
    List,
    /// One message.
    Read,
}

/// A line of the table: a call on sessions of so many messages of so many bytes.
struct Line {
    call: Call,
    messages: usize,
    bytes: usize,
    /// What the ratio should be at least.
    target: f64,
}

const LINES: [Line; 10] = [
    Line { call: Call::Create, messages: 60, bytes: 500, target: 0.9 },
    Line { call: Call::Create, messages: 60, bytes: 8000, target: 0.9 },
    Line { call: Call::Create, messages: 1000, bytes: 500, target: 0.9 },
    Line { call: Call::Append, messages: 60, bytes: 500, target: 0.9 },
    Line { call: Call::Append, messages: 60, bytes: 8000, target: 0.9 },
    Line { call: Call::Append, messages: 1000, bytes: 500, target: 0.9 },
    Line { call: Call::List, messages: 94, bytes: 500, target: 0.9 },
    Line { call: Call::List, messages: 1000, bytes: 500, target: 0.9 },
    Line { call: Call::Read, messages: 94, bytes: 500, target: 0.75 },
    Line { call: Call::Read, messages: 1000, bytes: 500, target: 0.75 },
];

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// One side of a line: its sessions, and the next id of each.
struct Side {
    names: Vec<String>,
    next: Vec<AtomicI64>,
    turn: AtomicI64,
}

impl Side {
    fn new(prefix: &str, messages: usize) -> Self {
        let next = i64::try_from(messages).unwrap_or(i64::MAX);
        Self {
            names: (0..SESSIONS).map(|at| format!("{prefix}-{at}")).collect(),
            next: (0..SESSIONS).map(|_| AtomicI64::new(next)).collect(),
            turn: AtomicI64::new(0),
        }
    }

    /// The session whose turn it is, and its next id.
    fn pick(&self, is_write: bool) -> (&str, i64) {
        let at = usize::try_from(self.turn.fetch_add(1, Ordering::Relaxed)).unwrap_or_default() % SESSIONS;
        let (name, next) = (self.names.get(at).map_or("", String::as_str), self.next.get(at));
        (name, next.map_or(0, |next| if is_write { next.fetch_add(1, Ordering::Relaxed) } else { next.load(Ordering::Relaxed) }))
    }
}

/// What the driver does: the plainest command that makes the checks which the contract asks for.
async fn by_driver(collection: &Collection<RawDocumentBuf>, side: &Side, call: Call, text: &str) -> anyhow::Result<()> {
    let (name, id) = side.pick(matches!(call, Call::Create | Call::Append));
    match call {
        Call::Create | Call::Append => {
            let at = DateTime::now();
            let message = doc! { "message_id": i32::try_from(id)?, "role": "user", "content": text, "created_at": at, "updated_at": at };
            let filter =
                doc! { "_id": name, "agents.a": { "$exists": true }, "agents.a.messages.message_id": { "$ne": i32::try_from(id)? } };
            let update = doc! { "$push": { "agents.a.messages": message }, "$set": { "updated_at": at, "agents.a.updated_at": at } };
            anyhow::ensure!(collection.update_one(filter, update).await?.matched_count == 1, "{name} {id}: nothing was appended");
        }
        Call::List => {
            let offset = i32::try_from(id / 2)?;
            let page = doc! { "_id": 0, "agents.a.messages": { "$slice": [offset, i32::try_from(PAGE)?] } };
            read_by_driver(collection, name, page).await?;
        }
        Call::Read => {
            let has_id = doc! { "$eq": ["$$this.message_id", i32::try_from(id / 2)?] };
            let one = doc! { "$first": { "$filter": { "input": "$agents.a.messages", "cond": has_id, "limit": 1 } } };
            let one = doc! { "_id": 0, "message": one };
            read_by_driver(collection, name, one).await?;
        }
    }
    Ok(())
}

/// As those who use the driver do: the answer is read, into its own document type.
async fn read_by_driver(collection: &Collection<RawDocumentBuf>, name: &str, projection: Document) -> anyhow::Result<Document> {
    let typed = collection.clone_with_type::<Document>();
    typed.find_one(doc! { "_id": name }).projection(projection).await?.context("no session")
}

async fn by_store(store: &MongoStore, side: &Side, call: Call, body: &Json, omit: &[String]) -> anyhow::Result<()> {
    let (name, id) = side.pick(matches!(call, Call::Create | Call::Append));
    let (agent, at) = (AgentRef::new(name, "a"), Timestamp(now()));
    match call {
        Call::Create => {
            let message = Message::new(id, body.clone(), at);
            store.append_message(&agent, message, omit, Write::at(at)).await?;
        }
        Call::Append => {
            let new = NewMessages::new(vec![body.clone()]);
            store.append_messages(&agent, new, Write::at(at)).await?;
        }
        Call::List => {
            let page = Page::default().offset(u64::try_from(id / 2)?).limit(PAGE);
            anyhow::ensure!(store.list_messages(&agent, page, omit).await?.len() == usize::try_from(PAGE)?, "a short page");
        }
        Call::Read => {
            store.find_message(&agent, id / 2, omit).await?.context("no message")?;
        }
    }
    Ok(())
}

/// Calls a second, so many at once, for about a turn; at least `least` calls.
async fn pace<F>(at_once: usize, least: usize, call: impl Fn() -> F + Clone + Send + Sync + 'static) -> anyhow::Result<f64>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let begun = Instant::now();
    let workers: Vec<_> = (0..at_once)
        .map(|_| {
            let call = call.clone();
            tokio::spawn(async move {
                let mut calls = 0_u32;
                while begun.elapsed() < TURN || (calls as usize) < least {
                    call().await?;
                    calls += 1;
                }
                anyhow::Ok(calls)
            })
        })
        .collect();
    let mut calls = 0;
    for worker in workers {
        calls += worker.await??;
    }
    Ok(f64::from(calls) / begun.elapsed().as_secs_f64())
}

/// Makes the sessions of a line, the driver's and the store's.
async fn seed(
    collection: &Collection<RawDocumentBuf>,
    store: &MongoStore,
    line: &Line,
    sides: [&Side; 2],
    text: &str,
    body: &Json,
) -> anyhow::Result<()> {
    let [driver, ours] = sides;
    for name in &driver.names {
        let at = DateTime::now();
        let message = |id: usize| doc! { "message_id": i32::try_from(id).unwrap_or(0), "role": "user", "content": text, "created_at": at, "updated_at": at };
        let messages: Vec<Document> = (0..line.messages).map(message).collect();
        let agent = doc! { "agent_data": { "agent_id": "a" }, "created_at": at, "updated_at": at, "messages": messages };
        let session = doc! { "_id": name, "session_id": name, "session_type": "default", "created_at": at, "updated_at": at,
        "metadata": {}, "feedbacks": [], "agents": { "a": agent } };
        collection.insert_one(RawDocumentBuf::try_from(&session)?).await?;
    }
    for name in &ours.names {
        let at = Timestamp(now());
        let (session_id, session_type) = (name.clone(), String::from("default"));
        store.insert_session(Session::new(session_id, session_type, at)).await?;
        let agent = Agent::new("a", "{}", at);
        store.insert_agent(name, agent, Write::at(at)).await?;
        let new = NewMessages::new(vec![body.clone(); line.messages]);
        store.append_messages(&AgentRef::new(name, "a"), new, Write::at(at)).await?;
    }
    Ok(())
}

/// A thousand messages of 14 KB in one append, beside one insert of the same bytes.
async fn large_append(client: &Client, database: &str, store: &MongoStore, rounds: usize) -> anyhow::Result<()> {
    let text = "x".repeat(14_000);
    let body = Json::from(serde_json::json!({ "role": "user", "content": text }));
    let plain = client.database(database).collection_with_options::<RawDocumentBuf>("large", majority());
    let (mut ratios, mut seconds) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let messages: Vec<Document> = (0..1000).map(|id| doc! { "message_id": id, "role": "user", "content": &text }).collect();
        let begun = Instant::now();
        plain.insert_one(RawDocumentBuf::try_from(&doc! { "messages": messages })?).await?;
        let insert = begun.elapsed();
        let (name, at) = (format!("large-{round}"), Timestamp(now()));
        let session_type = String::from("default");
        store.insert_session(Session::new(name.clone(), session_type, at)).await?;
        let agent = Agent::new("a", "{}", at);
        store.insert_agent(&name, agent, Write::at(at)).await?;
        let new = NewMessages::new(vec![body.clone(); 1000]);
        let to = AgentRef::new(&name, "a");
        let begun = Instant::now();
        store.append_messages(&to, new, Write::at(at)).await?;
        let append = begun.elapsed();
        store.settled().await;
        ratios.push(append.as_secs_f64() / insert.as_secs_f64());
        seconds.push(append.as_secs_f64());
    }
    let (ratio, seconds) = (median(ratios), median(seconds));
    let verdict = if ratio <= 3.0 { "ok" } else { "over" };
    println!(
        "11. append-many of 1,000 messages of 14 KB: {:.0} ms, {ratio:.2} times one insert_one of the same bytes (at most 3: {verdict})",
        seconds * 1e3
    );
    Ok(())
}

fn majority() -> CollectionOptions {
    CollectionOptions::builder().write_concern(WriteConcern::majority()).build()
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let uri = given("MONGODB_URI").context("MONGODB_URI names no server")?;
    let rounds = given("BENCH_ROUNDS").map_or(Ok(ROUNDS), |rounds| rounds.parse()).context("BENCH_ROUNDS")?;
    let at_once = given("BENCH_AT_ONCE").unwrap_or_else(|| AT_ONCE.to_owned());
    let at_once: Vec<usize> = at_once.split(',').map(|number| number.trim().parse()).collect::<Result<_, _>>().context("BENCH_AT_ONCE")?;
    let lines: Option<Vec<usize>> = given("BENCH_LINES")
        .map(|lines| lines.split(',').map(|line| line.trim().parse()).collect::<Result<_, _>>())
        .transpose()
        .context("BENCH_LINES")?;
    let is_wanted = |number: usize| lines.as_ref().is_none_or(|lines| lines.contains(&number));
    let client = Client::with_uri_str(&uri).await?;
    let database = format!("bench-{}", std::process::id());
    let omit = ["event_loop_metrics", "latency_ms", "input_tokens", "output_tokens", "guardrail_event", "storage_id"];
    let omit: Arc<[String]> = omit.map(str::to_owned).into();

    println!("the store alone beside the driver's plainest command: calls a second, and their ratio (medians of {rounds} rounds in turns)");
    println!("{:<34}{:>8}{:>10}{:>10}{:>8}{:>9}", "call", "at once", "driver", "store", "ratio", "at least");
    for (number, line) in LINES.iter().enumerate().filter(|(number, _)| is_wanted(number + 1)) {
        for at_once in &at_once {
            client.database(&database).drop().await?;
            let collection = client.database(&database).collection_with_options::<RawDocumentBuf>("driver", majority());
            let options = StoreOptions::default().database(&database).collection("store");
            let store = MongoStore::with_client(&client, options).await?;
            let text: Arc<str> = "x".repeat(line.bytes).into();
            let body = Json::from(serde_json::json!({ "role": "user", "content": &*text }));
            let sides = [Side::new("driver", line.messages), Side::new("store", line.messages)];
            seed(&collection, &store, line, [&sides[0], &sides[1]], &text, &body).await?;
            let [driver, ours] = sides.map(Arc::new);
            let (mut drivers, mut stores, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
            let call = line.call;
            for round in 0..=rounds {
                let by_driver = async || {
                    let (collection, side, text) = (collection.clone(), Arc::clone(&driver), Arc::clone(&text));
                    pace(*at_once, 1, move || {
                        let (collection, side, text) = (collection.clone(), Arc::clone(&side), Arc::clone(&text));
                        async move { by_driver(&collection, &side, call, &text).await }
                    })
                    .await
                };
                let by_store = async || {
                    let (store, side, body, omit) = (store.clone(), Arc::clone(&ours), body.clone(), Arc::clone(&omit));
                    pace(*at_once, 1, move || {
                        let (store, side, body, omit) = (store.clone(), Arc::clone(&side), body.clone(), Arc::clone(&omit));
                        async move { by_store(&store, &side, call, &body, &omit).await }
                    })
                    .await
                };
                // Each comes first in its turn.
                let (one, other) = if round % 2 == 0 {
                    let one = by_driver().await?;
                    (one, by_store().await?)
                } else {
                    let other = by_store().await?;
                    (by_driver().await?, other)
                };
                // The first round opens connections.
                if round > 0 {
                    drivers.push(one);
                    stores.push(other);
                    ratios.push(other / one);
                }
            }
            let (driver, ours, ratio) = (median(drivers), median(stores), median(ratios));
            let verdict = if ratio >= line.target { "ok" } else { "below" };
            let title = format!("{}. {:?}, {} of {} bytes", number + 1, line.call, line.messages, line.bytes);
            println!("{title:<34}{at_once:>8}{driver:>10.0}{ours:>10.0}{ratio:>8.2}{:>9.2} {verdict}", line.target);
            Store::close(&store).await;
        }
    }
    if is_wanted(LINES.len() + 1) {
        let options = StoreOptions::default().database(&database).collection("store");
        let store = MongoStore::with_client(&client, options).await?;
        large_append(&client, &database, &store, rounds.min(7)).await?;
        Store::close(&store).await;
    }
    Ok(client.database(&database).drop().await?)
}
