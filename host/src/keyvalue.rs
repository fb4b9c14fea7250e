//! `wasi:keyvalue` for storage components: keys and values in a file, or wherever a [`KeyValues`] has them.
//!
//! [`add_to_linker`] gives a component the interfaces `store` and `atomics` of `wasi:keyvalue@0.2.0-draft2`, with one bucket, `default`.
//!
//! ```no_run
//! use session_repository::keyvalue::{KeyValueCtx, KeyValueFile, add_to_linker};
//! use session_repository::{ComponentStore, Repository, plugin};
//! use std::sync::Arc;
//! use wasmtime::component::Linker;
//! use wasmtime::{Config, Engine};
//!
//! # async fn example() -> wasmtime::Result<()> {
//! let engine = Engine::new(Config::new().wasm_component_model_async(true))?;
//! let component = plugin::compile(&engine, &std::fs::read("storage-keyvalue.wasm")?)?;
//! let mut linker = Linker::new(&engine);
//! add_to_linker(&mut linker)?;
//! let values = Arc::new(KeyValueFile::open("sessions.kv").await?);
//! let store = ComponentStore::start(&component, &linker, KeyValueCtx::new(values)).await?;
//! let repository = Repository::builder(store).build()?;
//! # Ok(())
//! # }
//! ```

mod bindings;
mod file;
mod host;

pub use file::KeyValueFile;

use crate::error::Result;
use async_trait::async_trait;
use bindings::{atomics, store};
use host::KeyValueHost;
use std::fmt;
use std::sync::Arc;
use wasmtime::component::{Linker, ResourceTable};

/// Where keys and values are.
///
/// A component gets `access-denied` as that, and all other errors without their text.
#[async_trait]
pub trait KeyValues: Send + Sync + 'static {
    /// The value of a key, if it has one.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>>;

    /// Gives a key a value, durably.
    async fn set(&self, key: &str, value: Vec<u8>) -> Result<()>;

    /// Removes a key, if it exists.
    async fn delete(&self, key: &str) -> Result<()>;

    /// Gives a key a value, durably, if it has the expected one; none stands for a key that does not exist. Tells whether it had.
    ///
    /// Nothing comes between comparing and writing, whoever else writes.
    async fn swap(&self, key: &str, expected: Option<&[u8]>, value: Vec<u8>) -> Result<bool>;

    /// Some keys in ascending order, from the first one behind `after`; none, if there is none.
    async fn keys(&self, after: Option<&str>) -> Result<Vec<String>>;
}

/// What a component's use of keys and values needs.
pub struct KeyValueCtx {
    values: Arc<dyn KeyValues>,
    table: ResourceTable,
}

impl KeyValueCtx {
    /// A context on these values. Several contexts may share them.
    pub fn new(values: Arc<dyn KeyValues>) -> Self {
        Self { values, table: ResourceTable::new() }
    }
}

impl fmt::Debug for KeyValueCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyValueCtx").finish_non_exhaustive()
    }
}

/// The data of a Wasmtime store that has a [`KeyValueCtx`] in it.
pub trait KeyValueView: Send {
    /// The context.
    fn key_values(&mut self) -> &mut KeyValueCtx;
}

impl KeyValueView for KeyValueCtx {
    fn key_values(&mut self) -> &mut KeyValueCtx {
        self
    }
}

/// Adds `wasi:keyvalue/store` and `wasi:keyvalue/atomics`.
///
/// A compare-and-swap compares values: it takes a value that has changed and changed back for unchanged.
///
/// # Errors
///
/// Fails if the linker has one of the interfaces already.
pub fn add_to_linker<T: KeyValueView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    store::add_to_linker::<T, KeyValueHost>(linker, T::key_values)?;
    atomics::add_to_linker::<T, KeyValueHost>(linker, T::key_values)
}
