//! Literal marks in a text: words such as `<eos>`, which other programs write at the ends of lines.
//!
//! Every line end is a target already. A literal mark next to it would be a second target, which the model predicts almost with
//! certainty, so the perplexity would be too low. Literal marks at the start and the end of a line are therefore ignored, also
//! several in a row. Elsewhere in a line, the mark of the order is read as a line end.

use super::spaces::{space_before, space_length};
use super::tokens::TokenKind;

/// The marks.
pub(super) const MARKS: [&str; 6] = ["<S>", "<eos>", "<s>", "</s>", "</S>", "<EOS>"];

/// Bytes of the longest mark.
const LONGEST_MARK: usize = 5;

/// The spellings of the unknown word in texts.
pub(super) const UNKNOWN: [&str; 9] = [
    "<unk>",
    "<UNK>",
    "<Unk>",
    "[UNK]",
    "[unk]",
    "@unk@",
    "@UNK@",
    "<unknown>",
    "<oov>",
];

/// The end of the literal mark that starts at `at`, if it is ignored.
#[inline]
pub(super) fn ignored_mark(text: &[u8], at: usize) -> Option<usize> {
    if text.get(at) == Some(&b'<') {
        ignored(text, at)
    } else {
        None
    }
}

/// Whether `at` is inside a literal mark that is ignored.
pub(super) fn is_in_mark(text: &[u8], at: usize) -> bool {
    let starts = at.saturating_sub(LONGEST_MARK - 1)..at;
    starts
        .filter_map(|start| ignored_mark(text, start))
        .any(|end| end > at)
}

#[cold]
fn ignored(text: &[u8], at: usize) -> Option<usize> {
    let end = word_at(text, at, &MARKS)?.1;
    // Of several marks in a row, only the last one needs the search for the start of the line, which is long.
    (is_at_end(text, end) || is_at_start(text, at)).then_some(end)
}

/// The length of the literal marks at the start of a line, with the white space around them. 0 if there are none.
pub(super) fn after_marks(line: &[u8]) -> usize {
    let (mut at, mut found) = (0, false);
    loop {
        at = spaces_end(line, at);
        match word_at(line, at, &MARKS) {
            Some((_, end)) => (at, found) = (end, true),
            None => return if found { at } else { 0 },
        }
    }
}

/// The length of a line without the literal marks at its end and the white space before them.
pub(super) fn before_marks(line: &[u8]) -> usize {
    let (mut length, mut found) = (line.len(), false);
    loop {
        let trimmed = spaces_start(line, length);
        match mark_before(line, trimmed) {
            Some(start) => (length, found) = (start, true),
            None => return if found { trimmed } else { line.len() },
        }
    }
}

/// The number of bytes between two tokens, without ignored marks and the white space around them. If characters are tokens, so is
/// white space, and only the marks are left out.
pub(super) fn gap_bytes(gap: &[u8], kind: TokenKind) -> usize {
    let mut at = 0;
    let (mut marks, mut bytes) = (false, gap.len());
    while let Some(found) = memchr::memchr(b'<', &gap[at..]) {
        at += found;
        at = match word_at(gap, at, &MARKS) {
            Some((mark, end)) => {
                (marks, bytes) = (true, bytes - mark.len());
                end
            }
            None => at + 1,
        };
    }
    if marks && kind != TokenKind::Characters {
        0
    } else {
        bytes
    }
}

/// The bytes of a line with its line end, without the ignored marks at its start and its end and the white space around them.
pub(super) fn line_bytes(line: &[u8], kind: TokenKind) -> usize {
    if memchr::memchr(b'<', line).is_none() {
        return line.len();
    }
    let body = line.strip_suffix(b"\n").unwrap_or(line);
    let body = body.strip_suffix(b"\r").unwrap_or(body);
    let first = after_marks(body);
    let last = before_marks(body).max(first);
    let (before, after) = (&body[..first], &body[last..]);
    line.len()
        - [before, after]
            .map(|part| part.len() - gap_bytes(part, kind))
            .iter()
            .sum::<usize>()
}

/// The word of `words` that starts at `at` and has white space on both sides, and its end.
pub(super) fn word_at(
    text: &[u8],
    at: usize,
    words: &[&'static str],
) -> Option<(&'static str, usize)> {
    let word = words
        .iter()
        .find(|word| text[at..].starts_with(word.as_bytes()))?;
    let end = at + word.len();
    (starts_word(text, at) && ends_word(text, end)).then_some((*word, end))
}

/// The start of the mark that ends before `at` and has white space on both sides.
fn mark_before(text: &[u8], at: usize) -> Option<usize> {
    let ends = |mark: &&&str| text[..at].ends_with(mark.as_bytes());
    let start = at - MARKS.iter().find(ends)?.len();
    word_at(text, start, &MARKS).map(|_| start)
}

/// The mark that starts at `at`, if the start or the end of a line is on one side of it and a word on the other: `house</s>`.
pub(super) fn attached_mark(text: &[u8], at: usize) -> Option<&'static str> {
    let mark = MARKS
        .iter()
        .find(|mark| text[at..].starts_with(mark.as_bytes()))?;
    let end = at + mark.len();
    let starts_line = || {
        let start = spaces_start(text, at);
        start == 0 || text[start - 1] == b'\n'
    };
    let ends_line = || {
        text.get(spaces_end(text, end))
            .is_none_or(|byte| *byte == b'\n')
    };
    let is_attached = match (starts_word(text, at), ends_word(text, end)) {
        (true, false) => starts_line(),
        (false, true) => ends_line(),
        _ => false,
    };
    is_attached.then_some(*mark)
}

/// Whether the start of the text or white space is before `at`.
fn starts_word(text: &[u8], at: usize) -> bool {
    at == 0 || space_before(text, at) > 0
}

/// Whether the end of the text or white space is at `at`.
fn ends_word(text: &[u8], at: usize) -> bool {
    text.get(at)
        .is_none_or(|byte| space_length(text, at, *byte) > 0)
}

/// The end of the white space at `at`, which ends with the line.
fn spaces_end(text: &[u8], mut at: usize) -> usize {
    while let Some(byte) = text.get(at).filter(|byte| **byte != b'\n') {
        match space_length(text, at, *byte) {
            0 => break,
            length => at += length,
        }
    }
    at
}

/// The start of the white space before `at`, which starts with the line.
fn spaces_start(text: &[u8], mut at: usize) -> usize {
    while at > 0 && text[at - 1] != b'\n' {
        match space_before(text, at) {
            0 => break,
            length => at -= length,
        }
    }
    at
}

/// Whether only marks stand between the start of the line and `at`.
fn is_at_start(text: &[u8], mut at: usize) -> bool {
    loop {
        at = spaces_start(text, at);
        if at == 0 || text[at - 1] == b'\n' {
            return true;
        }
        match mark_before(text, at) {
            Some(start) => at = start,
            None => return false,
        }
    }
}

/// Whether `at` is before the end of the line, or before another mark.
fn is_at_end(text: &[u8], at: usize) -> bool {
    let at = spaces_end(text, at);
    text.get(at).is_none_or(|byte| *byte == b'\n') || word_at(text, at, &MARKS).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(kind: TokenKind, text: &str) -> Vec<&str> {
        kind.split(text).collect()
    }

    #[test]
    fn marks_beside_line_ends_are_ignored() {
        for (text, words) in [
            ("a b <eos>\n", "a|b"),
            ("<s> a b </s> \r\n", "a|b"),
            (" <s> <S> a <eos> <eos> b <eos>", "a|<eos>|b"),
            ("<eos>\n<S>\n", ""),
            ("a <eos>b <eos> c <eosx>\n", "a|<eos>b|<eos>|c|<eosx>"),
            ("x<eos>\n", "x<eos>"),
        ] {
            assert_eq!(
                split(TokenKind::Whitespace, text).join("|"),
                words,
                "{text:?}"
            );
        }
        assert_eq!(split(TokenKind::Words, "<s> a, b <eos>\n"), ["a", ",", "b"]);
        assert_eq!(split(TokenKind::Words, "a <eos> b").len(), 5);
        assert_eq!(split(TokenKind::Characters, "ab <eos>\nc").concat(), "ab c");
        for (text, lines) in [
            ("<s> a  b <eos>\r\n c </s>", ["a  b", " c"]),
            (" a <eos> b \n<S>\nx", [" a <eos> b ", "x"]),
        ] {
            assert_eq!(split(TokenKind::Bpe, text), lines);
        }
        // White space is that of Unicode, and there can be any number of it.
        let far = " ".repeat(70_000);
        for space in [
            "\u{a0}",
            "\u{3000}",
            "\x0b",
            "\x0c",
            "\u{85}",
            "\u{2028}",
            " \u{1680}\t",
            &far,
        ] {
            for text in [
                format!("a b <eos>{space}\n"),
                format!("a b{space}<eos>\n"),
                format!("<s>{space}a b\n"),
                format!("{space}<s> a b </S>{space}\r\n{space}<eos>{space}</s>"),
            ] {
                for kind in [TokenKind::Whitespace, TokenKind::Words] {
                    assert_eq!(split(kind, &text), ["a", "b"], "{text:?}");
                }
                if space.len() < 100 {
                    assert_eq!(split(TokenKind::Bpe, &text), ["a b"], "{text:?}");
                }
                assert!(!split(TokenKind::Characters, &text).contains(&"<"));
                for kind in [TokenKind::Whitespace, TokenKind::Words, TokenKind::Bpe] {
                    let lines = text.split_inclusive('\n');
                    let bytes = lines.map(|line| line_bytes(line.as_bytes(), kind));
                    let ends = text.matches(['\r', '\n']).count();
                    assert_eq!(bytes.sum::<usize>(), 3 + ends, "{text:?}");
                }
            }
        }
        assert_eq!(split(TokenKind::Bpe, "\u{a0}a <eos>"), ["\u{a0}a"]);
        assert_eq!(split(TokenKind::Whitespace, "é<eos> x"), ["é<eos>", "x"]);
        // A long line of marks takes linear time.
        let long = "<eos> ".repeat(1_000_000);
        assert_eq!(split(TokenKind::Whitespace, &long), [""; 0]);
        let long = "<eos> ".repeat(500_000) + "a " + &"<eos> ".repeat(500_000) + "b";
        assert_eq!(split(TokenKind::Whitespace, &long), ["a", "<eos>", "b"]);
    }

    #[test]
    fn attached_marks_are_found() {
        let attached = |text: &str| {
            let all = memchr::memchr_iter(b'<', text.as_bytes());
            all.filter_map(|at| attached_mark(text.as_bytes(), at))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            attached("a house</s>\n<s>the end<eos> \r\nx</s>"),
            ["</s>", "<s>", "<eos>", "</s>"]
        );
        assert!(attached("a <s>house</s> b\n<eos>\n x<eosx>\n<s> a </s>").is_empty());
    }
}
