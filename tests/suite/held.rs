//! A store that holds its calls back, and so never answers, until it is told to go on; or fails them.

use anyhow::Context;
use async_trait::async_trait;
use session_repository::{
    Agent, AgentRef, Appended, EmbeddedStore, Error, Feedback, Json, Message, NewMessages, Overdue, Page, Replacement, Repository, Result,
    Session, Store, StoreOptions, Write,
};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::timeout;

/// Long enough for everything that comes at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A store in memory behind a gate, open at first. Clones share both.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    store: EmbeddedStore,
    gate: watch::Sender<Gate>,
}

#[derive(Debug, Clone, Default)]
struct Gate {
    /// What calls end in.
    failure: Option<Error>,
    is_shut: bool,
    holds_answers: bool,
    /// Calls that have come to the gate.
    begun: usize,
    /// Answers that have not been handed out.
    answers: usize,
}

impl Held {
    pub(crate) async fn new() -> Result<Self> {
        Ok(Self { store: EmbeddedStore::in_memory(StoreOptions::default()).await?, gate: watch::Sender::default() })
    }

    /// The same data without the gate.
    pub(crate) fn beneath(&self) -> EmbeddedStore {
        self.store.clone()
    }

    pub(crate) fn hold(&self) {
        self.gate.send_modify(|gate| gate.is_shut = true);
    }

    pub(crate) fn release(&self) {
        self.gate.send_modify(|gate| (gate.is_shut, gate.holds_answers) = (false, false));
    }

    /// How many calls have come to the store.
    pub(crate) fn begun(&self) -> usize {
        self.gate.borrow().begun
    }

    /// Returns when so many calls have come to the store.
    pub(crate) async fn has_begun(&self, calls: usize) -> anyhow::Result<()> {
        let mut gate = self.gate.subscribe();
        let begun = timeout(PATIENCE, gate.wait_for(|gate| gate.begun >= calls)).await;
        begun.with_context(|| format!("{} calls have come to the store, not {calls}", self.begun()))??;
        Ok(())
    }

    /// Has each call done and holds its answer back, until the store is released.
    pub(crate) fn hold_answers(&self) {
        self.gate.send_modify(|gate| gate.holds_answers = true);
    }

    /// Returns when so many answers are held back.
    pub(crate) async fn has_answers(&self, answers: usize) -> anyhow::Result<()> {
        let mut gate = self.gate.subscribe();
        let held = timeout(PATIENCE, gate.wait_for(|gate| gate.answers >= answers)).await;
        held.with_context(|| format!("there are no {answers} answers"))??;
        Ok(())
    }

    /// Has each call end in an error from now on.
    pub(crate) fn fail(&self, failure: Error) {
        self.gate.send_modify(|gate| gate.failure = Some(failure));
    }

    async fn run<R>(&self, call: impl Future<Output = Result<R>>) -> Result<R> {
        self.gate.send_modify(|gate| gate.begun += 1);
        let failure = self.gate.borrow().failure.clone();
        if let Some(failure) = failure {
            return Err(failure);
        }
        // The sender is here, so the gate is never gone.
        drop(self.gate.subscribe().wait_for(|gate| !gate.is_shut).await);
        let answer = call.await;
        self.gate.send_modify(|gate| gate.answers += 1);
        drop(self.gate.subscribe().wait_for(|gate| !gate.holds_answers).await);
        self.gate.send_modify(|gate| gate.answers -= 1);
        answer
    }
}

/// Returns when a scope has let so many calls through.
pub(crate) async fn has_admitted(repo: &Repository, calls: u64) -> anyhow::Result<()> {
    let admitted = async {
        while repo.audit().admitted < calls {
            yield_now().await;
        }
    };
    timeout(PATIENCE, admitted).await.with_context(|| format!("{:?}, not {calls}", repo.audit()))
}

#[async_trait]
impl Store for Held {
    async fn insert_session(&self, session: Session) -> Result<()> {
        self.run(self.store.insert_session(session)).await
    }

    async fn find_session(&self, session_id: &str) -> Result<Option<Session>> {
        self.run(self.store.find_session(session_id)).await
    }

    async fn insert_agent(&self, session_id: &str, agent: Agent, write: Write) -> Result<()> {
        self.run(self.store.insert_agent(session_id, agent, write)).await
    }

    async fn find_agent(&self, agent: &AgentRef) -> Result<Option<Agent>> {
        self.run(self.store.find_agent(agent)).await
    }

    async fn replace_agent(&self, agent: &AgentRef, data: Replacement, write: Write) -> Result<()> {
        self.run(self.store.replace_agent(agent, data, write)).await
    }

    async fn append_message(&self, agent: &AgentRef, message: Message, omit: &[String], write: Write) -> Result<Appended> {
        self.run(self.store.append_message(agent, message, omit, write)).await
    }

    async fn append_messages(&self, agent: &AgentRef, messages: NewMessages, write: Write) -> Result<i64> {
        self.run(self.store.append_messages(agent, messages, write)).await
    }

    async fn find_message(&self, agent: &AgentRef, message_id: i64, omit: &[String]) -> Result<Option<Message>> {
        self.run(self.store.find_message(agent, message_id, omit)).await
    }

    async fn replace_message(&self, agent: &AgentRef, message_id: i64, body: Replacement, write: Write) -> Result<()> {
        self.run(self.store.replace_message(agent, message_id, body, write)).await
    }

    async fn list_messages(&self, agent: &AgentRef, page: Page, omit: &[String]) -> Result<Vec<Message>> {
        self.run(self.store.list_messages(agent, page, omit)).await
    }

    async fn set_metadata(&self, session_id: &str, fields: Vec<(String, Json)>, write: Write) -> Result<()> {
        self.run(self.store.set_metadata(session_id, fields, write)).await
    }

    async fn get_metadata(&self, session_id: &str) -> Result<Option<Json>> {
        self.run(self.store.get_metadata(session_id)).await
    }

    async fn unset_metadata(&self, session_id: &str, paths: Vec<String>, write: Write) -> Result<()> {
        self.run(self.store.unset_metadata(session_id, paths, write)).await
    }

    async fn append_feedback(&self, session_id: &str, feedback: Feedback, write: Write) -> Result<()> {
        self.run(self.store.append_feedback(session_id, feedback, write)).await
    }

    async fn list_feedback(&self, session_id: &str, max_bytes: usize) -> Result<Vec<Feedback>> {
        self.run(self.store.list_feedback(session_id, max_bytes)).await
    }

    fn overdue(&self) -> Overdue {
        self.store.overdue()
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
