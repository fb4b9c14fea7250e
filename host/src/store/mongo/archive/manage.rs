//! What lies where, moving it now, and folding it back into one document: for the people who run a store.

use super::blocks::{Outcome, behind, incomplete};
use super::moving::{Down, Haste};
use super::room::{ArchivedAgent, Sizes};
use super::{Archive, position};
use crate::error::{Error, Result};
use crate::store::mongo::attempts::{ATTEMPTS, back_off, contended};
use crate::store::mongo::conditions::RESERVE;
use crate::store::mongo::expressions::{AgentPath, array, in_order, on};
use crate::store::mongo::questions::Question;
use crate::store::mongo::store::MongoStore;
use crate::store::schema::build::MAX_DOCUMENT;
use crate::store::schema::json::broken;
use mongodb::bson::raw::RawBson;
use mongodb::bson::{Bson, Document, doc};
use serde::Serialize;

/// What an [`archive_undo`](MongoStore::archive_undo) did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Undone {
    /// How many messages came back into the session's document.
    pub folded: u64,
    /// How many orphans were removed: blocks of the session that belonged to no archive.
    pub orphans: u64,
}

impl MongoStore {
    /// Where the messages of each agent of a session lie; none if there is no such session.
    ///
    /// # Errors
    ///
    /// Those that any call can end in.
    pub async fn archive_status(&self, session_id: &str) -> Result<Option<Vec<ArchivedAgent>>> {
        let Some(Sizes { mut agents, .. }) = self.sizes(session_id).await? else { return Ok(None) };
        for agent in &mut agents {
            let path = AgentPath::new(session_id, &agent.agent_id);
            let Some(archive) = self.read_archive(&path).await?.archive.filter(|archive| archive.count > 0) else { continue };
            agent.archived_messages = archive.count;
            (agent.archived_blocks, agent.archived_bytes) = self.blocks_of(session_id, archive.id, position(archive.count)).await?;
        }
        Ok(Some(agents))
    }

    /// Moves the oldest messages of each agent of a session to the archive now, until those in the document have at most
    /// [`archive_after`](crate::MongoOptions::archive_after) bytes. Tells how many moved; none if there is no such session.
    ///
    /// # Errors
    ///
    /// `invalid-argument` where nothing is ever archived, and those that any call can end in.
    pub async fn archive_run(&self, session_id: &str) -> Result<Option<u64>> {
        let Some(after) = self.archive_after else {
            return Err(Error::InvalidArgument(String::from("archive after: is never, so there is nothing to move")));
        };
        let Some(Sizes { agents, .. }) = self.sizes(session_id).await? else { return Ok(None) };
        let mut moved = 0;
        for agent in agents.into_iter().filter(|agent| agent.bytes > after || agent.moving_bytes > 0) {
            moved += self.archive_down_to(&AgentPath::new(session_id, &agent.agent_id), Down::to(after), Haste::Now).await?;
        }
        Ok(Some(moved))
    }

    /// Folds the archive of each agent back into the session's document, and removes the blocks and all orphans of the session. None if
    /// there is no such session and no block of one. Appends through a store that archives will move the messages again.
    ///
    /// # Errors
    ///
    /// `too-large` if it does not fit into one document, with nothing changed unless somebody appends at the same time: the agents are
    /// folded one after the other. Those that any call can end in.
    pub async fn archive_undo(&self, session_id: &str) -> Result<Option<Undone>> {
        let Some(agents) = self.archive_status(session_id).await? else {
            // Of a session that an import began, or that was removed by other means.
            let orphans = self.remove_orphans(session_id).await?;
            return Ok((orphans > 0).then_some(Undone { folded: 0, orphans }));
        };
        let document = self.look(session_id, None, &Question { grows: true, ..Question::default() }).await?.size;
        let size = document + agents.iter().map(|agent| agent.archived_bytes).sum::<u64>() + RESERVE;
        if size > MAX_DOCUMENT {
            return Err(Error::TooLarge { size, limit: MAX_DOCUMENT });
        }
        let mut undone = Undone { folded: 0, orphans: self.remove_orphans(session_id).await? };
        for agent in agents {
            undone.folded += self.fold_back(&AgentPath::new(session_id, &agent.agent_id)).await?;
        }
        // What was folded back is in no archive any more.
        self.remove_orphans(session_id).await?;
        Ok(Some(undone))
    }

    async fn fold_back(&self, path: &AgentPath) -> Result<u64> {
        let mut last: Option<Archive> = None;
        for attempt in 0..ATTEMPTS {
            back_off(attempt).await;
            let Some(archive) = self.read_archive(path).await?.archive else { return Ok(0) };
            let mut parts: Vec<Vec<RawBson>> = Vec::new();
            let take = |_, part| {
                parts.push(part);
                Ok(())
            };
            match self.archived_at(path.session_id(), &archive, 0..archive.count, &[], take).await? {
                Outcome::Complete => {}
                // Twice the same: nobody has changed anything, and blocks are missing.
                Outcome::Gaps if last.as_ref() == Some(&archive) => return Err(incomplete(path.session_id())),
                Outcome::Newer if last.as_ref() == Some(&archive) => return Err(behind(path.session_id())),
                Outcome::Gaps | Outcome::Newer => {
                    last = Some(archive);
                    continue;
                }
            }
            let messages = parts.into_iter().rev().flatten().map(|message| Bson::try_from(message).map_err(broken));
            let mut filter = doc! { "_id": path.session_id() };
            for (name, value) in [("count", position(archive.count)), ("writes", archive.writes), ("fence", archive.fence)] {
                filter.extend(on(path.field(&format!("archive.{name}")), value));
            }
            filter.extend(on(path.field("archive.id"), archive.id));
            match self.update_by_majority(filter, folded(path, messages.collect::<Result<Vec<_>>>()?)).await {
                Ok(true) => return Ok(archive.count),
                Ok(false) => {}
                Err(failure) => return Err(failure.into_error()),
            }
        }
        Err(contended())
    }
}

/// Puts the archived messages, and those on their way, in front of the recent ones.
fn folded(path: &AgentPath, archived: Vec<Bson>) -> Vec<Document> {
    let messages = path.value("messages");
    let moving = doc! { "$cond": [{ "$isArray": [path.value("moving.cuts")] }, array(path.value("moving.messages")), []] };
    let mut all = Document::new();
    all.insert(path.field("messages"), doc! { "$concatArrays": [{ "$literal": archived }, moving, { "$ifNull": [&messages, []] }] });
    let mut sorted = Document::new();
    sorted.insert(path.field("messages"), in_order(messages.as_str(), |all| Bson::from(all)));
    sorted.insert(path.field("in_order"), doc! { "$size": &messages });
    let gone = [path.field("archive"), path.field("moving")];
    vec![doc! { "$set": all }, doc! { "$set": sorted }, doc! { "$unset": gone.to_vec() }]
}
