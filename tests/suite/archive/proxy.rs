//! A proxy between a program and `mongod` that knows the commands, and can hold one, or its answer, or cut the connection there.

use super::PATIENCE;
use anyhow::{Context, ensure};
use mongodb::bson::{Bson, Document};
use mongodb::options::{ClientOptions, ServerAddress};
use session_repository_tests::{COLLECTION, mongodb_uri};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

const OP_MSG: i32 = 2013;

/// A command on its way to the server.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) name: String,
    pub(super) collection: String,
    pub(super) body: Document,
}

/// When something happens to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// The server has not seen it.
    Before,
    /// The server has done it; the answer is not delivered.
    After,
}

/// What is to happen to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    /// Nothing.
    Pass,
    /// It, or its answer, waits until the test has decided.
    Hold(Moment),
    /// The connection ends there.
    Cut(Moment),
}

type Rule = Box<dyn FnMut(&Command) -> Plan + Send>;

/// A command that waits, or whose answer does. Where this is dropped, its connection ends without it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) command: Command,
    go: oneshot::Sender<()>,
}

impl Held {
    /// Lets it go on.
    pub(super) fn resume(self) {
        // Fails where its connection has ended.
        self.go.send(()).ok();
    }
}

/// The proxy. It ends, with all its connections, when it is dropped.
pub(super) struct Proxy {
    port: u16,
    rule: Arc<Mutex<Rule>>,
    held: mpsc::UnboundedReceiver<Held>,
    task: AbortHandle,
}

impl Proxy {
    /// Starts it in front of the tests' server.
    pub(super) async fn start(rule: impl FnMut(&Command) -> Plan + Send + 'static) -> anyhow::Result<Self> {
        let server = ClientOptions::parse(mongodb_uri()?).await?.hosts.first().cloned().context("no server")?;
        let ServerAddress::Tcp { host, port } = server else { anyhow::bail!("the server has no port") };
        let server = (host, port.unwrap_or(27017));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let rule: Arc<Mutex<Rule>> = Arc::new(Mutex::new(Box::new(rule)));
        let (report, held) = mpsc::unbounded_channel();
        let rules = Arc::clone(&rule);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (server, rules, report) = (server.clone(), Arc::clone(&rules), report.clone());
                connections.spawn(async move {
                    // A connection that ends, in whatever way, is just over.
                    if let Ok(server) = TcpStream::connect(server).await {
                        serve(client, server, &rules, &report).await;
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { port, rule, held, task: task.abort_handle() })
    }

    /// The connection string that leads through it. The driver does not try again by itself.
    pub(super) fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/?directConnection=true&retryWrites=false&retryReads=false", self.port)
    }

    /// Gives it another rule.
    pub(super) fn rule(&self, rule: impl FnMut(&Command) -> Plan + Send + 'static) {
        *self.rule.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(rule);
    }

    /// Waits for the next command that is held.
    pub(super) async fn held(&mut self) -> anyhow::Result<Held> {
        timeout(PATIENCE, self.held.recv()).await?.context("the proxy has ended")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What is to happen to answers, by the numbers of their requests.
type Awaited = Mutex<HashMap<i32, (Plan, Command)>>;

async fn serve(client: TcpStream, server: TcpStream, rule: &Mutex<Rule>, report: &mpsc::UnboundedSender<Held>) {
    // Small messages go out at once.
    client.set_nodelay(true).ok();
    server.set_nodelay(true).ok();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let awaited = Awaited::default();
    tokio::select! {
        _ = requests(from_client, to_server, rule, report, &awaited) => {}
        _ = answers(from_server, to_client, report, &awaited) => {}
    }
}

async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    rule: &Mutex<Rule>,
    report: &mpsc::UnboundedSender<Held>,
    awaited: &Awaited,
) -> anyhow::Result<()> {
    loop {
        let message = read_message(&mut from).await?;
        if let Some(command) = parse(&message)? {
            let plan = rule.lock().unwrap_or_else(PoisonError::into_inner)(&command);
            match plan {
                Plan::Pass => {}
                Plan::Cut(Moment::Before) => return Ok(()),
                Plan::Hold(Moment::Before) => hold(command, report).await?,
                Plan::Cut(Moment::After) | Plan::Hold(Moment::After) => {
                    awaited.lock().unwrap_or_else(PoisonError::into_inner).insert(number(&message, 4)?, (plan, command));
                }
            }
        }
        to.write_all(&message).await?;
    }
}

async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    report: &mpsc::UnboundedSender<Held>,
    awaited: &Awaited,
) -> anyhow::Result<()> {
    loop {
        let message = read_message(&mut from).await?;
        let planned = awaited.lock().unwrap_or_else(PoisonError::into_inner).remove(&number(&message, 8)?);
        match planned {
            Some((Plan::Cut(_), _)) => return Ok(()),
            Some((_, command)) => hold(command, report).await?,
            None => {}
        }
        to.write_all(&message).await?;
    }
}

async fn hold(command: Command, report: &mpsc::UnboundedSender<Held>) -> anyhow::Result<()> {
    let (go, gone) = oneshot::channel();
    report.send(Held { command, go })?;
    Ok(gone.await?)
}

/// A message of the wire protocol, with its header.
async fn read_message(from: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<Vec<u8>> {
    let mut message = vec![0; 16];
    from.read_exact(&mut message).await?;
    let length = usize::try_from(number(&message, 0)?)?;
    ensure!((16..=64 * 1024 * 1024).contains(&length), "no message of the protocol");
    message.resize(length, 0);
    from.read_exact(message.get_mut(16..).context("no body")?).await?;
    Ok(message)
}

fn number(bytes: &[u8], at: usize) -> anyhow::Result<i32> {
    let bytes = bytes.get(at..at + 4).context("the message ends early")?;
    Ok(i32::from_le_bytes(bytes.try_into()?))
}

/// The command of a message; none in a message of another kind.
fn parse(message: &[u8]) -> anyhow::Result<Option<Command>> {
    if number(message, 12)? != OP_MSG {
        return Ok(None);
    }
    let document = |at: usize| -> anyhow::Result<(Document, usize)> {
        let end = at + usize::try_from(number(message, at)?)?;
        Ok((Document::from_reader(message.get(at..end).context("the message ends early")?)?, end))
    };
    let has_checksum = number(message, 16)? & 1 == 1;
    let end = message.len() - if has_checksum { 4 } else { 0 };
    let (mut body, mut at) = (Document::new(), 20);
    while at < end {
        let kind = message.get(at).copied();
        at += 1;
        if kind == Some(0) {
            let (section, next) = document(at)?;
            body.extend(section);
            at = next;
        } else {
            let next = at + usize::try_from(number(message, at)?)?;
            let rest = message.get(at + 4..next).context("the message ends early")?;
            let name: Vec<u8> = rest.iter().copied().take_while(|byte| *byte != 0).collect();
            at += 4 + name.len() + 1;
            let mut items = Vec::new();
            while at < next {
                let (item, end) = document(at)?;
                items.push(Bson::from(item));
                at = end;
            }
            body.insert(String::from_utf8(name)?, items);
        }
    }
    let Some((name, value)) = body.iter().next() else { return Ok(None) };
    let (name, collection) = (name.clone(), value.as_str().unwrap_or_default().to_owned());
    Ok(Some(Command { name, collection, body }))
}

/// A step of an operation: a command that writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// An append, or another update of what is in the session's document.
    Write,
    /// The archive's index.
    Index,
    Seal,
    /// A mover goes on with what another one has sealed.
    TakeOver,
    WriteBlocks,
    /// A block that another mover has left is overwritten.
    ReplaceBlock,
    CommitMove,
    Release,
    CommitUpdate,
    UpdateBlock,
    ForgetRedo,
    Fold,
    /// Blocks are marked that are about to be removed.
    MarkOrphans,
    DeleteBlocks,
}

impl Command {
    /// Which step this is; none for a read.
    pub(super) fn step(&self) -> Option<Step> {
        let is_archive = self.collection == format!("{COLLECTION}.archive");
        if !is_archive && self.collection != COLLECTION {
            return None;
        }
        let first = self.body.get_array("updates").ok().and_then(|updates| updates.first()?.as_document()?.get("u"));
        let update = first.or_else(|| self.body.get("update")).map(ToString::to_string).unwrap_or_default();
        let has = |text: &str| update.contains(text);
        match (self.name.as_str(), is_archive) {
            ("createIndexes", true) => Some(Step::Index),
            ("insert", true) => Some(Step::WriteBlocks),
            ("update", true) if has("\"orphan\"") => Some(Step::MarkOrphans),
            ("update", true) if has("$set") => Some(Step::UpdateBlock),
            ("update", true) => Some(Step::ReplaceBlock),
            ("delete", true) => Some(Step::DeleteBlocks),
            ("findAndModify", false) if has("\"cuts\"") => Some(Step::Seal),
            ("findAndModify", false) if has("archive.fence") => Some(Step::TakeOver),
            ("update", false) if has("archive.count") => Some(Step::CommitMove),
            ("update", false) if has("archive.claimed") => Some(Step::Release),
            ("update", false) if has("archive.redo") && has("$unset") => Some(Step::ForgetRedo),
            ("update", false) if has("archive.redo") => Some(Step::CommitUpdate),
            ("update", false) if has(".archive\"") && has("$unset") => Some(Step::Fold),
            ("update" | "findAndModify", false) => Some(Step::Write),
            _ => None,
        }
    }
}

/// The plan for the n-th command that is such a step, counted from 0; all others pass.
pub(super) fn at_step(step: Step, n: usize, plan: Plan) -> impl FnMut(&Command) -> Plan + Send + 'static {
    let mut seen = 0;
    move |command| {
        if command.step() != Some(step) {
            return Plan::Pass;
        }
        seen += 1;
        if seen == n + 1 { plan } else { Plan::Pass }
    }
}
