//! `session-repo plugin run`.

use super::functions::{Function, functions};
use super::imports::lacking;
use super::load::{compile, failed, name, read};
use super::text;
use crate::args::{RunArgs, Wasi};
use crate::output;
use crate::place::{self, Place};
use crate::prepare;
use crate::refusal::refuse;
use crate::terminal::{harmless, tell};
use anyhow::{Context, anyhow, bail};
use session_repository::plugin::{self, MemoryLimiter, Ticker};
use session_repository::{Audit, Repository};
use wasmtime::component::wasm_wave::untyped::UntypedFuncCall;
use wasmtime::component::{Component, ComponentExportIndex, Linker, ResourceTable, Val};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// How much memory a plugin may have, in bytes.
const MEMORY: usize = 512 << 20;

/// What the plugin's Wasmtime store holds.
struct State {
    sessions: Repository,
    memory: MemoryLimiter,
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// A function of a plugin, and the arguments that it is called with.
struct Call {
    function: ComponentExportIndex,
    arguments: Vec<Val>,
    results: usize,
}

pub(super) async fn run(place: &Place, args: RunArgs) -> anyhow::Result<()> {
    let scope = match args.scope.scope(&name(&args.plugin)) {
        Ok(Some(scope)) => scope,
        Ok(None) => refused("--scope is missing: session:ID or prefix:P names the sessions that the plugin may use"),
        Err(why) => refused(why),
    };
    let component = compile(&args.plugin, &read(&args.plugin)?)?;
    let call = find(&component, &args.invoke).unwrap_or_else(|why| refused(&why));
    prepare::component()?;
    let opened = if args.scope.read_only { place.open_to_read().await? } else { place.open().await? };
    let sessions = opened.scoped(scope)?;
    // A task of its own: a write to a stdout that nobody reads blocks its thread.
    let invoked = tokio::spawn(invoke(component, call, sessions.clone(), args.wasi));
    let ending = invoked.abort_handle();
    let called = tokio::time::timeout(args.timeout, invoked).await;
    match &called {
        Ok(_) => place::closed(sessions.close()).await,
        Err(_) => {
            ending.abort();
            // The store itself, which ends what the plugin left under way.
            opened.close().await;
        }
    }
    report(&sessions.audit());
    match called {
        Ok(called) => told(&called??),
        Err(_) => bail!("the plugin ran for {} and was stopped", humantime::format_duration(args.timeout)),
    }
}

fn refused(why: &str) -> ! {
    refuse(&["plugin", "run"], why)
}

/// Prints what a function returned. An error is a failure that speaks for itself.
fn told(results: &[Val]) -> anyhow::Result<()> {
    for result in results {
        output::print_exact(&harmless(&text::value(result)?))?;
    }
    if let [Val::Result(Err(_))] = results {
        bail!("the function returned an error");
    }
    Ok(())
}

/// Says what the scope did not let through.
fn report(audit: &Audit) {
    let Audit { denied, throttled, too_large, .. } = *audit;
    if denied + throttled + too_large > 0 {
        tell(&format!("of the plugin's calls, {denied} were denied, {throttled} beyond a quota and {too_large} too large"));
    }
}

/// Finds the function that a call names, by its own name or as INTERFACE#NAME, and reads the arguments. One that belongs to no interface is
/// #NAME where others have the same name.
fn find(component: &Component, invoke: &str) -> Result<Call, String> {
    let (interface, invoke) = match invoke.split_once('(').and_then(|(name, _)| name.split_once('#')) {
        Some((interface, _)) => (Some(interface), invoke.get(interface.len() + 1..).unwrap_or_default()),
        None => (None, invoke),
    };
    let functions = functions(component);
    if functions.is_empty() {
        return Err(String::from("--invoke: the plugin exports no function"));
    }
    let names = || text::names(functions.iter().map(Function::full_name));
    let call = UntypedFuncCall::parse(invoke);
    let call = call.map_err(|error| format!("--invoke: no call such as name(\"text\", 1): {error}; the plugin exports {}", names()))?;
    let is_meant = |function: &&Function| {
        let is_there = interface.is_none_or(|interface| function.interface.as_deref().unwrap_or_default() == interface);
        is_there && function.name == call.name()
    };
    let found: Vec<_> = functions.iter().filter(is_meant).collect();
    let function = match found.as_slice() {
        [function] => function,
        [] => return Err(format!("--invoke: the plugin exports no function {}; it exports {}", call.name(), names())),
        several => {
            let names = several.iter().map(|function| format!("{}#{}", function.interface.as_deref().unwrap_or_default(), function.name));
            return Err(format!("--invoke: the plugin exports several functions {}; name one of {}", call.name(), text::names(names)));
        }
    };
    let types: Vec<_> = function.ty.params().map(|(_, ty)| ty).collect();
    let arguments = call.to_wasm_params::<Val>(&types);
    let arguments = arguments.map_err(|error| format!("--invoke: {error}; the function is {}", function.shown()))?;
    if arguments.len() != types.len() {
        return Err(format!("--invoke: {} arguments are given; the function is {}", arguments.len(), function.shown()));
    }
    Ok(Call { function: function.index, arguments, results: function.ty.results().len() })
}

fn linker(engine: &Engine, wasi: Wasi) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    plugin::add_to_linker(&mut linker, |state: &mut State| &state.sessions)?;
    if wasi == Wasi::Cli {
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    }
    Ok(linker)
}

/// Calls a function in an instance of the plugin.
async fn invoke(component: Component, call: Call, sessions: Repository, wasi: Wasi) -> anyhow::Result<Vec<Val>> {
    let engine = component.engine();
    let linker = linker(engine, wasi).map_err(|error| failed("the linker cannot be made", &error))?;
    let stdio = WasiCtxBuilder::new().inherit_stdio().build();
    let memory = MemoryLimiter::new(MEMORY);
    let mut store = Store::new(engine, State { sessions, memory, wasi: stdio, table: ResourceTable::new() });
    store.limiter(|state| &mut state.memory);
    // The program then sees whether the plugin's time is up.
    plugin::give_way(&mut store);
    let _ticker = Ticker::start(engine)?;
    let work = async {
        let instance = linker.instantiate_async(&mut store, &component).await;
        let instance = instance.map_err(|error| match lacking(&component, wasi) {
            Some(lacking) => anyhow!("the plugin cannot be linked: {lacking}"),
            None => failed("the plugin cannot be linked", &error),
        })?;
        let function = instance.get_func(&mut store, call.function).context("the function is gone")?;
        let mut results = vec![Val::Bool(false); call.results];
        let called = function.call_async(&mut store, &call.arguments, &mut results).await;
        called.map_err(|error| failed("the plugin trapped", &error))?;
        Ok(results)
    };
    let done = work.await;
    if store.data().memory.has_refused() {
        tell(&format!("the plugin wanted more than the {} MiB of memory that it may have", MEMORY >> 20));
    }
    done
}
