//! Moving the oldest messages of an agent into its archive: seal, write, commit.

use super::blocks::{BLOCK_BYTES, BLOCK_MESSAGES, block, block_id, documents, writable};
use super::{Archive, count, is_moving, number, position};
use crate::error::{Error, Result};
use crate::store::mongo::error::{DUPLICATE_KEY, Failure};
use crate::store::mongo::expressions::{AgentPath, are_in_order, array, highest, in_order, is_object, newest, on};
use crate::store::mongo::known::{Move, Mover};
use crate::store::mongo::write::{ATTEMPTS, contended, make_way};
use crate::store::mongo::{MongoStore, index, primary, questions};
use crate::store::schema::json::broken;
use crate::store::schema::read::{corrupt, member};
use mongodb::IndexModel;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::{RawBson, RawBsonRef, RawDocument};
use mongodb::bson::{Bson, Document, RawArrayBuf, RawDocumentBuf, doc};
use mongodb::error::ErrorKind;
use mongodb::options::ReturnDocument;
use std::time::Duration;

/// How long a mover is left alone by others, from its claim on. Its death costs no more than that, and its life does not depend on it.
const TURN: Duration = Duration::from_secs(5);

/// The same where somebody waits: most moves take less, and without a turn two movers would take over from each other for ever.
const SHORT_TURN: Duration = Duration::from_millis(250);

/// How often who waits for a mover looks whether it has come to its end.
const LOOK: Duration = Duration::from_millis(10);

/// How much one move seals, in bytes, unless one message alone is more: a mover holds it in memory.
const SEALED_BYTES: u64 = 8 * 1024 * 1024;

/// Who may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store::mongo) enum Haste {
    /// Only if no other process moves: whoever asks does not wait for the result.
    Polite,
    /// Takes over from a mover of another process that is not done soon.
    Now,
}

/// How far down a move goes, in bytes of recent messages.
#[derive(Debug, Clone, Copy)]
pub(in crate::store::mongo) struct Down {
    /// With no more than this, nothing moves.
    pub(in crate::store::mongo) beyond: u64,
    /// What stays at most.
    pub(in crate::store::mongo) target: u64,
}

impl Down {
    pub(in crate::store::mongo) fn to(target: u64) -> Self {
        Self { beyond: target, target }
    }
}

/// An agent, as a mover finds it.
struct Sight {
    archive: Option<Archive>,
    is_moving: bool,
    /// How long ago the last mover took its number, if it has not come to an end.
    claimed: Option<Duration>,
    /// The size of the recent messages, in bytes.
    bytes: u64,
    /// The size of each of them, in the order of their times.
    sizes: Vec<u64>,
}

/// Messages that are sealed for this mover.
struct Sealed {
    /// The mover's number.
    fence: i64,
    archive: ObjectId,
    /// How many messages are in blocks already.
    count: u64,
    messages: Vec<RawBson>,
    /// The lengths of the blocks.
    cuts: Vec<usize>,
}

impl Sealed {
    fn mover(&self) -> Mover {
        Mover { archive: self.archive, fence: self.fence }
    }
}

impl MongoStore {
    /// Moves an agent's oldest messages until the recent ones have at most `target` bytes, if they have more than `beyond`. Completes a move
    /// that another process left. Tells how many messages moved.
    ///
    /// One mover of this process works on an agent at a time; others wait for it.
    pub(in crate::store::mongo) async fn archive_down_to(
        &self,
        session_id: &str,
        agent_id: &str,
        Down { beyond, target }: Down,
        haste: Haste,
    ) -> Result<u64> {
        let _moving = self.upkeep.mover(session_id, agent_id).await;
        let path = AgentPath::new(agent_id);
        let (mut moved, mut misses) = (0, 0);
        let turn = if haste == Haste::Polite { TURN } else { SHORT_TURN };
        while !self.upkeep.is_over() {
            make_way(misses).await;
            let Some(sight) = self.look_to_move(session_id, &path).await? else { break };
            let enough = if moved == 0 { beyond } else { target };
            if !sight.is_moving && sight.bytes <= enough {
                break;
            }
            if sight.claimed.is_some_and(|claimed| claimed < turn) {
                match haste {
                    Haste::Polite => break,
                    Haste::Now => tokio::time::sleep(LOOK).await,
                }
                continue;
            }
            if moved == 0 && misses == 0 {
                self.ensure_archive_index().await?;
            }
            let sealed = match &sight.archive {
                Some(archive) if sight.is_moving => self.take_over(session_id, &path, archive).await,
                archive => {
                    let cuts = cuts(&sight.sizes, sight.bytes.saturating_sub(target), self.block_bytes());
                    self.seal(session_id, &path, archive.as_ref(), &cuts).await
                }
            };
            if sealed.is_err() {
                // It may be done, and not acknowledged.
                let claim = match &sight.archive {
                    Some(archive) => same_mover(&path, archive.id, archive.fence + 1),
                    None => on(path.field("archive.fence"), 1_i64),
                };
                self.release(session_id, &path, claim).await;
            }
            let done = match sealed? {
                Some(sealed) => self.complete(session_id, &path, sealed).await?,
                None => None,
            };
            match done {
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

    /// Completes a move of an agent that is under way, whoever has begun it.
    pub(in crate::store::mongo) async fn finish_move(&self, session_id: &str, path: &AgentPath) -> Result<()> {
        self.archive_down_to(session_id, path.agent_id(), Down::to(u64::MAX), Haste::Now).await.map(drop)
    }

    /// How much a block holds, in bytes.
    fn block_bytes(&self) -> u64 {
        BLOCK_BYTES.min(self.archive_after.unwrap_or(u64::MAX).div_ceil(2))
    }

    /// Messages in the archive are found by their ids through this index, and so are all blocks of a session. Nothing is moved before it
    /// is there.
    pub(in crate::store::mongo) async fn ensure_archive_index(&self) -> Result<()> {
        let ensure = async || {
            // A task of its own, because a driver call must not be dropped midway.
            let archive = self.archive.clone();
            let ensuring = tokio::spawn(async move { archive.create_index(IndexModel::builder().keys(index_keys()).build()).await });
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

    /// Whether that index is there.
    pub(in crate::store::mongo) async fn has_archive_index(&self) -> Result<bool> {
        Ok(index::list(&self.archive).await?.contains(&index_keys()))
    }

    /// Looks at an agent; none if there is no such agent, or another program has something else in the place of its archive.
    async fn look_to_move(&self, session_id: &str, path: &AgentPath) -> Result<Option<Sight>> {
        let Some(found) = self.find(session_id, questions::to_move(path), Some(primary())).await? else { return Ok(None) };
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
            claimed: number(&found, "claimed")?.and_then(|millis| u64::try_from(millis).ok()).map(Duration::from_millis),
            bytes: count(&found, "bytes")?,
            sizes: sizes.into_iter().map(size).collect::<Result<_>>()?,
            archive,
        }))
    }

    /// Takes the oldest messages, cut into blocks, out of the recent ones; none if the agent has changed since the look.
    async fn seal(&self, session_id: &str, path: &AgentPath, archive: Option<&Archive>, cuts: &[usize]) -> Result<Option<Sealed>> {
        let messages: usize = cuts.iter().sum();
        let Some(last) = messages.checked_sub(1) else { return Ok(None) };
        let mut filter = doc! { "_id": session_id };
        filter.extend(on(path.agent(), is_object()));
        filter.extend(on(path.field(&format!("messages.{last}")), doc! { "$exists": true }));
        filter.extend(on(path.field("moving"), doc! { "$exists": false }));
        filter.extend(match archive {
            Some(archive) => same_mover(path, archive.id, archive.fence),
            // Null is no archive either.
            None => on(path.field("archive"), Bson::Null),
        });
        let before = self.find_and_update(filter, seal(path, cuts), path).await?;
        let Some(found) = before else { return Ok(None) };
        let sealed = sealed(&found)?;
        let bytes = documents(&sealed.messages).map(|message| message.as_bytes().len() as u64).sum();
        self.sessions.moved(session_id, path.agent_id(), Move { messages: messages as u64, bytes, freed: 0, mover: Some(sealed.mover()) });
        Ok(Some(sealed))
    }

    /// Takes a higher number for what another mover has sealed; none if the agent has changed since the look.
    async fn take_over(&self, session_id: &str, path: &AgentPath, archive: &Archive) -> Result<Option<Sealed>> {
        let mut filter = doc! { "_id": session_id };
        filter.extend(same_mover(path, archive.id, archive.fence));
        filter.extend(on(path.field("moving.cuts"), doc! { "$exists": true }));
        let mut update = Document::new();
        update.insert("$inc", on(path.field("archive.fence"), 1_i64));
        update.insert("$currentDate", on(path.field("archive.claimed"), true));
        let Some(found) = self.find_and_update(filter, update, path).await? else { return Ok(None) };
        let sealed = sealed(&found)?;
        self.sessions.moved(session_id, path.agent_id(), Move { mover: Some(sealed.mover()), ..Move::default() });
        Ok(Some(sealed))
    }

    async fn find_and_update(
        &self,
        filter: Document,
        update: impl Into<mongodb::options::UpdateModifications>,
        path: &AgentPath,
    ) -> Result<Option<RawDocumentBuf>> {
        let projection = doc! { "_id": 0, "archive": path.value("archive"), "moving": path.value("moving") };
        let update = self.collection.find_one_and_update(filter, update).projection(projection).return_document(ReturnDocument::After);
        update.write_concern(self.majority.clone()).await.map_err(|error| Failure::of_update(error).into_error())
    }

    /// Writes the blocks of what is sealed, and commits; tells how many messages moved, none if another mover took over.
    async fn complete(&self, session_id: &str, path: &AgentPath, sealed: Sealed) -> Result<Option<u64>> {
        let (archive, fence) = (sealed.archive, sealed.fence);
        let completed = self.write_and_commit(session_id, path, sealed).await;
        if completed.is_err() {
            self.release(session_id, path, same_mover(path, archive, fence)).await;
        }
        completed
    }

    /// Gives up a claim, so that others need not wait for this mover. If this fails, too, they wait a few seconds.
    async fn release(&self, session_id: &str, path: &AgentPath, claim: Document) {
        let mut filter = doc! { "_id": session_id };
        filter.extend(claim);
        let release = self.update(filter, doc! { "$unset": on(path.field("archive.claimed"), "") });
        release.await.map_err(Failure::into_error).ok();
    }

    async fn write_and_commit(&self, session_id: &str, path: &AgentPath, sealed: Sealed) -> Result<Option<u64>> {
        let Sealed { fence, archive, count, messages, cuts } = sealed;
        let (moved, bytes) = (messages.len() as u64, documents(&messages).map(|message| message.as_bytes().len() as u64).sum());
        let (mut blocks, mut messages, mut first) = (Vec::with_capacity(cuts.len()), messages.into_iter(), count);
        for cut in cuts {
            let mut array = RawArrayBuf::new();
            messages.by_ref().take(cut).for_each(|message| array.push(message));
            blocks.push((first, block((archive, first), session_id, path.agent_id(), fence, array)));
            first += cut as u64;
        }
        if first - count != moved {
            // Another program's hand: what is sealed would not be what is committed.
            return Err(corrupt("archive"));
        }
        let places: Vec<Document> = blocks.iter().map(|(first, _)| block_id(archive, *first)).collect();
        if !self.write_blocks(session_id, archive, fence, blocks).await? {
            self.take_back(session_id, places, fence).await?;
            return Ok(None);
        }
        let mut filter = doc! { "_id": session_id };
        filter.extend(same_mover(path, archive, fence));
        filter.extend(on(path.field("archive.count"), position(count)));
        let mut unset = on(path.field("moving"), "");
        unset.extend(on(path.field("archive.claimed"), ""));
        let commit = doc! { "$set": on(path.field("archive.count"), position(count + moved)), "$unset": unset };
        if !self.update_by_majority(filter, commit).await.map_err(Failure::into_error)? {
            self.take_back(session_id, places, fence).await?;
            return Ok(None);
        }
        self.sessions.moved(session_id, path.agent_id(), Move { freed: bytes, ..Move::default() });
        Ok(Some(moved))
    }

    /// Removes what this mover wrote and will not commit: nobody else might ever look there, and updates since then are not in it. What
    /// another mover has overwritten has that one's number.
    async fn take_back(&self, session_id: &str, places: Vec<Document>, fence: i64) -> Result<()> {
        let mine = doc! { "_id": { "$in": places }, "session_id": session_id, "fence": fence };
        self.archive.delete_many(mine).await.map(drop).map_err(|error| Failure::of(error).into_error())
    }

    /// Writes blocks behind the archive's end; tells whether it did, or a mover with a higher number was there.
    async fn write_blocks(&self, session_id: &str, archive: ObjectId, fence: i64, blocks: Vec<(u64, RawDocumentBuf)>) -> Result<bool> {
        let taken = match self.archive.insert_many(blocks.iter().map(|(_, block)| block)).ordered(false).await {
            Ok(_) => return Ok(true),
            Err(error) => match error.kind.as_ref() {
                ErrorKind::InsertMany(failure) if failure.write_concern_error.is_none() => failure.write_errors.clone().unwrap_or_default(),
                _ => return Err(Failure::of(error).into_error()),
            },
        };
        if taken.is_empty() || taken.iter().any(|error| error.code != DUPLICATE_KEY) {
            tracing::warn!(?taken, "blocks of an archive cannot be written");
            return Err(Error::Unavailable(String::from("the store cannot write to the archive")));
        }
        // A mover that did not come to its end has left blocks in these places.
        for error in taken {
            let Some((first, block)) = blocks.get(error.index) else { continue };
            let replaced = self.archive.replace_one(writable(archive, *first, session_id, fence), block).await;
            if replaced.map_err(|error| Failure::of(error).into_error())?.matched_count == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn index_keys() -> Document {
    doc! { "session_id": 1, "messages.message_id": 1, "_id.archive": 1 }
}

/// Matches if nobody has taken a higher number.
pub(in crate::store::mongo) fn same_mover(path: &AgentPath, archive: ObjectId, fence: i64) -> Document {
    let mut same = on(path.field("archive.id"), archive);
    same.extend(on(path.field("archive.fence"), fence));
    same
}

/// Reads what a mover got.
fn sealed(found: &RawDocument) -> Result<Sealed> {
    let archive = Archive::of(found)?.ok_or_else(|| corrupt("archive"))?;
    let Some(RawBsonRef::Document(moving)) = member(found, "moving")? else { return Err(corrupt("archive")) };
    let (Some(RawBsonRef::Array(messages)), Some(RawBsonRef::Array(cuts))) = (member(moving, "messages")?, member(moving, "cuts")?) else {
        return Err(corrupt("archive"));
    };
    let messages = messages.into_iter().map(|message| message.map(RawBson::from).map_err(broken)).collect::<Result<_>>()?;
    let cut = |cut| match cut {
        Ok(RawBsonRef::Int32(cut)) => usize::try_from(cut).map_err(|_| corrupt("archive")),
        _ => Err(corrupt("archive")),
    };
    let cuts = cuts.into_iter().map(cut).collect::<Result<_>>()?;
    Ok(Sealed { fence: archive.fence, archive: archive.id, count: archive.count, messages, cuts })
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

/// Takes the oldest messages out of the recent ones, for the mover with the next number. Makes the archive where there is none.
fn seal(path: &AgentPath, cuts: &[usize]) -> Vec<Document> {
    let count = i32::try_from(cuts.iter().sum::<usize>()).unwrap_or(i32::MAX);
    let cuts: Vec<i32> = cuts.iter().map(|cut| i32::try_from(*cut).unwrap_or(i32::MAX)).collect();
    let messages = path.value("messages");
    let sorted = doc! { "$cond": [are_in_order(path), &messages, in_order(array(messages.as_str()), |all| Bson::from(all))] };
    let archive = |name: &str| path.value(&format!("archive.{name}"));
    let begun = doc! {
        "id": { "$ifNull": [archive("id"), ObjectId::new()] },
        "count": { "$ifNull": [archive("count"), 0_i64] },
        "writes": { "$ifNull": [archive("writes"), 0_i64] },
        "fence": { "$add": [{ "$ifNull": [archive("fence"), 0_i64] }, 1_i64] },
        "claimed": "$$NOW",
        "top": { "$max": [archive("top"), highest("$$sealed.message_id")] },
        "latest": { "$max": [archive("latest"), newest("$$sealed.created_at")] },
    };
    let sealed = doc! { "$slice": [&messages, count] };
    let mut ordered = Document::new();
    ordered.insert(path.field("messages"), sorted);
    let mut taken = Document::new();
    taken.insert(path.field("messages"), doc! { "$slice": [&messages, count, i32::MAX] });
    taken.insert(path.field("in_order"), doc! { "$subtract": [{ "$size": &messages }, count] });
    taken.insert(path.field("moving"), doc! { "messages": &sealed, "cuts": { "$literal": cuts } });
    taken.insert(
        path.field("archive"),
        doc! { "$let": { "vars": { "sealed": sealed }, "in": { "$mergeObjects": [path.value("archive"), begun] } } },
    );
    vec![doc! { "$set": ordered }, doc! { "$set": taken }]
}
