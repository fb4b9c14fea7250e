//! The repository for those who want no Wasmtime in sight.

use crate::api::{Agents, Feedbacks, Messages, Metadata, Sessions};
use crate::bindings::Instance;
use crate::calls::Brought;
use crate::ctx::SessionCtx;
use crate::error::{Error, Result};
use crate::instance::{self, Job, Runner, State};
use crate::limits::{Limits, SMALL_ARGUMENTS};
use crate::store::Store;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::timeout;
use wasmtime::component::{Accessor, Component};

/// How much longer than the store and code that makes no progress an instance may take to answer, before it counts as stuck.
const ANSWER_GRACE: Duration = Duration::from_secs(10);

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
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn Store>,
    limits: Limits,
    jobs: async_channel::Sender<Job>,
    /// Each serving task holds a receiver: none is left when all have ended.
    serving: watch::Sender<()>,
    bytes: Arc<Semaphore>,
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository").field("limits", &self.shared.limits).finish_non_exhaustive()
    }
}

/// Builds a [`Repository`].
pub struct RepositoryBuilder {
    store: Arc<dyn Store>,
    limits: Limits,
    instances: usize,
}

impl fmt::Debug for RepositoryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepositoryBuilder").field("limits", &self.limits).field("instances", &self.instances).finish_non_exhaustive()
    }
}

impl RepositoryBuilder {
    /// Sets the bounds.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Sets how many instances of the component share the calls, at least 1. Default: one for each core, at most 4.
    #[must_use]
    pub fn instances(self, instances: usize) -> Self {
        Self { instances: instances.max(1), ..self }
    }

    /// Compiles the component, if no repository of this process has done so, and starts to serve calls in the current Tokio runtime.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for instances that have too little memory; `internal` outside a Tokio runtime, or if the component does not fit
    /// this host.
    pub fn build(self) -> Result<Repository> {
        self.build_on(instance::component()?)
    }

    /// Builds a repository on a component, for tests: one that has the imports and exports of ours.
    pub(crate) fn build_on(self, component: &Component) -> Result<Repository> {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return Err(Error::Internal(String::from("a repository needs a Tokio runtime around it")));
        };
        let Self { store, limits, instances } = self;
        let limits = limits.within_memory()?;
        let runner = Arc::new(Runner::new(component, SessionCtx::new(Arc::clone(&store)).with_limits(limits))?);
        let (jobs, queue) = async_channel::bounded(instances);
        let serving = watch::Sender::new(());
        for _ in 0..instances {
            let (runner, queue, serves) = (Arc::clone(&runner), queue.clone(), serving.subscribe());
            runtime.spawn(async move {
                runner.serve(queue).await;
                drop(serves);
            });
        }
        let bytes = limits.bytes_in_flight.min(Semaphore::MAX_PERMITS);
        Ok(Repository { shared: Arc::new(Shared { store, limits, jobs, serving, bytes: Arc::new(Semaphore::new(bytes)) }) })
    }
}

impl Repository {
    /// Starts to build a repository on a store.
    pub fn builder(store: impl Store) -> RepositoryBuilder {
        Self::builder_on(Arc::new(store))
    }

    /// Starts to build a repository on a store that others hold as well. Closing the repository closes it.
    pub fn builder_on(store: Arc<dyn Store>) -> RepositoryBuilder {
        let instances = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4));
        RepositoryBuilder { store, limits: Limits::default(), instances }
    }

    /// Compiles the component now, which takes some tenths of a second, so that building a repository does not have to: before a store is
    /// opened that others wait for.
    ///
    /// # Errors
    ///
    /// `internal` if the component does not fit this host.
    pub fn prepare() -> Result<()> {
        instance::component().map(drop)
    }

    /// Calls on sessions.
    pub fn sessions(&self) -> Sessions<'_> {
        Sessions::new(self)
    }

    /// Calls on agents.
    pub fn agents(&self) -> Agents<'_> {
        Agents::new(self)
    }

    /// Calls on messages.
    pub fn messages(&self) -> Messages<'_> {
        Messages::new(self)
    }

    /// Calls on metadata.
    pub fn metadata(&self) -> Metadata<'_> {
        Metadata::new(self)
    }

    /// Calls on feedback.
    pub fn feedback(&self) -> Feedbacks<'_> {
        Feedbacks::new(self)
    }

    /// Waits until all calls are answered, then closes the store: a client that the store owns is shut down, a borrowed one keeps working.
    /// Later calls of any clone return `unavailable`.
    pub async fn close(&self) {
        self.shared.jobs.close();
        self.shared.serving.closed().await;
        self.shared.store.close().await;
    }

    /// Has an instance run a call that brings `size` bytes, and waits for its answer.
    pub(crate) async fn call<R, C>(&self, size: usize, call: C) -> Result<R>
    where
        R: Send + 'static,
        C: for<'a> FnOnce(
                &'a Accessor<State>,
                &'a Instance,
                Brought,
            ) -> Pin<Box<dyn Future<Output = wasmtime::Result<Result<R>>> + Send + 'a>>
            + Send
            + 'static,
    {
        let limits = &self.shared.limits;
        if size > limits.message_bytes.saturating_add(SMALL_ARGUMENTS) {
            return Err(Error::TooLarge { size: size as u64, limit: limits.message_bytes as u64 });
        }
        let (begin, begun) = oneshot::channel();
        let (answer, answered) = oneshot::channel();
        let taken = async {
            let closed = || Error::Unavailable(String::from("the repository is closed"));
            // Held until the call and what it began in the store have ended: it bounds what both hold.
            let permit = Arc::clone(&self.shared.bytes).acquire_many_owned(u32::try_from(size).unwrap_or(u32::MAX)).await;
            let brought = Arc::new(permit.map_err(|_| closed())?);
            let job: Job = Box::new(move |accessor, instance, alive| {
                Box::pin(async move {
                    // A caller that is gone before its call has begun gets none made.
                    if begin.send(alive).is_ok() {
                        // Nobody may be listening any more; the call has run to its end all the same.
                        drop(answer.send(call(accessor, instance, brought).await?));
                    }
                    Ok(())
                })
            });
            self.shared.jobs.send(job).await.map_err(|_| closed())?;
            begun.await.map_err(|_| lost())
        };
        let mut alive = timeout(limits.call_deadline, taken).await.unwrap_or(Err(Error::Timeout))?;
        // The storage answers within the deadline, and code of the component that runs on for as long is stopped.
        match timeout(limits.call_deadline.saturating_mul(2).saturating_add(ANSWER_GRACE), answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => {
                // What the instance had under way is known to be overdue once it is gone, so a retry comes after it.
                while alive.changed().await.is_ok() {}
                Err(lost())
            }
            Err(_) => Err(Error::Timeout),
        }
    }
}

fn lost() -> Error {
    Error::Unavailable(String::from("the component instance was lost during the call"))
}
