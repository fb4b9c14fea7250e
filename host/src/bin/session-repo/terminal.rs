//! What people are shown: every text passes here, so that nothing gets past that a terminal obeys or hides.
//!
//! Replaced by U+FFFD is what has the Unicode category Cc (control), Cf (format), Zl or Zp (separators of lines and paragraphs), and what
//! else Unicode calls ignorable by default: fillers, tags and variation selectors. Kept are:
//!
//! - line feed and tab, in text of several lines;
//! - the format characters that are visible, which are signs of numbers and verses in Arabic, Syriac and Kaithi;
//! - a joiner or non-joiner directly after a letter, mark or symbol outside ASCII, as scripts and emoji need it;
//! - a soft hyphen directly after a letter;
//! - one variation selector directly after a visible character: after ASCII only those of text and emoji, and those of ideographs and of
//!   Mongolian only after a letter of theirs.

use std::io::{self, Write};
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// Text of several lines as it may be shown.
pub(crate) fn harmless(text: &str) -> String {
    shown(text, |c| matches!(c, '\n' | '\t'))
}

/// Text that is a name or a message: it stays on its line.
pub(crate) fn one_line(text: &str) -> String {
    shown(text, |_| false)
}

/// Says on stderr, on one line, what is wrong or worth knowing.
pub(crate) fn tell(text: &str) {
    note(&format!("session-repo: {text}"));
}

/// Writes a line to stderr.
pub(crate) fn note(text: &str) {
    // Nobody is left to be told that stderr is gone.
    writeln!(io::stderr(), "{}", one_line(text)).ok();
}

fn shown(text: &str, is_layout: impl Fn(char) -> bool) -> String {
    let mut before = None;
    let show = |c: char| {
        let shown = if is_layout(c) || !is_hidden(c) || may_follow(before, c) { c } else { char::REPLACEMENT_CHARACTER };
        before = Some(shown);
        shown
    };
    text.chars().map(show).collect()
}

fn is_hidden(c: char) -> bool {
    use GeneralCategory::{Control, Format, LineSeparator, ParagraphSeparator};
    match c {
        ' '..='~' => false,
        // Visible signs.
        '\u{600}'..='\u{605}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}' | '\u{110bd}' | '\u{110cd}' => false,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{3164}' | '\u{2065}' | '\u{ffa0}' => {
            true
        }
        '\u{fe00}'..='\u{fe0f}' | '\u{fff0}'..='\u{fff8}' | '\u{e0000}'..='\u{e0fff}' => true,
        c => matches!(c.general_category(), Control | Format | LineSeparator | ParagraphSeparator),
    }
}

/// Whether a character that is hidden elsewhere belongs to what is shown before it.
fn may_follow(before: Option<char>, c: char) -> bool {
    let Some(before) = before else { return false };
    let is = |groups: &[GeneralCategoryGroup]| groups.contains(&before.general_category_group());
    match c {
        '\u{200c}' | '\u{200d}' => {
            !before.is_ascii()
                && before != char::REPLACEMENT_CHARACTER
                && is(&[GeneralCategoryGroup::Letter, GeneralCategoryGroup::Mark, GeneralCategoryGroup::Symbol])
        }
        '\u{ad}' => is(&[GeneralCategoryGroup::Letter]),
        '\u{fe00}'..='\u{fe0f}' => {
            (!before.is_ascii() || c >= '\u{fe0e}')
                && !is_hidden(before)
                && before != char::REPLACEMENT_CHARACTER
                && !is(&[GeneralCategoryGroup::Separator, GeneralCategoryGroup::Other])
        }
        '\u{e0100}'..='\u{e01ef}' => before.general_category() == GeneralCategory::OtherLetter,
        '\u{180b}'..='\u{180f}' => matches!(before, '\u{1820}'..='\u{18aa}'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_or_hides_is_replaced() {
        for c in ['\0', '\u{1b}', '\u{7}', '\r', '\u{7f}', '\u{9b}', '\u{85}', '\u{200b}', '\u{200e}', '\u{200f}', '\u{202e}', '\u{2028}'] {
            assert_eq!(harmless(&format!("a{c}b")), "a\u{fffd}b", "{c:?}");
        }
        for c in ['\u{2029}', '\u{2060}', '\u{2066}', '\u{feff}', '\u{e0041}', '\u{34f}', '\u{3164}', '\u{e0100}', '\u{fff9}', '\u{2065}'] {
            assert_eq!(harmless(&format!("a{c}b")), "a\u{fffd}b", "{c:?}");
        }
        assert_eq!((harmless("a\n\tb"), one_line("a\n\tb")), (String::from("a\n\tb"), String::from("a\u{fffd}\u{fffd}b")));
    }

    #[test]
    fn text_of_all_scripts_stays_as_it_is() {
        for text in [
            "Größe, naïve, 漢字, עברית, العربية",
            "می\u{200c}خواهم",
            "ക്\u{200d}ഷ",
            "👩🏽\u{200d}💻 🏳\u{fe0f}\u{200d}🌈 1\u{fe0f}\u{20e3}",
            "葛\u{e0100}",
            "ᠮᠣᠩᠭᠣᠯ\u{180e}ᠠ",
            "Donau\u{ad}dampf\u{ad}schiff",
            "\u{600}١٢",
        ] {
            assert_eq!(one_line(text), text);
        }
    }

    #[test]
    fn joiners_and_selectors_stay_only_where_text_needs_them() {
        assert_eq!(one_line("admin\u{200d}"), "admin\u{fffd}");
        assert_eq!(one_line("💻\u{200d}\u{200d}"), "💻\u{200d}\u{fffd}");
        assert_eq!(one_line("😀\u{fe01}\u{fe02}\u{e0101}"), "😀\u{fe01}\u{fffd}\u{fffd}");
        assert_eq!((one_line("1\u{fe0f}"), one_line("a\u{fe01}")), (String::from("1\u{fe0f}"), String::from("a\u{fffd}")));
        assert_eq!(one_line("\u{200d}a \u{fe0f}\u{ad}"), "\u{fffd}a \u{fffd}\u{fffd}");
    }
}
