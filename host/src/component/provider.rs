//! A storage that is a component, as a [`Store`].

use crate::component::bindings::wit;
use crate::component::ticker::give_way;
use crate::error::{Error, Result};
use crate::store::{AgentRef, Appended, NewMessages, Overdue, Page, Replacement, Store, Write};
use crate::types::{Agent, Feedback, Json, Message, Session};
use async_trait::async_trait;
use bindings::StorageProvider;
use bindings::exports::session::repository::storage::{AppendKey, AppendOutcome, Guest, MetadataField};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use std::fmt;
use tokio::sync::{oneshot, watch};
use wasmtime::component::{Accessor, Component, Linker};

mod bindings {
    #![allow(clippy::all, missing_docs, unreachable_pub, reason = "generated from the WIT package, which has the docs")]

    wasmtime::component::bindgen!({
        path: "wit",
        world: "storage-provider",
        with: { "session:repository/types": crate::component::bindings::wit },
    });
}

/// A component of the world `storage-provider`, as a store: `session:repository/storage` in its asynchronous flavour.
///
/// It is one instance, which serves any number of calls at once, because what it keeps may be in its own memory. If it traps it is gone, and
/// all that was under way and each later call is `unavailable`. Its code is trusted not to keep a thread: with an engine that has
/// [`epoch_interruption`](wasmtime::Config::epoch_interruption) and a [`Ticker`](crate::plugin::Ticker) it gives way to others, and the
/// deadlines of the repository above it end the waiting.
pub struct ComponentStore<T: 'static> {
    jobs: async_channel::Sender<Job<T>>,
    /// The serving task holds the receiver.
    serving: watch::Sender<()>,
    overdue: Overdue,
}

impl<T: 'static> fmt::Debug for ComponentStore<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComponentStore").finish_non_exhaustive()
    }
}

/// A call that answers its caller by itself; it fails only if the instance trapped.
type Job<T> = Box<dyn for<'a> FnOnce(&'a Accessor<T>, &'a Guest) -> BoxFuture<'a, wasmtime::Result<()>> + Send>;

impl<T: Send + 'static> ComponentStore<T> {
    /// Makes the instance, in the current Tokio runtime. The linker has what the component imports, and `data` is for those imports. The module
    /// `keyvalue` has `wasi:keyvalue` for it.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for a component that exports no storage or imports what the linker has not; `internal` if it cannot be
    /// instantiated, or outside a Tokio runtime.
    pub async fn start(component: &Component, linker: &Linker<T>, data: T) -> Result<Self> {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return Err(Error::Internal(String::from("a storage component needs a Tokio runtime around it")));
        };
        let unfit = |error: wasmtime::Error| Error::InvalidArgument(format!("storage: it does not fit: {}", error.root_cause()));
        let pre = linker.instantiate_pre(component).and_then(bindings::StorageProviderPre::new).map_err(unfit)?;
        let mut store = wasmtime::Store::new(component.engine(), data);
        give_way(&mut store);
        let instance = pre.instantiate_async(&mut store).await;
        let instance = instance.map_err(|error| Error::Internal(format!("the storage cannot be instantiated: {}", error.root_cause())))?;
        let (jobs, queue) = async_channel::bounded(1);
        let serving = watch::Sender::new(());
        let serves = serving.subscribe();
        runtime.spawn(async move {
            if let Err(error) = serve(store, instance, &queue).await {
                tracing::error!(?error, "the storage component stopped");
            }
            // Those whose calls are in the queue learn that nobody makes them.
            queue.close();
            while queue.try_recv().is_ok() {}
            drop(serves);
        });
        Ok(Self { jobs, serving, overdue: Overdue::default() })
    }

    async fn call<R, C>(&self, call: C) -> Result<R>
    where
        R: Send + 'static,
        C: for<'a> FnOnce(&'a Accessor<T>, &'a Guest) -> BoxFuture<'a, wasmtime::Result<Result<R, wit::Error>>> + Send + 'static,
    {
        let (answer, mut answered) = oneshot::channel();
        let job: Job<T> = Box::new(move |accessor, guest| {
            Box::pin(async move {
                // Nobody may be listening any more; the call has run to its end all the same.
                answer.send(call(accessor, guest).await?).ok();
                Ok(())
            })
        });
        let gone = || Error::Unavailable(String::from("the storage component is gone"));
        self.jobs.send(job).await.map_err(|_| gone())?;
        let answer = tokio::select! {
            answer = &mut answered => answer.ok(),
            // The runtime around the instance was shut down while the call was in the queue, or the store was closed behind the answer.
            () = self.serving.closed() => answered.try_recv().ok(),
        };
        answer.ok_or_else(gone)?.map_err(Error::from)
    }
}

/// Serves calls until the queue is closed and empty.
async fn serve<T: Send + 'static>(
    mut store: wasmtime::Store<T>,
    instance: StorageProvider,
    jobs: &async_channel::Receiver<Job<T>>,
) -> wasmtime::Result<()> {
    let guest = instance.session_repository_storage();
    store
        .run_concurrent(async |accessor| {
            let mut calls = FuturesUnordered::new();
            loop {
                tokio::select! {
                    job = jobs.recv() => match job {
                        Ok(job) => calls.push(job(accessor, guest)),
                        Err(_) => break,
                    },
                    Some(ended) = calls.next() => ended?,
                }
            }
            while let Some(ended) = calls.next().await {
                ended?;
            }
            Ok(())
        })
        .await?
}

/// Has the component make a call with arguments that move into it.
macro_rules! call {
    ($store:ident.$function:ident($($argument:expr),*)) => {{
        $store.call(move |accessor, guest| Box::pin(async move { guest.$function(accessor, $($argument),*).await })).await
    }};
}

#[async_trait]
impl<T: Send + 'static> Store for ComponentStore<T> {
    async fn insert_session(&self, session: Session) -> Result<()> {
        call!(self.call_insert_session(session.into()))
    }

    async fn find_session(&self, session_id: &str) -> Result<Option<Session>> {
        let session_id = session_id.to_owned();
        Ok(call!(self.call_find_session(session_id))?.map(Session::from))
    }

    async fn insert_agent(&self, session_id: &str, agent: Agent, write: Write) -> Result<()> {
        let session_id = session_id.to_owned();
        call!(self.call_insert_agent(session_id, agent.into(), write.expected))
    }

    async fn find_agent(&self, agent: &AgentRef) -> Result<Option<Agent>> {
        let AgentRef { session, agent } = agent.clone();
        Ok(call!(self.call_find_agent(session, agent))?.map(Agent::from))
    }

    async fn replace_agent(&self, agent: &AgentRef, data: Replacement, write: Write) -> Result<()> {
        let AgentRef { session, agent } = agent.clone();
        call!(self.call_replace_agent(session, agent, data.fields.into_string(), write.at.0, data.keep, write.expected))
    }

    async fn append_message(&self, agent: &AgentRef, message: Message, omit: &[String], write: Write) -> Result<Appended> {
        let (AgentRef { session, agent }, omit) = (agent.clone(), omit.to_vec());
        Ok(match call!(self.call_append_message(session, agent, message.into(), omit, write.expected))? {
            AppendOutcome::Appended => Appended::New,
            AppendOutcome::Taken(message) => Appended::Taken(message.into()),
        })
    }

    async fn append_messages(&self, agent: &AgentRef, messages: NewMessages, write: Write) -> Result<i64> {
        let AgentRef { session, agent } = agent.clone();
        let bodies: Vec<String> = messages.bodies.into_iter().map(Json::into_string).collect();
        let key = messages.key.map(|key| AppendKey { key: key.key, digest: key.digest });
        call!(self.call_append_messages(session, agent, bodies, write.at.0, key, write.expected))
    }

    async fn find_message(&self, agent: &AgentRef, message_id: i64, omit: &[String]) -> Result<Option<Message>> {
        let (AgentRef { session, agent }, omit) = (agent.clone(), omit.to_vec());
        Ok(call!(self.call_find_message(session, agent, message_id, omit))?.map(Message::from))
    }

    async fn replace_message(&self, agent: &AgentRef, message_id: i64, body: Replacement, write: Write) -> Result<()> {
        let AgentRef { session, agent } = agent.clone();
        call!(self.call_replace_message(session, agent, message_id, body.fields.into_string(), write.at.0, body.keep, write.expected))
    }

    async fn list_messages(&self, agent: &AgentRef, page: Page, omit: &[String]) -> Result<Vec<Message>> {
        let (AgentRef { session, agent }, omit) = (agent.clone(), omit.to_vec());
        Ok(call!(self.call_list_messages(session, agent, page.offset, page.limit, omit))?.into_iter().map(Message::from).collect())
    }

    async fn set_metadata(&self, session_id: &str, fields: Vec<(String, Json)>, write: Write) -> Result<()> {
        let session_id = session_id.to_owned();
        let fields: Vec<MetadataField> =
            fields.into_iter().map(|(path, value)| MetadataField { path, value: value.into_string() }).collect();
        call!(self.call_set_metadata(session_id, fields, write.at.0, write.expected))
    }

    async fn get_metadata(&self, session_id: &str) -> Result<Option<Json>> {
        let session_id = session_id.to_owned();
        Ok(call!(self.call_get_metadata(session_id))?.map(Json::from))
    }

    async fn unset_metadata(&self, session_id: &str, paths: Vec<String>, write: Write) -> Result<()> {
        let session_id = session_id.to_owned();
        call!(self.call_unset_metadata(session_id, paths, write.at.0, write.expected))
    }

    async fn append_feedback(&self, session_id: &str, feedback: Feedback, write: Write) -> Result<()> {
        let session_id = session_id.to_owned();
        call!(self.call_append_feedback(session_id, feedback.into(), write.expected))
    }

    async fn list_feedback(&self, session_id: &str, _max_bytes: usize) -> Result<Vec<Feedback>> {
        let session_id = session_id.to_owned();
        Ok(call!(self.call_list_feedback(session_id))?.into_iter().map(Feedback::from).collect())
    }

    fn overdue(&self) -> Overdue {
        self.overdue.clone()
    }

    async fn close(&self) {
        self.jobs.close();
        self.serving.closed().await;
    }
}
