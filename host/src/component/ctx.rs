//! The host interface, in the shape of Wasmtime's own: a context, a view on it, a marker and `add_to_linker`.

use crate::component::bindings::{storage, wall_clock, wit};
use crate::component::calls::Calls;
use crate::component::clock;
use crate::component::gate::{Audit, Gate};
use crate::limits::Limits;
use crate::scope::Scope;
use crate::store::Store;
use crate::store::overdue::Overdue;
use std::fmt;
use std::sync::Arc;
use wasmtime::component::{HasData, Linker};

/// What the repository's imports need of a Wasmtime store: which [`Store`] keeps the data, and the bounds. Contexts on one [`Store`] share
/// its [`Overdue`] calls.
#[derive(Clone)]
pub struct SessionCtx {
    pub(crate) gate: Gate,
    pub(crate) limits: Limits,
    pub(crate) overdue: Overdue,
    /// The calls of the instance, if it is one of a repository.
    pub(crate) calls: Option<Calls>,
}

impl SessionCtx {
    /// A context on a store, with default limits.
    pub fn new(store: Arc<dyn Store>) -> Self {
        let overdue = store.overdue();
        Self { gate: Gate::open(store), limits: Limits::default(), overdue, calls: None }
    }

    /// The same context with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The same context for what a scope allows, and nothing else; a scope that it had is replaced. Clones share the scope's quotas and its [`Audit`].
    #[must_use]
    pub fn with_scope(self, scope: Scope) -> Self {
        Self { gate: self.gate.scoped(scope), overdue: self.overdue.counted_alone(), ..self }
    }

    /// What became of the calls so far. Without a scope nothing is counted.
    pub fn audit(&self) -> Audit {
        self.gate.audit()
    }
}

impl fmt::Debug for SessionCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionCtx").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// A borrowed [`SessionCtx`], as [`SessionView`] hands it out.
#[derive(Debug)]
pub struct SessionCtxView<'a> {
    /// The context.
    pub ctx: &'a mut SessionCtx,
}

/// Implemented by the data of a Wasmtime store that holds a [`SessionCtx`].
pub trait SessionView: Send {
    /// The context in it.
    fn session(&mut self) -> SessionCtxView<'_>;
}

/// The marker on which the imports are implemented.
#[derive(Debug)]
pub struct SessionHost;

impl HasData for SessionHost {
    type Data<'a> = SessionCtxView<'a>;
}

/// Adds all that the component imports: `session:repository/storage` and `wasi:clocks/wall-clock`.
///
/// The storage takes its guest's word that ids and JSON are checked. Link it to the repository's component only, and give plugins the five
/// interfaces that the component exports.
///
/// The component's functions are async in the sense of the component model, so call them within
/// [`wasmtime::Store::run_concurrent`], inside a Tokio runtime. With a linker that has WASI in it already, use
/// [`add_only_storage_to_linker`] and give WASI a wall clock that never steps back.
///
/// The wall clock of this function never steps back within a process. A reading of the machine's clock that is more than a minute off from
/// the monotonic clock is believed once it has kept that distance for five minutes. Until then a jump forward is ignored, and after a jump
/// back the latest time is repeated.
///
/// # Errors
///
/// Fails if the linker has one of the interfaces already.
pub fn add_to_linker<T: SessionView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wall_clock::add_to_linker::<T, SessionHost>(linker, T::session)?;
    add_only_storage_to_linker(linker)
}

/// Adds `session:repository/storage` and nothing else.
///
/// # Errors
///
/// Fails if the linker has the interface already.
pub fn add_only_storage_to_linker<T: SessionView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wit::add_to_linker::<T, SessionHost>(linker, T::session)?;
    storage::add_to_linker::<T, SessionHost>(linker, T::session)
}

impl wall_clock::Host for SessionCtxView<'_> {
    fn now(&mut self) -> wall_clock::Datetime {
        datetime(clock::now())
    }

    fn resolution(&mut self) -> wall_clock::Datetime {
        datetime(1)
    }
}

fn datetime(nanoseconds: u64) -> wall_clock::Datetime {
    const SECOND: u64 = 1_000_000_000;
    wall_clock::Datetime {
        seconds: nanoseconds / SECOND,
        // Less than a second's worth, so it fits.
        nanoseconds: u32::try_from(nanoseconds % SECOND).unwrap_or_default(),
    }
}

impl wit::Host for SessionCtxView<'_> {}
