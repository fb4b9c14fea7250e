//! The session repository as a component: checks what comes in, stamps it and hands it to the host's storage.
//!
//! The rules are pure functions in [`json`], [`validate`], [`body`] and [`stamp`]; the exports only put them in order.

#![deny(unsafe_code)]

pub mod body;
pub mod json;
pub mod stamp;
pub mod validate;

#[cfg(target_arch = "wasm32")]
mod bindings;
#[cfg(target_arch = "wasm32")]
mod exports;
#[cfg(all(target_arch = "wasm32", feature = "sync"))]
mod lend;
