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

    /// The agent's id.
    pub(super) fn agent_id(&self) -> &str {
        self.0.strip_prefix("agents.").unwrap_or_default()
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
    pub(super) fn value(&self, name: &str) -> String {
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
    let mut set = doc! { "updated_at": latest(String::from("$updated_at"), now), "revision": next_revision() };
    set.insert(path.field("created_at"), doc! { "$ifNull": [outer, date(now)] });
    set.insert(path.field("updated_at"), latest(path.value("updated_at"), now));
    // A field expression whose field is missing leaves no field behind.
    set.insert(path.field("agent_data"), doc! { "$mergeObjects": [{ "$literal": data }, kept] });
    vec![doc! { "$set": set }]
}

/// Which message of the session's document is replaced.
pub(super) enum First {
    /// The first one that has the id.
    Stored,
    /// None, but its exact copies, the first one being in the archive.
    Archived(Document),
}

/// Replaces the message that has the id: new fields, the stored `created_at`, and the stored fields to keep.
///
/// Programs that retry by hand may have stored the message twice; then each copy is replaced, so that a redaction leaves none behind.
/// Another message that took the same id by mistake stays.
pub(super) fn replace_message(
    path: &AgentPath,
    message_id: i64,
    message: Document,
    now: Timestamp,
    keep: &[String],
    first: First,
) -> Vec<Document> {
    let mut kept = doc! { "created_at": "$$message.created_at", "updated_at": latest(String::from("$$message.updated_at"), now) };
    for name in keep {
        kept.insert(name, format!("$$message.{name}"));
    }
    let replaced = doc! { "$mergeObjects": [{ "$literal": message }, kept] };
    let unstamped = |message: &str| doc! { "$mergeObjects": [message, { "created_at": 0, "updated_at": 0 }] };
    let has_id = doc! { "$eq": ["$$message.message_id", integer(message_id)] };
    let is_copy = doc! { "$eq": [unstamped("$$message"), unstamped("$$first")] };
    let each = doc! { "$cond": [{ "$and": [has_id, is_copy] }, replaced, "$$message"] };
    let mut set = doc! { "updated_at": latest(String::from("$updated_at"), now), "revision": next_revision() };
    set.insert(path.field("updated_at"), latest(path.value("updated_at"), now));
    let first = match first {
        First::Stored => first_message(path, message_id),
        First::Archived(message) => doc! { "$literal": message },
    };
    set.insert(
        path.field("messages"),
        doc! { "$let": {
            "vars": { "first": first },
            "in": { "$map": { "input": messages(path), "as": "message", "in": each } },
        } },
    );
    vec![doc! { "$set": set }]
}

/// Finds the message with an id, as the field `message`, without some of its fields, and the archive.
pub(super) fn find_message(session_id: &str, path: &AgentPath, message_id: i64, omit: &[String]) -> Vec<Document> {
    let project = doc! { "_id": 0, "message": first_message(path, message_id), "archive": path.value("archive") };
    let mut pipeline = vec![doc! { "$match": { "_id": session_id } }, doc! { "$project": project }];
    pipeline.extend(omitted("message", omit));
    pipeline
}

/// What a look at a session is to tell beside its revision and, of an agent, whether it exists and its archive.
#[derive(Default)]
pub(super) struct Question<'a> {
    /// The message that has this id.
    pub(super) message_id: Option<i64>,
    /// The fields of it that stay away.
    pub(super) omit: &'a [String],
    /// The append with this key.
    pub(super) key: Option<&'a str>,
    /// The session's size, and the highest id of the agent's messages.
    pub(super) grows: bool,
}

/// Why a write matched nothing.
pub(super) fn look(session_id: &str, path: Option<&AgentPath>, question: Question<'_>) -> Vec<Document> {
    let Question { message_id, omit, key, grows } = question;
    let mut project = doc! { "_id": 0, "revision": 1 };
    if grows {
        project.insert("size", doc! { "$bsonSize": "$$ROOT" });
    }
    if let Some(path) = path {
        project.insert("agent", doc! { "$type": format!("${}", path.agent()) });
        project.insert("archive", path.value("archive"));
        if grows {
            let is_agent = doc! { "$eq": [{ "$type": format!("${}", path.agent()) }, "object"] };
            project.insert("highest", doc! { "$cond": [is_agent, highest_id(path), -1] });
        }
        if let Some(message_id) = message_id {
            project.insert("message", first_message(path, message_id));
        }
        if let Some(key) = key {
            let is_key = doc! { "$eq": ["$$this.key", { "$literal": key }] };
            let appends = array(path.value("appends"));
            project.insert("repeat", doc! { "$first": { "$filter": { "input": appends, "cond": is_key } } });
        }
    }
    let mut pipeline = vec![doc! { "$match": { "_id": session_id } }, doc! { "$project": project }];
    pipeline.extend(omitted("message", omit));
    pipeline
}

/// The revision after a write.
fn next_revision() -> Document {
    doc! { "$add": [{ "$ifNull": ["$revision", 0_i64] }, 1_i64] }
}

/// An array, or an empty one where there is none.
fn array(field: String) -> Document {
    doc! { "$cond": [{ "$isArray": [field.clone()] }, field, []] }
}

fn messages(path: &AgentPath) -> Document {
    array(path.value("messages"))
}

fn first_message(path: &AgentPath, message_id: i64) -> Document {
    let has_id = doc! { "$eq": ["$$this.message_id", integer(message_id)] };
    doc! { "$first": { "$filter": { "input": messages(path), "cond": has_id, "limit": 1 } } }
}

/// The highest id of an agent's messages, -1 where there is none. Ids of other programs that are no valid ones do not count.
fn highest_id(path: &AgentPath) -> Document {
    let is_id = |id: &str| doc! { "$and": [{ "$isNumber": id }, { "$gte": [id, 0] }, { "$lte": [id, i64::MAX] }] };
    let ids = path.value("messages.message_id");
    let valid = doc! { "$max": { "$filter": { "input": array(ids.clone()), "cond": is_id("$$this") } } };
    let highest = doc! { "$let": { "vars": { "highest": { "$max": ids } }, "in": { "$cond": [is_id("$$highest"), "$$highest", valid] } } };
    let top = path.value("archive.top");
    doc! { "$toLong": { "$max": [-1, { "$cond": [{ "$isNumber": &top }, &top, -1] }, highest] } }
}

/// Appends messages, without ids and times, under the next ids.
pub(super) fn append_messages(
    path: &AgentPath,
    fields: Vec<Document>,
    now: Timestamp,
    key: Option<&str>,
    remembered: usize,
) -> Vec<Document> {
    let times = path.value("messages.created_at");
    let dates = doc! { "$max": { "$filter": { "input": array(times.clone()), "cond": { "$eq": [{ "$type": "$$this" }, "date"] } } } };
    let newest = doc! { "$let": {
        "vars": { "newest": { "$max": times } },
        "in": { "$cond": [{ "$eq": [{ "$type": "$$newest" }, "date"] }, "$$newest", dates] },
    } };
    let count = fields.len();
    let new = (1_i64..).zip(fields).map(|(after, fields)| {
        let id = doc! { "$add": ["$$highest", after] };
        let id = doc! { "$cond": [{ "$lte": [&id, i32::MAX] }, { "$toInt": &id }, &id] };
        let stamps = doc! { "created_at": "$$now", "updated_at": "$$now" };
        Bson::from(doc! { "$mergeObjects": [{ "message_id": id }, { "$literal": fields }, stamps] })
    });
    let appended = doc! { "$let": {
        "vars": { "highest": highest_id(path), "now": { "$max": [date(now), path.value("archive.latest"), newest] } },
        // What is there and no array is refused.
        "in": { "$concatArrays": [{ "$ifNull": [path.value("messages"), []] }, new.collect::<Vec<_>>()] },
    } };
    let last = |field: &str| doc! { "$let": { "vars": { "last": { "$last": path.value("messages") } }, "in": format!("$$last.{field}") } };
    let mut first = doc! {};
    first.insert(path.field("messages"), appended);
    let mut then = doc! { "updated_at": { "$max": ["$updated_at", last("created_at")] }, "revision": next_revision() };
    then.insert(path.field("updated_at"), doc! { "$max": [path.value("updated_at"), last("created_at")] });
    if let Some(key) = key {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let first = doc! { "$toLong": { "$subtract": [last("message_id"), count - 1] } };
        let appends =
            doc! { "$concatArrays": [{ "$ifNull": [path.value("appends"), []] }, [{ "key": { "$literal": key }, "first": first }]] };
        let remembered = i32::try_from(remembered).unwrap_or(i32::MAX);
        then.insert(path.field("appends"), doc! { "$slice": [appends, -remembered] });
    }
    vec![doc! { "$set": first }, doc! { "$set": then }]
}

/// What an append answers: the id of the last message, and the size of all in the document if they are to be measured.
pub(super) fn appended(path: &AgentPath, measures: bool) -> Document {
    let last = doc! { "$let": { "vars": { "last": { "$last": path.value("messages") } }, "in": "$$last.message_id" } };
    let mut projection = doc! { "_id": 0, "last": last };
    if measures {
        projection.insert("size", messages_size(path));
    }
    projection
}

/// The size of an agent's messages in the session's document, in bytes.
pub(super) fn messages_size(path: &AgentPath) -> Document {
    array_size(&path.value("messages"))
}

/// The size of an array, in bytes, without what is around it.
pub(super) fn array_size(array: &str) -> Document {
    /// The size of a document that has one field, named `a`, and an empty array in it.
    const AROUND: i32 = 13;
    doc! { "$cond": [{ "$isArray": [array] }, { "$subtract": [{ "$bsonSize": { "a": array } }, AROUND] }, 0] }
}

/// An agent's messages in the order of their times, equal times as they were appended, or a cut of them.
///
/// They nearly always lie in that order already, and then they are cut as they lie. Otherwise (hosts whose clocks differ) their times are
/// sorted, with the position as the second key because the server's sort is not stable.
pub(super) fn in_order(path: &AgentPath, cut: impl Fn(&str) -> Bson) -> Document {
    let times = doc! { "$map": { "input": "$$all", "in": "$$this.created_at" } };
    let numbered = doc! { "$map": {
        "input": { "$range": [0, { "$size": "$$all" }] },
        "as": "at",
        "in": { "at": "$$at", "time": { "$arrayElemAt": ["$$times", "$$at"] } },
    } };
    let sorted = doc! { "$sortArray": { "input": numbered, "sortBy": { "time": 1, "at": 1 } } };
    doc! { "$let": { "vars": { "all": messages(path) }, "in": { "$let": {
        "vars": { "times": times },
        "in": { "$cond": [
            { "$eq": ["$$times", { "$sortArray": { "input": "$$times", "sortBy": 1 } }] },
            cut("$$all"),
            { "$map": { "input": { "$let": { "vars": { "sorted": sorted }, "in": cut("$$sorted") } }, "in": { "$arrayElemAt": ["$$all", "$$this.at"] } } },
        ] },
    } } } }
}

/// Cuts out of an agent's history what of a page lies in the session's document, as the field `page`: oldest first, equal times in append
/// order, behind what is archived. Also finds the archive.
pub(super) fn list_messages(session_id: &str, path: &AgentPath, offset: u64, limit: Option<u64>, omit: &[String]) -> Vec<Document> {
    let clamp = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    // An array of a 16 MiB document has fewer items than this, and `$slice` takes no more.
    let within = |place: Document| doc! { "$min": [i32::MAX, { "$max": [0, place] }] };
    let archived = path.value("archive.count");
    let is_ours = doc! { "$and": [{ "$eq": [{ "$type": path.value("archive.id") }, "objectId"] }, { "$isNumber": &archived }] };
    let archived = doc! { "$cond": [is_ours, archived, 0_i64] };
    let from = within(doc! { "$subtract": [clamp(offset), "$$archived"] });
    let to = within(doc! { "$subtract": [clamp(offset.saturating_add(limit.unwrap_or(u64::MAX))), "$$archived"] });
    let cut = in_order(path, |of| Bson::from(doc! { "$slice": [of, "$$from", { "$subtract": ["$$to", "$$from"] }] }));
    let page = doc! { "$let": { "vars": { "archived": archived }, "in": { "$let": {
        "vars": { "from": from, "to": to },
        "in": { "$cond": [{ "$lt": ["$$from", "$$to"] }, cut, []] },
    } } } };
    let project = doc! { "_id": 0, "page": page, "archive": path.value("archive") };
    let mut pipeline = vec![doc! { "$match": { "_id": session_id } }, doc! { "$project": project }];
    pipeline.extend(omitted("page", omit));
    pipeline
}

fn omitted(field: &str, omit: &[String]) -> Option<Document> {
    let names: Vec<Bson> = omit.iter().map(|name| Bson::String(format!("{field}.{name}"))).collect();
    (!names.is_empty()).then(|| doc! { "$unset": names })
}
