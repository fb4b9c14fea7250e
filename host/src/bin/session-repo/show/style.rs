//! Text on lines of a width, with or without colour.
//!
//! Everything that is shown goes through here, and so through [`crate::terminal`].

use crate::terminal::{harmless, one_line};
use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::{IsTerminal, stdout};
use terminal_size::{Width, terminal_size_of};
use textwrap::core::display_width;
use textwrap::{Options, WordSplitter};

/// Longer lines are hard to read.
const WIDEST: usize = 100;
/// Shorter ones have no room for text; a narrower terminal breaks them itself.
const NARROWEST: usize = 20;
/// The width where there is no terminal to ask.
const USUAL: usize = 80;

/// How far what a message says stands to the right of its line.
pub(crate) const INDENT: usize = 2;

/// What a piece of text is, which its colour tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Title,
    Faint,
    User,
    Assistant,
    /// Any other who speaks.
    Other,
    Warning,
    Failure,
}

impl Tone {
    /// The parameters of the escape sequence that selects it.
    fn sgr(self) -> Option<&'static str> {
        match self {
            Tone::Plain => None,
            Tone::Title => Some("1"),
            Tone::Faint => Some("2"),
            Tone::User => Some("1;32"),
            Tone::Assistant => Some("1;36"),
            Tone::Other => Some("1;35"),
            Tone::Warning => Some("33"),
            Tone::Failure => Some("31"),
        }
    }
}

/// How text is put on lines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    width: usize,
    colour: bool,
}

impl Style {
    /// As stdout can show it.
    pub(crate) fn of_stdout() -> Self {
        let width = terminal_size_of(stdout()).map(|(Width(width), _)| usize::from(width));
        Self { width: fitting(width), colour: colour(stdout().is_terminal()) }
    }

    fn paint(&self, tone: Tone, text: &str) -> String {
        match tone.sgr() {
            Some(sgr) if self.colour && !text.is_empty() => format!("\u{1b}[{sgr}m{text}\u{1b}[0m"),
            _ => text.to_owned(),
        }
    }

    /// One line of parts with two spaces between them, cut at the width.
    pub(crate) fn line(&self, parts: &[(Tone, &str)]) -> String {
        let (mut line, mut room) = (String::new(), self.width);
        for (tone, text) in parts.iter().filter(|(_, text)| !text.is_empty()) {
            let gap = if line.is_empty() { "" } else { "  " };
            let text = one_line(text);
            let text = cut(&text, room.saturating_sub(gap.len()));
            if text.is_empty() {
                break;
            }
            room = room.saturating_sub(gap.len() + display_width(&text));
            line.push_str(gap);
            line.push_str(&self.paint(*tone, &text));
        }
        line.push('\n');
        line
    }

    /// Text on one line, however long it is: cut at the width.
    pub(crate) fn folded(&self, indent: usize, tone: Tone, text: &str) -> String {
        let text = harmless(&text.split_whitespace().collect::<Vec<_>>().join(" "));
        let text = cut(&text, self.width.saturating_sub(indent));
        format!("{:indent$}{}\n", "", self.paint(tone, &text))
    }

    /// Text on as many lines as it takes; the first and the others may stand at different distances from the margin.
    pub(crate) fn wrapped(&self, indents: [usize; 2], tone: Tone, text: &str) -> String {
        let text = harmless(&text.replace("\r\n", "\n")).replace('\t', "    ");
        let [first, others] = indents.map(|indent| " ".repeat(indent));
        // Words that hold hyphens are often names of things, which people copy.
        let options = Options::new(self.width).initial_indent(&first).subsequent_indent(&others);
        let lines = textwrap::wrap(text.trim_end(), options.word_splitter(WordSplitter::NoHyphenation));
        lines.iter().map(|line| self.paint(tone, line.trim_end()) + "\n").collect()
    }

    /// A line across the page that begins a day.
    pub(crate) fn day(&self, date: &str) -> String {
        let start = format!("── {date} ");
        let rule = "─".repeat(self.width.saturating_sub(display_width(&start)));
        self.paint(Tone::Faint, &format!("{start}{rule}")) + "\n"
    }
}

fn fitting(terminal: Option<usize>) -> usize {
    terminal.map_or(USUAL, |width| width.clamp(NARROWEST, WIDEST))
}

fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if display_width(text) <= width {
        return Cow::Borrowed(text);
    }
    let (mut end, mut used) = (0, 1);
    for c in text.chars() {
        used += display_width(c.encode_utf8(&mut [0; 4]));
        if used > width {
            break;
        }
        end += c.len_utf8();
    }
    if width == 0 { Cow::Borrowed("") } else { Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())) }
}

/// Whether to write in colour: only to a terminal that knows it, and not for those who asked for none (<https://no-color.org>).
fn colour(terminal: bool) -> bool {
    let variable = |name| std::env::var_os(name);
    allows_colour(terminal, variable("NO_COLOR").as_deref(), variable("TERM").as_deref())
}

fn allows_colour(terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    terminal && no_color.is_none_or(OsStr::is_empty) && term.is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_needs_a_terminal_that_knows_it_and_nobody_who_minds() {
        let allows =
            |terminal, no_color: Option<&str>, term: Option<&str>| allows_colour(terminal, no_color.map(OsStr::new), term.map(OsStr::new));
        assert!(allows(true, None, Some("xterm")) && allows(true, Some(""), Some("xterm")) && allows(true, None, None));
        assert!(!allows(false, None, Some("xterm")), "no terminal");
        assert!(!allows(true, Some("1"), Some("xterm")) && !allows(true, Some("0"), None), "whatever the value");
        assert!(!allows(true, None, Some("dumb")));
    }

    #[test]
    fn colours_take_no_width_and_end_with_their_text() {
        let style = Style { width: 24, colour: true };
        assert_eq!(
            style.line(&[(Tone::User, "user"), (Tone::Plain, "a\nb"), (Tone::Faint, "")]),
            "\u{1b}[1;32muser\u{1b}[0m  a\u{fffd}b\n"
        );
        assert_eq!(style.folded(2, Tone::Faint, "▸ tool\n {\"city\": \"Paris\"}"), "  \u{1b}[2m▸ tool {\"city\": \"Pari…\u{1b}[0m\n");
        let wrapped = style.wrapped([0, 2], Tone::Warning, "one two three four five six");
        assert_eq!(wrapped, "\u{1b}[33mone two three four five\u{1b}[0m\n\u{1b}[33m  six\u{1b}[0m\n");
        assert_eq!(style.day("2024-01-26"), format!("\u{1b}[2m── 2024-01-26 {}\u{1b}[0m\n", "─".repeat(10)));
    }

    #[test]
    fn lines_are_as_wide_as_the_terminal_within_reason() {
        assert_eq!([None, Some(3), Some(72), Some(300)].map(fitting), [80, 20, 72, 100]);
        assert_eq!(["漢字漢字", "漢字漢", "abc", ""].map(|text| cut(text, 6)), ["漢字…", "漢字漢", "abc", ""]);
        assert_eq!((cut("abc", 0), cut("abc", 1)), (Cow::from(""), Cow::from("…")));
        let style = Style { width: 20, colour: false };
        let parts = [(Tone::Faint, "10:30:45"), (Tone::User, "user"), (Tone::Plain, "an-agent"), (Tone::Faint, "#1")];
        assert_eq!(style.line(&parts), "10:30:45  user  an-…\n");
        assert_eq!(style.wrapped([2, 2], Tone::Plain, "keeps  runs\n\n  of white-space   "), "  keeps  runs\n\n    of white-space\n");
    }
}
