//! The two flavours of the component: one source, two packages of WIT.

use crate::component::bindings::{AsyncInstance, AsyncInstancePre, SyncInstance, SyncInstancePre};
use wasmtime::component::Component;
use wasmtime::{AsContextMut, Engine};

/// How the component's functions are called. Both flavours are built from one source and keep the same promises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Flavour {
    /// Functions that are async in the sense of the component model, package `session:repository`: one instance serves many calls at once.
    #[default]
    Async,
    /// Plain functions, package `session:repository-sync`, for hosts whose runtime has no async functions: an instance serves one call at a
    /// time, so that it takes a pool of them. A call that waits for an overdue one on its session keeps its instance meanwhile.
    Sync,
}

impl Flavour {
    /// The flavour of a component, by what it exports: one that has its storage in it imports none.
    pub(crate) fn of(component: &Component, engine: &Engine) -> Self {
        let is_sync = component.component_type().exports(engine).any(|(name, _)| name.starts_with("session:repository-sync/"));
        if is_sync { Self::Sync } else { Self::Async }
    }
}

/// A component that is linked.
pub(crate) enum InstancePre<T: 'static> {
    Async(AsyncInstancePre<T>),
    Sync(SyncInstancePre<T>),
}

/// An instance of it. [`exported!`] finds its functions.
pub(crate) enum Instance {
    Async(AsyncInstance),
    Sync(SyncInstance),
}

impl<T: Send + 'static> InstancePre<T> {
    pub(crate) fn new(component: &Component, pre: wasmtime::component::InstancePre<T>) -> wasmtime::Result<Self> {
        Ok(match Flavour::of(component, pre.engine()) {
            Flavour::Async => Self::Async(AsyncInstancePre::new(pre)?),
            Flavour::Sync => Self::Sync(SyncInstancePre::new(pre)?),
        })
    }

    pub(crate) async fn instantiate_async(&self, store: impl AsContextMut<Data = T>) -> wasmtime::Result<Instance> {
        Ok(match self {
            Self::Async(pre) => Instance::Async(pre.instantiate_async(store).await?),
            Self::Sync(pre) => Instance::Sync(pre.instantiate_async(store).await?),
        })
    }
}

/// A function that an instance exports, whichever flavour it is of. Its type is the same.
macro_rules! exported {
    ($instance:ident, sessions.$function:ident) => {
        exported!($instance, session_repository_sessions, session_repository_sync_sessions, $function)
    };
    ($instance:ident, agents.$function:ident) => {
        exported!($instance, session_repository_agents, session_repository_sync_agents, $function)
    };
    ($instance:ident, messages.$function:ident) => {
        exported!($instance, session_repository_messages, session_repository_sync_messages, $function)
    };
    ($instance:ident, metadata.$function:ident) => {
        exported!($instance, session_repository_metadata, session_repository_sync_metadata, $function)
    };
    ($instance:ident, feedback.$function:ident) => {
        exported!($instance, session_repository_feedback, session_repository_sync_feedback, $function)
    };
    ($instance:ident, $async:ident, $sync:ident, $function:ident) => {
        match $instance {
            $crate::component::flavour::Instance::Async(instance) => instance.$async().$function(),
            $crate::component::flavour::Instance::Sync(instance) => instance.$sync().$function(),
        }
    };
}

pub(crate) use exported;
