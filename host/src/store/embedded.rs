//! Sessions in one durable file, or in memory, with no server.

mod append;
mod at;
mod calls;
mod change;
pub(crate) mod compact;
mod compare;
mod copy;
mod dump;
mod engine;
mod fault;
pub(crate) mod file;
mod header;
mod holder;
mod inspect;
mod load;
mod migrate;
mod numbers;
mod order;
mod overlay;
mod read;
mod repair;
mod replacement;
mod rows;
mod runs;
mod store;
mod tables;
mod tracked;
mod write;

pub use store::EmbeddedStore;
