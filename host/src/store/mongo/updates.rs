//! Update pipelines of agents and messages. All data stands in `$literal`, so that no text is taken for an expression.

use super::expressions::{AgentPath, are_in_order, array, first_message, highest_id, in_order, newest, time};
use crate::store::schema::json::date;
use crate::store::schema::tree::integer;
use crate::store::{AppendKey, REMEMBERED_APPENDS};
use crate::types::Timestamp;
use mongodb::bson::{Bson, Document, doc};

/// The stored time, or `now` if that is later.
fn latest(stored: String, now: impl Into<Bson>) -> Document {
    doc! { "$max": [stored, now.into()] }
}

/// The revision after a write.
fn next_revision() -> Document {
    doc! { "$add": [{ "$ifNull": ["$revision", 0_i64] }, 1_i64] }
}

/// Replaces `agent_data`: new fields, the stored `created_at`, and the stored fields to keep.
///
/// The reference can leave an agent behind that has messages and nothing else; an update makes it whole.
pub(crate) fn replace_agent(path: &AgentPath, data: Document, now_text: String, now: Timestamp, keep: &[String]) -> Vec<Document> {
    let (inner, outer) = (path.value("agent_data.created_at"), path.value("created_at"));
    let as_text = doc! { "$dateToString": { "date": &outer, "format": "%Y-%m-%dT%H:%M:%S.%LZ" } };
    let created = doc! { "$cond": [{ "$eq": [{ "$type": &outer }, "date"] }, as_text, { "$literal": &now_text }] };
    let created_at = doc! { "$ifNull": [inner, created] };
    let mut kept = doc! { "created_at": created_at, "updated_at": { "$literal": now_text } };
    for name in keep {
        kept.insert(name, path.value(&format!("agent_data.{name}")));
    }
    let mut set = doc! { "updated_at": latest(String::from("$updated_at"), date(now)), "revision": next_revision() };
    set.insert(path.field("created_at"), doc! { "$ifNull": [outer, date(now)] });
    set.insert(path.field("updated_at"), latest(path.value("updated_at"), date(now)));
    // A field expression whose field is missing leaves no field behind.
    set.insert(path.field("agent_data"), doc! { "$mergeObjects": [{ "$literal": data }, kept] });
    vec![doc! { "$set": set }]
}

/// Which message of the session's document is replaced.
pub(crate) enum First {
    /// The first one that has the id.
    Stored,
    /// None, but its exact copies, the first one being in the archive.
    Archived(Document),
}

/// Fields in which copies of one message differ that the reference stored.
pub(crate) const COPIES_DIFFER: [&str; 3] = ["created_at", "updated_at", "storage_id"];

/// Replaces the message that has the id: new fields, the stored `created_at`, and the stored fields to keep.
///
/// Programs that retry by hand may have stored the message twice; then each copy is replaced, so that a redaction leaves none behind.
/// Another message that took the same id by mistake stays.
pub(crate) fn replace_message(
    path: &AgentPath,
    message_id: i64,
    message: Document,
    now: Timestamp,
    keep: &[String],
    first: First,
) -> Vec<Document> {
    let mut kept = doc! { "created_at": "$$message.created_at", "updated_at": latest(String::from("$$message.updated_at"), date(now)) };
    for name in keep {
        kept.insert(name, format!("$$message.{name}"));
    }
    let replaced = doc! { "$mergeObjects": [{ "$literal": message }, kept] };
    let unstamped = |message: &str| {
        let unset = |input, field: &&str| Bson::from(doc! { "$unsetField": { "field": *field, "input": input } });
        COPIES_DIFFER.iter().fold(Bson::from(message), unset)
    };
    let has_id = doc! { "$eq": ["$$message.message_id", integer(message_id)] };
    let is_copy = doc! { "$eq": [unstamped("$$message"), unstamped("$$first")] };
    // One after the other: only what has an id is sure to be a document, from which fields can be taken.
    let each = doc! { "$cond": [has_id, { "$cond": [is_copy, replaced, "$$message"] }, "$$message"] };
    let messages = array(path.value("messages"));
    let mut set = doc! { "updated_at": latest(String::from("$updated_at"), date(now)), "revision": next_revision() };
    set.insert(path.field("updated_at"), latest(path.value("updated_at"), date(now)));
    let first = match first {
        First::Stored => first_message(messages.clone(), message_id),
        First::Archived(message) => doc! { "$literal": message },
    };
    set.insert(
        path.field("messages"),
        doc! { "$let": {
            "vars": { "first": first },
            "in": { "$map": { "input": messages, "as": "message", "in": each } },
        } },
    );
    vec![doc! { "$set": set }]
}

/// Messages that are to be appended.
#[derive(Debug, Clone)]
pub(crate) struct Append {
    pub(crate) ids: Ids,
    /// The own fields of each message.
    pub(crate) fields: Vec<Document>,
    /// When it happens.
    pub(crate) now: Timestamp,
    pub(crate) key: Option<AppendKey>,
}

/// The ids of messages that are to be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ids {
    /// The one message has an id, and the time of its creation stays.
    Given(i64),
    /// They count up from the highest one that there is, and nothing is created before the newest message.
    Next,
}

/// What an agent remembers of an append with a key.
fn remembered(key: &AppendKey, first: impl Into<Bson>) -> Document {
    doc! { "key": { "$literal": &key.key }, "first": first.into(), "digest": { "$literal": &key.digest } }
}

impl Append {
    /// The messages under ids that count up from the first.
    fn messages(&self, first: i64, now: Timestamp) -> Vec<Bson> {
        let each = |(after, fields): (i64, &Document)| {
            let mut message = doc! { "message_id": integer(first + after) };
            message.extend(fields.clone());
            message.insert("created_at", date(now));
            message.insert("updated_at", date(now));
            Bson::from(message)
        };
        (0..).zip(&self.fields).map(each).collect()
    }

    /// Appends to a session whose state is known: the first id and the time are given, and the order of the times is kept.
    pub(crate) fn in_known_state(&self, path: &AgentPath, first: i64, now: Timestamp) -> Document {
        // `$each`, because `$push` takes the members of a bare document for modifiers of its own.
        let mut push = Document::new();
        push.insert(path.field("messages"), doc! { "$each": self.messages(first, now) });
        if let Some(AppendKey { key, digest }) = &self.key {
            let append = doc! { "key": key, "first": first, "digest": digest };
            push.insert(path.field("appends"), doc! { "$each": [append], "$slice": -remembered_appends() });
        }
        let mut latest = doc! { "updated_at": date(now) };
        latest.insert(path.field("updated_at"), date(now));
        let mut increment = doc! { "revision": 1_i64 };
        increment.insert(path.field("in_order"), i32::try_from(self.fields.len()).unwrap_or(i32::MAX));
        doc! { "$push": push, "$max": latest, "$inc": increment }
    }

    /// Appends whatever the state of the session is. Leaves the messages in the order of their times.
    pub(crate) fn in_any_state(&self, path: &AgentPath) -> Vec<Document> {
        /// A field of the session, gone when the update is done.
        const APPEND: &str = "session-repository append";
        let of = |name: &str| format!("${APPEND}.{name}");
        let (first, now) = match self.ids {
            Ids::Given(id) => (Bson::from(id), Bson::from(date(self.now))),
            Ids::Next => {
                let first = doc! { "$add": [highest_id(path), 1_i64] };
                let now = doc! { "$max": [date(self.now), path.value("archive.latest"), newest(&path.value("messages.created_at"))] };
                (Bson::from(first), Bson::from(now))
            }
        };
        // The last message is the newest, or one without a time, which stays behind all that have one.
        let last = doc! { "$let": { "vars": { "last": { "$last": path.value("messages") } }, "in": time("$$last.created_at") } };
        let is_empty = doc! { "$eq": [path.value("in_order"), 0] };
        let is_last = doc! { "$or": [is_empty, { "$lte": [last, &now] }] };
        let begun = doc! { "first": first, "now": now, "in_order": { "$and": [are_in_order(path), is_last] } };
        let new = (0_i64..).zip(&self.fields).map(|(after, fields)| {
            let id = doc! { "$add": [of("first"), after] };
            let id = doc! { "$cond": [{ "$lte": [&id, i32::MAX] }, { "$toInt": &id }, &id] };
            let stamps = doc! { "created_at": of("now"), "updated_at": of("now") };
            Bson::from(doc! { "$mergeObjects": [{ "message_id": id }, { "$literal": fields }, stamps] })
        });
        // What is there and no array is refused.
        let all = doc! { "$concatArrays": [{ "$ifNull": [path.value("messages"), []] }, new.collect::<Vec<_>>()] };
        let mut appended = Document::new();
        appended.insert(path.field("messages"), all);
        let messages = path.value("messages");
        let sorted = in_order(messages.as_str(), |all| Bson::from(all));
        let mut completed = doc! { "updated_at": latest(String::from("$updated_at"), of("now")), "revision": next_revision() };
        completed.insert(path.field("updated_at"), latest(path.value("updated_at"), of("now")));
        completed.insert(path.field("messages"), doc! { "$cond": [of("in_order"), &messages, sorted] });
        completed.insert(path.field("in_order"), doc! { "$size": &messages });
        if let Some(key) = &self.key {
            let append = remembered(key, doc! { "$toLong": of("first") });
            let appends = doc! { "$concatArrays": [{ "$ifNull": [path.value("appends"), []] }, [append]] };
            completed.insert(path.field("appends"), doc! { "$slice": [appends, -remembered_appends()] });
        }
        vec![doc! { "$set": { APPEND: begun } }, doc! { "$set": appended }, doc! { "$set": completed }, doc! { "$unset": APPEND }]
    }
}

fn remembered_appends() -> i32 {
    i32::try_from(REMEMBERED_APPENDS).unwrap_or(i32::MAX)
}
