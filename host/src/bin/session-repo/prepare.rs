//! Getting the component ready.

use crate::failure::failed;
use etcetera::base_strategy::{BaseStrategy, choose_native_strategy};
use session_repository::Repository;

/// Compiles the component, or takes what an earlier command compiled from the user's cache folder.
pub(crate) fn component() -> anyhow::Result<()> {
    let prepared = match choose_native_strategy() {
        Ok(folders) => Repository::prepare_cached(folders.cache_dir().join("session-repository").join("compiled")),
        // Without a home folder there is none for a cache.
        Err(_) => Repository::prepare(),
    };
    prepared.map_err(|error| failed(&error))
}
