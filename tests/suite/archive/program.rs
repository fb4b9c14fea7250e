//! The real program, run on a store: `exec` as a child that many callers share.

use super::PATIENCE;
use crate::run::{Desk, Site};
use anyhow::Context;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Who waits for the answers, by the ids of the requests; nobody any more after the last one.
type Waiting = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<Value>>>>>;

/// A running `session-repo exec`.
pub(super) struct Program {
    child: tokio::sync::Mutex<Child>,
    requests: mpsc::UnboundedSender<(Value, oneshot::Sender<Value>)>,
}

impl Program {
    /// Starts it on a store.
    pub(super) async fn start(desk: &Desk, site: &Site, options: &[&str]) -> anyhow::Result<Self> {
        let mut command = desk.command(site, &[&["exec"], options].concat()).await?;
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let (stdin, stdout) = (child.stdin.take().context("no stdin")?, child.stdout.take().context("no stdout")?);
        let (requests, to_write) = mpsc::unbounded_channel();
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        tokio::spawn(write(stdin, to_write, Arc::clone(&waiting)));
        tokio::spawn(read(stdout, waiting));
        Ok(Self { child: tokio::sync::Mutex::new(child), requests })
    }

    /// Makes a call; none comes of it if the program ends before it has answered.
    pub(super) async fn call(&self, call: &str, args: Value) -> anyhow::Result<Option<Value>> {
        let (answer, answered) = oneshot::channel();
        if self.requests.send((json!({"call": call, "args": args}), answer)).is_err() {
            return Ok(None);
        }
        Ok(timeout(PATIENCE, answered).await?.ok())
    }

    /// Kills it (on Unix with SIGKILL).
    pub(super) async fn kill(&self) -> anyhow::Result<()> {
        Ok(self.child.lock().await.kill().await?)
    }
}

async fn write(mut stdin: ChildStdin, mut requests: mpsc::UnboundedReceiver<(Value, oneshot::Sender<Value>)>, waiting: Waiting) {
    let mut id = 0_u64;
    while let Some((mut request, answer)) = requests.recv().await {
        id += 1;
        request["id"] = json!(id);
        match waiting.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(waiting) => drop(waiting.insert(id, answer)),
            None => continue,
        }
        // Fails once the program is killed; then whoever reads tells.
        stdin.write_all(format!("{request}\n").as_bytes()).await.ok();
    }
}

async fn read(stdout: ChildStdout, waiting: Waiting) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // A line that was cut off by the kill is no answer.
        let Ok(answer) = serde_json::from_str::<Value>(&line) else { continue };
        let id = answer["id"].as_u64().unwrap_or_default();
        let caller = waiting.lock().unwrap_or_else(PoisonError::into_inner).as_mut().and_then(|waiting| waiting.remove(&id));
        if let Some(caller) = caller {
            caller.send(answer).ok();
        }
    }
    drop(waiting.lock().unwrap_or_else(PoisonError::into_inner).take());
}
