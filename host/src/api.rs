//! The repository as Rust programs call it.

mod calls;
mod pool;
mod repository;

pub use calls::{Agents, Feedbacks, Messages, Metadata, Sessions};
pub use repository::{Repository, RepositoryBuilder};
