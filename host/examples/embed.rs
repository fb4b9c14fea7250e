//! The component in an engine and a linker of one's own, beside whatever else the host links.
//!
//! `cargo run --example embed`

use session_repository::{COMPONENT, EmbeddedStore, SessionCtx, SessionCtxView, SessionView, Store as _, StoreOptions, add_to_linker};
use std::sync::Arc;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store};

mod bindings {
    wasmtime::component::bindgen!({ path: "../wit", world: "repository" });
}

/// What the host keeps for each instance; the session context is one part of it.
struct State {
    session: SessionCtx,
}

impl SessionView for State {
    fn session(&mut self) -> SessionCtxView<'_> {
        SessionCtxView { ctx: &mut self.session }
    }
}

#[tokio::main]
async fn main() -> wasmtime::Result<()> {
    let store = Arc::new(EmbeddedStore::in_memory(StoreOptions::default()).await?);

    let mut config = Config::new();
    config.wasm_component_model_async(true);
    let engine = Engine::new(&config)?;
    let mut linker = Linker::new(&engine);
    add_to_linker::<State>(&mut linker)?;

    let component = Component::new(&engine, COMPONENT)?;
    let mut instance = Store::new(&engine, State { session: SessionCtx::new(store.clone()) });
    let repository = bindings::Repository::instantiate_async(&mut instance, &component, &linker).await?;
    let session = instance
        .run_concurrent(async |accessor| {
            repository.session_repository_sessions().call_create(accessor, String::from("user-123"), None, None).await
        })
        .await??;
    println!("{session:?}");
    store.close().await;
    Ok(())
}
