//! A storage for the session repository that keeps everything in its own memory: it exports `storage` and imports no function.

#![deny(unsafe_code)]

mod agent;
// Natively it is there to be tested.
#[cfg(any(feature = "faults", not(target_arch = "wasm32")))]
pub mod faults;
pub mod sessions;

#[cfg(target_arch = "wasm32")]
mod exports;
