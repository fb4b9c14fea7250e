//! The component and what it runs on: its bindings, its imports, its instances.

pub(crate) mod bindings;
#[cfg(feature = "cache")]
pub(crate) mod cache;
pub(crate) mod calls;
mod clock;
pub(crate) mod ctx;
mod epoch;
pub(crate) mod flavour;
pub(crate) mod gate;
pub(crate) mod instance;
pub(crate) mod linker;
pub(crate) mod provider;
mod storage;
pub(crate) mod ticker;
