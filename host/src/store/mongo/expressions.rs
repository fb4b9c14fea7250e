//! Expressions that queries and updates share. All data stands in `$literal`, so that no text is taken for an expression.

use crate::store::AgentRef;
use crate::store::schema::tree::integer;
use mongodb::bson::{Bson, DateTime, Document, doc};

/// An agent, and the names of its fields below the session document.
pub(crate) struct AgentPath {
    agent: AgentRef,
    path: String,
}

impl AgentPath {
    /// The id of the agent is valid: no dot, no NUL, no leading `$`.
    pub(crate) fn of(agent: &AgentRef) -> Self {
        Self { agent: agent.clone(), path: format!("agents.{}", agent.agent) }
    }

    pub(crate) fn new(session_id: &str, agent_id: &str) -> Self {
        Self::of(&AgentRef::new(session_id, agent_id))
    }

    pub(crate) fn agent_ref(&self) -> &AgentRef {
        &self.agent
    }

    pub(crate) fn session_id(&self) -> &str {
        &self.agent.session
    }

    pub(crate) fn agent_id(&self) -> &str {
        &self.agent.agent
    }

    /// The agent itself.
    pub(crate) fn agent(&self) -> &str {
        &self.path
    }

    /// A field of the agent.
    pub(crate) fn field(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    /// A field of the agent, as an expression.
    pub(crate) fn value(&self, name: &str) -> String {
        format!("${}.{name}", self.path)
    }
}

/// A condition on a field; the type alone would also match an array that holds an object.
pub(crate) fn is_object() -> Document {
    doc! { "$type": "object", "$not": { "$type": "array" } }
}

/// A condition on one field.
pub(crate) fn on(field: impl Into<String>, condition: impl Into<Bson>) -> Document {
    Document::from_iter([(field.into(), condition.into())])
}

/// An array, or an empty one where there is none.
pub(crate) fn array(field: impl Into<Bson>) -> Document {
    let field = field.into();
    doc! { "$cond": [{ "$isArray": [field.clone()] }, field, []] }
}

/// The first item of a list of messages that has an id.
pub(crate) fn first_message(messages: impl Into<Bson>, message_id: i64) -> Document {
    let has_id = doc! { "$eq": ["$$this.message_id", integer(message_id)] };
    doc! { "$first": { "$filter": { "input": messages.into(), "cond": has_id, "limit": 1 } } }
}

/// The highest of some ids, -1 where there is none. Ids of other programs that are no valid ones do not count.
pub(crate) fn highest(ids: impl Into<Bson>) -> Document {
    let ids = ids.into();
    let is_id = |id: &str| doc! { "$and": [{ "$isNumber": id }, { "$gte": [id, 0] }, { "$lte": [id, i64::MAX] }] };
    let valid = doc! { "$max": { "$filter": { "input": array(ids.clone()), "cond": is_id("$$this") } } };
    let highest = doc! { "$let": { "vars": { "highest": { "$max": ids } }, "in": { "$cond": [is_id("$$highest"), "$$highest", valid] } } };
    doc! { "$toLong": { "$max": [-1, highest] } }
}

/// The highest id of an agent's messages, -1 where there is none.
pub(crate) fn highest_id(path: &AgentPath) -> Document {
    let top = path.value("archive.top");
    doc! { "$max": [{ "$toLong": { "$cond": [{ "$isNumber": &top }, &top, -1] } }, highest(path.value("messages.message_id"))] }
}

/// The newest of some times, also of those that are text; null where there is none.
pub(crate) fn newest(times: &str) -> Document {
    let is_date = |time: &str| doc! { "$eq": [{ "$type": time }, "date"] };
    let read = doc! { "$map": { "input": array(times), "in": time_or("$$this", Bson::Null) } };
    // Where the least and the greatest are dates, all are: the server orders by type first.
    let are_dates = doc! { "$and": [is_date("$$oldest"), is_date("$$newest")] };
    doc! { "$let": {
        "vars": { "oldest": { "$min": times }, "newest": { "$max": times } },
        "in": { "$cond": [are_dates, "$$newest", { "$max": read }] },
    } }
}

/// The size of an agent's recent messages, in bytes.
pub(crate) fn messages_size(path: &AgentPath) -> Document {
    array_size(&path.value("messages"))
}

/// The size of an array, in bytes, without what is around it.
pub(crate) fn array_size(array: &str) -> Document {
    /// The size of a document that has one field, named `a`, and an empty array in it.
    const AROUND: i32 = 13;
    doc! { "$cond": [{ "$isArray": [array] }, { "$subtract": [{ "$bsonSize": { "a": array } }, AROUND] }, 0] }
}

/// Whether all recent messages of an agent are known to be in the order of their times. Every append through a store counts in `in_order`;
/// an append of another program does not.
pub(crate) fn are_in_order(path: &AgentPath) -> Document {
    let messages = path.value("messages");
    doc! { "$eq": [path.value("in_order"), { "$cond": [{ "$isArray": [&messages] }, { "$size": &messages }, -1] }] }
}

/// Messages in the order of their times, equal times as they were appended, or a cut of them.
///
/// They nearly always lie in that order already, and then they are cut as they lie. Otherwise their times are sorted, with the position as
/// the second key because the server's sort is not stable.
pub(crate) fn in_order(messages: impl Into<Bson>, cut: impl Fn(&str) -> Bson) -> Document {
    let times = doc! { "$map": { "input": "$$all", "in": time("$$this.created_at") } };
    let numbered = doc! { "$map": {
        "input": { "$range": [0, { "$size": "$$all" }] },
        "as": "at",
        "in": { "at": "$$at", "time": { "$arrayElemAt": ["$$times", "$$at"] } },
    } };
    let sorted = doc! { "$sortArray": { "input": numbered, "sortBy": { "time": 1, "at": 1 } } };
    doc! { "$let": { "vars": { "all": messages.into() }, "in": { "$let": {
        "vars": { "times": times },
        "in": { "$cond": [
            { "$eq": ["$$times", { "$sortArray": { "input": "$$times", "sortBy": 1 } }] },
            cut("$$all"),
            { "$map": { "input": { "$let": { "vars": { "sorted": sorted }, "in": cut("$$sorted") } }, "in": { "$arrayElemAt": ["$$all", "$$this.at"] } } },
        ] },
    } } } }
}

/// Text that [`Timestamp::parse`](crate::types::Timestamp::parse) reads. The server would also take other forms of text for a time.
const RFC_3339: &str = r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})?\z";

/// The time by which a message is ordered: a date, or text that reads as one. A message without a time comes last.
pub(crate) fn time(created_at: &str) -> Document {
    time_or(created_at, DateTime::MAX)
}

/// A date, or the date that a text stands for; else something else.
fn time_or(created_at: &str, otherwise: impl Into<Bson>) -> Document {
    let otherwise = otherwise.into();
    let is = |name: &str| doc! { "$eq": [{ "$type": created_at }, name] };
    let is_text = doc! { "$cond": [is("string"), { "$regexMatch": { "input": created_at, "regex": RFC_3339 } }, false] };
    doc! { "$switch": {
        "branches": [
            { "case": is("date"), "then": created_at },
            { "case": is_text, "then": { "$dateFromString": { "dateString": created_at, "onError": &otherwise } } },
        ],
        "default": otherwise,
    } }
}

/// Documents of a list without some of their fields.
pub(crate) fn without(documents: impl Into<Bson>, omit: &[String]) -> Bson {
    let documents = documents.into();
    if omit.is_empty() {
        return documents;
    }
    let unset = |input: Bson, field: &String| Bson::from(doc! { "$unsetField": { "field": { "$literal": field }, "input": input } });
    let bare = omit.iter().fold(Bson::from("$$this"), unset);
    // What is no document stays for whoever reads it.
    let bare = doc! { "$cond": [{ "$eq": [{ "$type": "$$this" }, "object"] }, bare, "$$this"] };
    Bson::from(doc! { "$map": { "input": documents, "in": bare } })
}
