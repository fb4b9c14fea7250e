//! A bucket in memory, and what is in it.

use serde_json::Value;
use session_repository_storage::error::{Error, Result};
use session_repository_storage_keyvalue::bucket::Bucket;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

/// A bucket in memory.
#[derive(Debug, Default)]
pub(crate) struct Values {
    pub(crate) values: RefCell<BTreeMap<String, Vec<u8>>>,
    number: Cell<i64>,
}

impl Bucket for &Values {
    type Swap = (String, Option<Vec<u8>>);

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.values.borrow().get(key).cloned())
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        self.values.borrow_mut().insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.values.borrow_mut().remove(key);
        Ok(())
    }

    fn begin(&self, key: &str) -> Result<(Self::Swap, Option<Vec<u8>>)> {
        let value = self.get(key)?;
        Ok(((key.to_owned(), value.clone()), value))
    }

    fn swap(&self, (key, seen): Self::Swap, value: &[u8]) -> Result<bool> {
        let is_same = self.get(&key)? == seen;
        if is_same {
            self.set(&key, value)?;
        }
        Ok(is_same)
    }

    fn number(&self) -> Result<i64> {
        self.number.set(self.number.get() + 1);
        Ok(self.number.get())
    }
}

impl Values {
    /// The keys of all blobs.
    pub(crate) fn blobs(&self) -> BTreeSet<String> {
        self.values.borrow().keys().filter(|key| !key.ends_with(".head")).cloned().collect()
    }

    /// The keys of the blobs that the heads name, and of those that these blobs name.
    pub(crate) fn named(&self) -> Result<BTreeSet<String>> {
        let values = self.values.borrow();
        let mut named = BTreeSet::new();
        for (key, head) in &*values {
            let Some(prefix) = key.strip_suffix("head") else { continue };
            let mut open = vec![json(head)?];
            while let Some(value) = open.pop() {
                match value {
                    Value::Array(items) => open.extend(items),
                    Value::Object(mut fields) => {
                        // Blobs that are only there to be removed.
                        fields.remove("replaced");
                        let Some((id, bytes)) = fields.get("id").and_then(Value::as_str).zip(fields.get("bytes").and_then(Value::as_u64))
                        else {
                            open.extend(fields.into_iter().map(|(_, value)| value));
                            continue;
                        };
                        let mut content = Vec::new();
                        for part in 0..bytes.div_ceil(512 << 10) {
                            let key = format!("{prefix}{id}.{part}");
                            content.extend(values.get(&key).ok_or_else(|| Error::Corrupt(format!("{key} is missing")))?);
                            named.insert(key);
                        }
                        open.push(json(&content)?);
                    }
                    _ => {}
                }
            }
        }
        Ok(named)
    }
}

fn json(value: &[u8]) -> Result<Value> {
    serde_json::from_slice(value).map_err(|error| Error::Corrupt(error.to_string()))
}
