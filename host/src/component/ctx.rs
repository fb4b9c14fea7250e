//! The host interface, in the shape of Wasmtime's own: a context, a view on it, a marker and `add_to_linker`.

use crate::component::bindings::{wall_clock, wit};
use crate::component::calls::Calls;
use crate::component::clock;
use crate::component::gate::{Audit, Gate};
use crate::limits::Limits;
use crate::scope::Scope;
use crate::store::Store;
use crate::store::overdue::Overdue;
use std::fmt;
use std::sync::Arc;
use wasmtime::component::HasData;

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
