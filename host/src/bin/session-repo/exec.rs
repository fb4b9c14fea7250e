//! `session-repo exec`: JSON lines in, JSON lines out.

pub(crate) mod lines;
mod request;

use crate::input::UTF_16;
use crate::wire::{self, Subject};
use anyhow::Context;
use lines::{Line, Lines};
use serde_json::value::RawValue;
use session_repository::{Error, Repository};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// The text of lines that may be in flight at once, in bytes; reading stdin waits when there is more. A longer line goes alone.
const LINE_BYTES_IN_FLIGHT: u32 = 256 * 1024 * 1024;

/// Serves stdin to its end. At most `concurrency` calls are in flight; those that name the same session run one after the other.
pub(crate) async fn run(repository: &Repository, concurrency: u32) -> anyhow::Result<()> {
    let (responses, to_write) = mpsc::channel(1);
    let writer = tokio::spawn(write(to_write));
    let read = read(repository, concurrency, responses).await;
    // Whatever ended the reading, what was answered is written.
    writer.await.context("writing responses")?.context("stdout")?;
    read
}

/// Reads requests and starts their calls; returns when all of them are answered.
async fn read(repository: &Repository, concurrency: u32, responses: mpsc::Sender<Response>) -> anyhow::Result<()> {
    let in_flight = Arc::new(Semaphore::new(concurrency as usize));
    let bytes = Arc::new(Semaphore::new(LINE_BYTES_IN_FLIGHT as usize));
    let mut lines = Lines::new(tokio::io::stdin());
    let mut turns = Turns::default();
    loop {
        // Taken before the line is read: with all calls in flight the next line stays in the pipe.
        let permit = Arc::clone(&in_flight).acquire_owned().await?;
        let line = tokio::select! {
            line = lines.next() => line.context("stdin")?,
            // Stdout is gone; the writer says why.
            () = responses.closed() => break,
        };
        let Some(line) = line else { break };
        let size = line.size().min(LINE_BYTES_IN_FLIGHT);
        let held = (permit, Arc::clone(&bytes).acquire_many_owned(size).await?);
        let (id, call) = match line {
            Line::Text(line) => {
                let (id, call) = request::parse(&line);
                (id, call.map_err(Error::InvalidArgument))
            }
            Line::Utf16 => (None, Err(Error::InvalidArgument(String::from(UTF_16)))),
            Line::TooLong(size) => (None, Err(Error::TooLarge { size, limit: lines::MAX_LINE })),
        };
        let turn = call.as_ref().ok().map(|call| turns.take(&call.subject().session_id));
        let (repository, responses) = (repository.clone(), responses.clone());
        tokio::spawn(async move {
            let result = match call {
                Ok(call) => {
                    let _turn = match turn {
                        Some(turn) => Some(turn.begin().await),
                        None => None,
                    };
                    let subject = call.subject();
                    call.execute(&repository).await.map(|answer| answer.json()).map_err(|error| wire::error(&error, &subject))
                }
                Err(error) => Err(wire::error(&error, &Subject::default())),
            };
            // Fails only when stdout is gone.
            responses.send((response(id.as_deref(), result), held)).await.ok();
        });
    }
    // Whoever has all permits knows that no call is in flight any more.
    in_flight.acquire_many(concurrency).await?.forget();
    Ok(())
}

/// A response, and what its call holds until it is written.
type Response = (String, (OwnedSemaphorePermit, OwnedSemaphorePermit));

async fn write(mut responses: mpsc::Receiver<Response>) -> std::io::Result<()> {
    let mut out = tokio::io::BufWriter::new(tokio::io::stdout());
    while let Some((response, held)) = responses.recv().await {
        out.write_all(response.as_bytes()).await?;
        out.write_all(b"\n").await?;
        drop(held);
        // What is ready goes out together; nobody waits for an answer that is in a buffer.
        if responses.is_empty() {
            out.flush().await?;
        }
    }
    out.flush().await
}

fn response(id: Option<&RawValue>, result: Result<String, serde_json::Value>) -> String {
    let id = id.map_or_else(|| String::from("null"), wire::echo);
    match result {
        Ok(result) => format!(r#"{{"id":{id},"result":{result}}}"#),
        Err(error) => format!(r#"{{"id":{id},"error":{error}}}"#),
    }
}

/// Keeps the calls of each session in the order of their lines.
#[derive(Default)]
struct Turns {
    /// For each session, what resolves when its last call so far is done.
    last: HashMap<String, oneshot::Receiver<()>>,
}

/// The place of one call in the order of its session.
struct Turn {
    previous: Option<oneshot::Receiver<()>>,
    done: oneshot::Sender<()>,
}

impl Turns {
    fn take(&mut self, session_id: &str) -> Turn {
        // Longer ids are refused, so their order has no effect; they are not kept.
        const LONGEST_ID: usize = 512;
        if session_id.len() > LONGEST_ID {
            return Turn { previous: None, done: oneshot::channel().0 };
        }
        // Sessions without a call in flight are forgotten now and then, so that the table stays small.
        const SWEEP: usize = 4096;
        if self.last.len() >= SWEEP {
            self.last.retain(|_, last| matches!(last.try_recv(), Err(oneshot::error::TryRecvError::Empty)));
        }
        let (done, last) = oneshot::channel();
        Turn { previous: self.last.insert(session_id.to_owned(), last), done }
    }
}

impl Turn {
    /// Waits for the calls before; the call is done when the returned value is dropped.
    async fn begin(self) -> oneshot::Sender<()> {
        if let Some(previous) = self.previous {
            // Ends with an error, because a call that is done drops its sender.
            previous.await.ok();
        }
        self.done
    }
}
