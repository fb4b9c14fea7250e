//! The instances that share the calls of a repository, and the store behind them.

use crate::component::calls::{Answers, Brought};
use crate::component::ctx::SessionCtx;
use crate::component::flavour::Instance;
use crate::component::gate::{Audit, Kind};
use crate::component::instance::{Job, Runner, State};
use crate::error::{Error, Result};
use crate::limits::Limits;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::timeout;
use wasmtime::component::{Accessor, Component};

/// How much longer than the store and code that makes no progress an instance may take to answer, before it counts as stuck.
const ANSWER_GRACE: Duration = Duration::from_secs(10);

/// Instances of the component that serve calls on one store.
pub(crate) struct Pool {
    ctx: SessionCtx,
    jobs: async_channel::Sender<Job>,
    /// Each serving task holds a receiver: none is left when all have ended.
    serving: watch::Sender<()>,
    bytes: Arc<Semaphore>,
    /// A place for each call that the instances serve at once, where calls are under a scope.
    places: Option<Arc<Semaphore>>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("limits", self.limits()).finish_non_exhaustive()
    }
}

impl Pool {
    /// Starts so many instances of a component in the current Tokio runtime.
    pub(crate) fn start(component: &Component, ctx: SessionCtx, instances: usize) -> Result<Self> {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return Err(Error::Internal(String::from("a repository needs a Tokio runtime around it")));
        };
        let runner = Arc::new(Runner::new(component, ctx.clone())?);
        let (jobs, queue) = async_channel::bounded(instances);
        let serving = watch::Sender::new(());
        for _ in 0..instances {
            let (runner, queue, serves) = (Arc::clone(&runner), queue.clone(), serving.subscribe());
            runtime.spawn(async move {
                runner.serve(queue).await;
                drop(serves);
            });
        }
        let permits = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        let bytes = permits(ctx.limits.bytes_in_flight);
        let places = ctx.gate.is_scoped().then(|| permits(ctx.limits.calls_per_instance.saturating_mul(instances)));
        Ok(Self { ctx, jobs, serving, bytes, places })
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.ctx.limits
    }

    pub(crate) fn audit(&self) -> Audit {
        self.ctx.audit()
    }

    /// Waits until all calls are answered, then closes the store. Later calls return `unavailable`.
    pub(crate) async fn close(&self) {
        self.jobs.close();
        self.serving.closed().await;
        self.ctx.gate.close().await;
    }

    /// Has an instance run a call that brings `size` bytes, and waits for its answer.
    pub(crate) async fn call<R, C>(&self, kind: Kind, size: usize, call: C) -> Result<R>
    where
        R: Send + 'static,
        C: for<'a> FnOnce(
                &'a Accessor<State>,
                &'a Instance,
                Brought,
            ) -> Pin<Box<dyn Future<Output = wasmtime::Result<(Result<R>, Answers)>> + Send + 'a>>
            + Send
            + 'static,
    {
        let limits = self.limits();
        self.ctx.gate.let_in(kind, size, limits.message_bytes)?;
        let (begin, mut begun) = oneshot::channel();
        let (answer, answered) = oneshot::channel();
        let taken = async {
            let gate = &self.ctx.gate;
            if self.jobs.is_closed() {
                return Err(closed());
            }
            // Held until the call and what it began in the store have ended: it bounds what both hold.
            let brought = Arc::new(gate.take(&self.bytes, u32::try_from(size).unwrap_or(u32::MAX), kind).await?);
            let place = match &self.places {
                Some(places) => Some(Arc::new(gate.take(places, 1, kind).await?)),
                None => None,
            };
            let (served, is_bounded) = (place.clone(), gate.is_scoped());
            let job: Job = Box::new(move |accessor, instance, alive| {
                Box::pin(async move {
                    // A caller that is gone before its call has begun gets none made.
                    if begin.send(alive).is_ok() {
                        // Nobody may be listening any more; the call has run to its end all the same.
                        let (result, room) = call(accessor, instance, brought).await?;
                        // Before the answer: whoever has that finds the place free.
                        drop(served);
                        drop(answer.send((result, is_bounded.then_some(room))));
                    }
                    Ok(())
                })
            });
            self.jobs.send(job).await.map_err(|_| closed())?;
            let alive = tokio::select! {
                begun = &mut begun => begun.ok(),
                // The runtime around the instances was shut down while the call was in their queue, or they began it and are closed since.
                () = self.serving.closed() => begun.try_recv().ok(),
            };
            Ok((alive.ok_or_else(lost)?, place))
        };
        // Under a scope, the place and the answer's room are free again when the call has ended and its answer is taken: a caller that
        // takes none would have the host keep any number of them.
        let (mut alive, _place) = timeout(limits.call_deadline, taken).await.unwrap_or(Err(Error::Timeout))?;
        // The storage answers within the deadline, and code of the component that runs on for as long is stopped.
        match timeout(limits.call_deadline.saturating_mul(2).saturating_add(ANSWER_GRACE), answered).await {
            Ok(Ok((answer, _room))) => answer,
            Ok(Err(_)) => {
                // What the instance had under way is known to be overdue once it is gone, so a retry comes after it.
                while alive.changed().await.is_ok() {}
                Err(lost())
            }
            Err(_) => Err(Error::Timeout),
        }
    }
}

fn closed() -> Error {
    Error::Unavailable(String::from("the repository is closed"))
}

fn lost() -> Error {
    Error::Unavailable(String::from("the component instance was lost during the call"))
}
