//! What the component imports, for a linker.

use crate::component::bindings::{storage, wall_clock, wit};
use crate::component::ctx::{SessionHost, SessionView};
use crate::component::storage::add_synchronous_to_linker;
use wasmtime::component::Linker;

/// Adds all that the component imports: `session:repository/storage` and `wasi:clocks/wall-clock`; for its synchronous flavour
/// `session:repository-sync/storage`.
///
/// The storage takes its guest's word that ids and JSON are checked. Link it to the repository's component only, and give plugins the five
/// interfaces that the component exports.
///
/// The component's functions are async in the sense of the component model, so call them within
/// [`wasmtime::Store::run_concurrent`], inside a Tokio runtime. Those of the synchronous flavour can also be called by themselves, with
/// Wasmtime's `call_async`, one at a time. With a linker that has WASI in it already, use
/// [`add_only_storage_to_linker`] and give WASI a wall clock that never steps back.
///
/// The wall clock of this function never steps back within a process. A reading of the machine's clock that is more than a minute off from
/// the monotonic clock is believed once it has kept that distance for five minutes. Until then a jump forward is ignored, and after a jump
/// back the latest time is repeated.
///
/// # Errors
///
/// Fails if the linker has one of the interfaces already.
pub fn add_to_linker<T: SessionView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wall_clock::add_to_linker::<T, SessionHost>(linker, T::session)?;
    add_only_storage_to_linker(linker)
}

/// Adds `session:repository/storage` and its synchronous flavour, and nothing else.
///
/// # Errors
///
/// Fails if the linker has the interface already.
pub fn add_only_storage_to_linker<T: SessionView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wit::add_to_linker::<T, SessionHost>(linker, T::session)?;
    storage::add_to_linker::<T, SessionHost>(linker, T::session)?;
    add_synchronous_to_linker(linker)
}
