//! What state a collection and its server are in.

use super::damage::{Finding, Mend};
use super::error::failed;
use super::store::MongoStore;
use super::{index, questions};
use crate::error::{Error, Result};
use crate::store::report::{Index, Landmark, Repair, Report};
use crate::store::schema::build::MAX_DOCUMENT;
use crate::store::schema::read;
use crate::store::{Store, StoreOptions};
use crate::types::Timestamp;
use mongodb::bson::{Bson, Document, doc};
use std::collections::BTreeSet;

/// The oldest server that the store works with.
const OLDEST: (u32, u32) = (6, 0);

/// With more sessions than this, their parts are not counted in passing.
const COUNTED: u64 = 100_000;

/// A session that has more of the server's limit than this, in percent, will soon be refused writes.
const NEARLY_FULL: u64 = 80;

/// Findings that a report names; it counts all.
const NAMED: usize = 100;

/// Findings that are mended at once.
const FINDINGS: usize = 10_000;

impl MongoStore {
    /// Looks at a collection. Mends what can be mended, if it is to; else tells what could be.
    pub(crate) async fn inspect(uri: &str, options: StoreOptions, repair: Repair) -> Result<Report> {
        let fields = index::fields(&options.metadata_fields);
        let store = Self::connect_only(uri, options).await?;
        let report = store.report(fields, repair).await;
        store.close().await;
        report
    }

    async fn report(&self, fields: Vec<String>, repair: Repair) -> Result<Report> {
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
        let mut findings = Vec::new();
        self.look_at_indexes(fields, &mut report, &mut findings).await?;
        self.look_at_sessions(&mut report).await?;
        self.look_for_damage(findings, repair, &mut report).await?;
        Ok(report)
    }

    async fn look_for_damage(&self, mut findings: Vec<Finding>, repair: Repair, report: &mut Report) -> Result<()> {
        let mut more = 0;
        match self.archive.estimated_document_count().await.map_err(failed) {
            Err(Error::AccessDenied(_)) => {
                let text = String::from("damage was not looked for, because the archive may not be read by this user");
                findings.push(Finding { text, mend: None });
            }
            Err(error) => return Err(error),
            Ok(blocks) if repair != Repair::No || (report.sessions <= COUNTED && blocks <= COUNTED) => {
                if blocks > 0 && !self.has_archive_index().await? {
                    let text = "no index on the blocks of the archive: a read of an archived message reads every block. The next move to the \
                                archive makes the index, if the user may make one; so does check --repair";
                    findings.push(Finding { text: text.to_owned(), mend: Some(Mend::ArchiveIndex) });
                }
                let keep = &mut |finding| if findings.len() < FINDINGS { findings.push(finding) } else { more += 1 };
                self.damage(keep).await?;
            }
            Ok(_) => {
                let text = format!(
                    "damage was not looked for, because there are more than {COUNTED} sessions or blocks: check --repair --dry-run looks in \
                     any collection"
                );
                findings.push(Finding { text, mend: None });
            }
        }
        for (at, Finding { text, mend }) in findings.into_iter().enumerate() {
            // A mend that fails leaves its damage, and others can be mended all the same.
            let (is_mended, text) = match (&mend, repair) {
                (Some(mend), Repair::Yes) => match self.mend(mend).await {
                    Ok(is_mended) => (is_mended, text),
                    Err(error) => (false, format!("{text}; it cannot be mended: {error}")),
                },
                _ => (false, text),
            };
            if at >= NAMED {
                more += usize::from(!is_mended);
                continue;
            }
            if mend.is_some() && repair != Repair::No && (is_mended || repair == Repair::DryRun) {
                report.mended.push(text.clone());
            }
            if !is_mended {
                report.problems.push(text);
            }
        }
        if more > 0 {
            report.problems.push(format!("{more} more things of these kinds"));
        }
        Ok(())
    }

    async fn look_at_indexes(&self, fields: Vec<String>, report: &mut Report, found: &mut Vec<Finding>) -> Result<()> {
        let indexes = index::list(&self.collection).await?;
        let there: BTreeSet<_> = indexes.iter().filter_map(|keys| keys.keys().next().cloned()).collect();
        for field in fields {
            let present = there.contains(&field);
            if !present {
                let text = format!(
                    "no index on {field}: a search by it reads every session. Opening the store for writing makes the index, if the user may \
                     make one; so does check --repair"
                );
                found.push(Finding { text, mend: Some(Mend::Index { field: field.clone() }) });
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
        let agents = questions::agents();
        let messages = doc! { "$sum": { "$map": {
            "input": "$agents",
            "in": { "$add": [
                { "$cond": [{ "$isArray": "$$this.v.messages" }, { "$size": "$$this.v.messages" }, 0] },
                { "$cond": [{ "$isNumber": "$$this.v.archive.count" }, "$$this.v.archive.count", 0] },
                { "$cond": [{ "$isArray": "$$this.v.moving.messages" }, { "$size": "$$this.v.moving.messages" }, 0] },
            ] },
        } } };
        let pipeline = vec![
            doc! { "$match": is_session },
            doc! { "$project": { "agents": agents, "size": { "$bsonSize": "$$ROOT" } } },
            doc! { "$project": {
                "agents": { "$size": "$agents" },
                "messages": messages,
                "size": 1,
            } },
            doc! { "$group": {
                "_id": Bson::Null,
                "sessions": { "$sum": 1 },
                "agents": { "$sum": "$agents" },
                "messages": { "$sum": "$messages" },
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
