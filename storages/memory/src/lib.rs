//! A storage for the session repository that keeps everything in its own memory: it exports `storage` and imports no function.
//!
//! The rules are plain synchronous functions in [`sessions`], [`object`] and [`paths`]. The exports only convert.

#![deny(unsafe_code)]

mod agent;
pub mod error;
// Natively it is there to be tested.
#[cfg(any(feature = "faults", not(target_arch = "wasm32")))]
pub mod faults;
pub mod object;
pub mod paths;
pub mod sessions;
pub mod types;

#[cfg(target_arch = "wasm32")]
mod bindings;
#[cfg(target_arch = "wasm32")]
mod exports;
