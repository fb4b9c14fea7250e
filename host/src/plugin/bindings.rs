//! The generated bindings of what a plugin imports. The types are those of the repository's own bindings.

pub(super) use crate::component::bindings::wit;
pub(super) use generated::session::repository::{agents, feedback, messages, metadata, sessions};

mod generated {
    #![allow(clippy::all, missing_docs, unreachable_pub, reason = "generated from the WIT package, which has the docs")]

    wasmtime::component::bindgen!({
        path: "wit",
        world: "plugin",
        with: { "session:repository/types": crate::component::bindings::wit },
    });
}
