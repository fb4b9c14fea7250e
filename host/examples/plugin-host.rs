//! A host for plugins of several tenants: each has a scope, quotas, bounds, a thread and instances of its own, on one store.
//!
//! `cargo run --example plugin-host -- PLUGIN.wasm`, with the plugin that `session-repo plugin new rust summary` begins.

use serde_json::json;
use session_repository::plugin::{self, MemoryLimiter, Ticker};
use session_repository::{EmbeddedStore, Quotas, Repository, Scope, Store as _, StoreOptions};
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};
use tokio::runtime::{self, Runtime};
use wasmtime::component::{InstancePre, Linker};
use wasmtime::{Config, Engine, Store, format_err};

/// What a plugin may take of the host: memory, in bytes, and time.
const MEMORY: usize = 64 * 1024 * 1024;
const DEADLINE: Duration = Duration::from_secs(5);

/// What one call of a plugin may hand over to the host, in bytes, with its ids and lists: more traps. It is above the quota for one call, whose
/// error the plugin can handle.
const HANDED_OVER: usize = 1024 * 1024;

/// What each instance's Wasmtime store holds.
struct State {
    sessions: Repository,
    memory: MemoryLimiter,
}

/// A tenant with its plugin, which can be replaced while calls go on.
struct Tenant {
    name: &'static str,
    sessions: Repository,
    plugin: RwLock<InstancePre<State>>,
    /// A thread for its plugin and its instances of the repository. However much they have to do, to others it is one busy thread, and the
    /// system shares the processors among threads. With one thread more for reading a store file, which blocks.
    runtime: Runtime,
}

impl Tenant {
    fn new(name: &'static str, store: Arc<EmbeddedStore>, quotas: Quotas, plugin: InstancePre<State>) -> wasmtime::Result<Self> {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).max_blocking_threads(1).enable_all().build()?;
        // A tenant sees plain ids; its sessions have its name before them.
        let scope = Scope::hidden_prefix(format!("{name}/")).named(name).quotas(quotas);
        let entered = runtime.enter();
        let sessions = Repository::builder_on(store).scope(scope).instances(1).build()?;
        drop(entered);
        Ok(Self { name, sessions, plugin: RwLock::new(plugin), runtime })
    }

    /// Runs the plugin.
    async fn run(&self, session_id: &str, agent_id: &str) -> wasmtime::Result<Result<String, String>> {
        let plugin = self.plugin.read().map_err(|_| format_err!("the plugin is gone"))?.clone();
        let state = State { sessions: self.sessions.clone(), memory: MemoryLimiter::new(MEMORY) };
        let call = call(plugin, state, (session_id.to_owned(), agent_id.to_owned()));
        self.runtime
            .spawn(async { tokio::time::timeout(DEADLINE, call).await })
            .await?
            .map_err(|_| format_err!("it ran for {DEADLINE:?}"))?
    }

    fn replace(&self, plugin: InstancePre<State>) -> wasmtime::Result<()> {
        *self.plugin.write().map_err(|_| format_err!("the plugin is gone"))? = plugin;
        Ok(())
    }
}

/// Calls a plugin in an instance that is made for this call, so that nothing of it stays behind, however it ends.
async fn call(plugin: InstancePre<State>, state: State, arguments: (String, String)) -> wasmtime::Result<Result<String, String>> {
    let mut store = Store::new(plugin.engine(), state);
    store.limiter(|state| &mut state.memory);
    store.set_hostcall_fuel(HANDED_OVER);
    // Code that never returns gives way at each tick, and the deadline ends it.
    plugin::give_way(&mut store);
    let instance = plugin.instantiate_async(&mut store).await?;
    let run = instance.get_typed_func::<(String, String), (Result<String, String>,)>(&mut store, "run")?;
    let called = store.run_concurrent(async |accessor| run.call_concurrent(accessor, arguments).await);
    let (answer,) = called.await??;
    Ok(answer)
}

/// Compiles a plugin and links it to what it may call.
fn load(engine: &Engine, file: &Path) -> wasmtime::Result<InstancePre<State>> {
    let mut linker = Linker::new(engine);
    plugin::add_to_linker(&mut linker, |state: &mut State| &state.sessions)?;
    linker.instantiate_pre(&plugin::compile(engine, &std::fs::read(file)?)?)
}

fn main() -> wasmtime::Result<()> {
    let file = std::env::args_os().nth(1).ok_or_else(|| format_err!("usage: plugin-host PLUGIN.wasm"))?;
    let mut config = Config::new();
    config.wasm_component_model_async(true).epoch_interruption(true);
    let engine = Engine::new(&config)?;
    let _ticker = Ticker::start(&engine)?;
    let host = Runtime::new()?;
    // One store for all tenants.
    let store = Arc::new(host.block_on(EmbeddedStore::in_memory(StoreOptions::default()))?);
    let quotas = Quotas::default().calls_per_second(200).calls_in_flight(16).bytes_per_call(64 * 1024).bytes_per_minute(1024 * 1024);
    let tenant = |name, quotas| Tenant::new(name, Arc::clone(&store), quotas, load(&engine, Path::new(&file))?);
    let tenants = [tenant("acme", quotas)?, tenant("globex", quotas)?, tenant("initech", quotas.calls_per_second(1))?];
    host.block_on(async {
        serve(&tenants).await?;
        // A new version takes over with the next call; calls under way end with the old one.
        let [first, ..] = &tenants;
        first.replace(load(&engine, Path::new(&file))?)?;
        println!("{}: reloaded, {:?}", first.name, first.run("chat-1", "assistant").await?);
        println!("{}: {:?}", first.name, first.sessions.metadata().get("chat-1").await?.map(|metadata| metadata.to_string()));
        store.close().await;
        Ok(())
    })
}

async fn serve(tenants: &[Tenant]) -> wasmtime::Result<()> {
    for tenant in tenants {
        // The host has the same view as the plugin, and uses up the same quotas: initech's one call a second is gone with this.
        tenant.sessions.sessions().create("chat-1", None).await?;
        tenant.sessions.agents().create("chat-1", "assistant", "{}").await.ok();
        let hello = json!({"role": "user", "content": format!("Hello from {}!", tenant.name)});
        tenant.sessions.messages().append("chat-1", "assistant", hello, None).await.ok();
    }
    for tenant in tenants {
        let begun = Instant::now();
        match tenant.run("chat-1", "assistant").await {
            Ok(Ok(said)) => println!("{}: {said}, in {:?}", tenant.name, begun.elapsed()),
            Ok(Err(error)) => println!("{}: the plugin failed: {error}", tenant.name),
            Err(trap) => println!("{}: the plugin was stopped: {}", tenant.name, trap.root_cause()),
        }
        println!("{}: {:?}", tenant.name, tenant.sessions.audit());
    }
    Ok(())
}
