//! The update and aggregation pipelines. All data stands in `$literal`, so that no text is taken for an expression.

use crate::store::schema::json::{date, integer};
use crate::types::Timestamp;
use mongodb::bson::{Bson, Document, doc};

/// Names of the fields of an agent, below the session document.
pub(super) struct AgentPath(String);

impl AgentPath {
    /// `agent_id` is valid: no dot, no NUL, no leading `$`.
    pub(super) fn new(agent_id: &str) -> Self {
        Self(format!("agents.{agent_id}"))
    }

    /// The agent itself.
    pub(super) fn agent(&self) -> &str {
        &self.0
    }

    /// A field of the agent.
    pub(super) fn field(&self, name: &str) -> String {
        format!("{}.{name}", self.0)
    }

    /// A field of the agent, as an expression.
    fn value(&self, name: &str) -> String {
        format!("${}.{name}", self.0)
    }
}

/// The stored time, or `now` if that is later.
fn latest(stored: String, now: Timestamp) -> Document {
    doc! { "$max": [stored, date(now)] }
}

/// Replaces `agent_data`: new fields, the stored `created_at`, and the stored fields to keep.
///
/// The reference can leave an agent behind that has messages and nothing else; an update makes it whole.
pub(super) fn replace_agent(path: &AgentPath, data: Document, now_text: String, now: Timestamp, keep: &[String]) -> Vec<Document> {
    let (inner, outer) = (path.value("agent_data.created_at"), path.value("created_at"));
    let as_text = doc! { "$dateToString": { "date": &outer, "format": "%Y-%m-%dT%H:%M:%S.%LZ" } };
    let created = doc! { "$cond": [{ "$eq": [{ "$type": &outer }, "date"] }, as_text, { "$literal": &now_text }] };
    let created_at = doc! { "$ifNull": [inner, created] };
    let mut kept = doc! { "created_at": created_at, "updated_at": { "$literal": now_text } };
    for name in keep {
        kept.insert(name, path.value(&format!("agent_data.{name}")));
    }
    let mut set = doc! { "updated_at": latest(String::from("$updated_at"), now) };
    set.insert(path.field("created_at"), doc! { "$ifNull": [outer, date(now)] });
    set.insert(path.field("updated_at"), latest(path.value("updated_at"), now));
    // A field expression whose field is missing leaves no field behind.
    set.insert(path.field("agent_data"), doc! { "$mergeObjects": [{ "$literal": data }, kept] });
    vec![doc! { "$set": set }]
}

/// Replaces the message that has the id: new fields, the stored `created_at`, and the stored fields to keep.
///
/// Programs that retry by hand may have stored the message twice; then each copy is replaced, so that a redaction leaves none behind.
/// Another message that took the same id by mistake stays.
pub(super) fn replace_message(path: &AgentPath, message_id: i64, message: Document, now: Timestamp, keep: &[String]) -> Vec<Document> {
    let mut kept = doc! { "created_at": "$$message.created_at", "updated_at": latest(String::from("$$message.updated_at"), now) };
    for name in keep {
        kept.insert(name, format!("$$message.{name}"));
    }
    let replaced = doc! { "$mergeObjects": [{ "$literal": message }, kept] };
    let unstamped = |message: &str| doc! { "$mergeObjects": [message, { "created_at": 0, "updated_at": 0 }] };
    let has_id = doc! { "$eq": ["$$message.message_id", integer(message_id)] };
    let is_copy = doc! { "$eq": [unstamped("$$message"), unstamped("$$first")] };
    let each = doc! { "$cond": [{ "$and": [has_id, is_copy] }, replaced, "$$message"] };
    let mut set = doc! { "updated_at": latest(String::from("$updated_at"), now) };
    set.insert(path.field("updated_at"), latest(path.value("updated_at"), now));
    set.insert(
        path.field("messages"),
        doc! { "$let": {
            "vars": { "first": first_message(path, message_id) },
            "in": { "$map": { "input": path.value("messages"), "as": "message", "in": each } },
        } },
    );
    vec![doc! { "$set": set }]
}

/// Finds the message with an id, as the field `message`, without some of its fields.
pub(super) fn find_message(session_id: &str, path: &AgentPath, message_id: i64, omit: &[String]) -> Vec<Document> {
    let mut pipeline =
        vec![doc! { "$match": { "_id": session_id } }, doc! { "$project": { "_id": 0, "message": first_message(path, message_id) } }];
    pipeline.extend(omitted("message", omit));
    pipeline
}

/// Why a write found nothing to write to: whether the agent exists, and the message with the id.
pub(super) fn diagnose(session_id: &str, path: &AgentPath, message_id: Option<i64>, omit: &[String]) -> Vec<Document> {
    let mut project = doc! { "_id": 0, "agent": { "$type": format!("${}", path.agent()) } };
    if let Some(message_id) = message_id {
        project.insert("message", first_message(path, message_id));
    }
    let mut pipeline = vec![doc! { "$match": { "_id": session_id } }, doc! { "$project": project }];
    pipeline.extend(omitted("message", omit));
    pipeline
}

fn messages(path: &AgentPath) -> Document {
    let messages = path.value("messages");
    doc! { "$cond": [{ "$isArray": [messages.clone()] }, messages, []] }
}

fn first_message(path: &AgentPath, message_id: i64) -> Document {
    let has_id = doc! { "$eq": ["$$this.message_id", integer(message_id)] };
    doc! { "$first": { "$filter": { "input": messages(path), "cond": has_id, "limit": 1 } } }
}

/// Cuts a page out of an agent's messages, as the field `page`: oldest first, equal times in append order.
///
/// Messages nearly always lie in the order of their times already, and then the page is cut out as it lies. Otherwise (hosts whose clocks
/// differ) their times are sorted, with the position as the second key because the server's sort is not stable.
pub(super) fn list_messages(session_id: &str, path: &AgentPath, offset: u64, limit: Option<u64>, omit: &[String]) -> Vec<Document> {
    // An array of a 16 MiB document has fewer items than this, and `$slice` takes no more.
    let clamp = |count: u64| i32::try_from(count).unwrap_or(i32::MAX);
    let page = |of: &str| doc! { "$slice": [of, clamp(offset), clamp(limit.unwrap_or(u64::MAX))] };
    let times = doc! { "$map": { "input": "$$all", "in": "$$this.created_at" } };
    let numbered = doc! { "$map": {
        "input": { "$range": [0, { "$size": "$$all" }] },
        "as": "at",
        "in": { "at": "$$at", "time": { "$arrayElemAt": ["$$times", "$$at"] } },
    } };
    let sorted = doc! { "$sortArray": { "input": numbered, "sortBy": { "time": 1, "at": 1 } } };
    let page = doc! { "$let": { "vars": { "all": messages(path) }, "in": { "$let": {
        "vars": { "times": times },
        "in": { "$cond": [
            { "$eq": ["$$times", { "$sortArray": { "input": "$$times", "sortBy": 1 } }] },
            page("$$all"),
            { "$map": { "input": { "$let": { "vars": { "sorted": sorted }, "in": page("$$sorted") } }, "in": { "$arrayElemAt": ["$$all", "$$this.at"] } } },
        ] },
    } } } };
    let mut pipeline = vec![doc! { "$match": { "_id": session_id } }, doc! { "$project": { "_id": 0, "page": page } }];
    pipeline.extend(omitted("page", omit));
    pipeline
}

fn omitted(field: &str, omit: &[String]) -> Option<Document> {
    let names: Vec<Bson> = omit.iter().map(|name| Bson::String(format!("{field}.{name}"))).collect();
    (!names.is_empty()).then(|| doc! { "$unset": names })
}
