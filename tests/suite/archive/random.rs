//! Writers of all kinds on one history, while it is moved and folded back: what each was told holds, at every moment.

use super::history::{Place, SMALL};
use crate::embedded::random::Random;
use anyhow::{Context, ensure};
use mongodb::bson::doc;
use serde_json::{Value, json};
use session_repository::{Entity, Error, Message};
use session_repository_tests::Database;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many writers there are, each with a repository of its own.
const WRITERS: usize = 6;

/// How many operations each does.
const OPERATIONS: usize = 120;

/// How often all of it is done anew.
const ROUNDS: usize = 3;

/// Ids that writers take for themselves lie between those that the store gives, and are taken by others as well.
const IDS: usize = 60;

/// What a writer knows of the history.
#[derive(Debug, Default)]
struct Log {
    /// Its messages, in the order in which they were acknowledged.
    order: Vec<i64>,
    /// What each says now.
    bodies: BTreeMap<i64, Value>,
}

/// What all writers know, for those who check a list.
#[derive(Debug, Clone, Default)]
struct Logs(Arc<Mutex<BTreeMap<usize, Log>>>);

impl Logs {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Log>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The messages that are acknowledged, by their writers.
    fn acknowledged(&self) -> Vec<Vec<i64>> {
        self.lock().values().map(|log| log.order.clone()).collect()
    }
}

struct Writer {
    number: usize,
    place: Place,
    random: Random,
    logs: Logs,
    /// How many bodies it has made.
    made: usize,
}

impl Writer {
    fn body(&mut self) -> Value {
        self.made += 1;
        let length = if self.random.once_in(20) { 5_000 } else { self.random.below(200) };
        json!({"writer": self.number, "n": self.made, "text": "x".repeat(length)})
    }

    fn note(&self, id: i64, body: Value) -> anyhow::Result<()> {
        let mut logs = self.logs.lock();
        let log = logs.entry(self.number).or_default();
        log.order.push(id);
        ensure!(log.bodies.insert(id, body).is_none(), "{id} was given twice");
        Ok(())
    }

    async fn run(mut self) -> anyhow::Result<()> {
        for _ in 0..OPERATIONS {
            let choice = self.random.below(100);
            match choice {
                0..35 => self.append().await.context("append")?,
                35..50 => self.create().await.context("create")?,
                50..70 => self.update().await.context("update")?,
                70..78 => self.list().await.context("list")?,
                78..88 => self.page().await.context("page")?,
                88..94 => self.read().await.context("read")?,
                94..98 => drop(self.moved(false).await.context("archive run")?),
                _ => drop(self.moved(true).await.context("archive undo")?),
            }
        }
        self.place.close().await;
        Ok(())
    }

    async fn append(&mut self) -> anyhow::Result<()> {
        let bodies: Vec<Value> = (0..1 + self.random.below(3)).map(|_| self.body()).collect();
        let first = self.place.repo.messages().append_many("s", "a", bodies.clone(), None).await?;
        (first..).zip(bodies).try_for_each(|(id, body)| self.note(id, body))
    }

    /// Takes an id of its own choice, which may be taken.
    async fn create(&mut self) -> anyhow::Result<()> {
        let (id, body) = (self.random.below(IDS) as i64 * 7, self.body());
        let mut done = self.place.repo.messages().create("s", "a", id, body.clone()).await;
        while gave_up(&done) {
            done = self.place.repo.messages().create("s", "a", id, body.clone()).await;
        }
        match done {
            Ok(()) => self.note(id, body),
            Err(Error::AlreadyExists(Entity::Message)) => {
                ensure!(self.place.repo.messages().read("s", "a", id).await?.is_some(), "{id} is taken by nothing");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// One of its own messages, if it has any.
    fn own(&mut self) -> Option<(i64, Value)> {
        let count = self.logs.lock().get(&self.number)?.order.len();
        let at = self.random.below(count);
        let logs = self.logs.lock();
        let log = logs.get(&self.number)?;
        let id = *log.order.get(at)?;
        Some((id, log.bodies.get(&id)?.clone()))
    }

    async fn update(&mut self) -> anyhow::Result<()> {
        let (Some((id, _)), body) = (self.own(), self.body()) else { return Ok(()) };
        let mut done = self.place.repo.messages().update("s", "a", id, body.clone()).await;
        while gave_up(&done) {
            done = self.place.repo.messages().update("s", "a", id, body.clone()).await;
        }
        done.with_context(|| format!("of {id}"))?;
        self.logs.lock().entry(self.number).or_default().bodies.insert(id, body);
        Ok(())
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        let Some((id, body)) = self.own() else { return Ok(()) };
        let mut read = self.place.repo.messages().read("s", "a", id).await;
        while gave_up(&read) {
            read = self.place.repo.messages().read("s", "a", id).await;
        }
        let read = read?.with_context(|| format!("{id} is not found"))?;
        ensure!(read.body.parse::<Value>()? == body, "{id} has {}, not {body}", read.body.as_str());
        Ok(())
    }

    /// Whatever was acknowledged before a list is in it, each writer's in their order, and the own ones as they are.
    async fn list(&mut self) -> anyhow::Result<()> {
        let before = self.logs.acknowledged();
        let list = self.place.repo.messages().list("s", "a", None, 0).await?;
        let places = places(&list)?;
        for own in before {
            let at = own.iter().map(|id| places.get(id).copied().with_context(|| format!("{id} is not listed")));
            let at = at.collect::<anyhow::Result<Vec<_>>>()?;
            ensure!(at.is_sorted(), "a writer's order is lost: {own:?} at {at:?}");
        }
        let logs = self.logs.lock();
        for (id, body) in logs.get(&self.number).map(|log| &log.bodies).into_iter().flatten() {
            let listed = places.get(id).and_then(|at| list.get(*at)).context("it is not listed")?;
            ensure!(listed.body.parse::<Value>()? == *body, "{id} is listed with {}, not {body}", listed.body.as_str());
        }
        Ok(())
    }

    /// A page has what it is to have, as far as there is so much.
    async fn page(&mut self) -> anyhow::Result<()> {
        let before: usize = self.logs.acknowledged().iter().map(Vec::len).sum();
        let (offset, limit) = (self.random.below(before + 3), 1 + self.random.below(15));
        let page = self.place.repo.messages().list("s", "a", Some(limit as i64), offset as i64).await?;
        places(&page)?;
        ensure!((before.saturating_sub(offset).min(limit)..=limit).contains(&page.len()), "{} of {limit} at {offset}", page.len());
        Ok(())
    }

    async fn moved(&mut self, undo: bool) -> anyhow::Result<()> {
        let store = &self.place.store;
        let done = match undo {
            true => store.archive_undo("s").await.map(|undone| undone.map(drop)),
            false => store.archive_run("s").await.map(|moved| moved.map(drop)),
        };
        match done {
            // A place that never archives runs nothing; an undo may find that others move each time.
            Err(Error::InvalidArgument(_)) if !undo => Ok(()),
            Err(Error::Unavailable(_)) if undo => Ok(()),
            done => done?.context("no session"),
        }
    }
}

/// Whether a call gave up because others were quicker each time, and is to be made again: six writers who move a few messages at each turn
/// are a crowd.
fn gave_up<T>(done: &Result<T, Error>) -> bool {
    matches!(done, Err(Error::Unavailable(why)) if why.contains("changed at each attempt"))
}

/// Where each message stands in a list: the order is that of the times, and each is there once.
fn places(list: &[Message]) -> anyhow::Result<BTreeMap<i64, usize>> {
    ensure!(list.is_sorted_by_key(|message| message.created_at), "the order is not that of the times");
    let places: BTreeMap<i64, usize> = list.iter().map(|message| message.message_id).zip(0..).collect();
    ensure!(places.len() == list.len(), "a message is listed twice");
    Ok(places)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_all_kinds_on_one_history_find_what_they_were_told() -> anyhow::Result<()> {
    let mut random = Random::seeded();
    for _ in 0..ROUNDS {
        let (database, logs) = (Database::fresh().await?, Logs::default());
        let witness = Place::open(&database, None).await?;
        witness.seed_empty("s").await?;
        let mut writers = Vec::new();
        for number in 0..WRITERS {
            let place = Place::open(&database, [Some(SMALL), Some(4 * SMALL), None][number % 3]).await?;
            let writer = Writer { number, place, random: random.fork(), logs: logs.clone(), made: 0 };
            writers.push(tokio::spawn(writer.run()));
        }
        for writer in writers {
            writer.await??;
        }
        let list = witness.repo.messages().list("s", "a", None, 0).await?;
        check(&list, &logs)?;
        for size in [1, 7, 64] {
            witness.pages("s", &list, size).await?;
        }
        for message in &list {
            ensure!(witness.repo.messages().read("s", "a", message.message_id).await?.as_ref() == Some(message), "{message:?}");
        }
        witness.store.archive_undo("s").await?.context("no session")?;
        ensure!(witness.repo.messages().list("s", "a", None, 0).await? == list, "it is another when it is folded back");
        ensure!(database.blocks().count_documents(doc! {}).await? == 0, "blocks are left");
        witness.close().await;
        database.drop().await?;
    }
    Ok(())
}

/// Exactly what was acknowledged is there.
fn check(list: &[Message], logs: &Logs) -> anyhow::Result<()> {
    let (places, logs) = (places(list)?, logs.lock());
    let count: usize = logs.values().map(|log| log.order.len()).sum();
    ensure!(list.len() == count, "{} are listed, {count} were acknowledged", list.len());
    for (writer, log) in logs.iter() {
        let at: Vec<_> = log.order.iter().map(|id| places.get(id)).collect();
        ensure!(at.iter().all(Option::is_some) && at.is_sorted(), "writer {writer}: {:?} at {at:?}", log.order);
        for (id, body) in &log.bodies {
            let listed = places.get(id).and_then(|at| list.get(*at)).context("it is not listed")?;
            ensure!(listed.body.parse::<Value>()? == *body, "{id} has {}, not {body}", listed.body.as_str());
        }
    }
    Ok(())
}
