//! Which agents a session has.

use super::store::MongoStore;
use crate::error::{Error, Result};
use mongodb::bson::doc;
use mongodb::bson::raw::RawBsonRef;

impl MongoStore {
    /// The ids of a session's agents, in the order in which they are stored; `None` if there is no such session.
    ///
    /// The component does not list agents; this is for programs that show a whole session. Ids that other programs stored need not obey
    /// the rules of [`Repository`](crate::Repository).
    ///
    /// # Errors
    ///
    /// `corrupt` for a session whose agents are no object; `timeout`, `unavailable` and the like.
    pub async fn agent_ids(&self, session_id: &str) -> Result<Option<Vec<String>>> {
        let is = |types: &[&str]| doc! { "$in": [{ "$type": "$agents" }, types] };
        let keys = doc! { "$map": { "input": { "$objectToArray": "$agents" }, "in": "$$this.k" } };
        let ids = doc! { "$switch": {
            "branches": [{ "case": is(&["object"]), "then": keys }, { "case": is(&["missing", "null"]), "then": [] }],
            "default": false,
        } };
        let Some(found) = self.find(session_id, doc! { "_id": 0, "ids": ids }, None).await? else { return Ok(None) };
        let corrupt = || Error::Corrupt(String::from("the stored agents do not fit the schema"));
        let Ok(Some(RawBsonRef::Array(ids))) = found.get("ids") else { return Err(corrupt()) };
        let ids = ids.into_iter().map(|id| match id {
            Ok(RawBsonRef::String(id)) => Ok(id.to_owned()),
            _ => Err(corrupt()),
        });
        ids.collect::<Result<_>>().map(Some)
    }
}
