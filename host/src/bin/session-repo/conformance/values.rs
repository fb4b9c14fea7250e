//! Values with placeholders: what they stand for in arguments.

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// What a case has bound so far, and the suffix of its session ids.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) bound: HashMap<String, Value>,
    suffix: String,
}

/// The placeholder that a value is, with what it is about.
pub(super) fn placeholder(value: &Value) -> Option<(&str, &Value)> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    let (key, about) = object.iter().next()?;
    Some((key.strip_prefix('%')?, about))
}

/// A value or a line as messages show it: its first 300 characters.
pub(super) fn cut(text: &str) -> String {
    const LONGEST: usize = 300;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} …", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

impl Scope {
    pub(super) fn new(suffix: String) -> Self {
        Self { bound: HashMap::new(), suffix }
    }

    /// The same with another binding.
    pub(super) fn with(&self, name: &str, value: Value) -> Self {
        let mut scope = self.clone();
        scope.bound.insert(name.to_owned(), value);
        scope
    }

    /// The arguments of a call as JSON text.
    pub(super) fn arguments(&self, args: &Value) -> anyhow::Result<String> {
        let Some(members) = args.as_object() else { return self.text(args) };
        let mut texts = Vec::new();
        for (key, value) in members {
            let text = match key.as_str() {
                "session_id" => self.session_id(value)?.to_string(),
                _ => self.text(value)?,
            };
            texts.push(format!("{}:{text}", json!(key)));
        }
        Ok(format!("{{{}}}", texts.join(",")))
    }

    /// A session id of this case.
    pub(super) fn session_id(&self, id: &Value) -> anyhow::Result<Value> {
        Ok(match placeholder(id) {
            Some(("exact", id)) => self.value(id)?,
            Some(("sized", about)) => {
                let (text, bytes) = text_and_number(about)?;
                let times = bytes.checked_sub(self.suffix.len()).context("a suffix does not fit into %sized")?;
                Value::from(text.repeat(times) + &self.suffix)
            }
            _ => match self.value(id)? {
                Value::String(id) => Value::from(id + &self.suffix),
                other => other,
            },
        })
    }

    /// A value as JSON text, which can be what no JSON value is.
    fn text(&self, value: &Value) -> anyhow::Result<String> {
        Ok(match (placeholder(value), value) {
            (Some(("json", text)), _) => self.value(text)?.as_str().context("%json takes a text")?.to_owned(),
            (Some(_), _) => self.value(value)?.to_string(),
            (None, Value::Object(members)) => {
                let member = |(key, value): (&String, &Value)| Ok(format!("{}:{}", json!(key), self.text(value)?));
                format!("{{{}}}", members.iter().map(member).collect::<anyhow::Result<Vec<_>>>()?.join(","))
            }
            (None, Value::Array(items)) => {
                format!("[{}]", items.iter().map(|item| self.text(item)).collect::<anyhow::Result<Vec<_>>>()?.join(","))
            }
            (None, scalar) => scalar.to_string(),
        })
    }

    /// The value that a value with placeholders stands for.
    pub(super) fn value(&self, value: &Value) -> anyhow::Result<Value> {
        let Some((name, about)) = placeholder(value) else {
            return Ok(match value {
                Value::Object(members) => Value::Object(
                    members.iter().map(|(key, value)| Ok((key.clone(), self.value(value)?))).collect::<anyhow::Result<Map<_, _>>>()?,
                ),
                Value::Array(items) => Value::Array(items.iter().map(|item| self.value(item)).collect::<anyhow::Result<_>>()?),
                scalar => scalar.clone(),
            });
        };
        Ok(match name {
            "var" => {
                let name = about.as_str().context("%var takes a name")?;
                self.bound.get(name).with_context(|| format!("nothing is bound to {name}"))?.clone()
            }
            "sum" => {
                let summands = about.as_array().context("%sum takes an array")?;
                let summand = |value| self.value(value)?.as_i64().context("%sum takes integers");
                Value::from(summands.iter().map(summand).collect::<anyhow::Result<Vec<_>>>()?.iter().sum::<i64>())
            }
            "text" => {
                let parts = about.as_array().context("%text takes an array")?;
                let part = |part| {
                    Ok(match self.value(part)? {
                        Value::String(text) => text,
                        other => other.to_string(),
                    })
                };
                Value::from(parts.iter().map(part).collect::<anyhow::Result<Vec<_>>>()?.concat())
            }
            "times" => {
                let (text, times) = text_and_number(about)?;
                Value::from(text.repeat(times))
            }
            "list" => {
                let times = about.get("repeat").and_then(Value::as_u64).context("%list takes `repeat`")?;
                let (name, item) = (about.get("as").and_then(Value::as_str), about.get("item").context("%list takes `item`")?);
                let item = |n: u64| name.map_or_else(|| self.value(item), |name| self.with(name, json!(n)).value(item));
                Value::Array((0..times).map(item).collect::<anyhow::Result<_>>()?)
            }
            "nested" => {
                let levels = about.as_u64().context("%nested takes a number")?;
                (1..levels).fold(json!([]), |inner, _| json!([inner]))
            }
            other => bail!("there is no placeholder %{other} for values"),
        })
    }
}

fn text_and_number(about: &Value) -> anyhow::Result<(&str, usize)> {
    let text = about.get(0).and_then(Value::as_str);
    let number = about.get(1).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
    text.zip(number).context("a placeholder takes a text and a number")
}
