//! What lies where, moving it now, and folding it back into one document: for the people who run a store.

use super::blocks::{Found, Newer};
use super::moving::Turn;
use super::{Archive, count, position};
use crate::error::{Error, Result};
use crate::store::mongo::error::Failure;
use crate::store::mongo::pipeline::{AgentPath, Question, array_size};
use crate::store::mongo::write::{ATTEMPTS, RESERVE, contended, make_way, session};
use crate::store::mongo::{MongoStore, primary};
use crate::store::schema::build::MAX_DOCUMENT;
use crate::store::schema::json::broken;
use crate::store::schema::read::{self, corrupt, member};
use mongodb::bson::raw::RawBsonRef;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use serde::Serialize;

/// Where the messages of an agent lie.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ArchivedAgent {
    /// The agent.
    pub agent_id: String,
    /// How many of its messages are in the session's document: the newest.
    pub messages: u64,
    /// Their size there, in bytes.
    pub bytes: u64,
    /// How many are in the archive.
    pub archived_messages: u64,
    /// The size of new versions of archived messages that are still in the session's document, in bytes: the last update's, or what a
    /// process left that died.
    pub pending_bytes: u64,
    /// In how many blocks.
    pub archived_blocks: u64,
    /// The size of these, in bytes.
    pub archived_bytes: u64,
}

impl MongoStore {
    /// Where the messages of each agent of a session lie; none if there is no such session.
    ///
    /// # Errors
    ///
    /// Those that any call can end in.
    pub async fn archive_status(&self, session_id: &str) -> Result<Option<Vec<ArchivedAgent>>> {
        let Some(mut agents) = self.layout(session_id).await? else { return Ok(None) };
        for agent in &mut agents {
            let Some(archive) = self.archive_of(session_id, &AgentPath::new(&agent.agent_id)).await? else { continue };
            let blocks = vec![
                doc! { "$match": {
                    "session_id": session_id,
                    "_id.archive": archive.id,
                    "_id.first": { "$lt": position(archive.count) },
                } },
                doc! { "$group": { "_id": Bson::Null, "blocks": { "$sum": 1_i64 }, "bytes": { "$sum": { "$bsonSize": "$$ROOT" } } } },
            ];
            let failed = |error| Failure::of(error).into_error();
            let mut cursor = self.archive.aggregate(blocks).with_type::<RawDocumentBuf>().await.map_err(failed)?;
            if cursor.advance().await.map_err(failed)? {
                agent.archived_messages = archive.count;
                agent.archived_blocks = count(cursor.current(), "blocks")?;
                agent.archived_bytes = count(cursor.current(), "bytes")?;
            }
        }
        Ok(Some(agents))
    }

    /// Moves the oldest messages of each agent of a session to the archive now, as appends do when it is time: until those in the document
    /// have at most [`archive_after`](crate::StoreOptions::archive_after) bytes. Tells how many moved; none if there is no such session.
    ///
    /// # Errors
    ///
    /// `invalid-argument` where nothing is ever archived, and those that any call can end in.
    pub async fn archive_run(&self, session_id: &str) -> Result<Option<u64>> {
        let Some(after) = self.archive_after else {
            return Err(Error::InvalidArgument(String::from("archive after: is never, so there is nothing to move")));
        };
        let Some(agents) = self.layout(session_id).await? else { return Ok(None) };
        let mut moved = 0;
        for agent in agents.into_iter().filter(|agent| agent.bytes > after) {
            moved += self.archive_down_to(session_id, &agent.agent_id, after, Turn::Mine).await?;
        }
        Ok(Some(moved))
    }

    /// Folds the archive of each agent back into the session's document, and removes the blocks. Tells how many messages came back; none if
    /// there is no such session. Appends through a store that archives will move them again.
    ///
    /// # Errors
    ///
    /// `too-large` if it does not fit into one document, with nothing changed unless somebody appends at the same time: the agents are
    /// folded one after the other. Those that any call can end in.
    pub async fn archive_undo(&self, session_id: &str) -> Result<Option<u64>> {
        let Some(agents) = self.archive_status(session_id).await? else { return Ok(None) };
        let document = self.look(session_id, None, Question { grows: true, ..Question::default() }).await?.size;
        let size = document + agents.iter().map(|agent| agent.archived_bytes).sum::<u64>() + RESERVE;
        if size > MAX_DOCUMENT {
            return Err(Error::TooLarge { size, limit: MAX_DOCUMENT });
        }
        let mut back = 0;
        for agent in agents {
            back += self.fold_back(session_id, &AgentPath::new(&agent.agent_id)).await?;
        }
        self.remove_unused_blocks(session_id).await?;
        Ok(Some(back))
    }

    async fn fold_back(&self, session_id: &str, path: &AgentPath) -> Result<u64> {
        let mut incomplete: Option<Archive> = None;
        for attempt in 0..ATTEMPTS {
            make_way(attempt).await;
            // One that is still empty goes, too: whoever began it may be dead, and have left a block.
            let Some(archive) = self.claimed_archive_of(session_id, path).await? else { return Ok(0) };
            let mut parts: Vec<Vec<RawDocumentBuf>> = Vec::new();
            let take = |part| {
                parts.push(part);
                Ok(())
            };
            let Found::Read(()) = self.archived_at(session_id, &archive, 0..archive.count, &[], Newer::Refused, take).await? else {
                // Twice the same: nobody has changed anything, and blocks are missing.
                if incomplete.as_ref() == Some(&archive) {
                    return Err(corrupt("archive"));
                }
                incomplete = Some(archive);
                continue;
            };
            let messages = parts.iter().rev().flatten().map(|message| Document::try_from(message).map(Bson::from).map_err(broken));
            let messages = messages.collect::<Result<Vec<_>>>()?;
            let mut filter = session(session_id, None);
            filter.insert(path.field("archive.id"), archive.id);
            filter.insert(path.field("archive.count"), position(archive.count));
            filter.insert(path.field("archive.writes"), archive.writes);
            let mut update = vec![doc! { "$unset": path.field("archive") }];
            if !messages.is_empty() {
                let mut set = Document::new();
                set.insert(
                    path.field("messages"),
                    doc! { "$concatArrays": [{ "$literal": messages }, { "$ifNull": [path.value("messages"), []] }] },
                );
                update.insert(0, doc! { "$set": set });
            }
            match self.update_by_majority(filter, update).await {
                Ok(true) => return Ok(archive.count),
                Ok(false) => {}
                Err(failure) => return Err(failure.into_error()),
            }
        }
        Err(contended())
    }

    /// Removes blocks of archives that the session's document does not tell of any more: nobody can ever see them again.
    ///
    /// The blocks are looked at first. What the document does not tell of after that was there before and is over; an archive that somebody
    /// begins meanwhile is not among them.
    async fn remove_unused_blocks(&self, session_id: &str) -> Result<()> {
        let failed = |error| Failure::of(error).into_error();
        let group = vec![doc! { "$match": { "session_id": session_id } }, doc! { "$group": { "_id": "$_id.archive" } }];
        let mut cursor = self.archive.aggregate(group).with_type::<RawDocumentBuf>().await.map_err(failed)?;
        let mut unused = Vec::new();
        while cursor.advance().await.map_err(failed)? {
            if let Some(RawBsonRef::ObjectId(archive)) = member(cursor.current(), "_id")? {
                unused.push(archive);
            }
        }
        let agents = doc! { "$cond": [{ "$eq": [{ "$type": "$agents" }, "object"] }, { "$objectToArray": "$agents" }, []] };
        let archives = doc! { "$map": { "input": agents, "in": "$$this.v.archive.id" } };
        let pipeline = vec![doc! { "$match": { "_id": session_id } }, doc! { "$project": { "_id": 0, "archives": archives } }];
        let Some(found) = self.aggregate(pipeline, Some(primary())).await? else { return Ok(()) };
        let Some(RawBsonRef::Array(archives)) = member(&found, "archives")? else { return Ok(()) };
        for archive in archives {
            if let Ok(RawBsonRef::ObjectId(used)) = archive {
                unused.retain(|archive| *archive != used);
            }
        }
        if unused.is_empty() {
            return Ok(());
        }
        let unused = doc! { "session_id": session_id, "_id.archive": { "$in": unused } };
        self.archive.delete_many(unused).await.map(drop).map_err(failed)
    }

    /// How many messages each agent of a session has in its document, and how large they are.
    pub(in crate::store::mongo) async fn layout(&self, session_id: &str) -> Result<Option<Vec<ArchivedAgent>>> {
        let messages = "$$this.v.messages";
        let agent = doc! {
            "agent_id": "$$this.k",
            "messages": { "$cond": [{ "$isArray": [messages] }, { "$size": messages }, 0] },
            "bytes": array_size(messages),
            "pending": array_size("$$this.v.archive.redo"),
        };
        let agents = doc! { "$cond": [{ "$eq": [{ "$type": "$agents" }, "object"] }, { "$objectToArray": "$agents" }, []] };
        let project = doc! { "_id": 0, "agents": { "$map": { "input": agents, "in": agent } } };
        let pipeline = vec![doc! { "$match": { "_id": session_id } }, doc! { "$project": project }];
        let Some(found) = self.aggregate(pipeline, Some(primary())).await? else { return Ok(None) };
        let agents = read::items(&found, "agents", "agent", |agent| {
            let Some(RawBsonRef::String(agent_id)) = member(agent, "agent_id")? else { return Err(corrupt("agent")) };
            let (messages, bytes, pending_bytes) = (count(agent, "messages")?, count(agent, "bytes")?, count(agent, "pending")?);
            Ok(ArchivedAgent { agent_id: agent_id.to_owned(), messages, bytes, pending_bytes, ..ArchivedAgent::default() })
        });
        agents.map(Some)
    }
}

impl MongoStore {
    /// Reads the archived messages from a position on, some at a time; for those who read a whole history, however long that takes.
    pub(in crate::store::mongo) async fn archived_from(
        &self,
        session_id: &str,
        archive: &Archive,
        from: u64,
    ) -> Result<Vec<RawDocumentBuf>> {
        /// How many messages are read at once.
        const PART: u64 = 1024;
        let mut parts: Vec<Vec<RawDocumentBuf>> = Vec::new();
        let collect = |part| {
            parts.push(part);
            Ok(())
        };
        let places = from..archive.count.min(from + PART);
        match self.archived_at(session_id, archive, places, &[], Newer::Taken, collect).await? {
            Found::Read(()) => Ok(parts.into_iter().rev().flatten().collect()),
            Found::Changed => {
                let why = format!("blocks of the archive of session {session_id:?} are missing, or were folded back while they were read");
                Err(Error::Corrupt(why))
            }
        }
    }
}
