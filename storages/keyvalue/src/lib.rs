//! A storage for the session repository that keeps everything in a key-value store: it exports `storage` and imports `wasi:keyvalue`.
//!
//! A session is one key, its *head*, which every write replaces by compare-and-swap. What would make the head large is in *blobs*: values
//! under keys of their own, which never change. `README.md` has the layout.

#![deny(unsafe_code)]

pub mod bucket;
pub mod keyvalue;

mod blob;
mod draft;
mod head;
mod history;
mod reader;
mod runs;
mod stop;

#[cfg(target_arch = "wasm32")]
mod bindings;
#[cfg(target_arch = "wasm32")]
mod exports;
#[cfg(target_arch = "wasm32")]
mod wasi;
