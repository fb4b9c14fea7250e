//! Runs the component: instances that each serve many calls at once, and that are replaced when they trap or make no progress.

use crate::component::bindings::wit;
use crate::component::calls::{Answers, Brought, Calls};
use crate::component::ctx::{SessionCtx, SessionCtxView, SessionView};
use crate::component::epoch::{self, Stall};
use crate::component::flavour::{Flavour, Instance, InstancePre};
use crate::component::linker::add_to_linker;
use crate::error::{Error, Result};
use crate::limits::Limits;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::OnceLock;
use tokio::sync::watch;
use wasmtime::component::{Accessor, Component, ComponentNamedList, Lift, Linker, Lower, TypedFunc};
use wasmtime::{Config, Engine, ResourceLimiter, Store, StoreLimits, StoreLimitsBuilder};

/// The component that is built from this version of `guest/`. `SESSION_REPOSITORY_COMPONENT`, set when this crate is built, names another.
pub(crate) const COMPONENT: &[u8] = include_bytes!(env!("SESSION_REPOSITORY_COMPONENT"));

/// The same in the synchronous flavour; `SESSION_REPOSITORY_COMPONENT_SYNC` names another.
pub(crate) const COMPONENT_SYNC: &[u8] = include_bytes!(env!("SESSION_REPOSITORY_COMPONENT_SYNC"));

/// What each instance's Wasmtime store holds.
pub(crate) struct State {
    session: SessionCtx,
    calls: Calls,
    /// Whether a call began since the loop of calls was last polled.
    has_begun: bool,
    stall: Stall,
    memory: Memory,
}

/// The bound of an instance's memory, and how much it has.
struct Memory {
    limits: StoreLimits,
    bytes: usize,
    /// What it had before the first call.
    at_first: usize,
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let grows = self.limits.memory_growing(current, desired, maximum)?;
        if grows {
            self.bytes += desired.saturating_sub(current);
        }
        Ok(grows)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.limits.table_growing(current, desired, maximum)
    }
}

impl SessionView for State {
    fn session(&mut self) -> SessionCtxView<'_> {
        SessionCtxView { ctx: &mut self.session }
    }
}

/// An exported function of the component, as `bindings` types it.
pub(crate) type Function<P, R> = TypedFunc<P, (Result<R, wit::Error>,)>;

/// Has the component run an exported function. What the call brings is held until it has ended. The room for the answer is to be held until
/// the caller takes it.
pub(crate) async fn call<P, R>(
    accessor: &Accessor<State>,
    function: Function<P, R>,
    arguments: P,
    brought: Brought,
) -> wasmtime::Result<(Result<R, wit::Error>, Answers)>
where
    P: ComponentNamedList + Lower + Send + Sync + 'static,
    R: 'static,
    (Result<R, wit::Error>,): ComponentNamedList + Lift + Send + Sync + 'static,
{
    let call = accessor.with(|access| function.start_call_concurrent(access, arguments))?;
    // Nothing of the component runs before the next await.
    let export = accessor.with(|mut access| {
        let state = access.data_mut();
        state.has_begun = true;
        state.calls.begin(call.task(), brought)
    });
    let (answer,) = function.finish_call_concurrent(accessor, call).await?;
    Ok((answer, export.end()))
}

/// A call that an instance is to run: it answers its caller by itself and fails only if the instance trapped.
pub(crate) type Job = Box<
    dyn for<'a> FnOnce(&'a Accessor<State>, &'a Instance, Alive) -> Pin<Box<dyn Future<Output = wasmtime::Result<()>> + Send + 'a>> + Send,
>;

/// Ends, with an error, when the instance and all that its calls were waiting for is gone.
pub(crate) type Alive = watch::Receiver<()>;

/// The compiled component, linked to a context.
pub(crate) struct Runner {
    engine: Engine,
    pre: InstancePre<State>,
    ctx: SessionCtx,
}

/// The component, compiled once for all of the process.
pub(crate) fn component(flavour: Flavour) -> Result<&'static Component> {
    compiled(flavour, engine(Config::new)).map_err(unfit)
}

/// The same, if there is none yet, as an earlier process compiled it and left it in a folder; else it is left there for the next.
#[cfg(feature = "cache")]
pub(crate) fn cached_component(folder: &std::path::Path) -> Result<&'static Component> {
    let mut cache = None;
    let engine = engine(|| {
        cache = super::cache::open(folder, super::cache::BYTES);
        let mut config = Config::new();
        config.cache(cache.clone());
        config
    });
    let component = compiled(Flavour::Async, engine).map_err(unfit)?;
    if let Some(cache) = cache {
        tracing::debug!(folder = %folder.display(), was_there = cache.cache_hits() > 0, "compiled code is kept");
    }
    Ok(component)
}

/// Somebody's component, compiled for the same engine, if it is one of the world `repository`.
pub(crate) fn foreign(bytes: &[u8]) -> Result<Component> {
    let prepare = || -> wasmtime::Result<Component> {
        let component = Component::new(engine(Config::new)?, bytes)?;
        link(&component)?;
        Ok(component)
    };
    let component = prepare()
        .map_err(|error| Error::InvalidArgument(format!("component: it is none of the world `repository`: {}", error.root_cause())))?;
    let is_storage = |name: &str| name.starts_with("session:repository/storage@") || name.starts_with("session:repository-sync/storage@");
    if component.component_type().imports(component.engine()).any(|(name, _)| is_storage(name)) {
        Ok(component)
    } else {
        // Calls would find the sessions of whichever instance they come to.
        Err(Error::InvalidArgument(String::from(
            "component: it imports no storage, so each of its instances would have sessions of its own",
        )))
    }
}

fn link(component: &Component) -> wasmtime::Result<InstancePre<State>> {
    let mut linker = Linker::new(component.engine());
    add_to_linker(&mut linker)?;
    InstancePre::new(component, linker.instantiate_pre(component)?)
}

/// Mostly the component and the host are of two versions of the WIT.
fn unfit(error: wasmtime::Error) -> Error {
    tracing::error!(?error, "cannot prepare the component");
    Error::Internal(format!(
        "the component cannot be prepared: {}; `make component` builds it from `guest/` and `wit/`",
        error.root_cause()
    ))
}

/// The engine of the process: one ticker serves all instances on it.
fn engine(config: impl FnOnce() -> Config) -> wasmtime::Result<&'static Engine> {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    if let Some(engine) = ENGINE.get() {
        return Ok(engine);
    }
    let engine = Engine::new(config().wasm_component_model_async(true).epoch_interruption(true))?;
    // Another thread may have been faster.
    Ok(ENGINE.get_or_init(|| engine))
}

fn compiled(flavour: Flavour, engine: wasmtime::Result<&Engine>) -> wasmtime::Result<&'static Component> {
    static ASYNC: OnceLock<Component> = OnceLock::new();
    static SYNC: OnceLock<Component> = OnceLock::new();
    let (compiled, bytes) = match flavour {
        Flavour::Async => (&ASYNC, COMPONENT),
        Flavour::Sync => (&SYNC, COMPONENT_SYNC),
    };
    if let Some(component) = compiled.get() {
        return Ok(component);
    }
    let component = Component::new(engine?, bytes)?;
    Ok(compiled.get_or_init(|| component))
}

impl Runner {
    /// Links a component.
    pub(crate) fn new(component: &Component, ctx: SessionCtx) -> Result<Self> {
        let pre = link(component).map_err(unfit)?;
        Ok(Self { engine: component.engine().clone(), pre, ctx })
    }

    /// Serves calls until the queue is closed and empty, through one instance at a time.
    pub(crate) async fn serve(&self, jobs: async_channel::Receiver<Job>) {
        // An instance is made for the first call that wants it, so that a trap is not followed by another one at once.
        while let Ok(first) = jobs.recv().await {
            match self.serve_one_instance(first, &jobs).await {
                Ok(Ended::Closed) => return,
                Ok(Ended::Grown) => tracing::debug!("an instance of the component has grown and is replaced"),
                Err(error) => tracing::error!(?error, "an instance of the component was stopped and is replaced"),
            }
        }
    }

    async fn serve_one_instance(&self, first: Job, jobs: &async_channel::Receiver<Job>) -> wasmtime::Result<Ended> {
        // Declared before the store, so that it goes after it.
        let alive = watch::Sender::new(());
        let limits = StoreLimitsBuilder::new().memory_size(self.ctx.limits.instance_memory_bytes).build();
        let memory = Memory { limits, bytes: 0, at_first: 0 };
        let calls = Calls::new(self.ctx.limits.answer_bytes());
        let session = SessionCtx { calls: Some(calls.clone()), ..self.ctx.clone() };
        let mut store = Store::new(&self.engine, State { session, calls, has_begun: false, stall: Stall::default(), memory });
        store.limiter(|state| &mut state.memory);
        let _ticking = epoch::tick(&self.engine)?;
        epoch::interrupt(&mut store, self.ctx.limits.call_deadline, |state| &mut state.stall);
        // What a guest may hand over in one call, in bytes; our own limits answer first, with an error in place of a trap.
        let Limits { message_bytes, page_bytes, .. } = self.ctx.limits;
        let handed_over = message_bytes.max(page_bytes).saturating_mul(2);
        store.set_hostcall_fuel(store.hostcall_fuel().max(handed_over));
        let instance = self.pre.instantiate_async(&mut store).await?;
        let memory = &mut store.data_mut().memory;
        memory.at_first = memory.bytes;
        let most = self.ctx.limits.calls_per_instance;
        store
            .run_concurrent(async |accessor| {
                let mut serving = pin!(serve_calls(accessor, &instance, &alive, first, jobs, most));
                // Polled each time that the component's code has given way to the host.
                poll_fn(|cx| {
                    accessor.with(|mut access| access.data_mut().stall.end());
                    let polled = serving.as_mut().poll(cx);
                    // An instance that has nothing to do is polled twice before it sleeps, and sleeps even if the second time brought a call
                    // whose caller woke another instance for it.
                    if accessor.with(|mut access| std::mem::take(&mut access.data_mut().has_begun)) {
                        cx.waker().wake_by_ref();
                    }
                    polled
                })
                .await
            })
            .await?
    }
}

/// Why an instance serves no more calls.
enum Ended {
    /// The repository is closed.
    Closed,
    /// A call had its memory grow, which never shrinks, and there is a pool of such instances.
    Grown,
}

/// An instance that serves one call at a time goes when its memory has grown by more than this. Ordinary calls need less.
const KEPT_MEMORY: usize = 8 << 20;

async fn serve_calls(
    accessor: &Accessor<State>,
    instance: &Instance,
    alive: &watch::Sender<()>,
    first: Job,
    jobs: &async_channel::Receiver<Job>,
    most: usize,
) -> wasmtime::Result<Ended> {
    if let Instance::Sync(_) = instance {
        return serve_in_turn(accessor, instance, alive, first, jobs).await;
    }
    let mut calls = FuturesUnordered::new();
    calls.push(first(accessor, instance, alive.subscribe()));
    loop {
        tokio::select! {
            job = jobs.recv(), if calls.len() < most => match job {
                Ok(job) => calls.push(job(accessor, instance, alive.subscribe())),
                Err(_) => break,
            },
            Some(ended) = calls.next() => ended?,
        }
    }
    while let Some(ended) = calls.next().await {
        ended?;
    }
    Ok(Ended::Closed)
}

/// As `serve_calls`, one call after the other.
async fn serve_in_turn(
    accessor: &Accessor<State>,
    instance: &Instance,
    alive: &watch::Sender<()>,
    first: Job,
    jobs: &async_channel::Receiver<Job>,
) -> wasmtime::Result<Ended> {
    let mut next = Some(first);
    while let Some(job) = next {
        job(accessor, instance, alive.subscribe()).await?;
        let grown = |memory: &Memory| memory.bytes.saturating_sub(memory.at_first);
        if accessor.with(|mut access| grown(&access.data_mut().memory) > KEPT_MEMORY) {
            return Ok(Ended::Grown);
        }
        next = jobs.recv().await.ok();
    }
    Ok(Ended::Closed)
}
