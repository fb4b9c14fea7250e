//! The generated bindings of `wasi:keyvalue`.

#![allow(clippy::all, missing_docs, unreachable_pub, reason = "generated from the WIT package, which has the docs")]

wasmtime::component::bindgen!({
    path: "wit-keyvalue",
    world: "imports",
    imports: { default: async | trappable },
    with: {
        "wasi:keyvalue/store.bucket": super::host::Bucket,
        "wasi:keyvalue/atomics.cas": super::host::Cas,
    },
});

pub(crate) use wasi::keyvalue::{atomics, store};
