//! Paths into metadata, by the rules of MongoDB's `$set` and `$unset`: segments joined by dots, numbers are positions in arrays.

use crate::error::Error;
use crate::store::schema::segments::{MAX_PADDING, in_order, index};
use crate::types::Json;
use bson::{Array, Bson, Document};

/// How many nulls one call may leave between values. More would not fit into a document, each being three bytes at least.
const MAX_NULLS: usize = 16 * 1024 * 1024 / 3;

/// Why fields cannot be set.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// A path leads through a value that cannot hold it.
    Path,
    /// The nulls between values alone would be too large to be stored.
    Size,
}

/// Sets the value at each path; new fields come in the order of their paths.
pub(crate) fn set_all(document: &mut Document, mut fields: Vec<(String, Bson)>) -> Result<(), Unfit> {
    fields.sort_by(|(one, _), (other, _)| in_order(one, other));
    let mut nulls = MAX_NULLS;
    fields.into_iter().try_for_each(|(path, value)| set(document, &path, value, &mut nulls))
}

fn set(document: &mut Document, path: &str, value: Bson, nulls: &mut usize) -> Result<(), Unfit> {
    match path.split_once('.') {
        None => {
            document.insert(path, value);
            Ok(())
        }
        Some((segment, rest)) => {
            if !document.contains_key(segment) {
                document.insert(segment, Document::new());
            }
            document.get_mut(segment).map_or(Err(Unfit::Path), |child| set_within(child, rest, value, nulls))
        }
    }
}

fn set_within(within: &mut Bson, path: &str, value: Bson, nulls: &mut usize) -> Result<(), Unfit> {
    match within {
        Bson::Document(document) => set(document, path, value, nulls),
        Bson::Array(items) => set_item(items, path, value, nulls),
        _ => Err(Unfit::Path),
    }
}

fn set_item(items: &mut Array, path: &str, value: Bson, nulls: &mut usize) -> Result<(), Unfit> {
    let (segment, rest) = path.split_once('.').map_or((path, None), |(segment, rest)| (segment, Some(rest)));
    let index = index(segment).ok_or(Unfit::Path)?;
    let missing = index >= items.len();
    if missing {
        let padding = index - items.len();
        if padding > MAX_PADDING {
            return Err(Unfit::Path);
        }
        *nulls = nulls.checked_sub(padding).ok_or(Unfit::Size)?;
        items.resize(index + 1, Bson::Null);
    }
    let item = items.get_mut(index).ok_or(Unfit::Path)?;
    match rest {
        None => *item = value,
        Some(rest) => {
            if missing {
                *item = Bson::Document(Document::new());
            }
            return set_within(item, rest, value, nulls);
        }
    }
    Ok(())
}

/// Removes what is at a path. An item of an array becomes null, so that the others keep their positions.
pub(crate) fn unset(document: &mut Document, path: &str) {
    match path.split_once('.') {
        None => {
            document.remove(path);
        }
        Some((segment, rest)) => {
            if let Some(child) = document.get_mut(segment) {
                unset_within(child, rest);
            }
        }
    }
}

fn unset_within(within: &mut Bson, path: &str) {
    match within {
        Bson::Document(document) => unset(document, path),
        Bson::Array(items) => {
            let (segment, rest) = path.split_once('.').map_or((path, None), |(segment, rest)| (segment, Some(rest)));
            if let Some(item) = index(segment).and_then(|index| items.get_mut(index)) {
                match rest {
                    None => *item = Bson::Null,
                    Some(rest) => unset_within(item, rest),
                }
            }
        }
        _ => {}
    }
}

/// The error for fields of which at least one cannot be set; it names the path if only one leads deeper.
pub(crate) fn unfit(fields: &[(String, Json)]) -> Error {
    let mut deep = fields.iter().map(|(path, _)| path).filter(|path| path.contains('.'));
    Error::InvalidArgument(match (deep.next(), deep.next()) {
        (Some(path), None) => format!("metadata: the path {path:?} leads through a value that cannot hold it"),
        _ => String::from("metadata: a path leads through a value that cannot hold it"),
    })
}
