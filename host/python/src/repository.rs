//! The repository as a Python class: opening, closing, and a method for each call.

use crate::answer::Answer;
use crate::arguments::{Text, Whole};
use crate::errors::forked;
use crate::json;
use crate::process::Process;
use crate::run::{Loop, run, to_its_end};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use session_repository::{AnyStore, Error, MongoOptions, Repository, Result, StoreOptions, StoreUrl};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// An open repository.
#[pyclass(frozen, weakref, name = "Repository", module = "session_repository._native")]
pub(crate) struct Native {
    process: &'static Process,
    /// Taken from the object only when that goes.
    open: Option<Open>,
}

struct Open {
    repository: Repository,
    /// The store of the repository, for calls on the archive.
    store: AnyStore,
    is_closed: Arc<AtomicBool>,
}

impl Drop for Native {
    /// In the child of a fork the parent's store is left alone: closing its file here would write to it.
    fn drop(&mut self) {
        if !self.process.is_ours() {
            std::mem::forget(self.open.take());
        }
    }
}

impl Answer for Native {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.into_py_any(py)
    }
}

impl Native {
    /// The open repository, for a call in this process.
    fn open(&self) -> PyResult<&Open> {
        self.open.as_ref().filter(|_| self.process.is_ours()).ok_or_else(forked)
    }

    fn repository(&self) -> PyResult<Repository> {
        Ok(self.open()?.repository.clone())
    }

    /// Runs a call on the archive, which goes past the component.
    fn archive<T: Answer, F: Future<Output = Result<T>> + Send + 'static>(
        &self,
        py: Python<'_>,
        event_loop: Loop<'_>,
        call: impl FnOnce(AnyStore) -> F,
    ) -> PyResult<Py<PyAny>> {
        let open = self.open()?;
        let (process, is_closed, call) = (self.process, Arc::clone(&open.is_closed), call(open.store.clone()));
        run(py, process, event_loop, async move {
            if is_closed.load(Ordering::Acquire) {
                return Err(Error::Unavailable(String::from("the repository is closed")));
            }
            to_its_end(process, call).await
        })
    }
}

/// Where the sessions are and how they are kept there.
struct Options {
    url: StoreUrl,
    store: StoreOptions,
    read_only: bool,
    call_deadline: Option<Duration>,
}

async fn open(process: &'static Process, options: Options) -> Result<Native> {
    let Options { url, store, read_only, call_deadline } = options;
    store.check()?;
    let mut limits = url.limits();
    if let Some(deadline) = call_deadline {
        limits = limits.call_deadline(deadline);
    }
    let store = if read_only { AnyStore::open_read_only(&url, store).await } else { AnyStore::open(&url, store).await }?;
    let repository = Repository::builder_on(store.clone().into_store()).limits(limits).build()?;
    Ok(Native { process, open: Some(Open { repository, store, is_closed: Arc::default() }) })
}

#[pymethods]
impl Native {
    #[staticmethod]
    #[expect(clippy::too_many_arguments, reason = "these are keyword arguments in Python")]
    fn open_at(
        py: Python<'_>,
        event_loop: Loop<'_>,
        url: Text,
        database: Option<Text>,
        collection: Option<Text>,
        metadata_fields: Vec<Text>,
        archive_after: Option<Whole<u64>>,
        read_only: bool,
        call_deadline: Option<f64>,
    ) -> PyResult<Py<PyAny>> {
        let process = Process::current(py)?;
        run(py, process, event_loop, async move {
            let fields = metadata_fields.into_iter().map(|field| field.named("metadata_fields")).collect::<Result<Vec<_>>>()?;
            let archive_after = archive_after.map(|bytes| bytes.named("archive_after")).transpose()?;
            let mut store = StoreOptions::default().metadata_fields(fields).mongo(MongoOptions::default().archive_after(archive_after));
            if let Some(collection) = collection {
                store = store.collection(collection.named("collection")?);
            }
            store.database = database.map(|database| database.named("database")).transpose()?;
            let seconds = |seconds| match Duration::try_from_secs_f64(seconds) {
                Ok(deadline) if !deadline.is_zero() => Ok(deadline),
                _ => Err(Error::InvalidArgument(String::from("call_deadline: must be a positive number of seconds"))),
            };
            let call_deadline = call_deadline.map(seconds).transpose()?;
            open(process, Options { url: url.named("place")?.parse()?, store, read_only, call_deadline }).await
        })
    }

    /// Waits until all calls are answered, then closes the store; for so many seconds at most, if any are given.
    fn close(&self, py: Python<'_>, event_loop: Loop<'_>, seconds: Option<f64>) -> PyResult<Py<PyAny>> {
        let open = self.open()?;
        open.is_closed.store(true, Ordering::Release);
        let (process, repository) = (self.process, open.repository.clone());
        run(py, process, event_loop, async move {
            let closed = to_its_end(process, async move {
                repository.close().await;
                Ok(())
            });
            match seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
                // Whatever is not closed by then ends with the process.
                Some(most) => tokio::time::timeout(most, closed).await.unwrap_or(Ok(())),
                None => closed.await,
            }
        })
    }

    fn sessions_create(
        &self,
        py: Python<'_>,
        event_loop: Loop<'_>,
        session_id: Text,
        session_type: Option<Text>,
        expected_revision: Option<Whole<u64>>,
    ) -> PyResult<Py<PyAny>> {
        let repository = self.repository()?;
        run(py, self.process, event_loop, async move {
            let session_type = session_type.map(|session_type| session_type.named("session_type")).transpose()?;
            repository
                .sessions()
                .if_revision(revision(expected_revision)?)
                .create(session_id.named("session_id")?, session_type.as_deref())
                .await
        })
    }

    fn sessions_read(&self, py: Python<'_>, event_loop: Loop<'_>, session_id: Text) -> PyResult<Py<PyAny>> {
        let repository = self.repository()?;
        run(py, self.process, event_loop, async move { repository.sessions().read(session_id.named("session_id")?).await })
    }

    fn agents_create(
        &self,
        py: Python<'_>,
        event_loop: Loop<'_>,
        session_id: Text,
        agent_id: Text,
        agent: &Bound<'_, PyAny>,
        expected_revision: Option<Whole<u64>>,
    ) -> PyResult<Py<PyAny>> {
        let (repository, agent) = (self.repository()?, json::text("agent", agent)?);
        run(py, self.process, event_loop, async move {
            repository
                .agents()
                .if_revision(revision(expected_revision)?)
                .create(session_id.named("session_id")?, agent_id.named("agent_id")?, agent)
                .await
        })
    }

    fn agents_read(&self, py: Python<'_>, event_loop: Loop<'_>, session_id: Text, agent_id: Text) -> PyResult<Py<PyAny>> {
        let repository = self.repository()?;
        run(py, self.process, event_loop, async move {
            repository.agents().read(session_id.named("session_id")?, agent_id.named("agent_id")?).await
        })
    }

    fn agents_update(
        &self,
        py: Python<'_>,
        event_loop: Loop<'_>,
        session_id: Text,
        agent_id: Text,
        agent: &Bound<'_, PyAny>,
        expected_revision: Option<Whole<u64>>,
    ) -> PyResult<Py<PyAny>> {
        let (repository, agent) = (self.repository()?, json::text("agent", agent)?);
        run(py, self.process, event_loop, async move {
            repository
                .agents()
                .if_revision(revision(expected_revision)?)
                .update(session_id.named("session_id")?, agent_id.named("agent_id")?, agent)
                .await
        })
    }

    #[expect(clippy::too_many_arguments, reason = "these are keyword arguments in Python")]
    fn messages_create(
        &self,
        py: Python<'_>,
        event_loop: Loop<'_>,
        session_id: Text,
        agent_id: Text,
        message_id: Whole<i64>,
        message: &Bound<'_, PyAny>,
        expected_revision: Option<Whole<u64>>,
    ) -> PyResult<Py<PyAny>> {
        let (repository, message) = (self.repository()?, json::text("message", message)?);
        run(py, self.process, event_loop, async move {
            let messages = repository.messages().if_revision(revision(expected_revision)?);
            messages.create(session_id.named("session_id")?, agent_id.named("agent_id")?, message_id.named("message_id")?, message).await
        })
    }

    #[expect(clippy::too_many_arguments, reason = "these are keyword arguments in Python")]
    fn messages_append(
        &self,
        py: Python<'_>,
        event_loop: Loop<'_>,
        session_id: Text,
        agent_id: Text,
        message: &Bound<'_, PyAny>,
        idempotency_key: Option<Text>,
        expected_revision: Option<Whole<u64>>,
    ) -> PyResult<Py<PyAny>> {
        let (repository, message) = (self.repository()?, json::text("message", message)?);
        run(py, self.process, event_loop, async move {
            let messages = repository.messages().if_revision(revision(expected_revision)?);
            let key = idempotency_key.map(|key| key.named("idempotency_key")).transpose()?;
            messages.append(session_id.named("session_id")?, agent_id.named("agent_id")?, message, key.as_deref()).await
        })
    }

    #[expect(clippy::too_many_arguments, reason = "these are keyword arguments in Python")]
    fn messages_append_many(
        &self,
        py: Python<'_>,
        event_loop: Loop<'_>,
        session_id: Text,
        agent_id: Text,
        messages: &Bound<'_, PyAny>,
        idempotency_key: Option<Text>,
        expected_revision: Option<Whole<u64>>,
    ) -> PyResult<Py<PyAny>> {
        let (repository, bodies) = (self.repository()?, json::texts("messages", messages)?);
        run(py, self.process, event_loop, async move {
            let messages = repository.messages().if_revision(revision(expected_revision)?);
            let key = idempotency_key.map(|key| key.named("idempotency_key")).transpose()?;
            messages.append_many(session_id.named("session_id")?, agent_id.named("agent_id")?, bodies, key.as_deref()).await
        })
    }

    fn messages_read(
        &self,
        py: Python<'_>,
        event_loop: Loop<'_>,
        session_id: Text,
        agent_id: Text,
        message_id: Whole<i64>,
    ) -> PyResult<Py<PyAny>> {
        let repository = self.repository()?;
        run(py, self.process, event_loop, async move {
            repository.messages().read(session_id.named("session_id")?, agent_id.named("agent_id")?, message_id.named("message_id")?).await
        })
    }

    #[expect(clippy::too_many_arguments, reason = "these are keyword arguments in Python")]
    fn messages_update(
        &self,
        py: Python<'_>,
        event_loop: Loop<'_>,
        session_id: Text,
        agent_id: Text,
        message_id: Whole<i64>,
        message: &Bound<'_, PyAny>,
        expected_revision: Option<Whole<u64>>,
    ) -> PyResult<Py<PyAny>> {
        let (repository, message) = (self.repository()?, json::text("message", message)?);
        run(py, self.process, event_loop, async move {
            let messages = repository.messages().if_revision(revision(expected_revision)?);
            messages.update(session_id.named("session_id")?, agent_id.named("agent_id")?, message_id.named("message_id")?, message).await
        })
    }

    fn messages_list(
        &self,
        py: Python<'_>,
        event_loop: Loop<'_>,
        session_id: Text,
        agent_id: Text,
        limit: Option<Whole<i64>>,
        offset: Whole<i64>,
    ) -> PyResult<Py<PyAny>> {
        let repository = self.repository()?;
        run(py, self.process, event_loop, async move {
            let limit = limit.map(|limit| limit.named("limit")).transpose()?;
            repository.messages().list(session_id.named("session_id")?, agent_id.named("agent_id")?, limit, offset.named("offset")?).await
        })
    }

    fn metadata_update(
        &self,
        py: Python<'_>,
        event_loop: Loop<'_>,
        session_id: Text,
        metadata: &Bound<'_, PyAny>,
        expected_revision: Option<Whole<u64>>,
    ) -> PyResult<Py<PyAny>> {
        let (repository, metadata) = (self.repository()?, json::text("metadata", metadata)?);
        run(py, self.process, event_loop, async move {
            repository.metadata().if_revision(revision(expected_revision)?).update(session_id.named("session_id")?, metadata).await
        })
    }

    fn metadata_get(&self, py: Python<'_>, event_loop: Loop<'_>, session_id: Text) -> PyResult<Py<PyAny>> {
        let repository = self.repository()?;
        run(py, self.process, event_loop, async move { repository.metadata().get(session_id.named("session_id")?).await })
    }

    fn metadata_delete(
        &self,
        py: Python<'_>,
        event_loop: Loop<'_>,
        session_id: Text,
        keys: Vec<Text>,
        expected_revision: Option<Whole<u64>>,
    ) -> PyResult<Py<PyAny>> {
        let repository = self.repository()?;
        run(py, self.process, event_loop, async move {
            let keys = keys.into_iter().map(|key| key.named("keys")).collect::<Result<Vec<_>>>()?;
            repository.metadata().if_revision(revision(expected_revision)?).delete(session_id.named("session_id")?, keys).await
        })
    }

    fn feedback_add(
        &self,
        py: Python<'_>,
        event_loop: Loop<'_>,
        session_id: Text,
        feedback: &Bound<'_, PyAny>,
        expected_revision: Option<Whole<u64>>,
    ) -> PyResult<Py<PyAny>> {
        let (repository, feedback) = (self.repository()?, json::text("feedback", feedback)?);
        run(py, self.process, event_loop, async move {
            repository.feedback().if_revision(revision(expected_revision)?).add(session_id.named("session_id")?, feedback).await
        })
    }

    fn feedback_list(&self, py: Python<'_>, event_loop: Loop<'_>, session_id: Text) -> PyResult<Py<PyAny>> {
        let repository = self.repository()?;
        run(py, self.process, event_loop, async move { repository.feedback().list(session_id.named("session_id")?).await })
    }

    fn archive_status(&self, py: Python<'_>, event_loop: Loop<'_>, session_id: Text) -> PyResult<Py<PyAny>> {
        self.archive(py, event_loop, |store| async move { store.archive_status(&session_id.named("session_id")?).await })
    }

    fn archive_run(&self, py: Python<'_>, event_loop: Loop<'_>, session_id: Text) -> PyResult<Py<PyAny>> {
        self.archive(py, event_loop, |store| async move { store.archive_run(&session_id.named("session_id")?).await })
    }

    fn archive_undo(&self, py: Python<'_>, event_loop: Loop<'_>, session_id: Text) -> PyResult<Py<PyAny>> {
        self.archive(py, event_loop, |store| async move { store.archive_undo(&session_id.named("session_id")?).await })
    }
}

fn revision(expected: Option<Whole<u64>>) -> Result<Option<u64>> {
    expected.map(|revision| revision.named("expected_revision")).transpose()
}
