//! Whether a session holds what it must after its writes were cut off somewhere.

use super::random::Random;
use super::script::{AgentContents, Contents, Op};
use anyhow::{Context, ensure};
use session_repository::{AgentRef, EmbeddedStore, Page, Session, Store};

/// A session, the writes to it that were begun since it was last looked at, and how many of them were acknowledged.
#[derive(Debug, Clone)]
pub(super) struct Track {
    pub(super) session_id: String,
    pub(super) pending: Vec<Op>,
    acknowledged: usize,
    settled: Option<Contents>,
    /// Writes so far, those that were lost included: no two have the same content.
    serial: u64,
}

impl Track {
    pub(super) fn new(session_id: impl Into<String>) -> Self {
        Self { session_id: session_id.into(), pending: Vec::new(), acknowledged: 0, settled: None, serial: 0 }
    }

    /// Makes up the next writes.
    pub(super) fn plan(&mut self, count: usize, random: &mut Random) -> anyhow::Result<()> {
        let mut contents = self.settled.clone();
        (self.pending, self.acknowledged) = (Vec::new(), 0);
        for _ in 0..count {
            let op = Op::random(contents.as_ref(), self.serial, random);
            self.serial += 1;
            op.apply(&mut contents)?;
            self.pending.push(op);
        }
        Ok(())
    }

    /// Notes that a write was acknowledged, and so all before it have taken place.
    pub(super) fn acknowledge(&mut self, index: usize) {
        self.acknowledged = self.acknowledged.max(index + 1);
    }

    /// Notes that only the first writes were ever begun.
    pub(super) fn begun(&mut self, count: usize) {
        self.pending.truncate(count);
    }

    /// Checks that the session is as it was after one of its writes, the last one that was acknowledged or a later one. Returns how many
    /// of the writes took place.
    pub(super) async fn settle(&mut self, store: &EmbeddedStore) -> anyhow::Result<usize> {
        let seen = contents(store, &self.session_id).await.with_context(|| format!("session {}", self.session_id))?;
        let mut expected = self.settled.clone();
        for done in 0..=self.pending.len() {
            if done >= self.acknowledged && seen == expected {
                (self.settled, self.pending, self.acknowledged) = (seen, Vec::new(), 0);
                return Ok(done);
            }
            if let Some(op) = self.pending.get(done) {
                op.apply(&mut expected)?;
            }
        }
        // Whole contents would fill screens.
        let cut = |text: String| text.chars().take(2000).collect::<String>();
        anyhow::bail!(
            "session {}: {} of these writes were acknowledged: {}\nbefore them there was {}\nand what is there now fits no number of them: {}",
            self.session_id,
            self.acknowledged,
            cut(format!("{:?}", self.pending)),
            cut(format!("{:?}", self.settled)),
            cut(format!("{seen:?}"))
        )
    }
}

/// What a session holds. Its times must fit each other.
async fn contents(store: &EmbeddedStore, session_id: &str) -> anyhow::Result<Option<Contents>> {
    let Some(session) = store.find_session(session_id).await? else {
        ensure!(store.agent_ids(session_id).await?.is_none() && store.get_metadata(session_id).await?.is_none(), "no session, but parts");
        return Ok(None);
    };
    ensure!(session.created_at <= session.updated_at, "{session:?}");
    let mut agents = Vec::new();
    for agent_id in store.agent_ids(session_id).await?.context("no agents")? {
        agents.push(agent_contents(store, &session, agent_id).await?);
    }
    let feedback = store.list_feedback(session_id, usize::MAX).await?;
    ensure!(feedback.iter().all(|entry| entry.created_at <= session.updated_at), "feedback without its session's time: {session:?}");
    Ok(Some(Contents {
        agents,
        metadata: store.get_metadata(session_id).await?.context("no metadata")?.parse()?,
        feedback: feedback.iter().map(|entry| entry.body.parse()).collect::<Result<_, _>>()?,
    }))
}

async fn agent_contents(store: &EmbeddedStore, session: &Session, agent_id: String) -> anyhow::Result<AgentContents> {
    let by_id = AgentRef::new(&session.session_id, &agent_id);
    let agent = store.find_agent(&by_id).await?.context("no agent")?;
    let times = [agent.created_at, agent.updated_at, session.updated_at];
    ensure!(times.is_sorted(), "the agent's times do not fit: {session:?} {agent:?}");
    let listed = store.list_messages(&by_id, Page::default(), &[]).await?;
    let mut messages = Vec::new();
    for message in listed {
        let times = [message.created_at, message.updated_at, agent.updated_at];
        ensure!(times.is_sorted(), "the message's times do not fit: {agent:?} {message:?}");
        if message.message_id % 7 == 0 {
            let found = store.find_message(&by_id, message.message_id, &[]).await?;
            ensure!(found.as_ref() == Some(&message), "by its id the message is {found:?}, in the list {message:?}");
        }
        messages.push((message.message_id, message.body.parse()?));
    }
    Ok(AgentContents { agent_id, data: agent.data.parse()?, messages })
}
