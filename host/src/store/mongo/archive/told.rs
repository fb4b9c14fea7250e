//! What a session's document tells of an agent's archive.

use super::{Archive, is_moving};
use crate::error::Result;
use crate::store::mongo::expressions::AgentPath;
use crate::store::mongo::questions;
use crate::store::mongo::store::{MongoStore, primary};
use crate::store::schema::read::object;
use mongodb::bson::doc;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::RawDocument;

/// What a document tells of an archive.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) archive: Option<Archive>,
    /// Whether messages are on their way there.
    pub(crate) is_moving: bool,
}

/// An agent with an archive, as its session's document tells of it.
pub(crate) struct Owner {
    pub(crate) agent_id: String,
    pub(crate) archive: Archive,
    pub(crate) is_moving: bool,
}

impl Told {
    pub(crate) fn of(found: &RawDocument) -> Result<Self> {
        Ok(Self { archive: Archive::of(found)?, is_moving: is_moving(found)? })
    }
}

impl MongoStore {
    /// What a session's document tells of an agent's archive now.
    pub(crate) async fn read_archive(&self, path: &AgentPath) -> Result<Told> {
        let Some(found) = self.find(path.session_id(), questions::archive(path), Some(primary())).await? else {
            return Ok(Told::default());
        };
        Told::of(&found)
    }

    /// The agent that has an archive.
    pub(crate) async fn owner(&self, session_id: &str, archive: ObjectId) -> Result<Option<Owner>> {
        let has = doc! { "$eq": ["$$this.v.archive.id", archive] };
        let owner = doc! { "$first": { "$filter": { "input": questions::agents(), "cond": has } } };
        let question = doc! { "_id": 0, "owner": { "$let": { "vars": { "owner": owner }, "in": {
            "agent_id": "$$owner.k", "archive": "$$owner.v.archive", "moving": "$$owner.v.moving.cuts",
        } } } };
        let Some(found) = self.find(session_id, question, Some(primary())).await? else { return Ok(None) };
        let Some(owner) = object(&found, "owner")? else { return Ok(None) };
        let (Ok(agent_id), Some(archive)) = (owner.get_str("agent_id"), Archive::of(owner)?) else { return Ok(None) };
        Ok(Some(Owner { agent_id: agent_id.to_owned(), archive, is_moving: is_moving(owner)? }))
    }
}
