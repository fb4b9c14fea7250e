//! Getting the component ready, and where compiled code is kept.

use crate::failure::failed;
use etcetera::base_strategy::{BaseStrategy, choose_native_strategy};
use session_repository::Repository;
use std::path::PathBuf;

/// Compiles the component, or takes what an earlier command compiled from the user's cache folder.
pub(crate) fn component() -> anyhow::Result<()> {
    let prepared = match cache_folder("compiled") {
        Some(folder) => Repository::prepare_cached(folder),
        None => Repository::prepare(),
    };
    prepared.map_err(|error| failed(&error))
}

/// A folder for compiled code in the user's cache folder. Without a home folder there is none.
pub(crate) fn cache_folder(name: &str) -> Option<PathBuf> {
    choose_native_strategy().ok().map(|folders| folders.cache_dir().join("session-repository").join(name))
}
