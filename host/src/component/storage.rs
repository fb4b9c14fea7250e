//! The `storage` import: bounds each call, hands it to the [`Store`] and bounds the answer.

use crate::component::bindings::storage::{AppendKey, AppendOutcome, Host, HostWithStore, MetadataField};
use crate::component::bindings::wit;
use crate::component::ctx::{SessionCtx, SessionCtxView, SessionHost};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::store::weigh::Weigh;
use crate::store::{self, AgentRef, Appended, NewMessages, Page, Replacement, Store, Write};
use crate::types::{Json, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use wasmtime::component::{Accessor, GuestTaskId};
use wasmtime::{AsContextMut as _, StoreContextMut};

impl Host for SessionCtxView<'_> {}

/// Runs one store call to its end in a task of its own: a caller that goes away, or a deadline that passes, never stops a write halfway.
/// Later calls on the same session wait for a call that outlived its deadline, so that it never takes effect after them.
async fn run<T, R, F>(
    accessor: &Accessor<T, SessionHost>,
    session_id: &str,
    brought: usize,
    call: impl FnOnce(Arc<dyn Store>) -> F,
) -> Result<R, wit::Error>
where
    R: Weigh + Send + 'static,
    F: Future<Output = Result<R>> + Send + 'static,
{
    // Taken and put back before the first await: other calls of the instance need the store meanwhile, and only now is the task that calls
    // the current one.
    let (ctx, caller) = accessor.with(|mut access| (access.get().ctx.clone(), calling_task(access.as_context_mut())));
    let SessionCtx { store, limits, overdue, calls } = ctx;
    let Limits { message_bytes, page_bytes, call_deadline, .. } = limits;
    let brings = calls.as_ref().map(|calls| calls.brought(caller)).transpose()?;
    bound(brought, message_bytes)?;
    // Years from now where the sum cannot be told.
    let deadline = Instant::now().checked_add(call_deadline).unwrap_or_else(|| Instant::now() + Duration::from_secs(1 << 30));
    timeout_at(deadline, overdue.wait_for(session_id)).await.map_err(|_| Error::Timeout)?;
    if overdue.is_full(&limits) {
        return Err(Error::Unavailable(String::from("too many calls are still under way after their deadline")).into());
    }
    let call = call(store);
    let held = async move {
        let _brings = brings;
        call.await
    };
    let (task, _wait) = overdue.start(session_id, brought, held);
    let answer = match timeout_at(deadline, task).await {
        Ok(Ok(answer)) => answer?,
        Ok(Err(defect)) => {
            tracing::error!(%defect, "a store call ended without an answer");
            return Err(Error::Internal(String::from("the store failed")).into());
        }
        Err(_) => return Err(Error::Timeout.into()),
    };
    let size = answer.weigh();
    bound(size, page_bytes)?;
    if let (Some(calls), Some(caller)) = (calls, caller) {
        calls.make_room(caller, size, deadline).await?;
    }
    Ok(answer)
}

/// The task of the component that calls the storage.
fn calling_task<T>(mut store: StoreContextMut<'_, T>) -> Option<GuestTaskId> {
    store.async_call_stack().ok()?.next()
}

fn bound(size: usize, limit: usize) -> Result<()> {
    if size > limit {
        return Err(Error::TooLarge { size: size as u64, limit: limit as u64 });
    }
    Ok(())
}

/// How much an answer may have, for stores that can stop there.
fn max_bytes<T>(accessor: &Accessor<T, SessionHost>) -> usize {
    accessor.with(|mut access| access.get().ctx.limits.page_bytes)
}

type Answer<R> = Result<R, wit::Error>;

impl<T: Send + 'static> HostWithStore<T> for SessionHost {
    async fn insert_session(accessor: &Accessor<T, Self>, session: wit::Session) -> Answer<()> {
        let id = session.session_id.clone();
        let call = async move |store: Arc<dyn Store>| store.insert_session(session.into()).await;
        run(accessor, &id, 0, call).await
    }

    async fn find_session(accessor: &Accessor<T, Self>, session_id: String) -> Answer<Option<wit::Session>> {
        let id = session_id.clone();
        let call = async move |store: Arc<dyn Store>| store.find_session(&session_id).await;
        Ok(run(accessor, &id, 0, call).await?.map(Into::into))
    }

    async fn insert_agent(accessor: &Accessor<T, Self>, session_id: String, agent: wit::Agent, expected: Option<u64>) -> Answer<()> {
        let brought = agent.data.len();
        let write = Write::at(Timestamp(agent.created_at)).expecting(expected);
        let id = session_id.clone();
        let call = async move |store: Arc<dyn Store>| store.insert_agent(&session_id, agent.into(), write).await;
        run(accessor, &id, brought, call).await
    }

    async fn find_agent(accessor: &Accessor<T, Self>, session_id: String, agent_id: String) -> Answer<Option<wit::Agent>> {
        let (id, agent) = (session_id.clone(), AgentRef::new(session_id, agent_id));
        let call = async move |store: Arc<dyn Store>| store.find_agent(&agent).await;
        Ok(run(accessor, &id, 0, call).await?.map(Into::into))
    }

    async fn replace_agent(
        accessor: &Accessor<T, Self>,
        session_id: String,
        agent_id: String,
        data: String,
        updated_at: i64,
        keep: Vec<String>,
        expected: Option<u64>,
    ) -> Answer<()> {
        let brought = data.len();
        let data = Replacement { fields: Json::from(data), keep };
        let write = Write::at(Timestamp(updated_at)).expecting(expected);
        let (id, agent) = (session_id.clone(), AgentRef::new(session_id, agent_id));
        let call = async move |store: Arc<dyn Store>| store.replace_agent(&agent, data, write).await;
        run(accessor, &id, brought, call).await
    }

    async fn append_message(
        accessor: &Accessor<T, Self>,
        session_id: String,
        agent_id: String,
        message: wit::Message,
        omit: Vec<String>,
        expected: Option<u64>,
    ) -> Answer<AppendOutcome> {
        let brought = message.body.len();
        let write = Write::at(Timestamp(message.created_at)).expecting(expected);
        let (id, agent) = (session_id.clone(), AgentRef::new(session_id, agent_id));
        let call = async move |store: Arc<dyn Store>| store.append_message(&agent, message.into(), &omit, write).await;
        Ok(match run(accessor, &id, brought, call).await? {
            Appended::New => AppendOutcome::Appended,
            Appended::Taken(message) => AppendOutcome::Taken(message.into()),
        })
    }

    async fn append_messages(
        accessor: &Accessor<T, Self>,
        session_id: String,
        agent_id: String,
        bodies: Vec<String>,
        created_at: i64,
        key: Option<AppendKey>,
        expected: Option<u64>,
    ) -> Answer<i64> {
        let brought = bodies.iter().map(String::len).sum();
        let write = Write::at(Timestamp(created_at)).expecting(expected);
        let (id, agent) = (session_id.clone(), AgentRef::new(session_id, agent_id));
        let bodies = bodies.into_iter().map(Json::from).collect();
        let key = key.map(|AppendKey { key, digest }| store::AppendKey { key, digest });
        let new = NewMessages { bodies, key };
        let call = async move |store: Arc<dyn Store>| store.append_messages(&agent, new, write).await;
        run(accessor, &id, brought, call).await
    }

    async fn find_message(
        accessor: &Accessor<T, Self>,
        session_id: String,
        agent_id: String,
        message_id: i64,
        omit: Vec<String>,
    ) -> Answer<Option<wit::Message>> {
        let (id, agent) = (session_id.clone(), AgentRef::new(session_id, agent_id));
        let call = async move |store: Arc<dyn Store>| store.find_message(&agent, message_id, &omit).await;
        Ok(run(accessor, &id, 0, call).await?.map(Into::into))
    }

    async fn replace_message(
        accessor: &Accessor<T, Self>,
        session_id: String,
        agent_id: String,
        message_id: i64,
        body: String,
        updated_at: i64,
        keep: Vec<String>,
        expected: Option<u64>,
    ) -> Answer<()> {
        let brought = body.len();
        let body = Replacement { fields: Json::from(body), keep };
        let write = Write::at(Timestamp(updated_at)).expecting(expected);
        let (id, agent) = (session_id.clone(), AgentRef::new(session_id, agent_id));
        let call = async move |store: Arc<dyn Store>| store.replace_message(&agent, message_id, body, write).await;
        run(accessor, &id, brought, call).await
    }

    async fn list_messages(
        accessor: &Accessor<T, Self>,
        session_id: String,
        agent_id: String,
        offset: u64,
        limit: Option<u64>,
        omit: Vec<String>,
    ) -> Answer<Vec<wit::Message>> {
        let (id, agent) = (session_id.clone(), AgentRef::new(session_id, agent_id));
        let page = Page { offset, limit, max_bytes: max_bytes(accessor) };
        let call = async move |store: Arc<dyn Store>| store.list_messages(&agent, page, &omit).await;
        Ok(run(accessor, &id, 0, call).await?.into_iter().map(Into::into).collect())
    }

    async fn set_metadata(
        accessor: &Accessor<T, Self>,
        session_id: String,
        fields: Vec<MetadataField>,
        updated_at: i64,
        expected: Option<u64>,
    ) -> Answer<()> {
        let brought = fields.iter().map(|field| field.path.len() + field.value.len()).sum();
        let fields = fields.into_iter().map(|field| (field.path, Json::from(field.value))).collect();
        let write = Write::at(Timestamp(updated_at)).expecting(expected);
        let id = session_id.clone();
        let call = async move |store: Arc<dyn Store>| store.set_metadata(&session_id, fields, write).await;
        run(accessor, &id, brought, call).await
    }

    async fn get_metadata(accessor: &Accessor<T, Self>, session_id: String) -> Answer<Option<String>> {
        let id = session_id.clone();
        let call = async move |store: Arc<dyn Store>| store.get_metadata(&session_id).await;
        Ok(run(accessor, &id, 0, call).await?.map(Json::into_string))
    }

    async fn unset_metadata(
        accessor: &Accessor<T, Self>,
        session_id: String,
        paths: Vec<String>,
        updated_at: i64,
        expected: Option<u64>,
    ) -> Answer<()> {
        let brought = paths.iter().map(String::len).sum();
        let write = Write::at(Timestamp(updated_at)).expecting(expected);
        let id = session_id.clone();
        let call = async move |store: Arc<dyn Store>| store.unset_metadata(&session_id, paths, write).await;
        run(accessor, &id, brought, call).await
    }

    async fn append_feedback(
        accessor: &Accessor<T, Self>,
        session_id: String,
        feedback: wit::FeedbackEntry,
        expected: Option<u64>,
    ) -> Answer<()> {
        let brought = feedback.body.len();
        let write = Write::at(Timestamp(feedback.created_at)).expecting(expected);
        let id = session_id.clone();
        let call = async move |store: Arc<dyn Store>| store.append_feedback(&session_id, feedback.into(), write).await;
        run(accessor, &id, brought, call).await
    }

    async fn list_feedback(accessor: &Accessor<T, Self>, session_id: String) -> Answer<Vec<wit::FeedbackEntry>> {
        let id = session_id.clone();
        let max_bytes = max_bytes(accessor);
        let call = async move |store: Arc<dyn Store>| store.list_feedback(&session_id, max_bytes).await;
        Ok(run(accessor, &id, 0, call).await?.into_iter().map(Into::into).collect())
    }
}
