//! Many calls, and calls whose answers nobody wants.

use super::bindings::session::repository::messages;
use super::bindings::session::repository::types::{Error, Message};
use super::outcome;
use core::pin::Pin;
use core::task::{Context, Waker};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::collections::BTreeMap;

type List = Pin<Box<dyn Future<Output = Result<Vec<Message>, Error>>>>;

fn agent() -> String {
    String::from("a")
}

/// A message that is so many bytes of JSON, and eight at least.
fn body(bytes: u32) -> String {
    format!(r#"{{"k":"{}"}}"#, "x".repeat((bytes as usize).saturating_sub(8)))
}

fn tally(outcomes: impl IntoIterator<Item = &'static str>) -> Vec<(String, u32)> {
    let mut counts = BTreeMap::<_, u32>::new();
    for outcome in outcomes {
        *counts.entry(outcome.to_owned()).or_default() += 1;
    }
    counts.into_iter().collect()
}

async fn append(session_id: &str, body: String) -> &'static str {
    outcome(&messages::append(session_id.to_owned(), agent(), body, None, None).await)
}

pub(super) async fn append_many(session_id: String, count: u32, bytes: u32) -> String {
    let bodies = vec![body(bytes); count as usize];
    outcome(&messages::append_many(session_id, agent(), bodies, None, None).await).to_owned()
}

pub(super) async fn flood(session_id: &str, calls: u32, bytes: u32) -> Vec<(String, u32)> {
    let mut outcomes = Vec::new();
    for _ in 0..calls {
        outcomes.push(append(session_id, body(bytes)).await);
    }
    tally(outcomes)
}

pub(super) async fn flood_at_once(session_id: &str, calls: u32, bytes: u32) -> Vec<(String, u32)> {
    // Each body is made when its call begins, and gone when the call is under way: thousands of large ones do not lie in this memory.
    let appends: FuturesUnordered<_> = (0..calls).map(|_| async { append(session_id, body(bytes)).await }).collect();
    tally(appends.collect::<Vec<_>>().await)
}

/// Begins lists, and waits for none of them.
pub(super) fn begin(session_id: &str, calls: u32) -> Vec<List> {
    let mut context = Context::from_waker(Waker::noop());
    let list = |_| -> List { Box::pin(messages::list(session_id.to_owned(), agent(), None, 0)) };
    let mut begun: Vec<_> = (0..calls).map(list).collect();
    begun.retain_mut(|call| call.as_mut().poll(&mut context).is_pending());
    begun
}
