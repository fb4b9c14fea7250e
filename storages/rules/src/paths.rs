//! Paths into metadata: segments joined by dots, numbers are positions in arrays.

use crate::error::{Error, Result};
use crate::object::{self, MAX_TEXT, Members, Object, too_large, unreadable};
use crate::segments::{MAX_PADDING, in_order, index};
use crate::types::Field;
use serde::Serialize;
use serde_json::value::RawValue;

/// How many nulls one call may leave between values. More would not fit into the largest metadata.
const MAX_NULLS: usize = MAX_TEXT / "null,".len();

/// A value within metadata. Only objects and arrays that a path leads through are taken apart.
#[derive(Serialize)]
#[serde(untagged)]
enum Node<'a> {
    Null,
    Whole(&'a RawValue),
    Object(Box<Members<Node<'a>>>),
    Array(Vec<Node<'a>>),
}

/// Why a value cannot be set.
enum Unfit {
    /// The path leads through a value that cannot hold it.
    Path,
    /// The nulls between values alone would be too large.
    Size,
}

/// Metadata with the value at each path set. New fields come in the order of their paths.
pub fn set_all(metadata: &Object, fields: &[Field]) -> Result<Object> {
    let mut members = taken_apart(metadata)?;
    let mut ordered: Vec<&Field> = fields.iter().collect();
    ordered.sort_by(|one, other| in_order(&one.path, &other.path));
    let mut nulls = MAX_NULLS;
    for Field { path, value } in ordered {
        let value = serde_json::from_str(value).map_err(|_| unreadable())?;
        set(&mut members, path, Node::Whole(value), &mut nulls).map_err(|unfit| match unfit {
            Unfit::Path => self::unfit(fields),
            Unfit::Size => too_large(MAX_TEXT + 1),
        })?;
    }
    Object::write(&members)
}

/// Metadata without what is at each path. An array item becomes null, so that the others keep their positions.
pub fn unset_all(metadata: &Object, paths: &[String]) -> Result<Object> {
    let mut members = taken_apart(metadata)?;
    for path in paths {
        unset(&mut members, path);
    }
    Object::write(&members)
}

fn taken_apart(metadata: &Object) -> Result<Members<Node<'_>>> {
    Ok(whole_members(object::members(metadata.as_str())?))
}

fn whole_members<'a>(members: Members<&'a RawValue>) -> Members<Node<'a>> {
    members.into_iter().map(|(key, value)| (key, Node::Whole(value))).collect()
}

impl Node<'_> {
    /// Takes an object or an array apart, one level deep. The marker for bytes is one value.
    fn open(&mut self) {
        let Node::Whole(value) = *self else { return };
        let text = value.get();
        if let Ok(members) = object::members(text) {
            if object::is_bytes(&members) {
                return;
            }
            *self = Node::Object(Box::new(whole_members(members)));
        } else if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(text) {
            *self = Node::Array(items.into_iter().map(Node::Whole).collect());
        }
    }
}

fn set<'a>(members: &mut Members<Node<'a>>, path: &str, value: Node<'a>, nulls: &mut usize) -> std::result::Result<(), Unfit> {
    match path.split_once('.') {
        None => {
            members.insert(path.to_owned(), value);
            Ok(())
        }
        Some((segment, rest)) => {
            let child = members.entry(segment.to_owned()).or_insert_with(|| Node::Object(Box::default()));
            set_within(child, rest, value, nulls)
        }
    }
}

fn set_within<'a>(within: &mut Node<'a>, path: &str, value: Node<'a>, nulls: &mut usize) -> std::result::Result<(), Unfit> {
    within.open();
    match within {
        Node::Object(members) => set(members, path, value, nulls),
        Node::Array(items) => set_item(items, path, value, nulls),
        Node::Null | Node::Whole(_) => Err(Unfit::Path),
    }
}

fn set_item<'a>(items: &mut Vec<Node<'a>>, path: &str, value: Node<'a>, nulls: &mut usize) -> std::result::Result<(), Unfit> {
    let (segment, rest) = path.split_once('.').map_or((path, None), |(segment, rest)| (segment, Some(rest)));
    let index = index(segment).ok_or(Unfit::Path)?;
    if let Some(padding) = index.checked_sub(items.len()) {
        if padding > MAX_PADDING {
            return Err(Unfit::Path);
        }
        *nulls = nulls.checked_sub(padding).ok_or(Unfit::Size)?;
        items.resize_with(index, || Node::Null);
        items.push(if rest.is_some() { Node::Object(Box::default()) } else { Node::Null });
    }
    let item = items.get_mut(index).ok_or(Unfit::Path)?;
    match rest {
        None => {
            *item = value;
            Ok(())
        }
        Some(rest) => set_within(item, rest, value, nulls),
    }
}

fn unset(members: &mut Members<Node<'_>>, path: &str) {
    match path.split_once('.') {
        None => {
            members.shift_remove(path);
        }
        Some((segment, rest)) => {
            if let Some(child) = members.get_mut(segment) {
                unset_within(child, rest);
            }
        }
    }
}

fn unset_within(within: &mut Node<'_>, path: &str) {
    within.open();
    match within {
        Node::Object(members) => unset(members, path),
        Node::Array(items) => {
            let (segment, rest) = path.split_once('.').map_or((path, None), |(segment, rest)| (segment, Some(rest)));
            if let Some(item) = index(segment).and_then(|index| items.get_mut(index)) {
                match rest {
                    None => *item = Node::Null,
                    Some(rest) => unset_within(item, rest),
                }
            }
        }
        Node::Null | Node::Whole(_) => {}
    }
}

/// The error for fields of which at least one cannot be set; it names the path if only one leads deeper.
fn unfit(fields: &[Field]) -> Error {
    let mut deep = fields.iter().map(|field| &field.path).filter(|path| path.contains('.'));
    Error::InvalidArgument(match (deep.next(), deep.next()) {
        (Some(path), None) => format!("metadata: the path {path:?} leads through a value that cannot hold it"),
        _ => String::from("metadata: a path leads through a value that cannot hold it"),
    })
}
