//! The generated bindings of what the storage imports.

#![allow(unsafe_code, reason = "the canonical ABI is spoken in raw pointers; all of this module is generated")]
#![allow(clippy::all, missing_docs, reason = "generated from the WIT package, which has the docs")]

wit_bindgen::generate!({ path: "wit", world: "imports", generate_all });

pub(crate) use wasi::keyvalue::{atomics, store};
