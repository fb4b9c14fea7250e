//! Many writers who lose answers, and who repeat each append under its key until one comes: each message is stored once.

use super::history::Place;
use super::program::Program;
use super::proxy::{Command, Moment, Plan, Proxy, Step};
use crate::embedded::random::Random;
use crate::run::{Desk, Site};
use anyhow::{Context, ensure};
use mongodb::bson::doc;
use serde_json::{Value, json};
use session_repository::{EmbeddedStore, Message, Repository};
use session_repository_tests::Database;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, watch};

const WRITERS: usize = 32;

/// How many appends may begin, by all writers, before one that has begun must be acknowledged. A key is remembered for 256.
const WINDOW: usize = 200;

/// The appends that have begun, and those of them that are not acknowledged.
#[derive(Default)]
struct Window {
    begun: Mutex<(usize, BTreeSet<usize>)>,
    acknowledged: Notify,
}

impl Window {
    /// Waits until one more may begin; tells its number.
    async fn begin(&self) -> usize {
        loop {
            let acknowledged = self.acknowledged.notified();
            {
                let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
                let number = begun.0;
                if begun.1.first().is_none_or(|oldest| number - oldest < WINDOW) {
                    begun.0 += 1;
                    begun.1.insert(number);
                    return number;
                }
            }
            acknowledged.await;
        }
    }

    /// Waits until so many have begun.
    async fn reached(&self, count: usize) {
        loop {
            let acknowledged = self.acknowledged.notified();
            if self.begun.lock().unwrap_or_else(PoisonError::into_inner).0 >= count {
                return;
            }
            acknowledged.await;
        }
    }

    fn end(&self, number: usize) {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&number);
        self.acknowledged.notify_waiters();
    }
}

/// What the writers of a test share.
#[derive(Default)]
struct Shared {
    window: Window,
    /// How often an append was repeated.
    repeats: AtomicUsize,
}

/// A message that was acknowledged: its id, its writer and its number there.
type Written = (i64, usize, usize);

/// Appends so many times, now and then a few messages at once; waits for each acknowledgement. Tells what was acknowledged.
async fn write(
    mut program: watch::Receiver<Arc<Program>>,
    shared: Arc<Shared>,
    writer: usize,
    appends: usize,
) -> anyhow::Result<Vec<Written>> {
    let (mut written, mut next) = (Vec::new(), 0);
    for append in 0..appends {
        let count = if append % 16 == 15 { 2 + append / 16 % 3 } else { 1 };
        let messages: Vec<Value> = (next..next + count).map(|n| json!({"writer": writer, "n": n})).collect();
        let mut args = json!({"session_id": "s", "agent_id": "a", "idempotency_key": format!("{writer}-{append}")});
        let call = if count == 1 {
            args["message"] = messages[0].clone();
            "messages.append"
        } else {
            args["messages"] = json!(messages);
            "messages.append-many"
        };
        let number = shared.window.begin().await;
        let first = loop {
            let running = Arc::clone(&program.borrow_and_update());
            match running.call(call, args.clone()).await? {
                Some(answer) if answer.get("result").is_some() => {
                    let result = &answer["result"];
                    break result["message_id"].as_i64().or(result["first_message_id"].as_i64()).context("no id")?;
                }
                Some(answer) => ensure!(answer["error"]["code"] == "unavailable", "{answer}"),
                None => program.changed().await.context("the program has ended by itself")?,
            }
            shared.repeats.fetch_add(1, Ordering::Relaxed);
        };
        shared.window.end(number);
        written.extend((first..).zip(next..next + count).map(|(id, n)| (id, writer, n)));
        next += count;
    }
    Ok(written)
}

/// What was acknowledged is what is stored: each message once, under its id, and each writer's in their order.
fn check(list: &[Message], mut written: Vec<Written>) -> anyhow::Result<()> {
    written.sort_unstable();
    let stored = list.iter().map(|message| {
        let body: Value = message.body.parse()?;
        let number = |name: &str| body[name].as_u64().and_then(|n| usize::try_from(n).ok()).context("no such message");
        Ok((message.message_id, number("writer")?, number("n")?))
    });
    let stored = stored.collect::<anyhow::Result<Vec<Written>>>()?;
    ensure!(stored.len() == written.len(), "{} messages are stored, {} were acknowledged", stored.len(), written.len());
    ensure!(stored.is_sorted_by(|one, next| one.0 < next.0), "the ids do not count up");
    let differs = stored.iter().zip(&written).find(|(stored, written)| stored != written);
    ensure!(differs.is_none(), "stored and acknowledged: {differs:?}");
    for writer in 0..WRITERS {
        let own: Vec<usize> = stored.iter().filter(|(_, of, _)| *of == writer).map(|(_, _, n)| *n).collect();
        ensure!(own.iter().copied().eq(0..own.len()), "the order of writer {writer}: {own:?}");
    }
    Ok(())
}

/// Loses the answer of a write now and then.
fn losing(mut random: Random, once_in: usize) -> impl FnMut(&Command) -> Plan + Send + 'static {
    move |command| match command.step() {
        Some(Step::Index) | None => Plan::Pass,
        Some(_) if random.once_in(once_in) => Plan::Cut(if random.once_in(4) { Moment::Before } else { Moment::After }),
        Some(_) => Plan::Pass,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_appends_whose_answers_get_lost_are_stored_once_each() -> anyhow::Result<()> {
    const PROGRAMS: usize = 4;
    const APPENDS: usize = 10_000;
    let mut random = Random::seeded();
    let (desk, database, shared) = (Desk::new()?, Database::fresh().await?, Arc::<Shared>::default());
    let place = Place::open(&database, None).await?;
    place.seed_empty("s").await?;
    let (mut writers, mut proxies) = (Vec::new(), Vec::new());
    for program in 0..PROGRAMS {
        let proxy = Proxy::start(|_| Plan::Pass).await?;
        let site = Site { url: proxy.uri(), database: database.name.clone() };
        let options = ["--archive-after", "16KiB", "--concurrency", "8"];
        let child = watch::channel(Arc::new(Program::start(&desk, &site, &options).await?)).1;
        proxy.rule(losing(random.fork(), 100));
        proxies.push(proxy);
        for writer in (program..WRITERS).step_by(PROGRAMS) {
            let appends = APPENDS / WRITERS + usize::from(writer < APPENDS % WRITERS);
            writers.push(tokio::spawn(write(child.clone(), Arc::clone(&shared), writer, appends)));
        }
    }
    let mut written = Vec::new();
    for writer in writers {
        written.extend(writer.await??);
    }
    println!("{} appends were repeated, {} messages are stored", shared.repeats.load(Ordering::Relaxed), written.len());
    let list = place.repo.messages().list("s", "a", None, 0).await?;
    check(&list, written)?;
    place.pages("s", &list, 1000).await?;
    ensure!(database.blocks().count_documents(doc! {}).await? > 10, "the oldest ones are in the archive");
    ensure!(shared.repeats.load(Ordering::Relaxed) > 0, "no answer got lost");
    place.close().await;
    database.drop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_to_a_file_whose_program_is_killed_again_and_again_are_stored_once_each() -> anyhow::Result<()> {
    const APPENDS: usize = 3_200;
    const KILLS: usize = 20;
    let mut random = Random::seeded();
    let (desk, shared) = (Desk::new()?, Arc::<Shared>::default());
    let site = desk.file_site("sessions.store");
    let open = async || anyhow::Ok(Repository::builder(EmbeddedStore::open(desk.path("sessions.store"), site.options()).await?).build()?);
    let repo = open().await?;
    repo.sessions().create("s", None).await?;
    repo.agents().create("s", "a", "{}").await?;
    repo.close().await;
    drop(repo);
    let options = ["--concurrency", "32"];
    let (program, running) = watch::channel(Arc::new(Program::start(&desk, &site, &options).await?));
    let writers: Vec<_> =
        (0..WRITERS).map(|writer| tokio::spawn(write(running.clone(), Arc::clone(&shared), writer, APPENDS / WRITERS))).collect();
    for kill in 0..KILLS {
        // Somewhere on the next part of the way.
        let at = (APPENDS * kill + random.below(APPENDS)) / KILLS;
        shared.window.reached(at).await;
        let killed = Arc::clone(&running.borrow());
        killed.kill().await?;
        program.send(Arc::new(Program::start(&desk, &site, &options).await?))?;
    }
    let mut written = Vec::new();
    for writer in writers {
        written.extend(writer.await??);
    }
    println!("{} appends were repeated, {} messages are stored", shared.repeats.load(Ordering::Relaxed), written.len());
    let last = Arc::clone(&running.borrow());
    last.kill().await?;
    let repo = open().await?;
    check(&repo.messages().list("s", "a", None, 0).await?, written)?;
    ensure!(shared.repeats.load(Ordering::Relaxed) > 0, "no answer got lost");
    repo.close().await;
    Ok(())
}
