//! From lines of JSON to the parts of sessions.

use super::parts::{Gone, Part, Session, Take};
use serde::de::DeserializeSeed;
use std::cell::Cell;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};

/// Lines up to this many bytes are read as a whole.
const WHOLE: usize = 512 * 1024;

/// What some programs put before text.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// How text begins that is not UTF-8.
const UTF_16_MARKS: [&[u8]; 3] = [b"\xFF\xFE", b"\xFE\xFF", b"\0\0\xFE\xFF"];

/// Parts go on together when they make this many bytes of JSON.
const BATCH: u64 = 512 * 1024;

/// The longest JSON value that is read, in bytes: a part that is the largest document of MongoDB, with every character of it escaped.
const LONGEST_VALUE: u64 = 128 * 1024 * 1024;

/// Reads line by line and hands all parts to `send`, some at a time, until the end or until nobody takes them. What is no session document
/// is a broken one; the next line is read all the same. Of a long line there is never more in memory than of a batch and a value.
pub(crate) fn lines(mut input: impl BufRead, send: impl FnMut(Vec<Part>) -> Result<(), Gone>) -> io::Result<()> {
    let place = Place::default();
    let mut batches = Batches { parts: Vec::new(), began: 0, place: &place, send, gone: false };
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        let read = (&mut input).take(WHOLE as u64).read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        place.advance(read);
        if number == 1 {
            if UTF_16_MARKS.iter().any(|mark| line.starts_with(mark)) {
                return Err(io::Error::new(ErrorKind::InvalidData, "this is UTF-16 text; it must be UTF-8"));
            }
            if line.starts_with(BYTE_ORDER_MARK) {
                line.drain(..BYTE_ORDER_MARK.len());
            }
        }
        let is_whole = line.ends_with(b"\n") || read < WHOLE;
        if is_whole && line.trim_ascii().is_empty() {
            continue;
        }
        let parsed = if is_whole {
            document(&mut serde_json::Deserializer::from_slice(&line), |part| batches.take(part))
        } else {
            let mut rest = RestOfLine { input: &mut input, place: &place, ended: false, failed: None };
            let all = BufReader::new(line.as_slice().chain(&mut rest));
            let parsed = document(&mut serde_json::Deserializer::from_reader(all), |part| batches.take(part));
            rest.skip();
            if let Some(error) = rest.failed {
                return Err(error);
            }
            parsed
        };
        let end = match parsed {
            Ok(()) => Part::End,
            // Of the parser's own line, which is always the first, only the place in it tells anything.
            Err(error) => Part::Broken(format!("line {number}: {}", error.to_string().replace(" at line 1 column ", " at byte "))),
        };
        if batches.gone || batches.take(end).is_err() {
            return Ok(());
        }
    }
    // Fails where nobody takes them.
    batches.flush().ok();
    Ok(())
}

fn document<'de, R: serde_json::de::Read<'de>>(parser: &mut serde_json::Deserializer<R>, mut take: impl Take) -> serde_json::Result<()> {
    // Values have a limit of their own, which leaves room for those that take two levels for one.
    parser.disable_recursion_limit();
    Session(&mut take).deserialize(&mut *parser)?;
    parser.end()
}

/// How far the input was read, in bytes.
#[derive(Default)]
struct Place {
    read: Cell<u64>,
    /// Where the value that is being read began.
    value: Cell<u64>,
}

impl Place {
    fn advance(&self, bytes: usize) {
        self.read.set(self.read.get() + bytes as u64);
    }
}

/// Parts on their way.
struct Batches<'a, S> {
    parts: Vec<Part>,
    /// Where the first of them began.
    began: u64,
    place: &'a Place,
    send: S,
    gone: bool,
}

impl<S: FnMut(Vec<Part>) -> Result<(), Gone>> Batches<'_, S> {
    fn take(&mut self, part: Part) -> Result<(), Gone> {
        self.place.value.set(self.place.read.get());
        self.parts.push(part);
        if self.place.read.get() - self.began < BATCH { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), Gone> {
        self.began = self.place.read.get();
        (self.send)(std::mem::take(&mut self.parts)).inspect_err(|Gone| self.gone = true)
    }
}

/// What is left of a line, without its end.
struct RestOfLine<'a, R> {
    input: &'a mut R,
    place: &'a Place,
    ended: bool,
    /// What the parser saw as an end was none.
    failed: Option<io::Error>,
}

impl<R: BufRead> RestOfLine<'_, R> {
    fn skip(&mut self) {
        let mut buffer = [0; 8192];
        loop {
            self.place.value.set(self.place.read.get());
            match self.read(&mut buffer) {
                Ok(0) => break,
                Err(error) if error.kind() != ErrorKind::Interrupted => break,
                _ => {}
            }
        }
    }
}

impl<R: BufRead> Read for RestOfLine<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.ended {
            return Ok(0);
        }
        if self.place.read.get() - self.place.value.get() > LONGEST_VALUE {
            return Err(io::Error::other(format!("a value has more than {LONGEST_VALUE} bytes")));
        }
        let available = match self.input.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                self.ended = true;
                self.failed = Some(error);
                return Ok(0);
            }
        };
        let wanted = available.get(..available.len().min(out.len())).unwrap_or_default();
        let end = wanted.iter().position(|byte| *byte == b'\n');
        let part = wanted.get(..end.unwrap_or(wanted.len())).unwrap_or_default();
        let copied = part.len();
        if let Some(to) = out.get_mut(..copied) {
            to.copy_from_slice(part);
        }
        self.ended = end.is_some() || available.is_empty();
        let consumed = copied + usize::from(end.is_some());
        self.input.consume(consumed);
        self.place.advance(consumed);
        Ok(copied)
    }
}
