//! Moving the oldest messages of an agent into its archive.

use super::{Archive, pipeline, position};
use crate::error::{Error, Result};
use crate::store::mongo::MongoStore;
use crate::store::mongo::error::Failure;
use crate::store::mongo::pipeline::AgentPath;
use crate::store::mongo::write::RESERVE;
use crate::store::schema::build::MAX_DOCUMENT;
use crate::store::schema::read;
use crate::types::Timestamp;
use mongodb::IndexModel;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, RawDocumentBuf, doc};

/// How much a block holds, unless one message alone is more: a page of it should cost little, and a move should be worth its commands.
pub(in crate::store::mongo) const BLOCK_BYTES: u64 = 64 * 1024;
pub(in crate::store::mongo) const BLOCK_MESSAGES: usize = 128;

/// How often a move is tried when its messages change under its hands, before it is left to the next append.
const ATTEMPTS: usize = 3;

/// How many blocks an append moves at most beside twice what it brings; the next ones go on. Only a history that another program made has
/// more to move.
const BLOCKS_AT_ONCE: usize = 8;

/// How much more than it needs a write moves that finds a session full, in bytes.
const FOR_A_WHILE: u64 = 512 * 1024;

/// What is to be moved, and by whom.
struct Claim {
    /// The number that the mover took.
    fence: i64,
    archive: ObjectId,
    /// How many messages are archived already.
    count: u64,
    /// The oldest messages in the session's document: as many as a block takes.
    oldest: Vec<RawDocumentBuf>,
}

/// How a move ended.
enum Moved {
    /// So many messages are in the archive now.
    Done(u64),
    /// There is nothing to move, or somebody else moves.
    Nothing,
    /// The messages have changed meanwhile.
    Again,
}

/// Who may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store::mongo) enum Turn {
    /// Only when nobody else has begun to a few seconds ago, and no more than so many blocks.
    Polite(usize),
    /// In any case: whoever else moves has to begin anew.
    Mine,
}

impl MongoStore {
    /// Whether an append of so many bytes should measure the agent's messages, so that they can be moved when it is time.
    pub(in crate::store::mongo) fn measures(&self, session_id: &str, agent_id: &str, bytes: u64) -> bool {
        self.archive_after.is_some_and(|after| self.memory.is_due(session_id, agent_id, bytes, (after / 8).min(BLOCK_BYTES)))
    }

    /// Notes an append of so many messages and bytes, and the size of all after it if it measured them; moves messages to the archive when
    /// it is time. What fails here is tried again later: the append is done.
    pub(in crate::store::mongo) async fn appended(
        &self,
        (session_id, agent_id): (&str, &str),
        messages: usize,
        bytes: u64,
        measured: Option<u64>,
    ) {
        let Some(after) = self.archive_after else { return };
        self.memory.grew(session_id, agent_id, bytes, measured.is_some());
        if measured.is_none_or(|size| size <= after) {
            return;
        }
        let Some(_moving) = self.memory.begin_to_move(session_id, agent_id) else { return };
        let brought = usize::try_from(bytes / BLOCK_BYTES).unwrap_or(usize::MAX).saturating_add(messages / BLOCK_MESSAGES);
        let turn = Turn::Polite(brought.saturating_mul(2).saturating_add(BLOCKS_AT_ONCE));
        if let Err(error) = self.archive_down_to(session_id, agent_id, after, turn).await {
            tracing::warn!(%error, session_id, agent_id, "messages could not be moved to the archive");
        }
    }

    /// Moves an agent's oldest messages until those in the session's document have at most `after` bytes; tells how many moved.
    pub(in crate::store::mongo) async fn archive_down_to(&self, session_id: &str, agent_id: &str, after: u64, turn: Turn) -> Result<u64> {
        let path = AgentPath::new(agent_id);
        let mut moved = 0;
        self.ensure_archive_index().await?;
        let (mut mine, mut failed) = (None, 0);
        let most = match turn {
            Turn::Polite(most) => most,
            Turn::Mine => usize::MAX,
        };
        for _ in 0..most {
            let Some(claim) = self.claim(session_id, &path, after, turn, mine).await? else { break };
            mine = Some(claim.fence);
            match self.move_block(session_id, agent_id, &path, claim).await? {
                Moved::Done(messages) => {
                    moved += messages;
                    (mine, failed) = (None, 0);
                }
                Moved::Nothing => break,
                Moved::Again if failed + 1 == ATTEMPTS => break,
                Moved::Again => failed += 1,
            }
        }
        self.release(session_id, &path, mine).await?;
        Ok(moved)
    }

    /// Messages in the archive are found by their ids through this index, and so are all blocks of a session. Nothing is moved before it
    /// is there.
    pub(in crate::store::mongo) async fn ensure_archive_index(&self) -> Result<()> {
        let ensure = async || {
            // A task of its own, because a driver call must not be dropped midway.
            let keys = doc! { "session_id": 1, "_id.archive": 1, "messages.message_id": 1 };
            let archive = self.archive.clone();
            let ensuring = tokio::spawn(async move { archive.create_index(IndexModel::builder().keys(keys).build()).await });
            match ensuring.await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(Failure::of(error).into_error()),
                Err(defect) => {
                    tracing::error!(%defect, "ensuring an index ended without an answer");
                    Err(Error::Internal(String::from("the store failed")))
                }
            }
        };
        self.archive_index.get_or_try_init(ensure).await.map(drop)
    }

    /// Takes a number and the oldest messages, in their order, if there are more than `after` bytes.
    async fn claim(&self, session_id: &str, path: &AgentPath, after: u64, turn: Turn, mine: Option<i64>) -> Result<Option<Claim>> {
        let filter = pipeline::claimable(session_id, path, after, turn == Turn::Mine, mine);
        let claimed = self.collection.find_one_and_update(filter, pipeline::claim(path, ObjectId::new()));
        let block = BLOCK_BYTES.min(self.archive_after.unwrap_or(u64::MAX).div_ceil(2));
        let claimed = claimed.projection(pipeline::claimed(path, block)).return_document(mongodb::options::ReturnDocument::After);
        let Some(found) = claimed.await.map_err(|error| Failure::of_update(error).into_error())? else { return Ok(None) };
        let archive = Archive::claimed(&found)?.ok_or_else(|| read::corrupt("archive"))?;
        let oldest = read::items(&found, "oldest", "message", |message| Ok(message.to_owned()))?;
        Ok(Some(Claim { fence: archive.fence, archive: archive.id, count: archive.count, oldest }))
    }

    /// Moves what was claimed.
    async fn move_block(&self, session_id: &str, agent_id: &str, path: &AgentPath, claim: Claim) -> Result<Moved> {
        let messages = &claim.oldest;
        let Some(newest) = messages.last() else { return Ok(Moved::Nothing) };
        let latest = read::stamp(newest, "created_at")?;
        let mut top = -1;
        for message in messages {
            top = read::message_id(message)?.unwrap_or(-1).max(top);
        }
        let moved = messages.len() as u64;
        if !self.write_block(session_id, agent_id, &claim, messages).await? {
            return Ok(Moved::Nothing);
        }
        let filter = pipeline::unchanged(session_id, path, (claim.archive, claim.fence, claim.count), messages)?;
        let commit = pipeline::archive_oldest(path, claim.count + moved, messages.len(), top, latest.map(|Timestamp(latest)| latest));
        match self.update_by_majority(filter, commit).await {
            Ok(true) => Ok(Moved::Done(moved)),
            Ok(false) => Ok(Moved::Again),
            Err(failure) => Err(failure.into_error()),
        }
    }

    /// Writes the block that comes next; tells whether it did, or a mover with a higher number was there.
    async fn write_block(&self, session_id: &str, agent_id: &str, claim: &Claim, messages: &[RawDocumentBuf]) -> Result<bool> {
        let first = position(claim.count);
        let block = block((claim.archive, first), session_id, agent_id, claim.fence, messages);
        let filter =
            doc! { "_id": { "archive": claim.archive, "first": first }, "session_id": session_id, "fence": { "$lt": claim.fence } };
        match self.archive.replace_one(filter, block).upsert(true).await.map_err(Failure::of) {
            Ok(_) => Ok(true),
            Err(Failure::DuplicateKey) => Ok(false),
            Err(failure) => Err(failure.into_error()),
        }
    }

    /// Lets others move at once, where this mover took a number and moved nothing.
    async fn release(&self, session_id: &str, path: &AgentPath, fence: Option<i64>) -> Result<()> {
        let Some(fence) = fence else { return Ok(()) };
        let mut filter = doc! { "_id": session_id };
        filter.insert(path.field("archive.fence"), fence);
        let mut unset = Document::new();
        unset.insert(path.field("archive.claimed"), "");
        self.update(filter, doc! { "$unset": unset }).await.map(drop).map_err(Failure::into_error)
    }

    /// Moves messages of any agents of a session to the archive, where a write that adds some bytes would make its document too large.
    pub(in crate::store::mongo) async fn make_room(&self, session_id: &str, size: u64, adds: u64) -> Result<()> {
        let too_large = || Error::TooLarge { size, limit: MAX_DOCUMENT };
        if self.archive_after.is_none() || adds.saturating_add(RESERVE) > MAX_DOCUMENT {
            return Err(too_large());
        }
        let mut agents = self.layout(session_id).await?.unwrap_or_default();
        let fixed = agents.iter().fold(size, |size, agent| size.saturating_sub(agent.bytes + agent.pending_bytes));
        if fixed > MAX_DOCUMENT {
            return Err(too_large());
        }
        agents.sort_by_key(|agent| std::cmp::Reverse(agent.bytes));
        let mut left = size;
        for agent in &agents {
            if left > MAX_DOCUMENT && agent.pending_bytes > 0 {
                self.forget_pending(session_id, &AgentPath::new(&agent.agent_id)).await?;
                left = left.saturating_sub(agent.pending_bytes);
            }
        }
        // Where nothing moves because others move, the write that needs the room tries again, too.
        for agent in &agents {
            if left > MAX_DOCUMENT {
                let enough = (left - MAX_DOCUMENT).saturating_add(FOR_A_WHILE);
                let target = agent.bytes.saturating_sub(enough);
                self.archive_down_to(session_id, &agent.agent_id, target, Turn::Mine).await?;
                left = left.saturating_sub(agent.bytes - target);
            }
        }
        Ok(())
    }
}

/// A block as it is stored.
pub(in crate::store::mongo) fn block(
    (archive, first): (ObjectId, i64),
    session_id: &str,
    agent_id: &str,
    fence: i64,
    messages: &[RawDocumentBuf],
) -> RawDocumentBuf {
    use mongodb::bson::{RawArrayBuf, rawdoc};
    let mut array = RawArrayBuf::new();
    for message in messages {
        array.push(message.clone());
    }
    rawdoc! {
        "_id": { "archive": archive, "first": first },
        "session_id": session_id,
        // For people who look at a block; nothing reads it.
        "agent_id": agent_id,
        "fence": fence,
        "writes": 0_i64,
        "messages": array,
    }
}
