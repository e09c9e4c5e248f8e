//! Words of plain text, by the word boundaries of the Unicode standard (UAX #29).
//!
//! Three rules differ from the standard, which allows such tailoring:
//!
//! - A hyphen or an apostrophe between letters or digits is a part of the word: `well-known`, `90's`. The hyphens are `-`,
//!   U+2010 and U+2011, the apostrophes `'` and `’`.
//! - A dash of two or three hyphens and an ellipsis of two or three periods are one word each: `--`, `...`.
//! - White space always separates words and is never part of one. In the standard, a combining mark can attach to white space, and
//!   a narrow no-break space is part of a word.
//!
//! [`word_end`] depends only on the text from the start of the word on, so that reading can start at any word. It reads a bounded
//! number of bytes: a word of more than [`MAX_WORD`] bytes is cut.

use std::str;

use unicode_segmentation::UnicodeSegmentation;

use super::bad_utf8::BadUtf8;

/// The maximum number of bytes of a word.
pub(super) const MAX_WORD: usize = 1 << 16;

/// The maximum number of hyphens in a dash, and of periods in an ellipsis.
const MAX_MARKS: usize = 3;

/// The number of bytes that are segmented first, if a word is not plain ASCII.
const WINDOW: usize = 64;

/// The number of bytes after a word that can affect its end. More combining marks than this are not expected.
const LOOKAHEAD: usize = 32;

/// The end of the word that starts at `start`, which must not be white space.
///
/// # Errors
///
/// If the text is not UTF-8 at the start of the word.
#[inline]
pub(super) fn word_end(text: &[u8], start: usize) -> Result<usize, BadUtf8> {
    match plain_end(text, start) {
        Some(end) => Ok(end),
        None => segmented_end(text, start),
    }
}

/// Whether there is always a word boundary before byte `at`, whatever precedes and follows the two characters around it: after
/// white space, between two ASCII symbols, and between two characters of a script without spaces.
pub(super) fn is_boundary(text: &[u8], at: usize) -> bool {
    let (Some(&before), Some(&after)) = (text.get(at.wrapping_sub(1)), text.get(at)) else {
        return false;
    };
    let is_symbol = |byte: u8| byte.is_ascii_punctuation() && byte != b'_';
    match before {
        b' ' | b'\n' => true,
        b'-' | b'.' if after == before => false,
        _ if is_symbol(before) => is_symbol(after),
        _ => is_unspaced(text.get(at.wrapping_sub(3)..)) && is_unspaced(text.get(at..)),
    }
}

/// Whether a text starts with a Chinese character or a letter of Hiragana.
fn is_unspaced(text: Option<&[u8]>) -> bool {
    matches!(
        text,
        Some(
            [0xe4, 0xb8..=0xbf, 0x80..=0xbf, ..]
                | [0xe5..=0xe9, 0x80..=0xbf, 0x80..=0xbf, ..]
                | [0xe3, 0x81, 0x81..=0xbf, ..]
                | [0xe3, 0x82, 0x80..=0x96, ..]
        )
    )
}

/// Whether this is an ASCII letter, a digit or `_`.
#[inline(always)]
fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The end of a word of ASCII characters and common punctuation. `None` if other characters may belong to it.
#[inline]
fn plain_end(text: &[u8], start: usize) -> Option<usize> {
    let text = &text[..text.len().min(start + MAX_WORD)];
    // The end of the text is treated as white space, which always ends a word.
    let byte = |at: usize| text.get(at).copied().unwrap_or(b' ');
    let mut at = start;
    if !is_part(byte(at)) {
        at += match text[at..] {
            [mark @ (b'-' | b'.'), ..] => {
                let same = (1..MAX_MARKS).take_while(|k| byte(start + k) == mark);
                1 + same.count()
            }
            [first, ..] if first.is_ascii() => 1,
            // En dash, em dash, and the quotation marks ‘’ “”.
            [0xe2, 0x80, 0x93 | 0x94 | 0x98 | 0x99 | 0x9c | 0x9d, ..] => 3,
            _ if is_unspaced(text.get(at..)) => 3,
            _ => return None,
        };
        // A combining mark belongs to the character before it.
        let is_apart = byte(at).is_ascii() || is_unspaced(text.get(at..));
        return is_apart.then_some(at);
    }
    loop {
        while is_part(byte(at)) {
            at += 1;
        }
        let (before, joint) = (byte(at - 1), byte(at));
        let after = at
            + match joint {
                b'\'' | b'-' | b'.' | b',' | b';' | b':' => 1,
                0..=0x7f => return Some(at),
                _ => match text[at..] {
                    [0xe2, 0x80, 0x93 | 0x94 | 0x9c | 0x9d, ..] => return Some(at),
                    [0xe2, 0x80, 0x99, ..] => 3,
                    _ => return None,
                },
            };
        let next = byte(after);
        if !next.is_ascii() {
            return None;
        }
        let letters = before.is_ascii_alphabetic() && next.is_ascii_alphabetic();
        let digits = before.is_ascii_digit() && next.is_ascii_digit();
        let joins = match joint {
            b'.' => letters || digits,
            b':' => letters,
            b',' | b';' => digits,
            _ => is_part(next),
        };
        if !joins {
            return Some(at);
        }
        at = after;
    }
}

/// The end of any word.
#[cold]
fn segmented_end(text: &[u8], start: usize) -> Result<usize, BadUtf8> {
    let mut size = WINDOW;
    loop {
        let (window, is_cut) = window(text, start, size)?;
        let end = first_word(window).len();
        if !is_cut || end + LOOKAHEAD <= window.len() || size == MAX_WORD {
            return Ok(start + end);
        }
        size = (4 * size).min(MAX_WORD);
    }
}

/// About `size` bytes of the text, up to white space, and whether the word may continue after them.
fn window(text: &[u8], start: usize, size: usize) -> Result<(&str, bool), BadUtf8> {
    let end = text.len().min(start + size);
    let bytes = &text[start..end];
    let valid = match str::from_utf8(bytes) {
        Ok(valid) => valid,
        Err(error) => str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    };
    let is_cut = end < text.len() && valid.len() + 4 > bytes.len();
    if valid.is_empty() {
        return Err(BadUtf8(start));
    }
    Ok(match valid.find(char::is_whitespace) {
        Some(space) => (&valid[..space], false),
        None => (valid, is_cut),
    })
}

/// The first word of a text without white space.
fn first_word(text: &str) -> &str {
    let mut words = text.split_word_bound_indices();
    let mut last = words.next().map_or("", |(_, word)| word);
    let mut end = last.len();
    if matches!(last, "-" | ".") {
        let same = words
            .take(MAX_MARKS - 1)
            .take_while(|(_, word)| *word == last);
        return &text[..1 + same.count()];
    }
    while let (Some((_, joint)), Some((at, next))) = (words.next(), words.next()) {
        let is_joint = matches!(joint, "'" | "’" | "-" | "\u{2010}" | "\u{2011}");
        if !is_joint || !joins(&format!("{last}a")) || !joins(&format!("a{next}")) {
            break;
        }
        (last, end) = (next, at + next.len());
    }
    &text[..end]
}

/// The name of this rule in checkpoints; see [`SavedModel`](crate::train::saved::SavedModel). Models of the older rule have none.
pub const WORD_RULE: &str = "uax29";

/// Whether a text is one word by the older rule: letters and digits, with apostrophes and hyphens between them.
pub(super) fn is_word_of_earlier_rule(text: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&c);
    text.split(['\'', '’', '-'])
        .all(|part| !part.is_empty() && part.chars().all(is_letter))
}

/// Whether a text is one word by the standard.
fn joins(text: &str) -> bool {
    text.split_word_bounds().nth(1).is_none()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Tokens;

    fn split(text: &str) -> Vec<&str> {
        Tokens::Words.split(text).collect()
    }

    #[test]
    fn words_of_many_scripts() {
        for (text, words) in [
            (
                "Don't o’er-do it, well-known--'90's'!",
                "Don't|o’er-do|it|,|well-known|--|'|90's|'|!",
            ),
            (
                "3.14 1,000.50 U.S.A. a.b 3.a a_b e.g.",
                "3.14|1,000.50|U.S.A|.|a.b|3|.|a|a_b|e.g|.",
            ),
            ("“Quoted”—he said… ‘so’", "“|Quoted|”|—|he|said|…|‘|so|’"),
            (
                "cafe\u{301} nai\u{308}ve co\u{ad}op",
                "cafe\u{301}|nai\u{308}ve|co\u{ad}op",
            ),
            (
                "l’été d'Artagnan aujourd’hui",
                "l’été|d'Artagnan|aujourd’hui",
            ),
            ("a--b ---- a.... ..é", "a|--|b|---|-|a|...|.|..|é"),
            ("mot\u{202f}! 1\u{a0}000", "mot|!|1|000"),
            (
                "日本語 ひら カタカナ 한국어",
                "日|本|語|ひ|ら|カタカナ|한국어",
            ),
            ("नमस्ते दुनिया", "नमस्ते|दुनिया"),
            // The zero-width non-joiner of Persian, and the quotation mark of Hebrew.
            ("می\u{200c}خواهم צה\"ל", "می\u{200c}خواهم|צה\"ל"),
            (
                "👨\u{200d}👩\u{200d}👧 🇩🇪🇫🇷 #\u{fe0f}\u{20e3}",
                "👨\u{200d}👩\u{200d}👧|🇩🇪|🇫🇷|#\u{fe0f}\u{20e3}",
            ),
            (
                "Jean\u{2011}Luc вице-президент е\u{301}-е",
                "Jean\u{2011}Luc|вице-президент|е\u{301}-е",
            ),
            ("\u{301}a \u{301} -é- é-", "\u{301}|a|\u{301}|-|é|-|é|-"),
        ] {
            assert_eq!(split(text).join("|"), words);
        }
    }

    #[test]
    fn long_words_are_cut() {
        for letter in ["a", "é", "本", "-", "!", "a-", "é’", "e\u{301}"] {
            let text = letter.repeat(3 * MAX_WORD);
            let words = split(&text);
            assert_eq!(words.concat(), text);
            assert!(words.iter().all(|word| word.len() <= MAX_WORD), "{letter}");
        }
        // The window grows beyond its first size.
        let word = "é".repeat(5000);
        assert_eq!(
            split(&format!("{word}, {word}-a")),
            [&word, ",", &format!("{word}-a")]
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// The fast path for plain words and the full segmentation agree.
        #[test]
        fn both_paths_agree(text in "[a-c1-2_'.,;:’‘“—é\u{301}\u{ad}本ア\"-]{1,12}") {
            let bytes = text.as_bytes();
            if let Some(end) = plain_end(bytes, 0) {
                prop_assert_eq!(segmented_end(bytes, 0).unwrap(), end);
            }
        }

        /// Words are whole without the text around them, and no white space or other character is lost.
        #[test]
        fn words_stand_alone(text in "(\\PC| |[a-c1-2_'.,:’\u{301}\u{ad}\u{200d}本カ🇩-]){0,24}") {
            let words = split(&text);
            let whole: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            prop_assert_eq!(words.concat(), whole);
            for word in words {
                prop_assert_eq!(split(word), [word]);
            }
        }

        /// A text may be cut at a boundary.
        #[test]
        fn boundaries_separate_words(text in "[a!?.'本語ひ\u{301}\u{3099} -]{2,16}") {
            for at in (1..text.len()).filter(|at| is_boundary(text.as_bytes(), *at)) {
                prop_assert!(text.is_char_boundary(at));
                let parts = [split(&text[..at]), split(&text[at..])].concat();
                prop_assert_eq!(parts, split(&text));
            }
        }
    }
}
