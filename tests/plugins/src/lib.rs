//! A plugin for tests.

#![cfg_attr(target_arch = "wasm32", allow(missing_docs, reason = "the bindings are generated from documented WIT"))]

#[cfg(target_arch = "wasm32")]
mod exports;
