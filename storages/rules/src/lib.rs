//! What storage components share: the rules of the storage's contract in `wit/storage.wit`, and its bindings.
//!
//! A component implements [`storage::Storage`], a trait of plain synchronous functions, and exports `exports::Exported` of it.

#![deny(unsafe_code)]

pub mod appends;
pub mod error;
pub mod object;
pub mod paths;
mod segments;
pub mod storage;
pub mod types;

#[cfg(target_arch = "wasm32")]
pub mod bindings;
#[cfg(target_arch = "wasm32")]
pub mod exports;
