//! A storage component, as the store below our repository.

use crate::failure::failed;
use crate::plugin::load;
use anyhow::anyhow;
use session_repository::ComponentStore;
use session_repository::keyvalue::{self, KeyValueCtx, KeyValueFile, KeyValueView};
use session_repository::plugin::Ticker;
use std::path::Path;
use std::sync::Arc;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// What storages in most languages import to start at all: WASI, with no file, no network and no environment in it. And a key-value store in
/// memory.
pub(super) struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    values: KeyValueCtx,
}

impl KeyValueView for State {
    fn key_values(&mut self) -> &mut KeyValueCtx {
        &mut self.values
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Starts a storage. It gives way to others as long as the ticker is there.
pub(super) async fn start(file: &Path) -> anyhow::Result<(ComponentStore<State>, Ticker)> {
    let component = load::compile(file, &load::read(file)?)?;
    let mut linker = Linker::new(component.engine());
    let wasi = |error: wasmtime::Error| anyhow!("WASI cannot be linked: {}", error.root_cause());
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(wasi)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker).map_err(wasi)?;
    keyvalue::add_to_linker(&mut linker).map_err(|error| anyhow!("wasi:keyvalue cannot be linked: {}", error.root_cause()))?;
    let values = KeyValueFile::in_memory().map_err(|error| failed(&error))?;
    let ticker = Ticker::start(component.engine())?;
    let (wasi, table, values) = (WasiCtxBuilder::new().build(), ResourceTable::new(), KeyValueCtx::new(Arc::new(values)));
    let state = State { wasi, table, values };
    let store = ComponentStore::start(&component, &linker, state).await.map_err(|error| failed(&error))?;
    Ok((store, ticker))
}
