//! Sessions of AI agents (agents, messages, metadata, feedback) behind a sandboxed WebAssembly component, kept in a file or in MongoDB.
//!
//! There are three ways in:
//!
//! - [`Repository`] runs the component for you and offers a typed async API.
//! - [`plugin::add_to_linker`] gives a foreign component the session interfaces, under a [`Scope`].
//! - [`SessionCtx`], [`SessionView`] and [`add_to_linker`] give the component's imports to an engine and a linker of your own.
//!
//! All stand on a [`Store`]: [`EmbeddedStore`] is the one for a file or memory, [`MongoStore`] the one for MongoDB, and [`AnyStore`] is
//! whichever a [`StoreUrl`] names. What the calls promise is written in the WIT package in `wit/`. How it works inside, and how it is run, is
//! in the [`guide`].
//!
//! Features: `embedded` and `mongodb` are the two stores, `cache` keeps compiled components for the next process, `cli` is the program
//! `session-repo`, which has all three. All are on by default; `README.md` has a table of these and others. An
//! embedder switches the default features off and names the stores that it uses; one that brings a store of its own needs none.

#![forbid(unsafe_code)]

#[cfg(all(doctest, feature = "embedded"))]
#[doc = include_str!("../README.md")]
mod readme {}

mod api;
mod component;
mod error;
#[cfg(doc)]
pub mod guide;
#[cfg(feature = "embedded")]
pub mod keyvalue;
mod limits;
pub mod plugin;
mod scope;
mod store;
mod types;

pub use api::{Agents, Feedbacks, Messages, Metadata, Repository, RepositoryBuilder, Sessions};
pub use component::ctx::{SessionCtx, SessionCtxView, SessionHost, SessionView};
pub use component::flavour::Flavour;
pub use component::gate::Audit;
pub use component::linker::{add_only_storage_to_linker, add_to_linker};
pub use component::provider::ComponentStore;
pub use error::{Entity, Error, Result};
pub use limits::Limits;
#[cfg(feature = "embedded")]
/// What [`EmbeddedStore::on_backend`] stands on: a store's bytes, wherever they are.
pub use redb::StorageBackend;
pub use scope::{Interface, Quotas, Scope};
#[cfg(any(feature = "embedded", feature = "mongodb"))]
pub use store::any::{AnyStore, StoreUrl};
#[cfg(feature = "embedded")]
pub use store::embedded::EmbeddedStore;
#[cfg(feature = "embedded")]
pub use store::embedded::compact::Compacted;
#[cfg(feature = "mongodb")]
pub use store::mongo::{ArchivedAgent, MongoStore, Undone};
pub use store::read_only::ReadOnly;
#[cfg(any(feature = "embedded", feature = "mongodb"))]
pub use store::report::{Index, Landmark, Report};
#[cfg(any(feature = "embedded", feature = "mongodb"))]
pub use store::transfer::{Dumped, Imported};
pub use store::{AgentRef, AppendKey, Appended, MongoOptions, NewMessages, Overdue, Page, Replacement, Store, StoreOptions, Write};
pub use types::{Agent, Feedback, Json, Message, Session, Timestamp};

/// The built component's bytes, for those who run it in an engine of their own.
pub const COMPONENT: &[u8] = component::instance::COMPONENT;

/// The same in the synchronous flavour, for engines without async functions.
pub const COMPONENT_SYNC: &[u8] = component::instance::COMPONENT_SYNC;
