//! A strict JSON checker: accepts what RFC 8259 allows and the rules of `json` in `types.wit` permit, and names the place of what it
//! refuses. It builds no tree: a checked text is passed on as it came, cut into the members of its outermost object.

use std::borrow::Cow;
use std::fmt;

/// Levels of objects and arrays that a value may have. MongoDB nests 100, and a body lies some levels deep in its document.
pub const MAX_DEPTH: usize = 90;

/// The longest piece of a foreign key that an error repeats, in characters.
const SHOWN_KEY: usize = 48;

/// One member of an object: what it is called and where its texts lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<'a> {
    /// The key, unescaped.
    pub key: Cow<'a, str>,
    /// The key as written, quotes included.
    pub raw_key: &'a str,
    /// The value as written.
    pub value: &'a str,
}

/// Why a text was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    reason: Cow<'static, str>,
    /// Innermost first.
    path: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl Fault {
    fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into(), path: Vec::new() }
    }

    fn within(mut self, step: Step) -> Self {
        self.path.push(step);
        self
    }

    /// The message for the caller; `root` is the name of the argument that holds the text.
    pub fn describe(&self, root: &str) -> String {
        let mut place = String::from(root);
        for step in self.path.iter().rev() {
            place.push_str(&step.to_string());
        }
        format!("{place}: {}", self.reason)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(key) if is_plain(key) => write!(f, ".{key}"),
            Step::Key(key) => write!(f, "[{}]", quoted(key)),
        }
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.len() <= SHOWN_KEY && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// A foreign name, fit to stand in a short message: quoted, escaped and cut.
pub fn quoted(name: &str) -> String {
    let mut shown: String = name.chars().take(SHOWN_KEY).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

/// Checks a text that must be one JSON object and returns its members in the order in which they were written.
pub fn object(text: &str) -> Result<Vec<Member<'_>>, Fault> {
    let mut scanner = Scanner { text, at: 0 };
    scanner.skip_space();
    if scanner.peek() != Some(b'{') {
        // A broken text is reported as such, a sound one of another kind as that.
        scanner.value(1)?;
        scanner.end()?;
        return Err(Fault::new("must be a JSON object"));
    }
    let members = scanner.object(1)?;
    scanner.end()?;
    Ok(members)
}

/// The number of levels of objects and arrays in a checked value.
pub fn depth(value: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0usize, false, false);
    for byte in value.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Whether two checked values are equal as JSON values: whatever their white space, escapes and order of members. An integer does not
/// equal a number that was written with a fraction or an exponent.
pub fn same(left: &str, right: &str) -> bool {
    let (left, right) = (left.trim_ascii(), right.trim_ascii());
    left == right || matches!((canonical(left), canonical(right)), (Ok(left), Ok(right)) if left == right)
}

/// Whether two lists of members are equal in whatever order.
pub fn same_members(mut left: Vec<Member<'_>>, mut right: Vec<Member<'_>>) -> bool {
    left.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    right.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    left.len() == right.len() && left.iter().zip(&right).all(|(l, r)| l.key == r.key && same(l.value, r.value))
}

/// A form that equal lists of members share, in whatever order they stand.
pub fn canonical_members(mut members: Vec<Member<'_>>) -> Result<String, Fault> {
    members.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    let mut form = String::from("{");
    for member in members {
        push_text(&mut form, &member.key);
        form.push_str(&canonical(member.value.trim_ascii())?);
    }
    form.push('}');
    Ok(form)
}

/// A form that equal values share. It is made in one pass, because a caller decides how deeply a value is nested.
fn canonical(value: &str) -> Result<String, Fault> {
    let mut form = String::with_capacity(value.len());
    Scanner { text: value, at: 0 }.canonical(&mut form)?;
    Ok(form)
}

/// Appends text so that where it ends does not depend on what is in it.
fn push_text(form: &mut String, text: &str) {
    form.push_str(&format!("\"{}:", text.len()));
    form.push_str(text);
}

/// Whether a checked number is an integer. `-0` is not: only a float can hold it.
fn is_integer(number: &str) -> bool {
    number != "-0" && number.bytes().all(|b| b == b'-' || b.is_ascii_digit())
}

/// The text that a JSON string stands for.
pub fn string(text: &str) -> Result<Cow<'_, str>, Fault> {
    let scanned = Scanner { text, at: 0 }.string()?;
    Ok(scanned.unescape())
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

/// A string as written, without its quotes.
struct Scanned<'a> {
    inner: &'a str,
    escaped: bool,
}

impl<'a> Scanned<'a> {
    fn unescape(&self) -> Cow<'a, str> {
        if self.escaped { Cow::Owned(unescape(self.inner)) } else { Cow::Borrowed(self.inner) }
    }
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn slice(&self, from: usize, to: usize) -> Result<&'a str, Fault> {
        self.text.get(from..to).ok_or_else(|| self.broken("text"))
    }

    fn broken(&self, expected: &str) -> Fault {
        let found = match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(found) => format!("found {found:?}"),
            None => String::from("the text ends"),
        };
        Fault::new(format!("not valid JSON: expected {expected} at byte {}, {found}", self.at))
    }

    fn expect(&mut self, byte: u8, expected: &str) -> Result<(), Fault> {
        if self.peek() != Some(byte) {
            return Err(self.broken(expected));
        }
        self.at += 1;
        Ok(())
    }

    /// Whether an object or array ends here, or goes on behind a comma.
    fn ends(&mut self, close: u8, expected: &str) -> Result<bool, Fault> {
        let ends = self.peek() == Some(close);
        if !ends && self.peek() != Some(b',') {
            return Err(self.broken(expected));
        }
        self.at += 1;
        Ok(ends)
    }

    fn end(&mut self) -> Result<(), Fault> {
        self.skip_space();
        if self.at == self.text.len() { Ok(()) } else { Err(self.broken("the end")) }
    }

    /// Checks one value; `depth` is the level that it has if it is an object or array.
    fn value(&mut self, depth: usize) -> Result<(), Fault> {
        match self.peek() {
            Some(b'{') => self.object(depth).map(drop),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => Err(self.broken("a value")),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Fault> {
        let end = self.at + word.len();
        if self.text.get(self.at..end) != Some(word) {
            return Err(self.broken("a value"));
        }
        self.at = end;
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<Vec<Member<'a>>, Fault> {
        check_depth(depth)?;
        self.expect(b'{', "`{`")?;
        let mut members = Vec::new();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(members);
        }
        loop {
            self.skip_space();
            let member = self.member(depth)?;
            members.push(member);
            self.skip_space();
            if self.ends(b'}', "`,` or `}`")? {
                break;
            }
        }
        check_unique(&members)?;
        Ok(members)
    }

    fn member(&mut self, depth: usize) -> Result<Member<'a>, Fault> {
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.broken("a key in double quotes"));
        }
        let key = self.string()?.unescape();
        let raw_key = self.slice(start, self.at)?;
        if key.contains('\0') {
            return Err(Fault::new(format!("the key {} holds a NUL", quoted(&key))));
        }
        self.skip_space();
        self.expect(b':', "`:`")?;
        self.skip_space();
        let start = self.at;
        match self.value(depth + 1) {
            Ok(()) => Ok(Member { key, raw_key, value: self.slice(start, self.at)? }),
            Err(fault) => Err(fault.within(Step::Key(key.into_owned()))),
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Fault> {
        check_depth(depth)?;
        self.expect(b'[', "`[`")?;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        for index in 0.. {
            self.skip_space();
            self.value(depth + 1).map_err(|fault| fault.within(Step::Index(index)))?;
            self.skip_space();
            if self.ends(b']', "`,` or `]`")? {
                break;
            }
        }
        Ok(())
    }

    /// Appends the form of a checked value that equal values share.
    fn canonical(&mut self, form: &mut String) -> Result<(), Fault> {
        let start = self.at;
        match self.peek() {
            Some(b'{') => self.canonical_object(form),
            Some(b'[') => {
                form.push('[');
                self.at += 1;
                self.skip_space();
                if self.peek() == Some(b']') {
                    self.at += 1;
                    form.push(']');
                    return Ok(());
                }
                loop {
                    self.skip_space();
                    self.canonical(form)?;
                    self.skip_space();
                    if self.ends(b']', "`,` or `]`")? {
                        form.push(']');
                        return Ok(());
                    }
                    form.push(',');
                }
            }
            Some(b'"') => {
                push_text(form, &self.string()?.unescape());
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                let number = self.slice(start, self.at)?;
                match number.parse::<f64>() {
                    // The sum makes one zero of two.
                    Ok(float) if !is_integer(number) => form.push_str(&format!("f{:x}", (float + 0.0).to_bits())),
                    _ => form.push_str(number),
                }
                Ok(())
            }
            _ => {
                self.value(1)?;
                form.push_str(self.slice(start, self.at)?);
                Ok(())
            }
        }
    }

    fn canonical_object(&mut self, form: &mut String) -> Result<(), Fault> {
        let mut members = Vec::new();
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                self.skip_space();
                let key = self.string()?.unescape();
                self.skip_space();
                self.expect(b':', "`:`")?;
                self.skip_space();
                let mut value = String::new();
                self.canonical(&mut value)?;
                members.push((key, value));
                self.skip_space();
                if self.ends(b'}', "`,` or `}`")? {
                    break;
                }
            }
        }
        members.sort_unstable();
        form.push('{');
        for (key, value) in members {
            push_text(form, &key);
            form.push_str(&value);
        }
        form.push('}');
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let mut integer = true;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            integer = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            integer = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let number = self.slice(start, self.at)?;
        if integer {
            if number.parse::<i64>().is_err() {
                return Err(Fault::new("the integer does not fit in 64 bits signed"));
            }
        } else if !number.parse::<f64>().is_ok_and(f64::is_finite) {
            return Err(Fault::new("the number does not fit in a 64-bit float"));
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.broken("a digit"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<Scanned<'a>, Fault> {
        self.expect(b'"', "`\"`")?;
        let start = self.at;
        let mut escaped = false;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 1;
                    self.escape()?;
                }
                Some(0x20..) => self.at += 1,
                Some(_) => return Err(self.broken("an escape, not a bare control character,")),
                None => return Err(self.broken("the end of the string")),
            }
        }
        let inner = self.slice(start, self.at)?;
        self.at += 1;
        Ok(Scanned { inner, escaped })
    }

    /// Checks what follows a backslash.
    fn escape(&mut self) -> Result<(), Fault> {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                self.at += 1;
                match self.hex()? {
                    0xD800..=0xDBFF => {
                        let low = self.text.as_bytes().get(self.at..self.at + 2) == Some(br"\u");
                        if low {
                            self.at += 2;
                        }
                        if !low || !matches!(self.hex()?, 0xDC00..=0xDFFF) {
                            return Err(Fault::new("the string holds a lone surrogate"));
                        }
                        Ok(())
                    }
                    0xDC00..=0xDFFF => Err(Fault::new("the string holds a lone surrogate")),
                    _ => Ok(()),
                }
            }
            _ => Err(self.broken("an escape")),
        }
    }

    fn hex(&mut self) -> Result<u32, Fault> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(16)) else {
                return Err(self.broken("four hexadecimal digits"));
            };
            code = (code << 4) | digit;
            self.at += 1;
        }
        Ok(code)
    }
}

fn check_depth(depth: usize) -> Result<(), Fault> {
    if depth > MAX_DEPTH {
        return Err(Fault::new(format!("nested deeper than {MAX_DEPTH} levels")));
    }
    Ok(())
}

fn check_unique(members: &[Member<'_>]) -> Result<(), Fault> {
    let mut keys: Vec<&str> = members.iter().map(|member| member.key.as_ref()).collect();
    keys.sort_unstable();
    match keys.windows(2).find_map(|pair| match pair {
        [one, other] if one == other => Some(*one),
        _ => None,
    }) {
        Some(key) => Err(Fault::new(format!("the key {} occurs twice", quoted(key)))),
        None => Ok(()),
    }
}

/// Unescapes the inside of a checked string.
fn unescape(inner: &str) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match chars.next() {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let mut code = hex4(&mut chars);
                if (0xD800..0xDC00).contains(&code) {
                    chars.nth(1);
                    code = 0x10000 + ((code & 0x3FF) << 10) + (hex4(&mut chars) & 0x3FF);
                }
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            Some(other) => other,
            None => break,
        });
    }
    out
}

fn hex4(chars: &mut std::str::Chars<'_>) -> u32 {
    chars.by_ref().take(4).fold(0, |code, digit| (code << 4) | digit.to_digit(16).unwrap_or(0))
}
