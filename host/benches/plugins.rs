//! What a neighbour notices of a plugin that misbehaves: the 99th percentile of its calls beside each, against alone.
//!
//! `make bench-plugins` builds the plugin for tests and prints a table. A neighbour with a scope of its own makes calls one at a time
//! (create, append, list) on the store in memory that the plugin uses too. The plugin has a runtime of its own with one thread, as
//! `host/docs/plugins.md` advises. The neighbour is alone and beside the plugin in turns. The environment has the settings:
//!
//! - `BENCH_PLUGIN`: the plugin for tests; the one that `make bench-plugins` builds in the target folder unless given
//! - `BENCH_ROUNDS`: how often the neighbour is alone and beside each plugin in turns; 9 unless given
//! - `BENCH_LINES`: parts of the names of the plugins to measure, as a list; all unless given
//!
//! On Linux the table also has by how much the memory of the whole process grew while the plugin was there, at its peak: a line
//! can use again what those above it left free.
//!
//! It is a measurement and no test: a line above its target is named, and the exit status is 0.

use anyhow::Context;
use session_repository::plugin::{self, MemoryLimiter, Ticker};
use session_repository::{EmbeddedStore, Quotas, Repository, Scope, Store, StoreOptions};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store as WasmtimeStore};

const ROUNDS: usize = 9;
/// How long the neighbour is alone or beside a plugin in one turn.
const TURN: Duration = Duration::from_millis(700);
/// The most that the 99th percentile may grow, as a ratio.
const TARGET: f64 = 1.5;
const MEMORY: usize = 64 << 20;

/// A way to misbehave: a name, an export of the plugin, how many calls it makes and how large they are, and whether quotas bound it.
struct Line {
    name: &'static str,
    export: &'static str,
    calls: u32,
    bytes: u32,
    quotas: Option<Quotas>,
}

fn lines() -> Vec<Line> {
    let quotas = || Some(Quotas::default().calls_per_second(200).calls_in_flight(4).bytes_per_minute(1 << 20));
    let line = |name, export, calls, bytes, quotas| Line { name, export, calls, bytes, quotas };
    vec![
        line("loops for ever", "spin", 0, 0, None),
        line("allocates without end", "allocate", 0, 0, None),
        line("recurses without end", "recurse", 0, 0, None),
        line("traps", "trap", 0, 0, None),
        line("passes malformed text", "pass-malformed", 0, 0, None),
        line("floods, one by one", "flood", 1_000, 100, None),
        line("floods, one by one, with quotas", "flood", 1_000, 100, quotas()),
        line("floods, 3,000 at once", "flood-at-once", 3_000, 100, None),
        line("floods, 3,000 at once, with quotas", "flood-at-once", 3_000, 100, quotas()),
        line("floods, 300 of 100 KB at once", "flood-at-once", 300, 100_000, None),
        line("floods, 300 of 100 KB, with quotas", "flood-at-once", 300, 100_000, quotas()),
        line("drops calls midway", "drop-midway", 1_000, 0, None),
        line("returns without answers", "forget", 100, 0, None),
        line("begins 100 calls and loops", "begin-and-spin", 100, 0, None),
    ]
}

struct State {
    sessions: Repository,
    memory: MemoryLimiter,
}

struct Host {
    component: Component,
    linker: Linker<State>,
    _ticker: Ticker,
}

impl Host {
    fn new() -> anyhow::Result<Self> {
        let path = match std::env::var_os("BENCH_PLUGIN") {
            Some(path) => PathBuf::from(path),
            None => {
                // This program is target/release/deps/plugins-….
                let target = std::env::current_exe()?.ancestors().nth(3).context("no target folder")?.to_owned();
                target.join("wasm32-unknown-unknown/component/session_repository_test_plugins.wasm")
            }
        };
        anyhow::ensure!(path.exists(), "{} is missing: `make bench-plugins` builds it", path.display());
        let prepare = || -> wasmtime::Result<Self> {
            let engine = Engine::new(Config::new().wasm_component_model_async(true).epoch_interruption(true))?;
            let mut linker = Linker::new(&engine);
            plugin::add_to_linker(&mut linker, |state: &mut State| &state.sessions)?;
            let ticker = Ticker::start(&engine)?;
            Ok(Self { component: Component::from_file(&engine, path)?, linker, _ticker: ticker })
        };
        prepare().map_err(|error| anyhow::anyhow!("{error:?}"))
    }

    /// Has a fresh plugin misbehave until it ends.
    async fn misbehave(&self, sessions: &Repository, line: &Line) -> wasmtime::Result<()> {
        let memory = MemoryLimiter::new(MEMORY);
        let mut store = WasmtimeStore::new(self.component.engine(), State { sessions: sessions.clone(), memory });
        store.limiter(|state| &mut state.memory);
        plugin::give_way(&mut store);
        let instance = self.linker.instantiate_async(&mut store, &self.component).await?;
        let session = String::from("s");
        match (line.calls, line.bytes) {
            (0, _) => instance.get_typed_func::<(), ()>(&mut store, line.export)?.call_async(&mut store, ()).await,
            (calls, 0) => {
                let function = instance.get_typed_func::<(String, u32), ()>(&mut store, line.export)?;
                function.call_async(&mut store, (session, calls)).await
            }
            (calls, bytes) => {
                let function = instance.get_typed_func::<(String, u32, u32), (Vec<(String, u32)>,)>(&mut store, line.export)?;
                function.call_async(&mut store, (session, calls, bytes)).await.map(drop)
            }
        }
    }
}

/// Makes calls for a turn, and returns how long each took, in microseconds.
async fn neighbour(repo: &Repository) -> anyhow::Result<Vec<f64>> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let (turn, mut micros) = (Instant::now(), Vec::new());
    while turn.elapsed() < TURN {
        let session = COUNT.fetch_add(1, Ordering::Relaxed).to_string();
        let mut begun = Instant::now();
        let mut took = || micros.push(std::mem::replace(&mut begun, Instant::now()).elapsed().as_secs_f64() * 1e6);
        repo.sessions().create(session.as_str(), None).await?;
        took();
        repo.agents().create(session.as_str(), "a", "{}").await?;
        took();
        for _ in 0..8 {
            repo.messages().append(session.as_str(), "a", r#"{"role": "user", "content": "Hello!"}"#, None).await?;
            took();
            repo.messages().list(session.as_str(), "a", Some(10), 0).await?;
            took();
        }
    }
    Ok(micros)
}

fn percentile(figures: &mut [f64], part: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "small counts")]
    let place = (figures.len() as f64 * part) as usize;
    figures.get(place.min(figures.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// A figure of the process's memory, in KiB, as Linux tells it.
fn memory(figure: &str) -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':')?.trim().strip_suffix(" kB"))?;
    kib.parse().ok()
}

/// Has Linux tell the peak of the process's memory anew.
fn forget_peak() {
    // Elsewhere there is no such file, and no figure.
    std::fs::write("/proc/self/clear_refs", "5").ok();
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let rounds = given("BENCH_ROUNDS").map_or(Ok(ROUNDS), |rounds| rounds.parse()).context("BENCH_ROUNDS")?;
    let wanted = given("BENCH_LINES");
    let is_wanted = |name: &str| wanted.as_ref().is_none_or(|wanted| wanted.split(',').any(|part| name.contains(part)));
    let host = Arc::new(Host::new()?);
    let tenant = runtime::Builder::new_multi_thread().worker_threads(1).max_blocking_threads(1).enable_all().build()?;
    println!(
        "calls of a neighbour, microseconds: medians and 99th percentiles of {rounds} rounds in turns; at most {TARGET} times as long"
    );
    println!("{:<38}{:>9}{:>9}{:>9}{:>9}{:>7}{:>9}", "beside a plugin that …", "p50", "beside", "p99", "beside", "ratio", "MiB");
    for line in lines().into_iter().filter(|line| is_wanted(line.name)) {
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory(StoreOptions::default()).await?);
        let open = |scope| Repository::builder_on(Arc::clone(&store)).scope(scope).build();
        let plain = open(Scope::hidden_prefix("hostile/"))?;
        plain.sessions().create("s", None).await?;
        plain.agents().create("s", "a", "{}").await?;
        let hostile = {
            let _tenant = tenant.enter();
            open(Scope::hidden_prefix("hostile/").quotas(line.quotas.unwrap_or_default()))?
        };
        let repo = open(Scope::hidden_prefix("neighbour/"))?;
        neighbour(&repo).await?;
        let line = Arc::new(line);
        let (before, mut peak) = (memory("VmRSS"), None);
        let (mut alone, mut beside) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            alone.extend(neighbour(&repo).await?);
            forget_peak();
            let is_over = Arc::new(AtomicBool::new(false));
            let misbehaving = tenant.spawn({
                let (host, hostile, line, is_over) = (Arc::clone(&host), hostile.clone(), Arc::clone(&line), Arc::clone(&is_over));
                async move {
                    while !is_over.load(Ordering::Relaxed) {
                        // It traps or not; the next one follows.
                        drop(host.misbehave(&hostile, &line).await);
                    }
                }
            });
            beside.extend(neighbour(&repo).await?);
            is_over.store(true, Ordering::Relaxed);
            misbehaving.abort();
            drop(misbehaving.await);
            peak = memory("VmHWM").max(peak);
        }
        let [alone_50, alone_99] = [0.5, 0.99].map(|part| percentile(&mut alone, part));
        let [beside_50, beside_99] = [0.5, 0.99].map(|part| percentile(&mut beside, part));
        let ratio = beside_99 / alone_99;
        let verdict = if ratio <= TARGET { "ok" } else { "above" };
        let grown = before.zip(peak).map_or(String::from("-"), |(before, peak)| format!("{}", (peak - before) / 1024));
        let name = line.name;
        println!("{name:<38}{alone_50:>9.0}{beside_50:>9.0}{alone_99:>9.0}{beside_99:>9.0}{ratio:>7.2}{grown:>9} {verdict}");
        repo.close().await;
    }
    tenant.shutdown_background();
    Ok(())
}
