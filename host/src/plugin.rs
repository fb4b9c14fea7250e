//! Plugins: foreign components that import the five interfaces of the repository.
//!
//! [`add_to_linker`] gives a component of your own engine the interfaces `sessions`, `agents`, `messages`, `metadata` and `feedback` of the
//! WIT package. Each call goes to a [`Repository`], mostly one with a [`Scope`](crate::Scope), and so to instances of the repository's own
//! component: what a plugin sends is checked there, outside the plugin and outside the host.
//!
//! ```
//! use session_repository::{Repository, plugin};
//! use wasmtime::component::Linker;
//!
//! /// What the host keeps for each plugin.
//! struct State {
//!     sessions: Repository,
//! }
//!
//! # fn main() -> wasmtime::Result<()> {
//! # let engine = wasmtime::Engine::new(wasmtime::Config::new().wasm_component_model_async(true))?;
//! let mut linker = Linker::<State>::new(&engine);
//! plugin::add_to_linker(&mut linker, |state| &state.sessions)?;
//! # Ok(())
//! # }
//! ```
//!
//! The functions are async in the sense of the component model: the engine needs `wasm_component_model_async`, and the plugin's exports are
//! called within [`wasmtime::Store::run_concurrent`], inside a Tokio runtime. The plugin's own memory ([`MemoryLimiter`]), its running time
//! ([`Ticker`], and a timeout around the call) and its other imports are the host's to bound; `host/docs/plugins.md` says how.

mod bindings;
mod compile;
mod limiter;

pub use crate::component::ticker::{Ticker, give_way};
pub use compile::compile;
pub use limiter::MemoryLimiter;

use crate::api::Repository;
use crate::error::Result;
use bindings::{agents, feedback, messages, metadata, sessions, wit};
use wasmtime::component::{Accessor, HasData, Linker};

/// Adds the five interfaces. `repository` tells to which repository the calls of a plugin go.
///
/// A repository without a scope lets the plugin do everything to every session. Works in one linker with `wasmtime-wasi`.
///
/// # Errors
///
/// Fails if the linker has one of the interfaces already.
pub fn add_to_linker<T: Send + 'static>(linker: &mut Linker<T>, repository: fn(&mut T) -> &Repository) -> wasmtime::Result<()> {
    sessions::add_to_linker::<T, Plugin>(linker, repository)?;
    agents::add_to_linker::<T, Plugin>(linker, repository)?;
    messages::add_to_linker::<T, Plugin>(linker, repository)?;
    metadata::add_to_linker::<T, Plugin>(linker, repository)?;
    feedback::add_to_linker::<T, Plugin>(linker, repository)
}

/// A folder that keeps compiled plugins for later processes, for [`wasmtime::Config::cache`]; none if the folder cannot be used, which costs the
/// time to compile and nothing else.
///
/// The folder is made if it is not there. Beyond some 512 MiB or 32 plugins, what was used longest ago is removed when something is added, at
/// most once an hour. On Unix it is left alone if others own it or may write to it or to a folder above it, because the code in it is run as it is found.
#[cfg(feature = "cache")]
pub fn cache(folder: impl AsRef<std::path::Path>) -> Option<wasmtime::Cache> {
    crate::component::cache::open(folder.as_ref(), CACHED_BYTES)
}

/// A plugin in an interpreted language brings its interpreter: compiled, some 50 MiB.
#[cfg(feature = "cache")]
const CACHED_BYTES: u64 = 512 << 20;

/// The marker on which the imports are implemented.
struct Plugin;

impl HasData for Plugin {
    type Data<'a> = &'a Repository;
}

type Answer<R> = Result<R, wit::Error>;

/// The repository that a call goes to. It is cloned, because other calls of the plugin need its store meanwhile.
fn repository<T>(accessor: &Accessor<T, Plugin>) -> Repository {
    accessor.with(|mut access| access.get().clone())
}

impl sessions::Host for &Repository {}
impl agents::Host for &Repository {}
impl messages::Host for &Repository {}
impl metadata::Host for &Repository {}
impl feedback::Host for &Repository {}

impl<T: Send + 'static> sessions::HostWithStore<T> for Plugin {
    async fn create(
        accessor: &Accessor<T, Self>,
        session_id: String,
        session_type: Option<String>,
        expected: Option<u64>,
    ) -> Answer<wit::Session> {
        let repository = repository(accessor);
        Ok(repository.sessions().if_revision(expected).create(session_id, session_type.as_deref()).await?.into())
    }

    async fn read(accessor: &Accessor<T, Self>, session_id: String) -> Answer<Option<wit::Session>> {
        Ok(repository(accessor).sessions().read(session_id).await?.map(Into::into))
    }
}

impl<T: Send + 'static> agents::HostWithStore<T> for Plugin {
    async fn create(
        accessor: &Accessor<T, Self>,
        session_id: String,
        agent_id: String,
        agent: String,
        expected: Option<u64>,
    ) -> Answer<()> {
        Ok(repository(accessor).agents().if_revision(expected).create(session_id, agent_id, agent).await?)
    }

    async fn read(accessor: &Accessor<T, Self>, session_id: String, agent_id: String) -> Answer<Option<wit::Agent>> {
        Ok(repository(accessor).agents().read(session_id, agent_id).await?.map(Into::into))
    }

    async fn update(
        accessor: &Accessor<T, Self>,
        session_id: String,
        agent_id: String,
        agent: String,
        expected: Option<u64>,
    ) -> Answer<()> {
        Ok(repository(accessor).agents().if_revision(expected).update(session_id, agent_id, agent).await?)
    }
}

impl<T: Send + 'static> messages::HostWithStore<T> for Plugin {
    async fn create(
        accessor: &Accessor<T, Self>,
        session_id: String,
        agent_id: String,
        message_id: i64,
        message: String,
        expected: Option<u64>,
    ) -> Answer<()> {
        Ok(repository(accessor).messages().if_revision(expected).create(session_id, agent_id, message_id, message).await?)
    }

    async fn append(
        accessor: &Accessor<T, Self>,
        session_id: String,
        agent_id: String,
        message: String,
        key: Option<String>,
        expected: Option<u64>,
    ) -> Answer<i64> {
        Ok(repository(accessor).messages().if_revision(expected).append(session_id, agent_id, message, key.as_deref()).await?)
    }

    async fn append_many(
        accessor: &Accessor<T, Self>,
        session_id: String,
        agent_id: String,
        messages: Vec<String>,
        key: Option<String>,
        expected: Option<u64>,
    ) -> Answer<i64> {
        Ok(repository(accessor).messages().if_revision(expected).append_many(session_id, agent_id, messages, key.as_deref()).await?)
    }

    async fn read(accessor: &Accessor<T, Self>, session_id: String, agent_id: String, message_id: i64) -> Answer<Option<wit::Message>> {
        Ok(repository(accessor).messages().read(session_id, agent_id, message_id).await?.map(Into::into))
    }

    async fn update(
        accessor: &Accessor<T, Self>,
        session_id: String,
        agent_id: String,
        message_id: i64,
        message: String,
        expected: Option<u64>,
    ) -> Answer<()> {
        Ok(repository(accessor).messages().if_revision(expected).update(session_id, agent_id, message_id, message).await?)
    }

    async fn list(
        accessor: &Accessor<T, Self>,
        session_id: String,
        agent_id: String,
        limit: Option<i64>,
        offset: i64,
    ) -> Answer<Vec<wit::Message>> {
        Ok(repository(accessor).messages().list(session_id, agent_id, limit, offset).await?.into_iter().map(Into::into).collect())
    }
}

impl<T: Send + 'static> metadata::HostWithStore<T> for Plugin {
    async fn update(accessor: &Accessor<T, Self>, session_id: String, metadata: String, expected: Option<u64>) -> Answer<()> {
        Ok(repository(accessor).metadata().if_revision(expected).update(session_id, metadata).await?)
    }

    async fn get(accessor: &Accessor<T, Self>, session_id: String) -> Answer<Option<String>> {
        Ok(repository(accessor).metadata().get(session_id).await?.map(|metadata| metadata.into_string()))
    }

    async fn delete(accessor: &Accessor<T, Self>, session_id: String, keys: Vec<String>, expected: Option<u64>) -> Answer<()> {
        Ok(repository(accessor).metadata().if_revision(expected).delete(session_id, keys).await?)
    }
}

impl<T: Send + 'static> feedback::HostWithStore<T> for Plugin {
    async fn add(accessor: &Accessor<T, Self>, session_id: String, feedback: String, expected: Option<u64>) -> Answer<()> {
        Ok(repository(accessor).feedback().if_revision(expected).add(session_id, feedback).await?)
    }

    async fn list(accessor: &Accessor<T, Self>, session_id: String) -> Answer<Vec<wit::FeedbackEntry>> {
        Ok(repository(accessor).feedback().list(session_id).await?.into_iter().map(Into::into).collect())
    }
}
