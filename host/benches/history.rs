//! What a call costs in a long history, and in a short one: the cost should not grow with the history.
//!
//! `make bench-history` prints a table for each store and writes the same as JSON. The environment has the settings:
//!
//! - `MONGODB_URI`: the server; without one, only the embedded store is measured
//! - `BENCH_ROWS`: the histories, as numbers of messages; `100,1000,10000,100000` unless given
//! - `BENCH_ROUNDS`: how often each call is made in turn, five times at once; 40 unless given
//! - `BENCH_JSON`: where the JSON goes; `target/bench/history.json` unless given
//! - `BENCH_COMMANDS`: if there, the commands that each call sends to MongoDB are listed; listing them makes all calls slower
//!
//! Figures of one run compare with each other, not with those of another machine. It is a measurement and no test: what is over its
//! target is named, and the exit status is 0.

#[path = "history/commands.rs"]
mod commands;
#[path = "history/report.rs"]
mod report;

use anyhow::Context;
use commands::{Commands, Sent};
use mongodb::bson::{RawDocumentBuf, doc};
use mongodb::options::ClientOptions;
use mongodb::{Client, Collection};
use report::{Report, Table, Target};
use session_repository::{EmbeddedStore, Error, MongoOptions, MongoStore, Repository, StoreOptions};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const ROWS: &str = "100,1000,10000,100000";
const ROUNDS: usize = 40;
/// Calls of one kind on one row, before it is the next row's turn.
const CALLS: usize = 5;
const PAGE: i64 = 10;
/// What is recent: so many messages at the end.
const RECENT: i64 = 50;
/// The size of a stored message as BSON, and how much of that is its text, in bytes.
const MESSAGE_BYTES: usize = 560;
const TEXT_BYTES: usize = 470;
/// What a message takes in the session's document: it stands in an array, behind a type and a number of three or four digits.
const IN_ARRAY: u64 = MESSAGE_BYTES as u64 + 6;
/// How much longer a session may get while it is measured; more appends go to more sessions.
const DRIFT: f64 = 0.1;
/// Messages that are seeded at once.
const SEED: i64 = 500;
const COLLECTION: &str = "sessions";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Append,
    First,
    Middle,
    Last,
    Read,
    UpdateRecent,
    UpdateOld,
}

const KINDS: [(Kind, &str); 7] = [
    (Kind::Append, "append"),
    (Kind::First, "first 10"),
    (Kind::Middle, "middle 10"),
    (Kind::Last, "last 10"),
    (Kind::Read, "read one"),
    (Kind::UpdateRecent, "update new"),
    (Kind::UpdateOld, "update old"),
];

struct Settings {
    rows: Vec<i64>,
    rounds: usize,
    json: PathBuf,
    commands: bool,
}

impl Settings {
    fn from_environment() -> anyhow::Result<Self> {
        let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let rows = given("BENCH_ROWS").unwrap_or_else(|| ROWS.to_owned());
        let mut rows = rows.split(',').map(|row| row.trim().parse()).collect::<Result<Vec<i64>, _>>().context("BENCH_ROWS")?;
        rows.sort_unstable();
        anyhow::ensure!(rows.first().is_some_and(|row| *row >= 2 * RECENT), "BENCH_ROWS: a history has {} messages at least", 2 * RECENT);
        let rounds = given("BENCH_ROUNDS").map_or(Ok(ROUNDS), |rounds| rounds.parse()).context("BENCH_ROUNDS")?;
        let json = match given("BENCH_JSON") {
            Some(path) => path.into(),
            // This program is target/release/deps/history-….
            None => std::env::current_exe()?.ancestors().nth(3).context("no target folder")?.join("bench/history.json"),
        };
        Ok(Self { rows, rounds, json, commands: given("BENCH_COMMANDS").is_some() })
    }
}

/// One length of history: as many sessions as it takes to keep it.
struct Row {
    messages: i64,
    sessions: Vec<Session>,
    /// What the store said when it would not take all of it.
    refused: Option<String>,
    cells: Vec<Cell>,
}

struct Session {
    name: String,
    messages: i64,
}

/// The calls of one kind on one row.
#[derive(Debug, Clone, Default)]
struct Cell {
    micros: Vec<f64>,
    sent: Vec<Sent>,
}

/// Numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: i64) -> i64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        i64::try_from((mixed ^ (mixed >> 31)) % end.unsigned_abs().max(1)).unwrap_or(0)
    }
}

/// A body whose text begins with a number and has the same length whatever that is.
fn body(number: i64) -> String {
    format!(r#"{{"role": "user", "content": "{number:x<TEXT_BYTES$}"}}"#)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::from_environment()?;
    let begun = Instant::now();
    let mut report = Report::new(&settings);
    report.add(embedded(&settings).await?);
    match std::env::var("MONGODB_URI").ok().filter(|uri| !uri.is_empty()) {
        Some(uri) => mongo(&settings, &uri, &mut report).await?,
        None => println!("MONGODB_URI names no server: MongoDB is not measured\n"),
    }
    report.write(&settings.json, begun.elapsed())
}

async fn embedded(settings: &Settings) -> anyhow::Result<Table> {
    let folder = std::env::temp_dir().join(format!("session-repository-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let table = Table::new("embedded store", None, settings.rows.clone());
    let measured = async {
        let store = EmbeddedStore::open(folder.join("store"), StoreOptions::default()).await?;
        let repo = Repository::builder(store).build()?;
        let measured = measure(settings, &repo, table, None, &Commands::default()).await;
        repo.close().await;
        measured
    };
    let measured = measured.await;
    std::fs::remove_dir_all(folder)?;
    measured
}

async fn mongo(settings: &Settings, uri: &str, report: &mut Report) -> anyhow::Result<()> {
    let commands = Commands::default();
    let mut options = ClientOptions::parse(uri).await?;
    if settings.commands {
        options.command_event_handler = Some(commands.handler());
    }
    let client = Client::with_options(options)?;
    let build = client.database("admin").run_command(doc! { "buildInfo": 1 }).await?;
    report.mongod = build.get_str("version").ok().map(str::to_owned);
    let database = format!("bench-{}", std::process::id());

    let default = StoreOptions::default().mongo.archive_after.context("the default is to archive")?;
    let full = i64::try_from(default / IN_ARRAY)?;
    // It grows while it is measured, so it begins a little below.
    let full = full - full / 32;
    let mut with_full: Vec<i64> = settings.rows.iter().copied().chain([full]).collect();
    with_full.sort_unstable();
    let first = settings.rows.first().copied().unwrap_or(full);
    let tables = [
        Table::new("MongoDB, archive after 128 KiB", Some(128 * 1024), settings.rows.clone()).target(Target {
            base: first,
            name: format!("{first} messages"),
            factor: 1.5,
            factor_update_old: 2.5,
        }),
        Table::new("MongoDB, archive after 1 MiB (the default)", Some(default), with_full).target(Target {
            base: full,
            name: format!("{full}, which fill 1 MiB"),
            factor: 1.2,
            factor_update_old: 1.2,
        }),
        Table::new("MongoDB, archive never", None, settings.rows.clone()),
    ];
    for table in tables {
        client.database(&database).drop().await?;
        let mongo = MongoOptions::default().archive_after(table.archive_after);
        let options = StoreOptions::default().database(&database).collection(COLLECTION).mongo(mongo);
        let documents = client.database(&database).collection(COLLECTION);
        let repo = Repository::builder(MongoStore::with_client(&client, options).await?).build()?;
        let measured = measure(settings, &repo, table, Some(&documents), &commands).await;
        repo.close().await;
        client.database(&database).drop().await?;
        report.add(measured?);
    }
    Ok(())
}

/// Seeds the rows of a table, and measures them in turn.
async fn measure(
    settings: &Settings,
    repo: &Repository,
    mut table: Table,
    documents: Option<&Collection<RawDocumentBuf>>,
    commands: &Commands,
) -> anyhow::Result<Table> {
    let begun = Instant::now();
    let mut rows = Vec::new();
    for messages in table.rows.clone() {
        eprintln!("{}: seeding {messages} messages", table.store);
        let row = seed(repo, messages, settings.rounds * CALLS).await?;
        if let Some(documents) = documents {
            check_size(documents, &row).await?;
        }
        rows.push(row);
    }
    table.seeded(begun.elapsed());
    commands.take();
    let begun = Instant::now();
    let mut random = Random(1);
    for round in 0..settings.rounds {
        if round % 10 == 0 {
            eprintln!("{}: round {round} of {}", table.store, settings.rounds);
        }
        for (at, (kind, _)) in KINDS.into_iter().enumerate() {
            for turn in 0..rows.len() {
                // Each row comes first in its turn.
                let turn = (turn + round) % rows.len();
                let Some(row) = rows.get_mut(turn).filter(|row| row.refused.is_none()) else { continue };
                let of = round * row.sessions.len() / settings.rounds;
                let (Some(session), Some(cell)) = (row.sessions.get_mut(of), row.cells.get_mut(at)) else { continue };
                for _ in 0..CALLS {
                    cell.micros.push(call(repo, session, kind, &mut random).await?.as_secs_f64() * 1e6);
                    cell.sent.extend(commands.take());
                }
            }
        }
    }
    table.measured(begun.elapsed());
    table.whole_list = whole_list(repo, &rows).await;
    table.fill(rows, settings.rounds * CALLS);
    Ok(table)
}

/// Makes sessions of so many messages.
async fn seed(repo: &Repository, messages: i64, appends: usize) -> anyhow::Result<Row> {
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small counts")]
    let sessions = (appends as f64 / (messages as f64 * DRIFT)).ceil() as usize;
    let mut row = Row { messages, sessions: Vec::new(), refused: None, cells: vec![Cell::default(); KINDS.len()] };
    for at in 0..sessions.max(1) {
        let mut session = Session { name: format!("{messages}-{at}"), messages: 0 };
        repo.sessions().create(&session.name, None).await?;
        repo.agents().create(&session.name, "a", "{}").await?;
        while session.messages < messages {
            let end = (session.messages + SEED).min(messages);
            match repo.messages().append_many(&session.name, "a", (session.messages..end).map(body), None).await {
                Ok(first) => anyhow::ensure!(first == session.messages, "ids do not count up from 0"),
                Err(error @ Error::TooLarge { .. }) => {
                    row.refused = Some(format!("{}: {error}, with {} messages", error.code(), session.messages));
                    break;
                }
                Err(error) => return Err(error.into()),
            }
            session.messages = end;
        }
        row.sessions.push(session);
    }
    Ok(row)
}

/// Makes sure that a stored message has the size that it should have.
async fn check_size(documents: &Collection<RawDocumentBuf>, row: &Row) -> anyhow::Result<()> {
    for session in &row.sessions {
        let found = documents.find_one(doc! { "_id": &session.name }).await?.context("no session")?;
        let messages = found.get_document("agents")?.get_document("a")?.get_array("messages")?;
        let size = messages.get_document(0)?.as_bytes().len();
        anyhow::ensure!(size == MESSAGE_BYTES, "a stored message has {size} bytes");
    }
    Ok(())
}

/// Makes one call, and tells how long it took.
async fn call(repo: &Repository, session: &mut Session, kind: Kind, random: &mut Random) -> anyhow::Result<Duration> {
    let Session { name, messages } = session;
    let of = repo.messages();
    let message_id = match kind {
        Kind::UpdateRecent => *messages - 1 - random.below(RECENT),
        Kind::UpdateOld => random.below(*messages / 2),
        _ => random.below(*messages),
    };
    let offset = match kind {
        Kind::Middle => (*messages - PAGE) / 2,
        Kind::Last => *messages - PAGE,
        _ => 0,
    };
    let body = body(random.below(i64::MAX));
    let begun = Instant::now();
    let took = match kind {
        Kind::Append => {
            let appended = of.append(name.as_str(), "a", body, None).await?;
            let took = begun.elapsed();
            anyhow::ensure!(appended == *messages, "{name} has {appended} messages instead of {messages}");
            *messages += 1;
            took
        }
        Kind::First | Kind::Middle | Kind::Last => {
            let page = of.list(name.as_str(), "a", Some(PAGE), offset).await?;
            let took = begun.elapsed();
            let ids = page.iter().map(|message| message.message_id);
            anyhow::ensure!(ids.eq(offset..offset + PAGE), "{name}: the page at {offset} is another one");
            took
        }
        Kind::Read => {
            let found = of.read(name.as_str(), "a", message_id).await?;
            let took = begun.elapsed();
            anyhow::ensure!(found.is_some_and(|found| found.message_id == message_id), "{name}: there is no message {message_id}");
            took
        }
        Kind::UpdateRecent | Kind::UpdateOld => {
            of.update(name.as_str(), "a", message_id, body).await?;
            begun.elapsed()
        }
    };
    Ok(took)
}

/// What a list without a limit comes to in the longest session: the fastest of three, or why not.
async fn whole_list(repo: &Repository, rows: &[Row]) -> Option<(i64, Result<Duration, String>)> {
    let session = rows.iter().rev().find(|row| row.refused.is_none())?.sessions.first()?;
    let mut fastest: Option<Duration> = None;
    for _ in 0..3 {
        let begun = Instant::now();
        match repo.messages().list(session.name.as_str(), "a", None, 0).await {
            Ok(all) if i64::try_from(all.len()) == Ok(session.messages) => {}
            Ok(all) => return Some((session.messages, Err(format!("{} messages came", all.len())))),
            Err(error) => return Some((session.messages, Err(format!("{}: {error}", error.code())))),
        }
        let took = begun.elapsed();
        fastest = Some(fastest.map_or(took, |fastest| fastest.min(took)));
    }
    fastest.map(|fastest| (session.messages, Ok(fastest)))
}
