//! `session-repo exec` as a child.

use super::PATIENCE;
use anyhow::{Context, ensure};
use serde_json::Value;
use session_repository_tests::program;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// A running program, with all its requests.
pub(super) struct Exec {
    pub(super) child: Child,
    answers: Lines<BufReader<ChildStdout>>,
    end: Option<oneshot::Sender<()>>,
}

impl Exec {
    /// Starts it on a file.
    pub(super) async fn start(file: &Path, requests: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(program().await?);
        command.args(["exec", "--store", &format!("file:{}", file.display())]);
        Self::spawn(command, requests)
    }

    /// Starts it by a command.
    pub(super) fn spawn(mut command: Command, requests: &str) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let (mut stdin, requests) = (child.stdin.take().context("no stdin")?, requests.to_owned());
        let (end, ended) = oneshot::channel();
        tokio::spawn(async move {
            // Fails once the program is killed.
            stdin.write_all(requests.as_bytes()).await.ok();
            ended.await.ok();
        });
        let answers = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        Ok(Self { child, answers, end: Some(end) })
    }

    /// Waits for the next answer; there is none after the end.
    pub(super) async fn answer(&mut self) -> anyhow::Result<Option<Value>> {
        let line = timeout(PATIENCE, self.answers.next_line()).await??;
        Ok(line.map(|line| serde_json::from_str(&line)).transpose()?)
    }

    /// Waits for the next answer, which must be a result; returns the id of its request.
    pub(super) async fn result(&mut self) -> anyhow::Result<Option<Value>> {
        let Some(answer) = self.answer().await? else { return Ok(None) };
        ensure!(answer.get("result").is_some(), "a call was refused: {answer}");
        Ok(Some(answer["id"].clone()))
    }

    /// Kills it (on Unix with SIGKILL). What it had answered until then can still be read.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Ends its input, and waits until it has ended.
    pub(super) async fn end(&mut self) -> anyhow::Result<()> {
        drop(self.end.take());
        let status = timeout(PATIENCE, self.child.wait()).await??;
        ensure!(status.success(), "it ended with {status}");
        Ok(())
    }
}
