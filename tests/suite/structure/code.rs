//! What Rust code tells of the files that it depends on.

use std::collections::BTreeSet;

/// Code, as far as it names modules and what they define. An inline module counts as code of its file.
#[derive(Debug, Default)]
pub(super) struct Code {
    /// Modules in files of their own.
    pub(super) modules: Vec<String>,
    /// Modules in the code itself.
    pub(super) inline: BTreeSet<String>,
    /// What `use` gives names to.
    pub(super) bindings: Vec<Binding>,
    /// Paths of several names outside of `use`.
    pub(super) paths: Vec<Vec<String>>,
    /// All names outside of `use`.
    pub(super) names: BTreeSet<String>,
}

#[derive(Debug)]
pub(super) struct Binding {
    pub(super) name: String,
    pub(super) path: Vec<String>,
    pub(super) is_exported: bool,
}

impl Code {
    /// Reads code. What is for tests only is left out.
    pub(super) fn read(text: &str) -> Self {
        let (mut code, tokens, mut before) = (Self::default(), tokens(text), "");
        let mut rest = &tokens[..];
        while let Some((token, after)) = rest.split_first() {
            rest = match rest {
                ["#", "[", "cfg", "(", "test", ..] | ["#", "[", "cfg", "(", "all", "(", "test", ..] => after_item(rest),
                ["mod", name, ";", after @ ..] => {
                    code.modules.push(String::from(*name));
                    after
                }
                ["mod", name, "{", after @ ..] => {
                    code.inline.insert(String::from(*name));
                    after
                }
                ["use", tree @ ..] => code.bind(tree, &[], matches!(before, "pub" | ")")),
                [name, ..] if is_name(name) => code.pass(name, after),
                _ => after,
            };
            before = token;
        }
        code
    }

    /// Reads one tree of a `use`. Returns the code from the sign that ends it.
    fn bind<'c>(&mut self, mut code: &'c [&'c str], before: &[&'c str], is_exported: bool) -> &'c [&'c str] {
        let (mut path, mut alias) = (before.to_vec(), None);
        loop {
            code = match code {
                ["::", after @ ..] => after,
                ["as", name, after @ ..] => {
                    alias = Some(*name);
                    after
                }
                ["{", trees @ ..] => {
                    let mut rest = trees;
                    loop {
                        rest = match rest {
                            ["}", after @ ..] => return after,
                            [",", after @ ..] => after,
                            _ => self.bind(rest, &path, is_exported),
                        }
                    }
                }
                [name, after @ ..] if is_name(name) || *name == "*" => {
                    path.push(name);
                    after
                }
                _ => break,
            };
        }
        if let [.., _, "self"] = path[..] {
            path.pop();
        }
        if let Some(last) = path.last() {
            self.bindings.push(Binding { name: String::from(alias.unwrap_or(last)), path: owned(&path), is_exported });
        }
        code
    }

    /// Reads a path, or a name alone. Returns the code after it.
    fn pass<'c>(&mut self, first: &'c str, mut code: &'c [&'c str]) -> &'c [&'c str] {
        let mut path = vec![first];
        while let ["::", name, after @ ..] = code
            && is_name(name)
        {
            path.push(name);
            code = after;
        }
        self.names.extend(owned(&path));
        if path.len() > 1 {
            self.paths.push(owned(&path));
        }
        code
    }
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|name| String::from(*name)).collect()
}

/// The code after the item that it begins with.
fn after_item<'c>(code: &'c [&'c str]) -> &'c [&'c str] {
    let mut depth = 0_usize;
    let is_end = |token: &&str| {
        match *token {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && matches!(*token, "}" | ";")
    };
    code.iter().position(is_end).map_or(&[], |end| &code[end + 1..])
}

fn is_part_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_name(token: &str) -> bool {
    token.starts_with(is_part_of_name) && !token.starts_with(|c: char| c.is_numeric())
}

/// Cuts code into names, `::` and other signs, without comments and literals.
fn tokens(mut code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    while let Some(first) = code.chars().next() {
        let blank = blank(code);
        let name = code.find(|c| !is_part_of_name(c)).unwrap_or(code.len());
        let sign = if code.starts_with("::") { 2 } else { first.len_utf8() };
        let (token, rest) = code.split_at(blank.unwrap_or(if name > 0 { name } else { sign }));
        if blank.is_none() {
            tokens.push(token);
        }
        code = rest;
    }
    tokens
}

/// The length of the white-space, comment or literal that code begins with.
fn blank(code: &str) -> Option<usize> {
    let after = |start: usize, end: &str| code.get(start..).and_then(|rest| rest.find(end)).map_or(code.len(), |at| start + at + end.len());
    let is_raw = |code: &str| code.strip_prefix('r').is_some_and(|raw| raw.trim_start_matches('#').starts_with('"'));
    match code.as_bytes() {
        [b'/', b'/', ..] => Some(after(2, "\n")),
        [b'/', b'*', ..] => Some(after(2, "*/")),
        [b'"', ..] | [b'\'', b'\\', ..] => Some(quoted(code)),
        // Anything else behind such a quote is a lifetime.
        [b'\'', ..] if code.chars().nth(2) == Some('\'') => Some(quoted(code)),
        [b'r' | b'b', ..] if is_raw(code.trim_start_matches('b')) => {
            let (start, _) = code.split_once('"')?;
            Some(after(start.len() + 1, &format!("\"{}", "#".repeat(start.matches('#').count()))))
        }
        _ => code.chars().next().filter(|c| c.is_whitespace()).map(char::len_utf8),
    }
}

/// The length of the literal between quotes that code begins with.
fn quoted(code: &str) -> usize {
    let (quote, mut is_escaped) = (code.chars().next(), false);
    let is_end = |(_, c): &(usize, char)| {
        let is_end = !is_escaped && Some(*c) == quote;
        is_escaped = !is_escaped && *c == '\\';
        is_end
    };
    code.char_indices().skip(1).find(is_end).map_or(code.len(), |(at, _)| at + 1)
}
