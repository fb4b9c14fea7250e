//! What state a collection and its server are in.

use super::MongoStore;
use super::error::Failure;
use super::index;
use crate::error::Result;
use crate::inspect::{Index, Landmark, Report};
use crate::store::schema::build::MAX_DOCUMENT;
use crate::store::schema::read;
use crate::store::{Store, StoreOptions};
use crate::types::Timestamp;
use futures_util::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::Error as DriverError;
use std::collections::BTreeSet;

/// The oldest server that the store works with.
const OLDEST: (u32, u32) = (6, 0);

/// With more sessions than this, their parts are not counted in passing.
const COUNTED: u64 = 100_000;

/// A session that has more of the server's limit than this, in percent, will soon be refused writes.
const NEARLY_FULL: u64 = 80;

fn failed(error: DriverError) -> crate::Error {
    Failure::of(error).into_error()
}

impl MongoStore {
    pub(crate) async fn inspect(uri: &str, options: StoreOptions) -> Result<Report> {
        let fields = index::fields(&options.metadata_fields);
        let store = Self::connect_only(uri, options).await?;
        let report = store.report(fields).await;
        store.close().await;
        report
    }

    async fn report(&self, fields: Vec<String>) -> Result<Report> {
        let mut report = Report::default();
        let admin = self.collection.client().database("admin");
        let build = admin.run_command(doc! { "buildInfo": 1 }).await.map_err(failed)?;
        let version = build.get_str("version").unwrap_or("of unknown version");
        report.server = format!("MongoDB {version}");
        let mut parts = version.split('.').map(|part| part.parse().unwrap_or(u32::MAX));
        if (parts.next().unwrap_or(u32::MAX), parts.next().unwrap_or(u32::MAX)) < OLDEST {
            report.problems.push(format!("MongoDB {version} is too old: this program needs {}.{} or newer", OLDEST.0, OLDEST.1));
        }
        let hello = admin.run_command(doc! { "hello": 1 }).await.map_err(failed)?;
        report.topology = topology(&hello);
        if !hello.get_bool("isWritablePrimary").unwrap_or(false) {
            report.problems.push(String::from("the server that answers takes no writes: it is no primary"));
        }
        self.look_at_indexes(fields, &mut report).await?;
        self.look_at_sessions(&mut report).await?;
        Ok(report)
    }

    async fn look_at_indexes(&self, fields: Vec<String>, report: &mut Report) -> Result<()> {
        let mut there = BTreeSet::new();
        match self.collection.list_indexes().await {
            Ok(indexes) => {
                let indexes: Vec<_> = indexes.try_collect().await.map_err(failed)?;
                there.extend(indexes.iter().filter_map(|index| index.keys.keys().next().cloned()));
            }
            // There is no collection yet.
            Err(error) if super::error::is_missing_namespace(&error) => {}
            Err(error) => return Err(failed(error)),
        }
        for field in fields {
            let present = there.contains(&field);
            if !present {
                report.problems.push(format!("no index on {field}: who searches by it reads every session; opening the store makes it"));
            }
            report.indexes.push(Index { field, present });
        }
        Ok(())
    }

    async fn look_at_sessions(&self, report: &mut Report) -> Result<()> {
        let is_session = doc! { "_id": { "$type": "string" } };
        let documents = self.collection.estimated_document_count().await.map_err(failed)?;
        report.sessions = if documents > COUNTED {
            documents
        } else {
            let strangers = self.collection.count_documents(doc! { "_id": { "$not": { "$type": "string" } } }).await.map_err(failed)?;
            if strangers > 0 {
                report.problems.push(format!("{strangers} documents are no sessions: their _id is no text"));
            }
            self.count_parts(is_session, report).await?
        };
        report.oldest = self.landmark(1).await?;
        report.newest = self.landmark(-1).await?;
        Ok(())
    }

    /// The first session in a direction of time. Those without a time, or with what is none, would come before all others.
    async fn landmark(&self, direction: i32) -> Result<Option<Landmark>> {
        let mut first: Option<(Timestamp, String)> = None;
        // The server has all texts before all dates.
        for kind in ["date", "string"] {
            let found = self.collection.find_one(doc! { "_id": { "$type": "string" }, "created_at": { "$type": kind } });
            let found = found.projection(doc! { "created_at": 1 }).sort(doc! { "created_at": direction }).await.map_err(failed)?;
            if let Some(found) = found
                && let (Ok(id), Some(created)) = (found.get_str("_id"), read::stamp(&found, "created_at")?)
                && first.as_ref().is_none_or(|(time, _)| if direction > 0 { created < *time } else { created > *time })
            {
                first = Some((created, id.to_owned()));
            }
        }
        Ok(first.map(|(created, id)| Landmark::new(&id, created)))
    }

    /// Counts agents and messages, and finds the largest session; tells how many sessions there are.
    async fn count_parts(&self, is_session: Document, report: &mut Report) -> Result<u64> {
        let agents = doc! { "$cond": [{ "$eq": [{ "$type": "$agents" }, "object"] }, { "$objectToArray": "$agents" }, []] };
        let messages = doc! { "$sum": { "$map": {
            "input": "$agents",
            "in": { "$add": [
                { "$cond": [{ "$isArray": "$$this.v.messages" }, { "$size": "$$this.v.messages" }, 0] },
                { "$cond": [{ "$isNumber": "$$this.v.archive.count" }, "$$this.v.archive.count", 0] },
            ] },
        } } };
        let is_time = |field: &str| doc! { "$in": [{ "$type": field }, ["date", "string"]] };
        let is_readable = doc! { "$and": [{ "$isNumber": "$$this.message_id" }, is_time("$$this.created_at")] };
        let unreadable = doc! { "$sum": { "$map": { "input": "$agents", "as": "agent", "in": { "$add": [
            { "$cond": [{ "$eq": [{ "$type": "$$agent.v.agent_data" }, "object"] }, 0, 1] },
            { "$cond": [
                { "$isArray": "$$agent.v.messages" },
                { "$size": { "$filter": { "input": "$$agent.v.messages", "cond": { "$not": [is_readable] } } } },
                0,
            ] },
        ] } } } };
        let pipeline = vec![
            doc! { "$match": is_session },
            doc! { "$project": { "agents": agents, "created_at": 1, "size": { "$bsonSize": "$$ROOT" } } },
            doc! { "$project": {
                "agents": { "$size": "$agents" },
                "messages": messages,
                "unreadable": { "$add": [{ "$cond": [is_time("$created_at"), 0, 1] }, unreadable] },
                "size": 1,
            } },
            doc! { "$group": {
                "_id": Bson::Null,
                "sessions": { "$sum": 1 },
                "agents": { "$sum": "$agents" },
                "messages": { "$sum": "$messages" },
                "unreadable": { "$max": { "$cond": [{ "$gt": ["$unreadable", 0] }, { "count": "$unreadable", "id": "$_id" }, Bson::Null] } },
                "sessions_unreadable": { "$sum": { "$cond": [{ "$gt": ["$unreadable", 0] }, 1, 0] } },
                "largest": { "$max": { "size": "$size", "id": "$_id" } },
            } },
        ];
        let found = self.aggregate(pipeline).await?.map(Document::try_from);
        let found = found.transpose().map_err(crate::store::schema::json::broken)?.unwrap_or_default();
        let count = |document: &Document, name: &str| match document.get(name) {
            Some(Bson::Int32(count)) => u64::try_from(*count).unwrap_or_default(),
            Some(Bson::Int64(count)) => u64::try_from(*count).unwrap_or_default(),
            _ => 0,
        };
        (report.agents, report.messages) = (Some(count(&found, "agents")), Some(count(&found, "messages")));
        if let Ok(worst) = found.get_document("unreadable") {
            let (sessions, id) = (count(&found, "sessions_unreadable"), worst.get_str("id").unwrap_or_default());
            report.problems.push(format!(
                "{sessions} sessions have parts that cannot be read (no time, no id or no data); most are in {id:?}: {}",
                count(worst, "count")
            ));
        }
        if let Ok(largest) = found.get_document("largest") {
            let (size, id) = (count(largest, "size"), largest.get_str("id").unwrap_or_default());
            if size * 100 > MAX_DOCUMENT * NEARLY_FULL {
                let unless = if self.archive_after.is_some() { ", unless its messages are archived" } else { "" };
                let full = format!("session {id:?} has {size} bytes of at most {MAX_DOCUMENT}: its writes will soon be refused{unless}");
                report.problems.push(full);
            }
        }
        Ok(count(&found, "sessions"))
    }
}

fn topology(hello: &Document) -> String {
    if hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") {
        return String::from("a sharded cluster");
    }
    match hello.get_str("setName") {
        Ok(name) => {
            let members = hello.get_array("hosts").map_or(0, Vec::len);
            format!("replica set {name} with {members} {}", if members == 1 { "member" } else { "members" })
        }
        Err(_) => String::from("a standalone server: what it loses is lost"),
    }
}
