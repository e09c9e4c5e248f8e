//! Escapes untrusted text for display: words of a vocabulary, names of tensors, paths, values of a configuration.
//!
//! A terminal interprets control characters: a word of a downloaded model could move the cursor, change the title of the window
//! or inject input. Bidirectional overrides change the order in which text is shown. Both are shown as escapes such as
//! `\u{1b}`.

use std::borrow::Cow;

/// Whether a character is shown as an escape: control characters (C0, DEL, C1), bidirectional marks, embeddings, overrides and
/// isolates, and line and paragraph separators.
fn is_harmful(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

/// The text on one line, with escapes for all characters that a terminal would interpret.
pub fn printable(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// Same as [`printable`], but keeps line feeds and tabs.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escape(text, |letter| matches!(letter, '\n' | '\t'))
}

/// Same as [`printable_lines`] for JSON text, with the escapes of JSON, so that its meaning does not change.
pub fn printable_json(text: &str) -> Cow<'_, str> {
    escape_as(
        text,
        |letter| matches!(letter, '\n' | '\t'),
        |letter, out| {
            // All these characters are below 2^16.
            *out += &format!("\\u{:04x}", u32::from(letter));
        },
    )
}

fn escape(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    escape_as(text, stays, |letter, out| {
        out.extend(letter.escape_unicode());
    })
}

fn escape_as(
    text: &str,
    stays: impl Fn(char) -> bool,
    write: impl Fn(char, &mut String),
) -> Cow<'_, str> {
    let escapes = |letter: char| is_harmful(letter) && !stays(letter);
    if !text.contains(escapes) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if escapes(letter) {
            write(letter, &mut out);
        } else {
            out.push(letter);
        }
    }
    Cow::Owned(out)
}

/// The text; if it has more than `limit` characters, its beginning and its size in bytes.
pub fn shortened(text: &str, limit: usize) -> Cow<'_, str> {
    match text.char_indices().nth(limit) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}... ({} bytes)", &text[..end], text.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_interprets_is_escaped() {
        for (text, shown) in [
            ("plain, ä, 漢字, 👩‍🚀", "plain, ä, 漢字, 👩‍🚀"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("a\u{9b}2Jb", "a\\u{9b}2Jb"),
            ("\u{7f}\0\r", "\\u{7f}\\u{0}\\u{d}"),
            ("\u{202e}txt.exe", "\\u{202e}txt.exe"),
            (
                "\u{2066}x\u{2069}\u{200f}\u{61c}",
                "\\u{2066}x\\u{2069}\\u{200f}\\u{61c}",
            ),
            ("a\u{2028}b\u{2029}", "a\\u{2028}b\\u{2029}"),
        ] {
            assert_eq!(printable(text), shown);
            assert_eq!(printable_lines(text), shown);
        }
        assert_eq!(printable("a\n\tb"), "a\\u{a}\\u{9}b");
        assert_eq!(printable_lines("a\n\tb"), "a\n\tb");
    }

    #[test]
    fn json_means_the_same() {
        let text = serde_json::to_string(&["\u{9b}\u{202e}\u{7f}", "\n"]).expect("JSON");
        let shown = printable_json(&text);
        assert_eq!(shown, r#"["\u009b\u202e\u007f","\n"]"#);
        let values: Vec<String> = serde_json::from_str(&shown).expect("JSON");
        assert_eq!(values, ["\u{9b}\u{202e}\u{7f}", "\n"]);
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöüß", 3), "äöü... (8 bytes)");
    }
}
