//! The `storage` import: bounds each call, has it pass the gate, hands it to the [`Store`] and bounds the answer.

use crate::component::bindings::storage::{AppendKey, AppendOutcome, Host, HostWithStore, MetadataField};
use crate::component::bindings::wit;
use crate::component::ctx::{SessionCtx, SessionCtxView, SessionHost, SessionView};
use crate::component::gate::{Admitted, Call, Gate, SessionIds};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::scope::Interface;
use crate::store::overdue::Overdue;
use crate::store::weigh::Weigh;
use crate::store::{self, AgentRef, Appended, NewMessages, Page, Replacement, Store, Write};
use crate::types::{Json, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};
use wasmtime::component::{Accessor, GuestTaskId, Linker};
use wasmtime::{AsContextMut as _, StoreContextMut};

impl Host for SessionCtxView<'_> {}

/// The interfaces of the synchronous flavour that have no bindings of their own.
const SYNCHRONOUS_TYPES: &str = "session:repository-sync/types@0.1.0";
const SYNCHRONOUS_STORAGE: &str = "session:repository-sync/storage@0.1.0";

/// Who calls the storage: the context of its instance, and the task of the component that calls.
///
/// Both are taken before the first await: other calls of the instance need the store meanwhile, and only then is the task that calls the
/// current one.
struct Caller {
    ctx: SessionCtx,
    task: Option<GuestTaskId>,
}

impl Caller {
    fn through<T: Send + 'static>(accessor: &Accessor<T, SessionHost>) -> Self {
        accessor.with(|mut access| Self { ctx: access.get().ctx.clone(), task: calling_task(access.as_context_mut()) })
    }

    fn of<T: SessionView + 'static>(mut store: StoreContextMut<'_, T>) -> Self {
        Self { ctx: store.data_mut().session().ctx.clone(), task: calling_task(store) }
    }
}

/// Runs one store call to its end in a task of its own: a caller that goes away, or a deadline that passes, never stops a write halfway.
/// Later calls on the same session wait for a call that outlived its deadline, so that it never takes effect after them.
async fn run<R, F>(caller: Caller, call: Call, work: impl FnOnce(Arc<dyn Store>, String) -> F) -> Result<R, wit::Error>
where
    R: Weigh + SessionIds + Send + 'static,
    F: Future<Output = Result<R>> + Send + 'static,
{
    let Caller { ctx: SessionCtx { gate, limits, overdue, calls }, task: caller } = caller;
    let Limits { message_bytes, page_bytes, call_deadline, .. } = limits;
    let brings = calls.as_ref().map(|calls| calls.brought(caller)).transpose()?;
    let brought = call.brings();
    let Admitted { store, session_id, in_flight } = gate.admit(call, calls.is_some())?;
    bound(brought, message_bytes)?;
    // Years from now where the sum cannot be told.
    let deadline = Instant::now().checked_add(call_deadline).unwrap_or_else(|| Instant::now() + Duration::from_secs(1 << 30));
    let turn = timeout_at(deadline, turn(&gate, &overdue, &limits, &session_id, brought)).await.map_err(|_| Error::Timeout)??;
    let call = work(store, session_id.clone());
    let held = async move {
        let _held = (brings, in_flight);
        (call.await, turn)
    };
    let (task, _wait) = overdue.start(&session_id, brought, held);
    // The turn is over when the answer has room in the instance: answers that wait for that are no more than there are turns.
    let (mut answer, _turn) = match timeout_at(deadline, task).await {
        Ok(Ok((answer, turn))) => (answer.map_err(|error| gate.told(error))?, turn),
        Ok(Err(defect)) => {
            return Err(gate.told(Error::of_task("a store call", &defect, Error::Internal(String::from("the store failed")))).into());
        }
        Err(_) => return Err(Error::Timeout.into()),
    };
    gate.show(&mut answer);
    let size = answer.weigh();
    bound(size, page_bytes)?;
    if let (Some(calls), Some(caller)) = (calls, caller) {
        calls.make_room(caller, size, deadline).await?;
    }
    Ok(answer)
}

/// Waits until the store may be asked: it is the scope's turn, and no earlier call on the session is overdue. Those who wait for such a call
/// keep no turn from others.
async fn turn(gate: &Gate, overdue: &Overdue, limits: &Limits, session_id: &str, brings: usize) -> Result<Option<OwnedSemaphorePermit>> {
    loop {
        overdue.wait_for(session_id).await;
        if overdue.is_full(limits) {
            return Err(Error::Unavailable(String::from("too many calls are still under way after their deadline")));
        }
        let turn = gate.turn(brings).await;
        if !overdue.has(session_id) {
            return Ok(turn);
        }
    }
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

type Answer<R> = Result<R, wit::Error>;

/// Offers the functions of [`Caller`] to components: those of the asynchronous flavour wait for many of them at once, those of the synchronous
/// one for each in turn.
macro_rules! offer {
    ($($name:ident as $wit:literal: ($($argument:ident: $type:ty),*) -> $answer:ty;)+) => {
        impl<T: Send + 'static> HostWithStore<T> for SessionHost {
            $(async fn $name(accessor: &Accessor<T, Self>, $($argument: $type),*) -> Answer<$answer> {
                Caller::through(accessor).$name($($argument),*).await
            })+
        }

        /// Adds the storage of the synchronous flavour.
        pub(super) fn add_synchronous_to_linker<T: SessionView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
            linker.instance(SYNCHRONOUS_TYPES)?;
            let mut storage = linker.instance(SYNCHRONOUS_STORAGE)?;
            $(storage.func_wrap_async($wit, |store: StoreContextMut<'_, T>, ($($argument,)*): ($($type,)*)| {
                let caller = Caller::of(store);
                Box::new(async move { Ok((caller.$name($($argument),*).await,)) })
            })?;)+
            Ok(())
        }
    };
}

offer! {
    insert_session as "insert-session": (session: wit::Session) -> ();
    find_session as "find-session": (session_id: String) -> Option<wit::Session>;
    insert_agent as "insert-agent": (session_id: String, agent: wit::Agent, expected: Option<u64>) -> ();
    find_agent as "find-agent": (session_id: String, agent_id: String) -> Option<wit::Agent>;
    replace_agent as "replace-agent": (session_id: String, agent_id: String, data: String, updated_at: i64, keep: Vec<String>, expected: Option<u64>) -> ();
    append_message as "append-message": (session_id: String, agent_id: String, message: wit::Message, omit: Vec<String>, expected: Option<u64>) -> AppendOutcome;
    append_messages as "append-messages": (session_id: String, agent_id: String, bodies: Vec<String>, created_at: i64, key: Option<AppendKey>, expected: Option<u64>) -> i64;
    find_message as "find-message": (session_id: String, agent_id: String, message_id: i64, omit: Vec<String>) -> Option<wit::Message>;
    replace_message as "replace-message": (session_id: String, agent_id: String, message_id: i64, body: String, updated_at: i64, keep: Vec<String>, expected: Option<u64>) -> ();
    list_messages as "list-messages": (session_id: String, agent_id: String, offset: u64, limit: Option<u64>, omit: Vec<String>) -> Vec<wit::Message>;
    set_metadata as "set-metadata": (session_id: String, fields: Vec<MetadataField>, updated_at: i64, expected: Option<u64>) -> ();
    get_metadata as "get-metadata": (session_id: String) -> Option<String>;
    unset_metadata as "unset-metadata": (session_id: String, paths: Vec<String>, updated_at: i64, expected: Option<u64>) -> ();
    append_feedback as "append-feedback": (session_id: String, feedback: wit::FeedbackEntry, expected: Option<u64>) -> ();
    list_feedback as "list-feedback": (session_id: String) -> Vec<wit::FeedbackEntry>;
}

#[allow(clippy::too_many_arguments, reason = "the WIT package declares them")]
impl Caller {
    async fn insert_session(self, mut session: wit::Session) -> Answer<()> {
        let call = Call::write(Interface::Sessions, session.session_id.clone(), 0);
        let work = async move |store: Arc<dyn Store>, session_id: String| {
            session.session_id = session_id;
            store.insert_session(session.into()).await
        };
        run(self, call, work).await
    }

    async fn find_session(self, session_id: String) -> Answer<Option<wit::Session>> {
        let call = Call::read(Interface::Sessions, session_id);
        let work = async move |store: Arc<dyn Store>, session_id: String| store.find_session(&session_id).await;
        Ok(run(self, call, work).await?.map(Into::into))
    }

    async fn insert_agent(self, session_id: String, agent: wit::Agent, expected: Option<u64>) -> Answer<()> {
        let brought = agent.data.len();
        let write = Write::at(Timestamp(agent.created_at)).expecting(expected);
        let call = Call::write(Interface::Agents, session_id, brought);
        let work = async move |store: Arc<dyn Store>, session_id: String| store.insert_agent(&session_id, agent.into(), write).await;
        run(self, call, work).await
    }

    async fn find_agent(self, session_id: String, agent_id: String) -> Answer<Option<wit::Agent>> {
        let call = Call::read(Interface::Agents, session_id);
        let work = async move |store: Arc<dyn Store>, session_id: String| store.find_agent(&AgentRef::new(session_id, agent_id)).await;
        Ok(run(self, call, work).await?.map(Into::into))
    }

    async fn replace_agent(
        self,
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
        let call = Call::write(Interface::Agents, session_id, brought);
        let work = async move |store: Arc<dyn Store>, session_id: String| {
            store.replace_agent(&AgentRef::new(session_id, agent_id), data, write).await
        };
        run(self, call, work).await
    }

    async fn append_message(
        self,
        session_id: String,
        agent_id: String,
        message: wit::Message,
        omit: Vec<String>,
        expected: Option<u64>,
    ) -> Answer<AppendOutcome> {
        let brought = message.body.len();
        let write = Write::at(Timestamp(message.created_at)).expecting(expected);
        let call = Call::write(Interface::Messages, session_id, brought);
        let work = async move |store: Arc<dyn Store>, session_id: String| {
            store.append_message(&AgentRef::new(session_id, agent_id), message.into(), &omit, write).await
        };
        Ok(match run(self, call, work).await? {
            Appended::New => AppendOutcome::Appended,
            Appended::Taken(message) => AppendOutcome::Taken(message.into()),
        })
    }

    async fn append_messages(
        self,
        session_id: String,
        agent_id: String,
        bodies: Vec<String>,
        created_at: i64,
        key: Option<AppendKey>,
        expected: Option<u64>,
    ) -> Answer<i64> {
        let brought = bodies.iter().map(String::len).sum();
        let write = Write::at(Timestamp(created_at)).expecting(expected);
        let bodies = bodies.into_iter().map(Json::from).collect();
        let key = key.map(|AppendKey { key, digest }| store::AppendKey { key, digest });
        let new = NewMessages { bodies, key };
        let call = Call::write(Interface::Messages, session_id, brought);
        let work = async move |store: Arc<dyn Store>, session_id: String| {
            store.append_messages(&AgentRef::new(session_id, agent_id), new, write).await
        };
        run(self, call, work).await
    }

    async fn find_message(self, session_id: String, agent_id: String, message_id: i64, omit: Vec<String>) -> Answer<Option<wit::Message>> {
        let call = Call::read(Interface::Messages, session_id);
        let work = async move |store: Arc<dyn Store>, session_id: String| {
            store.find_message(&AgentRef::new(session_id, agent_id), message_id, &omit).await
        };
        Ok(run(self, call, work).await?.map(Into::into))
    }

    async fn replace_message(
        self,
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
        let call = Call::write(Interface::Messages, session_id, brought);
        let work = async move |store: Arc<dyn Store>, session_id: String| {
            store.replace_message(&AgentRef::new(session_id, agent_id), message_id, body, write).await
        };
        run(self, call, work).await
    }

    async fn list_messages(
        self,
        session_id: String,
        agent_id: String,
        offset: u64,
        limit: Option<u64>,
        omit: Vec<String>,
    ) -> Answer<Vec<wit::Message>> {
        let page = Page { offset, limit, max_bytes: self.ctx.limits.page_bytes };
        let call = Call::read(Interface::Messages, session_id);
        let work = async move |store: Arc<dyn Store>, session_id: String| {
            store.list_messages(&AgentRef::new(session_id, agent_id), page, &omit).await
        };
        Ok(run(self, call, work).await?.into_iter().map(Into::into).collect())
    }

    async fn set_metadata(self, session_id: String, fields: Vec<MetadataField>, updated_at: i64, expected: Option<u64>) -> Answer<()> {
        let brought = fields.iter().map(|field| field.path.len() + field.value.len()).sum();
        let fields = fields.into_iter().map(|field| (field.path, Json::from(field.value))).collect();
        let write = Write::at(Timestamp(updated_at)).expecting(expected);
        let call = Call::write(Interface::Metadata, session_id, brought);
        let work = async move |store: Arc<dyn Store>, session_id: String| store.set_metadata(&session_id, fields, write).await;
        run(self, call, work).await
    }

    async fn get_metadata(self, session_id: String) -> Answer<Option<String>> {
        let call = Call::read(Interface::Metadata, session_id);
        let work = async move |store: Arc<dyn Store>, session_id: String| store.get_metadata(&session_id).await;
        Ok(run(self, call, work).await?.map(Json::into_string))
    }

    async fn unset_metadata(self, session_id: String, paths: Vec<String>, updated_at: i64, expected: Option<u64>) -> Answer<()> {
        let brought = paths.iter().map(String::len).sum();
        let write = Write::at(Timestamp(updated_at)).expecting(expected);
        let call = Call::write(Interface::Metadata, session_id, brought);
        let work = async move |store: Arc<dyn Store>, session_id: String| store.unset_metadata(&session_id, paths, write).await;
        run(self, call, work).await
    }

    async fn append_feedback(self, session_id: String, feedback: wit::FeedbackEntry, expected: Option<u64>) -> Answer<()> {
        let brought = feedback.body.len();
        let write = Write::at(Timestamp(feedback.created_at)).expecting(expected);
        let call = Call::write(Interface::Feedback, session_id, brought);
        let work = async move |store: Arc<dyn Store>, session_id: String| store.append_feedback(&session_id, feedback.into(), write).await;
        run(self, call, work).await
    }

    async fn list_feedback(self, session_id: String) -> Answer<Vec<wit::FeedbackEntry>> {
        let max_bytes = self.ctx.limits.page_bytes;
        let call = Call::read(Interface::Feedback, session_id);
        let work = async move |store: Arc<dyn Store>, session_id: String| store.list_feedback(&session_id, max_bytes).await;
        Ok(run(self, call, work).await?.into_iter().map(Into::into).collect())
    }
}
