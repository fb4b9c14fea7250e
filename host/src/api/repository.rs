//! The repository for those who want no Wasmtime in sight.

use super::calls::{Agents, Feedbacks, Messages, Metadata, Sessions};
use super::pool::Pool;
use crate::component::ctx::SessionCtx;
use crate::component::flavour::Flavour;
use crate::component::gate::Audit;
use crate::component::instance;
use crate::error::Result;
use crate::limits::Limits;
use crate::scope::Scope;
use crate::store::Store;
use std::fmt;
use std::sync::Arc;
use wasmtime::component::Component;

/// The session repository: runs the component in a few instances on top of a [`Store`].
///
/// Cheap to clone; all clones share the instances, so one serves any number of tasks. Dropping a call's future does not stop a write that
/// is under way.
///
/// ```no_run
/// # async fn example() -> Result<(), session_repository::Error> {
/// use session_repository::{StoreOptions, MongoStore, Repository};
/// use serde_json::json;
///
/// let store = MongoStore::connect("mongodb://localhost:27017", StoreOptions::default()).await?;
/// let repo = Repository::builder(store).build()?;
/// repo.sessions().create("user-123", None).await?;
/// repo.agents().create("user-123", "assistant-1", json!({"model": "claude-3-sonnet"})).await?;
/// repo.messages().create("user-123", "assistant-1", 1, json!({"role": "user", "content": "Hello!"})).await?;
/// repo.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Repository {
    pool: Arc<Pool>,
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository").field("limits", self.pool.limits()).finish_non_exhaustive()
    }
}

/// Builds a [`Repository`].
pub struct RepositoryBuilder {
    store: Arc<dyn Store>,
    limits: Limits,
    scope: Option<Scope>,
    instances: Option<usize>,
    flavour: Flavour,
    component: Option<Vec<u8>>,
}

/// Instances of the synchronous flavour that share the calls, unless the builder is told otherwise. Each serves one call at a time.
const SYNC_INSTANCES: usize = 32;

impl fmt::Debug for RepositoryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("RepositoryBuilder");
        f.field("limits", &self.limits).field("scope", &self.scope).field("instances", &self.instances);
        f.field("flavour", &self.flavour).finish_non_exhaustive()
    }
}

impl RepositoryBuilder {
    /// Sets the bounds.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Allows calls within a scope only: for untrusted callers, each with a repository and so with instances of its own. All of them
    /// can stand on one store ([`Repository::builder_on`]); the compiled component is shared.
    #[must_use]
    pub fn scope(self, scope: Scope) -> Self {
        Self { scope: Some(scope), ..self }
    }

    /// Sets how many instances of the component share the calls, at least 1. Default: one for each core, at most 4; of the synchronous flavour,
    /// whose instances serve one call at a time, 32. An instance is made when the first call needs it.
    #[must_use]
    pub fn instances(self, instances: usize) -> Self {
        Self { instances: Some(instances.max(1)), ..self }
    }

    /// Chooses the flavour of the component. Default: the asynchronous one.
    #[must_use]
    pub fn flavour(self, flavour: Flavour) -> Self {
        Self { flavour, ..self }
    }

    /// Runs a component of your own in place of the one that comes with this crate: one of the world `repository`, in either flavour, that imports a
    /// storage. It is compiled each time that a repository is built on it, in the process, so its bytes have to be trusted as code of this crate
    /// has.
    #[must_use]
    pub fn component(self, bytes: impl Into<Vec<u8>>) -> Self {
        Self { component: Some(bytes.into()), ..self }
    }

    /// Compiles the component, if no repository of this process has done so, and starts to serve calls in the current Tokio runtime.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for instances that have too little memory, and for bytes that are no component; `internal` outside a Tokio runtime,
    /// or if the component does not fit this host.
    pub fn build(self) -> Result<Repository> {
        match &self.component {
            Some(bytes) => {
                let component = instance::foreign(bytes)?;
                self.build_on(&component)
            }
            None => {
                let component = instance::component(self.flavour)?;
                self.build_on(component)
            }
        }
    }

    /// Builds a repository on a compiled component, which has the imports and exports of ours.
    pub(crate) fn build_on(self, component: &Component) -> Result<Repository> {
        let (instances, limits) = match Flavour::of(component, component.engine()) {
            Flavour::Async => (std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4)), self.limits),
            Flavour::Sync => (SYNC_INSTANCES, self.limits.calls_per_instance(1)),
        };
        let limits = limits.within_memory()?;
        let ctx = SessionCtx::new(self.store).with_limits(limits);
        let ctx = match self.scope {
            Some(scope) => ctx.with_scope(scope),
            None => ctx,
        };
        let pool = Pool::start(component, ctx, self.instances.unwrap_or(instances))?;
        Ok(Repository { pool: Arc::new(pool) })
    }
}

impl Repository {
    /// Starts to build a repository on a store.
    pub fn builder(store: impl Store) -> RepositoryBuilder {
        Self::builder_on(Arc::new(store))
    }

    /// Starts to build a repository on a store that others hold as well. Closing the repository closes it.
    pub fn builder_on(store: Arc<dyn Store>) -> RepositoryBuilder {
        RepositoryBuilder { store, limits: Limits::default(), scope: None, instances: None, flavour: Flavour::default(), component: None }
    }

    /// Compiles the component now, which takes some tenths of a second, so that building a repository does not have to: before a store is
    /// opened that others wait for.
    ///
    /// # Errors
    ///
    /// `internal` if the component does not fit this host.
    pub fn prepare() -> Result<()> {
        instance::component(Flavour::Async).map(drop)
    }

    /// The same, in some milliseconds if an earlier process of this version has done it with this folder: what is compiled is kept there.
    ///
    /// The folder is made if it is not there. Beyond some 32 MiB, what was used longest ago is removed when something is added, at most once
    /// an hour. The folder is left alone, and the component is compiled, where it cannot be used: if it cannot be made, read or written, and on
    /// Unix if others own it or may write to it or to a folder above it, because the code in it is run as it is found.
    ///
    /// # Errors
    ///
    /// `internal` if the component does not fit this host.
    #[cfg(feature = "cache")]
    pub fn prepare_cached(folder: impl AsRef<std::path::Path>) -> Result<()> {
        instance::cached_component(folder.as_ref()).map(drop)
    }

    /// Calls on sessions.
    pub fn sessions(&self) -> Sessions<'_> {
        Sessions::new(&self.pool)
    }

    /// Calls on agents.
    pub fn agents(&self) -> Agents<'_> {
        Agents::new(&self.pool)
    }

    /// Calls on messages.
    pub fn messages(&self) -> Messages<'_> {
        Messages::new(&self.pool)
    }

    /// Calls on metadata.
    pub fn metadata(&self) -> Metadata<'_> {
        Metadata::new(&self.pool)
    }

    /// Calls on feedback.
    pub fn feedback(&self) -> Feedbacks<'_> {
        Feedbacks::new(&self.pool)
    }

    /// What became of the calls so far. Without a scope nothing is counted.
    pub fn audit(&self) -> Audit {
        self.pool.audit()
    }

    /// Waits until all calls are answered, then closes the store: a client that the store owns is shut down, a borrowed one keeps working.
    /// Later calls of any clone return `unavailable`.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

#[cfg(all(test, feature = "embedded"))]
mod tests;
