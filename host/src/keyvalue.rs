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
mod ctx;
mod file;
mod host;

pub use ctx::{KeyValueCtx, KeyValueView, KeyValues};
pub use file::KeyValueFile;

use bindings::{atomics, store};
use host::KeyValueHost;
use wasmtime::component::Linker;

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
