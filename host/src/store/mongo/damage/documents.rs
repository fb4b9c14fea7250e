//! Damage of documents and their agents.

use super::finding::{Finding, Mend, flag};
use crate::error::Result;
use crate::store::AgentRef;
use crate::store::mongo::archive::{Archive, count, number, position};
use crate::store::mongo::error::failed;
use crate::store::mongo::expressions::{array, on, time};
use crate::store::mongo::questions;
use crate::store::mongo::store::MongoStore;
use crate::store::schema::read::{corrupt, documents};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::RawDocument;
use mongodb::bson::{Bson, DateTime, Document, RawDocumentBuf, doc};
use std::collections::HashSet;
use std::time::Duration;

/// How long a mover may take before what it has sealed counts as left behind.
const MOVER: Duration = Duration::from_secs(5);

impl MongoStore {
    /// Looks at the agents of all documents.
    pub(super) async fn damage_in_documents(&self, seen: &HashSet<ObjectId>, found: &mut impl FnMut(Finding)) -> Result<()> {
        let mut cursor = self.collection.aggregate(damaged()).with_type::<RawDocumentBuf>().await.map_err(failed)?;
        while cursor.advance().await.map_err(failed)? {
            let session = cursor.current();
            let Ok(session_id) = session.get_str("_id") else { continue };
            if flag(session, "nulls")? {
                let text = format!("session {session_id:?}: null in the place of agents, feedbacks, metadata or revision");
                found(Finding::mendable(text, Mend::EmptyNulls { session_id: session_id.to_owned() }));
            }
            let mut named = |text: &str| found(Finding::named(format!("session {session_id:?}: {text}")));
            if flag(session, "undated")? {
                named("it has no created_at");
            }
            for field in ["revision", "session_type", "metadata", "feedbacks", "agents"] {
                if flag(session, field)? {
                    named(&format!("its {field} cannot be read"));
                }
            }
            for (name, text) in [
                ("unreadable_feedback", "entries of its feedback cannot be read"),
                ("undated_feedback", "entries of its feedback have no created_at, and are listed last"),
            ] {
                let entries = count(session, name)?;
                if entries > 0 {
                    named(&format!("{entries} {text}"));
                }
            }
            for agent in documents(session, "damaged", "agents", |agent| Ok(agent.to_owned()))? {
                self.damage_in_agent(session_id, &agent, seen, found).await?;
            }
        }
        Ok(())
    }

    async fn damage_in_agent(
        &self,
        session_id: &str,
        agent: &RawDocument,
        seen: &HashSet<ObjectId>,
        found: &mut impl FnMut(Finding),
    ) -> Result<()> {
        let Ok(agent_id) = agent.get_str("id") else { return Err(corrupt("agents")) };
        let named = |text: String| format!("agent {agent_id:?} of session {session_id:?}: {text}");
        let agent_ref = || AgentRef::new(session_id, agent_id);
        if flag(agent, "no_agent")? {
            found(Finding::named(named(String::from("it cannot be read"))));
            return Ok(());
        }
        if flag(agent, "no_appends")? {
            found(Finding::named(named(String::from("the keys of its appends cannot be read"))));
        }
        match agent.get_str("data") {
            Ok("object") => {}
            Ok("missing" | "null") => found(Finding::named(named(String::from("it has no agent_data")))),
            _ => found(Finding::named(named(String::from("its agent_data cannot be read")))),
        }
        for (name, text) in
            [("unreadable", "messages have no valid id, or are none"), ("undated", "messages have no created_at, and are listed last")]
        {
            let messages = count(agent, name)?;
            if messages > 0 {
                found(Finding::named(named(format!("{messages} {text}"))));
            }
        }
        if flag(agent, "no_list")? {
            found(Finding::named(named(String::from("its messages cannot be read"))));
        }
        if flag(agent, "unsorted")? {
            let text = named(String::from("its messages count as ordered by time, and are not"));
            found(Finding::mendable(text, Mend::Sort { agent: agent_ref() }));
        }
        let archive = match Archive::of(agent) {
            Ok(archive) => archive,
            Err(_) => {
                found(Finding::named(named(String::from("what it tells of its archive cannot be read"))));
                return Ok(());
            }
        };
        let Some(archive) = archive else { return Ok(()) };
        // One that was begun since the blocks were read has its own by now.
        if archive.count > 0 && !seen.contains(&archive.id) && self.blocks_of(session_id, archive.id, position(archive.count)).await?.0 == 0
        {
            found(Finding::named(named(format!("all {} archived messages are missing: the archive has no blocks", archive.count))));
        }
        let age = number(agent, "claim_age")?.and_then(|millis| u64::try_from(millis).ok()).map(Duration::from_millis);
        if flag(agent, "moving")? && age.is_none_or(|age| age > MOVER) {
            let text = named(String::from("a move to the archive was not completed"));
            found(Finding::mendable(text, Mend::FinishMove { agent: agent_ref() }));
        }
        Ok(())
    }
}

/// The sessions and agents that have damage, or an archive.
fn damaged() -> Vec<Document> {
    let is = |value: &str, kinds: &[&str]| doc! { "$in": [{ "$type": value }, kinds] };
    let nulls = ["$agents", "$feedbacks", "$metadata", "$revision"].map(|field| Bson::from(is(field, &["null"])));
    let count = |messages: &str, damaged: Document| doc! { "$size": { "$filter": { "input": array(messages), "cond": damaged } } };
    let all = "$$agent.v.messages";
    let is_not = |value: &str, kinds: &[&str]| doc! { "$not": [is(value, kinds)] };
    let is_message = doc! { "$and": [is("$$this", &["object"]), { "$isNumber": "$$this.message_id" }] };
    let is_undated = doc! { "$and": [is("$$this", &["object"]), { "$eq": [time("$$this.created_at"), DateTime::MAX] }] };
    let times = doc! { "$map": { "input": array(all), "in": time("$$this.created_at") } };
    let counts_as_sorted = doc! { "$eq": ["$$agent.v.in_order", { "$size": array(all) }] };
    let unsorted = doc! { "$and": [
        counts_as_sorted,
        { "$let": { "vars": { "times": times }, "in": { "$ne": ["$$times", { "$sortArray": { "input": "$$times", "sortBy": 1 } }] } } },
    ] };
    let claimed = "$$agent.v.archive.claimed";
    let agent = doc! {
        "id": "$$agent.k",
        "no_agent": is_not("$$agent.v", &["object"]),
        "no_appends": is_not("$$agent.v.appends", &["array", "missing", "null"]),
        "data": { "$type": "$$agent.v.agent_data" },
        "no_list": { "$not": [is(all, &["array", "missing", "null"])] },
        "unreadable": count(all, doc! { "$not": [is_message] }),
        "undated": count(all, is_undated),
        "unsorted": unsorted,
        "archive": "$$agent.v.archive",
        "moving": { "$isArray": ["$$agent.v.moving.cuts"] },
        "claim_age": { "$cond": [is(claimed, &["date"]), { "$subtract": ["$$NOW", claimed] }, Bson::Null] },
    };
    let has_damage = doc! { "$or": [
        "$$this.no_agent",
        "$$this.no_appends",
        { "$ne": ["$$this.data", "object"] },
        "$$this.no_list",
        { "$gt": ["$$this.unreadable", 0] },
        { "$gt": ["$$this.undated", 0] },
        "$$this.unsorted",
        is("$$this.archive", &["object"]),
    ] };
    let agents = doc! { "$map": { "input": questions::agents(), "as": "agent", "in": agent } };
    let feedback = |damaged: Document| count("$feedbacks", damaged);
    let is_undated_entry = doc! { "$and": [is("$$this", &["object"]), { "$eq": [time("$$this.created_at"), DateTime::MAX] }] };
    // A whole number may be a double; any other is none.
    let is_revision = doc! { "$or": [
        is("$revision", &["missing", "null"]),
        { "$and": [
            { "$isNumber": "$revision" },
            { "$gte": ["$revision", 0] },
            { "$eq": ["$revision", { "$trunc": { "$cond": [{ "$isNumber": "$revision" }, "$revision", 0] } }] },
        ] },
    ] };
    let of_session = doc! {
        "nulls": { "$or": nulls.to_vec() },
        "undated": { "$eq": [time("$created_at"), DateTime::MAX] },
        "revision": { "$not": [is_revision] },
        "session_type": is_not("$session_type", &["string", "missing", "null"]),
        "metadata": is_not("$metadata", &["object", "missing", "null"]),
        "feedbacks": is_not("$feedbacks", &["array", "missing", "null"]),
        "agents": is_not("$agents", &["object", "missing", "null"]),
        "unreadable_feedback": feedback(is_not("$$this", &["object"])),
        "undated_feedback": feedback(is_undated_entry),
        "damaged": { "$filter": { "input": agents, "cond": has_damage } },
    };
    let flags = ["nulls", "undated", "revision", "session_type", "metadata", "feedbacks", "agents"];
    let mut some: Vec<Document> = flags.into_iter().map(|flag| on(flag, true)).collect();
    some.extend(["unreadable_feedback", "undated_feedback"].map(|count| on(count, doc! { "$gt": 0 })));
    some.push(doc! { "damaged.0": { "$exists": true } });
    vec![doc! { "$match": { "_id": { "$type": "string" } } }, doc! { "$project": of_session }, doc! { "$match": { "$or": some } }]
}
