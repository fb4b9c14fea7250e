//! From lines of JSON to the parts of sessions.

use super::parts::{Gone, Part, Session, Take};
use serde::de::DeserializeSeed;
use std::io::{self, BufRead, BufReader, Read};

/// Lines up to this many bytes are read as a whole; of longer ones there is never more in memory at once.
const WHOLE: usize = 1024 * 1024;

/// Reads line by line and hands all parts to `take`, until the end or until nobody takes them. What is no session document is a broken
/// one; the next line is read all the same.
pub(super) fn lines(mut input: impl BufRead, mut take: impl Take) -> io::Result<()> {
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        let read = (&mut input).take(WHOLE as u64).read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        let is_whole = line.ends_with(b"\n") || read < WHOLE;
        if is_whole && line.trim_ascii().is_empty() {
            continue;
        }
        let (mut gone, mut failed) = (false, None);
        let mut watched = |part| take(part).inspect_err(|Gone| gone = true);
        let parsed = if is_whole {
            document(&mut serde_json::Deserializer::from_slice(&line), &mut watched)
        } else {
            let mut rest = RestOfLine { input: &mut input, ended: false, failed: None };
            let all = BufReader::new(line.as_slice().chain(&mut rest));
            let parsed = document(&mut serde_json::Deserializer::from_reader(all), &mut watched);
            rest.skip();
            failed = rest.failed;
            parsed
        };
        if let Some(error) = failed {
            return Err(error);
        }
        let end = match parsed {
            Ok(()) => Part::End,
            // Of the parser's own line, which is always the first, only the place in it tells anything.
            Err(error) => Part::Broken(format!("line {number}: {}", error.to_string().replace(" at line 1 column ", " at byte "))),
        };
        if gone || take(end).is_err() {
            break;
        }
    }
    Ok(())
}

fn document<'de, R: serde_json::de::Read<'de>>(parser: &mut serde_json::Deserializer<R>, take: &mut impl Take) -> serde_json::Result<()> {
    Session(take).deserialize(&mut *parser)?;
    parser.end()
}

/// What is left of a line, without its end.
struct RestOfLine<'a, R> {
    input: &'a mut R,
    ended: bool,
    /// What the parser saw as an end was none.
    failed: Option<io::Error>,
}

impl<R: BufRead> RestOfLine<'_, R> {
    fn skip(&mut self) {
        let mut buffer = [0; 8192];
        while matches!(self.read(&mut buffer), Ok(1..)) {}
    }
}

impl<R: BufRead> Read for RestOfLine<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.ended {
            return Ok(0);
        }
        let available = match self.input.fill_buf() {
            Ok(available) => available,
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
        self.input.consume(copied + usize::from(end.is_some()));
        Ok(copied)
    }
}
