//! What the embedded store costs: many writers against one, and long sessions against short ones.
//!
//! `cargo bench --package session-repository --bench embedded [-- MESSAGES]` prints two tables. Figures of one run compare with each
//! other, not with those of another machine. The store is in the folder for temporary files, whose disk counts.

use session_repository::{AgentRef, EmbeddedStore, Message, Repository, Store, StoreOptions, Timestamp, Write};
use std::time::Instant;

const ROUNDS: usize = 5;
const WRITERS: usize = 64;
const WRITES: i64 = 200;
/// Messages in the long session, unless an argument says otherwise.
const LONG: i64 = 1_000_000;
const SHORT: i64 = 10;
const PAGE: i64 = 10;
const CALLS: i64 = 200;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let long = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(LONG);
    let folder = std::env::temp_dir().join(format!("session-repository-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let store = EmbeddedStore::open(folder.join("store"), StoreOptions::default()).await?;
    let repo = Repository::builder(store.clone()).build()?;
    let done = async {
        group_commit(&repo).await?;
        long_sessions(&repo, &store, long).await
    };
    let done = done.await;
    repo.close().await;
    std::fs::remove_dir_all(folder)?;
    done
}

fn body(id: i64) -> String {
    format!(r#"{{"role": "user", "content": "{id} {}"}}"#, "x".repeat(480))
}

async fn session(repo: &Repository, name: &str) -> anyhow::Result<()> {
    repo.sessions().create(name, None).await?;
    Ok(repo.agents().create(name, "a", "{}").await?)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Writes a second of `writers` at once, each with a session of its own.
async fn rate(repo: &Repository, round: usize, writers: usize) -> anyhow::Result<f64> {
    for writer in 0..writers {
        session(repo, &format!("{round}-{writers}-{writer}")).await?;
    }
    let begun = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let repo = repo.clone();
            tokio::spawn(async move {
                for id in 0..WRITES {
                    repo.messages().create(format!("{round}-{writers}-{writer}"), "a", id, body(id)).await?;
                }
                Ok::<_, session_repository::Error>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    #[allow(clippy::cast_precision_loss, reason = "small counts")]
    Ok((writers as i64 * WRITES) as f64 / begun.elapsed().as_secs_f64())
}

async fn group_commit(repo: &Repository) -> anyhow::Result<()> {
    let (mut one, mut many, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (alone, together) = (rate(repo, round, 1).await?, rate(repo, round, WRITERS).await?);
        one.push(alone);
        many.push(together);
        ratios.push(together / alone);
    }
    println!("appends of 500 bytes through the component, each durable, a second; medians of {ROUNDS} rounds");
    println!("  1 writer    {:>8.0}", median(one));
    println!("  {WRITERS} writers  {:>8.0}   {:.1} times as many", median(many), median(ratios));
    Ok(())
}

/// Fills a session past the component, which has no part in how the store grows.
async fn fill(store: &EmbeddedStore, name: &'static str, messages: i64) -> anyhow::Result<()> {
    const AT_ONCE: i64 = 512;
    for first in (0..messages).step_by(AT_ONCE as usize) {
        let appends: Vec<_> = (first..(first + AT_ONCE).min(messages))
            .map(|id| {
                let store = store.clone();
                let (agent, at) = (AgentRef::new(name, "a"), Timestamp(id));
                let message = Message::new(id, body(id), at);
                tokio::spawn(async move { store.append_message(&agent, message, &[], Write::at(at)).await })
            })
            .collect();
        for append in appends {
            append.await??;
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Call {
    Append,
    Read,
    Page { offset: i64 },
}

async fn time(repo: &Repository, name: &str, call: Call, messages: i64, n: i64) -> anyhow::Result<f64> {
    let begun = Instant::now();
    match call {
        Call::Append => repo.messages().create(name, "a", messages + n, body(n)).await?,
        Call::Read => drop(repo.messages().read(name, "a", (n * 7919) % messages).await?),
        Call::Page { offset } => drop(repo.messages().list(name, "a", Some(PAGE), offset).await?),
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6)
}

async fn long_sessions(repo: &Repository, store: &EmbeddedStore, long: i64) -> anyhow::Result<()> {
    for (name, messages) in [("short", SHORT), ("long", long)] {
        session(repo, name).await?;
        fill(store, name, messages).await?;
    }
    println!("\nmicroseconds of a call, one at a time, in sessions of {SHORT} and {long} messages; medians of {CALLS} calls");
    let page = |offset: fn(i64) -> i64| move |messages| Call::Page { offset: offset(messages) };
    let rows: [(&str, &dyn Fn(i64) -> Call); 5] = [
        ("append", &|_| Call::Append),
        ("one message", &|_| Call::Read),
        ("first page of 10", &page(|_| 0)),
        ("middle page of 10", &page(|messages| (messages - PAGE) / 2)),
        ("last page of 10", &page(|messages| messages - PAGE)),
    ];
    for (what, call) in rows {
        let (mut in_short, mut in_long) = (Vec::new(), Vec::new());
        for n in 0..CALLS {
            in_short.push(time(repo, "short", call(SHORT), SHORT, n).await?);
            in_long.push(time(repo, "long", call(long), long, n).await?);
        }
        let (in_short, in_long) = (median(in_short), median(in_long));
        println!("  {what:<22} {in_short:>8.0} {in_long:>8.0}   {:.2} times", in_long / in_short);
    }
    Ok(())
}
