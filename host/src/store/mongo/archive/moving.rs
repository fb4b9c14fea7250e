//! Moving the oldest messages of an agent into its archive, step by step, whichever mover has begun.

use super::blocks::{BLOCK_BYTES, BLOCK_MESSAGES};
use super::conditions::same_mover;
use super::{Archive, count, is_moving, number};
use crate::error::{Error, Result};
use crate::store::mongo::attempts::{ATTEMPTS, back_off, contended};
use crate::store::mongo::expressions::{AgentPath, on};
use crate::store::mongo::questions;
use crate::store::mongo::store::{MongoStore, primary};
use crate::store::schema::read::{corrupt, member};
use mongodb::bson::raw::RawBsonRef;
use std::time::Duration;

/// How long a mover is left alone by others, from its claim on. Its death costs no more than that, and its life does not depend on it.
const TURN: Duration = Duration::from_secs(5);

/// The same where somebody waits: most moves take less, and without a turn two movers would take over from each other for ever.
const SHORT_TURN: Duration = Duration::from_millis(250);

/// How often who waits for a mover looks whether it has come to its end.
const POLL: Duration = Duration::from_millis(10);

/// How much one move seals, in bytes, unless one message alone is more: a mover holds it in memory.
const SEALED_BYTES: u64 = 8 * 1024 * 1024;

/// Who may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Haste {
    /// Only if no other process moves: whoever asks does not wait for the result.
    Polite,
    /// Takes over from a mover of another process that is not done soon.
    Now,
}

/// How far down a move goes, in bytes of recent messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Down {
    /// With no more than this, nothing moves.
    pub(crate) beyond: u64,
    /// What stays at most.
    pub(crate) target: u64,
}

impl Down {
    pub(crate) fn to(target: u64) -> Self {
        Self { beyond: target, target }
    }
}

/// An agent, as a mover finds it.
struct Sight {
    archive: Option<Archive>,
    is_moving: bool,
    /// How long ago the last mover took its number; none if that one has come to its end.
    claim_age: Option<Duration>,
    /// The size of the recent messages, in bytes.
    bytes: u64,
    /// The size of each of them, in the order of their times.
    sizes: Vec<u64>,
}

impl MongoStore {
    /// Moves an agent's oldest messages until the recent ones have at most `target` bytes, if they have more than `beyond`. Completes a move
    /// that another process left. Tells how many messages moved.
    ///
    /// One mover of this process works on an agent at a time; others wait for it.
    pub(crate) async fn archive_down_to(&self, path: &AgentPath, Down { beyond, target }: Down, haste: Haste) -> Result<u64> {
        let _turn = self.upkeep.move_turn(path.agent_ref()).await;
        let (mut moved, mut misses) = (0, 0);
        let turn = if haste == Haste::Polite { TURN } else { SHORT_TURN };
        while !self.upkeep.is_over() {
            back_off(misses).await;
            let Some(sight) = self.look_to_move(path).await? else { break };
            let enough = if moved == 0 { beyond } else { target };
            if !sight.is_moving && sight.bytes <= enough {
                break;
            }
            if sight.claim_age.is_some_and(|age| age < turn) {
                match haste {
                    Haste::Polite => break,
                    Haste::Now => tokio::time::sleep(POLL).await,
                }
                continue;
            }
            if moved == 0 && misses == 0 {
                self.ensure_archive_index().await?;
            }
            match self.move_once(path, &sight, target).await? {
                Some(messages) => {
                    moved += messages;
                    misses = 0;
                }
                // Another mover was faster.
                None if haste == Haste::Polite => break,
                None if misses + 1 == ATTEMPTS => return Err(contended()),
                None => misses += 1,
            }
        }
        Ok(moved)
    }

    /// Completes the move that is under way, or seals messages for one and completes that; tells how many moved. None if another mover was
    /// faster.
    async fn move_once(&self, path: &AgentPath, sight: &Sight, target: u64) -> Result<Option<u64>> {
        let sealed = match &sight.archive {
            Some(archive) if sight.is_moving => self.take_over(path, archive).await,
            archive => {
                let cuts = cuts(&sight.sizes, sight.bytes.saturating_sub(target), self.block_bytes());
                self.seal(path, archive.as_ref(), &cuts).await
            }
        };
        if sealed.is_err() {
            // It may be done, and not acknowledged.
            let claim = match &sight.archive {
                Some(archive) => same_mover(path, archive.id, archive.fence + 1),
                None => on(path.field("archive.fence"), 1_i64),
            };
            self.release(path, claim).await;
        }
        match sealed? {
            Some(sealed) => self.complete(path, sealed).await,
            None => Ok(None),
        }
    }

    /// Completes a move of an agent that is under way, whoever has begun it.
    pub(crate) async fn finish_move(&self, path: &AgentPath) -> Result<()> {
        self.archive_down_to(path, Down::to(u64::MAX), Haste::Now).await.map(drop)
    }

    /// How much a block holds, in bytes.
    fn block_bytes(&self) -> u64 {
        BLOCK_BYTES.min(self.archive_after.unwrap_or(u64::MAX).div_ceil(2))
    }

    /// Looks at an agent; none if there is no such agent, or another program has something else in the place of its archive.
    async fn look_to_move(&self, path: &AgentPath) -> Result<Option<Sight>> {
        let Some(found) = self.find(path.session_id(), questions::to_move(path), Some(primary())).await? else { return Ok(None) };
        let is = |name: &str, kind: &str| Ok::<_, Error>(matches!(member(&found, name)?, Some(RawBsonRef::String(found)) if found == kind));
        let archive = Archive::of(&found)?;
        if !is("agent", "object")? || archive.is_none() && !is("kind", "missing")? && !is("kind", "null")? {
            return Ok(None);
        }
        let Some(RawBsonRef::Array(sizes)) = member(&found, "sizes")? else { return Err(corrupt("messages")) };
        let size = |size| match size {
            Ok(RawBsonRef::Int32(size)) => u64::try_from(size).map_err(|_| corrupt("messages")),
            _ => Err(corrupt("messages")),
        };
        Ok(Some(Sight {
            is_moving: archive.is_some() && is_moving(&found)?,
            // A claim from the future is that of a server whose clock was ahead: no turn, or it would last until the clocks agree.
            claim_age: number(&found, "claim_age")?.and_then(|millis| u64::try_from(millis).ok()).map(Duration::from_millis),
            bytes: count(&found, "bytes")?,
            sizes: sizes.into_iter().map(size).collect::<Result<_>>()?,
            archive,
        }))
    }
}

/// How the oldest messages are cut into blocks: full ones, until at least `excess` bytes go or as much as one move seals.
fn cuts(sizes: &[u64], excess: u64, block_bytes: u64) -> Vec<usize> {
    let (mut cuts, mut sizes, mut sealed) = (Vec::new(), sizes.iter().copied().peekable(), 0);
    while sealed < excess && sizes.peek().is_some() {
        let (mut messages, mut bytes) = (0, 0);
        while let Some(size) = sizes.next_if(|size| messages == 0 || messages < BLOCK_MESSAGES && bytes + size <= block_bytes) {
            messages += 1;
            bytes += size;
        }
        if !cuts.is_empty() && sealed + bytes > SEALED_BYTES {
            break;
        }
        cuts.push(messages);
        sealed += bytes;
    }
    cuts
}
