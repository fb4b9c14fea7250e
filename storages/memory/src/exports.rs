//! The exported interface, on sessions that live as long as the instance.

#[cfg(feature = "faults")]
use crate::faults::Faulty as Sessions;
#[cfg(not(feature = "faults"))]
use crate::sessions::Sessions;
use session_repository_storage::error::Result;
use session_repository_storage::exports::{Exported, Served};
use std::cell::RefCell;

#[allow(unsafe_code, reason = "what is generated around the exports speaks the canonical ABI")]
mod export {
    use super::Component;
    session_repository_storage::bindings::export!(Component);
}

type Component = Exported<Memory>;

struct Memory;

thread_local! {
    /// No function waits for anything, so each has the sessions to itself.
    static SESSIONS: RefCell<Sessions> = RefCell::default();
}

impl Served for Memory {
    type Storage = Sessions;

    fn serve<R>(call: impl FnOnce(&mut Sessions) -> Result<R>) -> Result<R> {
        SESSIONS.with_borrow_mut(call)
    }
}
