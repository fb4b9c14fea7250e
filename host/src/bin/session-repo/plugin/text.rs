//! The text of values and types of a plugin. It can be far longer than what it is the text of, so it has a limit.

use anyhow::{anyhow, bail};
use std::fmt;
use std::io;
use wasmtime::component::Val;
use wasmtime::component::types::ComponentFunc;
use wasmtime::component::wasm_wave::wasm::DisplayFunc;
use wasmtime::component::wasm_wave::writer::Writer;

/// The longest text of a result, in bytes.
const RESULT: usize = 64 << 20;

/// The longest text of a type, in bytes: longer ones are cut.
const TYPE: usize = 4096;

/// Text up to a limit.
struct Text {
    bytes: Vec<u8>,
    limit: usize,
}

impl Text {
    fn up_to(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit }
    }
}

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        io::Write::write_all(self, text.as_bytes()).map_err(|_| fmt::Error)
    }
}

/// How many names a list of names has.
const NAMES: usize = 20;

/// Names that a plugin gave, some at most.
pub(super) fn names(names: impl IntoIterator<Item = String>) -> String {
    let mut names = names.into_iter();
    let mut listed: Vec<_> = names.by_ref().take(NAMES).collect();
    listed.extend(names.next().map(|_| String::from("…")));
    listed.join(", ")
}

/// A value as WAVE.
pub(super) fn value(value: &Val) -> anyhow::Result<String> {
    if !has_text(value) {
        bail!("the result has no text form: it has a resource, a stream, a future or the like in it");
    }
    let mut text = Text::up_to(RESULT);
    let written = Writer::new(&mut text).write_value(value);
    written.map_err(|error| anyhow!("the result has no text form of at most {} MiB: {error}", RESULT >> 20))?;
    Ok(String::from_utf8(text.bytes)?)
}

/// Whether WAVE has a form for a value: its writer panics where it has none.
fn has_text(value: &Val) -> bool {
    match value {
        Val::Map(_) | Val::Resource(_) | Val::Future(_) | Val::Stream(_) | Val::ErrorContext(_) => false,
        Val::List(values) | Val::Tuple(values) | Val::FixedLengthList(values) => values.iter().all(has_text),
        Val::Record(fields) => fields.iter().all(|(_, value)| has_text(value)),
        Val::Variant(_, Some(value)) | Val::Option(Some(value)) => has_text(value),
        Val::Result(Ok(Some(value)) | Err(Some(value))) => has_text(value),
        _ => true,
    }
}

/// The type of a function, as WIT has it.
pub(super) fn function(ty: &ComponentFunc) -> String {
    let mut text = Text::up_to(TYPE);
    let is_cut = fmt::write(&mut text, format_args!("{}{}", if ty.async_() { "async " } else { "" }, DisplayFunc(ty.clone()))).is_err();
    format!("{}{}", String::from_utf8_lossy(&text.bytes), if is_cut { "…" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_without_a_text_form_and_endless_texts_are_refused() -> anyhow::Result<()> {
        assert_eq!(value(&Val::List(vec![Val::Float64(0.5)]))?, "[0.5]");
        let nested = |value: Val| Val::Record(vec![(String::from("a"), Val::Option(Some(Box::new(Val::Tuple(vec![value])))))]);
        let refused = |of: &Val| value(of).err().map(|error| error.to_string()).unwrap_or_default();
        for value in [Val::Map(Vec::new()), nested(Val::Map(Vec::new())), Val::Result(Err(Some(Box::new(Val::Map(Vec::new())))))] {
            assert!(refused(&value).contains("a resource, a stream"), "{value:?}");
        }
        // Each has 309 digits.
        let long = Val::List(vec![Val::Float64(f64::MAX); RESULT / 309]);
        assert!(refused(&long).contains("at most 64 MiB"));
        Ok(())
    }
}
