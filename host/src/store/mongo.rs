//! Sessions in MongoDB, in the schema of the reference: one document for each session, written by one atomic command for each call.
//!
//! Every command on it addresses `_id` by equality, so the collection shards on it. What is too much for one document lies in the
//! collection of the [`archive`]; every command on that one addresses `session_id` by equality.

mod agents;
mod answer;
mod append;
mod archive;
mod attempts;
mod calls;
mod conditions;
mod connect;
mod damage;
mod error;
mod expressions;
mod history;
mod index;
mod inspect;
mod known;
mod lookup;
mod questions;
mod replace;
mod store;
mod transfer;
mod updates;
mod upkeep;
mod write;

pub use archive::manage::Undone;
pub use archive::room::ArchivedAgent;
pub use store::MongoStore;
