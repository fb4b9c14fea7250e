//! What is tested: a repository in this process, or a program that speaks the `exec` protocol.

use super::values::cut;
use crate::calls::Call;
use crate::exec::lines::{Line, Lines};
use crate::wire;
use anyhow::Context;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use session_repository::plugin::Ticker;
use session_repository::{Error, Repository};
use std::collections::HashMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use tokio::time::timeout;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The result of a call or its error, as the protocol writes them.
pub(super) type Answer = Result<Value, Value>;

pub(super) enum Subject {
    Repository {
        repository: Repository,
        /// For the storage below it, if that is a component.
        ticker: Option<Ticker>,
    },
    Program(Box<Program>),
}

impl Subject {
    /// Makes a call, or says why there is no answer.
    pub(super) async fn call(&self, name: &str, args: &str) -> Result<Answer, String> {
        let answer = async {
            match self {
                Self::Repository { repository, .. } => of_repository(repository, name, args).await,
                Self::Program(program) => program.call(name, args).await,
            }
        };
        let silent = || {
            let why = format!("no answer within {} seconds", PATIENCE.as_secs());
            if let Self::Program(program) = self {
                // The others need not wait as long.
                program.end(&why);
            }
            Err(why)
        };
        timeout(PATIENCE, answer).await.unwrap_or_else(|_| silent())
    }

    pub(super) async fn close(self) -> anyhow::Result<()> {
        match self {
            Self::Repository { repository, ticker } => {
                crate::place::closed(repository.close()).await;
                drop(ticker);
            }
            Self::Program(program) => program.close().await?,
        }
        Ok(())
    }
}

async fn of_repository(repository: &Repository, name: &str, args: &str) -> Result<Answer, String> {
    let args = RawValue::from_string(args.to_owned()).map_err(|error| format!("the case itself is wrong: {error}"))?;
    let reader = Call::reader(name).ok_or_else(|| format!("the case itself is wrong: there is no call {name}"))?;
    let call = match reader(&args) {
        Ok(call) => call,
        Err(why) => return Ok(Err(wire::error(&Error::InvalidArgument(why), &wire::Subject::default()))),
    };
    let subject = call.subject();
    match call.execute(repository).await {
        Ok(answer) => serde_json::from_str(&answer.json()).map(Ok).map_err(|error| format!("the answer is no JSON: {error}")),
        Err(error) => Ok(Err(wire::error(&error, &subject))),
    }
}

/// The calls of a program that are under way.
#[derive(Default)]
struct Waiting {
    /// Waiting callers, by the id of the request.
    answers: HashMap<u64, oneshot::Sender<Result<Answer, String>>>,
    /// The reason why answers stopped.
    ended: Option<String>,
}

/// A program that was started for the suite.
pub(super) struct Program {
    child: Child,
    stdin: AsyncMutex<ChildStdin>,
    next: AtomicU64,
    waiting: Arc<Mutex<Waiting>>,
}

impl Waiting {
    /// No answers come any more; the first reason counts.
    fn end(&mut self, why: &str) {
        for (_, waits) in self.answers.drain() {
            waits.send(Err(why.to_owned())).ok();
        }
        self.ended.get_or_insert_with(|| why.to_owned());
    }
}

impl Program {
    fn end(&self, why: &str) {
        lock(&self.waiting).end(why);
    }

    /// Starts a command line as the shell reads it.
    pub(super) fn start(command: &str) -> anyhow::Result<Self> {
        let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
        let mut started = Command::new(shell);
        started.args([flag, command]).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = started.spawn().with_context(|| format!("cannot start {command}"))?;
        let stdin = child.stdin.take().context("the program has no stdin")?;
        let stdout = child.stdout.take().context("the program has no stdout")?;
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let answers = Arc::clone(&waiting);
        tokio::spawn(async move {
            let mut lines = Lines::new(stdout);
            let why = loop {
                match lines.next().await {
                    Ok(Some(Line::Text(line))) => {
                        let taken = read(&line).and_then(|(id, answer)| {
                            let waits = lock(&answers).answers.remove(&id).ok_or("the program answers what it was not asked, or twice")?;
                            // Nobody waits where the time was over.
                            waits.send(Ok(answer)).ok();
                            Ok(())
                        });
                        if let Err(why) = taken {
                            break format!("{why}: {}", cut(&String::from_utf8_lossy(&line)));
                        }
                    }
                    Ok(Some(Line::TooLong(bytes))) => break format!("the program's answer has {bytes} bytes on one line"),
                    Ok(Some(Line::Utf16)) => break String::from("the program's output is not UTF-8"),
                    Ok(None) => break String::from("the program ended its output"),
                    Err(error) => break format!("the program's output cannot be read: {error}"),
                }
            };
            lock(&answers).end(&why);
        });
        Ok(Self { child, stdin: AsyncMutex::new(stdin), next: AtomicU64::new(1), waiting })
    }

    async fn call(&self, name: &str, args: &str) -> Result<Answer, String> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        {
            let mut waiting = lock(&self.waiting);
            if let Some(why) = &waiting.ended {
                return Err(why.clone());
            }
            waiting.answers.insert(id, answer);
        }
        let line = format!("{{\"id\":{id},\"call\":{},\"args\":{args}}}\n", json!(name));
        {
            let mut stdin = self.stdin.lock().await;
            let written = async {
                stdin.write_all(line.as_bytes()).await?;
                stdin.flush().await
            };
            written.await.map_err(|error| format!("the program takes no input: {error}"))?;
        }
        answered.await.unwrap_or_else(|_| Err(String::from("the program ended")))
    }

    /// Ends its input and waits for its end.
    async fn close(self) -> anyhow::Result<()> {
        let Self { mut child, stdin, waiting, .. } = self;
        drop(stdin);
        // What broke off before is told by the cases that failed.
        let was_over = lock(&waiting).ended.is_some();
        let patience = if was_over { Duration::ZERO } else { PATIENCE };
        match timeout(patience, child.wait()).await {
            Ok(status) => {
                let status = status.context("the program's end")?;
                anyhow::ensure!(was_over || status.success(), "the program ended with {status}");
            }
            Err(_) => {
                child.kill().await.context("the program does not end")?;
                anyhow::ensure!(was_over, "the program did not end within {} seconds of its input", PATIENCE.as_secs());
            }
        }
        Ok(())
    }
}

/// The id and the answer in a line.
fn read(line: &[u8]) -> Result<(u64, Answer), &'static str> {
    let response: Value = serde_json::from_slice(line).map_err(|_| "the program's answer is no JSON")?;
    let id = response.get("id").and_then(Value::as_u64).ok_or("the program's answer has no id of ours")?;
    let is_bare = response.as_object().is_some_and(|members| members.len() == 2);
    match (response.get("result"), response.get("error")) {
        (Some(result), None) if is_bare => Ok((id, Ok(result.clone()))),
        (None, Some(error)) if is_bare => Ok((id, Err(error.clone()))),
        _ => Err("the program's answer has neither a result nor an error alone"),
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    // What is under the lock is whole at every step.
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
