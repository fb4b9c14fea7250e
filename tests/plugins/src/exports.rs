//! What the plugin exports.

mod calls;
mod code;
mod ids;
mod values;

pub(crate) mod bindings {
    #![allow(clippy::all, unreachable_pub, reason = "generated")]

    wit_bindgen::generate!({ path: ["../../wit", "wit"], world: "test:plugins/plugins", generate_all });
}

use bindings::session::repository::types::Error;
use core::hint::black_box;

struct Plugins;

bindings::export!(Plugins with_types_in bindings);

impl bindings::Guest for Plugins {
    async fn everything(session_id: String) -> Vec<String> {
        ids::everything(&session_id).await
    }

    async fn answers(session_ids: Vec<String>) -> Vec<Vec<String>> {
        let mut answers = Vec::new();
        for session_id in session_ids {
            answers.push(ids::answers(&session_id).await);
        }
        answers
    }

    async fn texts(session_id: String, text: String) -> Vec<String> {
        ids::texts(&session_id, &text).await
    }

    async fn spin() {
        code::spin();
    }

    async fn allocate() {
        code::allocate();
    }

    async fn recurse() {
        black_box(code::recurse());
    }

    async fn trap() {
        core::arch::wasm32::unreachable();
    }

    async fn wait() {
        core::future::pending().await
    }

    async fn return_malformed() -> String {
        values::malformed()
    }

    async fn return_beyond_memory() -> String {
        values::beyond_memory()
    }

    async fn return_many(texts: u32) -> Vec<String> {
        vec![String::new(); texts as usize]
    }

    async fn return_large(bytes: u32) -> String {
        "x".repeat(bytes as usize)
    }

    async fn pass_malformed() {
        values::pass(values::malformed()).await;
    }

    async fn pass_beyond_memory() {
        values::pass(values::beyond_memory()).await;
    }

    async fn pass(session_id: String, messages: u32, bytes: u32) -> String {
        calls::append_many(session_id, messages, bytes).await
    }

    async fn flood(session_id: String, calls: u32, bytes: u32) -> Vec<(String, u32)> {
        calls::flood(&session_id, calls, bytes).await
    }

    async fn flood_at_once(session_id: String, calls: u32, bytes: u32) -> Vec<(String, u32)> {
        calls::flood_at_once(&session_id, calls, bytes).await
    }

    async fn forget(session_id: String, calls: u32) {
        core::mem::forget(calls::begin(&session_id, calls));
    }

    async fn drop_midway(session_id: String, calls: u32) {
        for _ in 0..calls {
            drop(calls::begin(&session_id, 1));
        }
    }

    async fn begin_and_spin(session_id: String, calls: u32) {
        let mut begun = calls::begin(&session_id, calls);
        if let Some(first) = begun.first_mut() {
            drop(first.await);
        }
        core::mem::forget(begun);
        code::spin();
    }
}

/// How a call ended: `ok` or the error's name in the WIT.
fn outcome<T>(answer: &Result<T, Error>) -> &'static str {
    match answer {
        Ok(_) => "ok",
        Err(Error::NotFound(_)) => "not-found",
        Err(Error::AlreadyExists(_)) => "already-exists",
        Err(Error::Stale(_)) => "stale",
        Err(Error::InvalidArgument(_)) => "invalid-argument",
        Err(Error::TooLarge(_)) => "too-large",
        Err(Error::AccessDenied(_)) => "access-denied",
        Err(Error::Timeout) => "timeout",
        Err(Error::Unavailable(_)) => "unavailable",
        Err(Error::Corrupt(_)) => "corrupt",
        Err(Error::Internal(_)) => "internal",
        Err(Error::QuotaExceeded(_)) => "quota-exceeded",
        Err(Error::Unsupported(_)) => "unsupported",
    }
}
