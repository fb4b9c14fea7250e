//! The generated bindings of the WIT package, in the flavour that is built.

#![allow(unsafe_code, reason = "the canonical ABI is spoken in raw pointers; all of this module is generated")]
#![allow(clippy::all, missing_docs, unreachable_pub, reason = "generated from the WIT package, which has the docs")]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));

#[cfg(not(feature = "sync"))]
pub(crate) use {exports::session::repository::storage as exported, session::repository::types};
#[cfg(feature = "sync")]
pub(crate) use {exports::session::repository_sync::storage as exported, session::repository_sync::types};
