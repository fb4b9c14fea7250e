//! What commands ask of a session's document, as projections.

use super::expressions::{AgentPath, are_in_order, array, array_size, first_message, highest_id, in_order, messages_size, without};
use mongodb::bson::{Bson, Document, doc};

/// The messages that are on their way to the archive. A field of that name without `cuts` is somebody else's.
fn moving(path: &AgentPath) -> Document {
    doc! { "$cond": [{ "$isArray": [path.value("moving.cuts")] }, array(path.value("moving.messages")), []] }
}

/// The recent messages behind those that are on their way to the archive.
fn messages_in_document(path: &AgentPath) -> Document {
    doc! { "$concatArrays": [moving(path), array(path.value("messages"))] }
}

/// How the recent messages of an agent lie in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Layout {
    /// As a store leaves them: in the order of their times, and none on its way to the archive.
    #[default]
    Plain,
    /// In any other way.
    Any,
}

/// Whether messages of an agent have fields that stay in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Hidden {
    #[default]
    Unknown,
    /// None had when this was last found out; the server need not look for them in each message.
    None,
    Some,
}

/// A question about an agent's archive and nothing else.
pub(crate) fn archive(path: &AgentPath) -> Document {
    doc! { "_id": 0, "archive": path.value("archive"), "moving": path.value("moving.cuts") }
}

/// The message with an id that is in the document, as the field `message`, and the archive.
pub(crate) fn message(path: &AgentPath, message_id: i64, omit: &[String], (layout, hidden): (Layout, Hidden)) -> Document {
    let messages = match layout {
        Layout::Plain => array(path.value("messages")),
        Layout::Any => messages_in_document(path),
    };
    let mut question = archive(path);
    let omit = ask_for_hidden(&mut question, path, omit, hidden);
    question.insert("message", without_fields(first_message(messages, message_id), omit));
    question
}

/// Asks whether there are fields to omit where that is not known; returns those that the server has to omit.
fn ask_for_hidden<'a>(question: &mut Document, path: &AgentPath, omit: &'a [String], hidden: Hidden) -> &'a [String] {
    if hidden == Hidden::Unknown {
        let has = |field: &String| Bson::from(doc! { "$ne": [path.value(&format!("messages.{field}")), []] });
        question.insert("hidden", doc! { "$or": omit.iter().map(has).collect::<Vec<_>>() });
    }
    if hidden == Hidden::None { &[] } else { omit }
}

/// What of a page lies in the document, as the field `page`, and the archive. The page begins at the place `from` among the messages that
/// are not archived and has at most `limit` messages. Null if the layout is another one.
pub(crate) fn page(path: &AgentPath, from: u64, limit: Option<u64>, omit: &[String], (layout, hidden): (Layout, Hidden)) -> Document {
    // An array of a 16 MiB document has fewer items than this, and `$slice` takes no more.
    let within = |count: u64| i32::try_from(count).unwrap_or(i32::MAX);
    let cut = |of: Bson| Bson::from(doc! { "$slice": [of, within(from), limit.map_or(i32::MAX, within)] });
    let mut question = archive(path);
    let omit = ask_for_hidden(&mut question, path, omit, hidden);
    let page = match layout {
        Layout::Plain => Bson::from(doc! { "$cond": [are_in_order(path), without(cut(path.value("messages").into()), omit), Bson::Null] }),
        Layout::Any => {
            let recent = doc! { "$cond": [
                are_in_order(path),
                path.value("messages"),
                in_order(array(path.value("messages")), |all| Bson::from(all)),
            ] };
            let all = doc! { "$concatArrays": [moving(path), recent] };
            question.insert("in_order", are_in_order(path));
            // Anything else in the place of the list is told from an empty one.
            let is_list = doc! { "$in": [{ "$type": path.value("messages") }, ["array", "missing", "null"]] };
            Bson::from(doc! { "$cond": [is_list, without(cut(all.into()), omit), false] })
        }
    };
    question.insert("page", page);
    question
}

/// The times from which a message without one takes its own.
pub(crate) fn times(path: &AgentPath) -> Document {
    let mut question = doc! { "_id": 0, "created_at": 1, "updated_at": 1 };
    question.insert(path.field("created_at"), 1);
    question.insert(path.field("agent_data.created_at"), 1);
    question
}

/// What a look at a session is to tell beside its revision and, of an agent, whether it exists and its archive.
#[derive(Default)]
pub(crate) struct Question<'a> {
    /// The message that has this id.
    pub(crate) message_id: Option<i64>,
    /// The fields of it that stay away.
    pub(crate) omit: &'a [String],
    /// The append with this key.
    pub(crate) key: Option<&'a str>,
    /// The session's size, and the highest id of the agent's messages.
    pub(crate) grows: bool,
}

/// Why a write matched nothing.
pub(crate) fn look(path: Option<&AgentPath>, question: &Question<'_>) -> Document {
    let Question { message_id, omit, key, grows } = *question;
    let mut project = doc! { "_id": 0, "revision": 1 };
    if grows {
        project.insert("size", doc! { "$bsonSize": "$$ROOT" });
    }
    if let Some(path) = path {
        project.insert("agent", doc! { "$type": format!("${}", path.agent()) });
        project.extend(archive(path));
        if grows {
            let is_agent = doc! { "$eq": [{ "$type": format!("${}", path.agent()) }, "object"] };
            project.insert("highest", doc! { "$cond": [is_agent, highest_id(path), -1] });
        }
        if let Some(message_id) = message_id {
            project.insert("message", without_fields(first_message(messages_in_document(path), message_id), omit));
            project.insert("sealed", doc! { "$type": first_message(moving(path), message_id) });
        }
        if let Some(key) = key {
            let is_key = doc! { "$eq": ["$$this.key", { "$literal": key }] };
            let appends = array(path.value("appends"));
            project.insert("repeat", doc! { "$first": { "$filter": { "input": appends, "cond": is_key } } });
        }
    }
    project
}

/// How a session is: what an append has to know.
pub(crate) fn to_append(path: &AgentPath) -> Document {
    let messages = path.value("messages");
    let last = doc! { "$let": { "vars": { "last": { "$last": array(messages.as_str()) } }, "in": "$$last.created_at" } };
    doc! {
        "_id": 0,
        "revision": 1,
        "agent": { "$type": format!("${}", path.agent()) },
        "in_order": are_in_order(path),
        "size": { "$bsonSize": "$$ROOT" },
        "messages": { "$size": array(messages.as_str()) },
        "bytes": messages_size(path),
        "highest": highest_id(path),
        "latest": last,
        "archive": path.value("archive"),
        "moving": path.value("moving.cuts"),
    }
}

/// How the recent messages of an agent lie: for whoever moves them.
pub(crate) fn to_move(path: &AgentPath) -> Document {
    let size = doc! { "$cond": [{ "$eq": [{ "$type": "$$this" }, "object"] }, { "$bsonSize": "$$this" }, 1] };
    let claimed = path.value("archive.claimed");
    // By the server's clock, which has set the time, too.
    let claim_age = doc! { "$cond": [{ "$eq": [{ "$type": &claimed }, "date"] }, { "$subtract": ["$$NOW", &claimed] }, Bson::Null] };
    let mut question = archive(path);
    question.extend(doc! {
        "agent": { "$type": format!("${}", path.agent()) },
        // Also what is no archive of ours.
        "kind": { "$type": path.value("archive") },
        "claim_age": claim_age,
        "bytes": messages_size(path),
        "sizes": { "$map": { "input": in_order(array(path.value("messages")), |all| Bson::from(all)), "in": size } },
    });
    question
}

/// How many messages each agent has in the document, how large they are, and what is on its way to the archive.
pub(crate) fn sizes() -> Document {
    let (messages, moving) = ("$$this.v.messages", "$$this.v.moving.messages");
    let count = |array: &str| doc! { "$cond": [{ "$isArray": [array] }, { "$size": array }, 0] };
    let of_moving = |figure: Document| doc! { "$cond": [{ "$isArray": ["$$this.v.moving.cuts"] }, figure, 0] };
    let agent = doc! {
        "agent_id": "$$this.k",
        "messages": { "$add": [count(messages), of_moving(count(moving))] },
        "bytes": array_size(messages),
        "moving": of_moving(array_size(moving)),
        "pending": array_size("$$this.v.archive.redo"),
    };
    doc! { "_id": 0, "size": { "$bsonSize": "$$ROOT" }, "agents": { "$map": { "input": agents(), "in": agent } } }
}

/// A session's agents, each with its id as `k`.
pub(crate) fn agents() -> Document {
    doc! { "$cond": [{ "$eq": [{ "$type": "$agents" }, "object"] }, { "$objectToArray": "$agents" }, []] }
}

fn without_fields(document: Document, omit: &[String]) -> Bson {
    if omit.is_empty() {
        return Bson::from(document);
    }
    // A list of at most one, because there may be none.
    let one = doc! { "$filter": { "input": [document], "cond": { "$eq": [{ "$type": "$$this" }, "object"] } } };
    Bson::from(doc! { "$first": without(one, omit) })
}
