//! A host for plugins, as an embedder writes one: memory, stack, running time and what one call may hand over are bounded.

use session_repository::Repository;
use session_repository::plugin::{self, MemoryLimiter, Ticker};
use session_repository_tests::test_plugins;
use std::sync::OnceLock;
use wasmtime::component::{Component, ComponentNamedList, Instance, Lift, Linker, Lower};
use wasmtime::{Config, Engine, Store, UpdateDeadline};

/// All linear memories of a plugin together, in bytes.
pub(super) const MEMORY: usize = 64 << 20;

/// What one call between a plugin and its host may hand over, in bytes.
pub(super) const HANDED_OVER: usize = 4 << 20;

/// How many ticks code of a plugin may see without a call of the repository.
const TICKS: u32 = 400;

/// The engine of all plugins, with a thread that ticks for it as long as the process lives.
fn engine() -> anyhow::Result<&'static Engine> {
    static ENGINE: OnceLock<(Engine, Ticker)> = OnceLock::new();
    if let Some((engine, _)) = ENGINE.get() {
        return Ok(engine);
    }
    let engine = Engine::new(Config::new().wasm_component_model_async(true).epoch_interruption(true)).map_err(failed)?;
    let ticker = Ticker::start(&engine)?;
    Ok(&ENGINE.get_or_init(|| (engine, ticker)).0)
}

/// The compiled plugin for tests.
async fn component() -> anyhow::Result<Component> {
    static COMPONENT: OnceLock<Component> = OnceLock::new();
    if let Some(component) = COMPONENT.get() {
        return Ok(component.clone());
    }
    let path = test_plugins().await?;
    let component = plugin::compile(engine()?, &std::fs::read(path)?).map_err(failed)?;
    Ok(COMPONENT.get_or_init(|| component).clone())
}

fn failed(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:?}")
}

struct State {
    sessions: Repository,
    memory: MemoryLimiter,
    ticks: u32,
}

impl State {
    /// The repository, for a call: the plugin makes progress.
    fn calls(&mut self) -> &Repository {
        self.ticks = 0;
        &self.sessions
    }
}

/// An instance of the plugin for tests.
pub(super) struct Plugin {
    store: Store<State>,
    instance: Instance,
}

impl Plugin {
    /// An instance whose calls go to a repository.
    pub(super) async fn start(sessions: &Repository) -> anyhow::Result<Self> {
        let component = component().await?;
        let mut linker = Linker::new(component.engine());
        plugin::add_to_linker(&mut linker, State::calls).map_err(failed)?;
        let state = State { sessions: sessions.clone(), memory: MemoryLimiter::new(MEMORY), ticks: 0 };
        let mut store = Store::new(component.engine(), state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(HANDED_OVER);
        store.epoch_deadline_callback(|mut store| {
            let state = store.data_mut();
            state.ticks += 1;
            Ok(if state.ticks > TICKS {
                UpdateDeadline::Interrupt
            } else {
                UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))
            })
        });
        store.set_epoch_deadline(1);
        let instance = linker.instantiate_async(&mut store, &component).await.map_err(failed)?;
        Ok(Self { store, instance })
    }

    /// Has its code give way by the library's means, without an end.
    pub(super) fn give_way(&mut self) {
        plugin::give_way(&mut self.store);
    }

    /// Calls an export.
    pub(super) async fn call<P, R>(&mut self, export: &str, arguments: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: Send + Sync + 'static,
        (R,): ComponentNamedList + Lift,
    {
        let function = self.instance.get_typed_func::<P, (R,)>(&mut self.store, export)?;
        Ok(function.call_async(&mut self.store, arguments).await?.0)
    }

    /// Calls an export that returns nothing.
    pub(super) async fn run<P>(&mut self, export: &str, arguments: P) -> wasmtime::Result<()>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
    {
        let function = self.instance.get_typed_func::<P, ()>(&mut self.store, export)?;
        function.call_async(&mut self.store, arguments).await
    }

    pub(super) fn memory(&self) -> &MemoryLimiter {
        &self.store.data().memory
    }
}
