//! The reference's schema: one BSON document for each session. Stores keep it as a whole or in parts, with the same fields and types.

pub(crate) mod build;
pub(crate) mod extended;
pub(crate) mod json;
pub(crate) mod path;
pub(crate) mod read;
mod segments;
pub(crate) mod tree;
