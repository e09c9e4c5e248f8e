//! Literal marks in a text: words such as `<eos>`, which other programs write at the ends of lines.
//!
//! Every line end is a target already. A literal mark next to it would be a second target, which the model predicts almost with
//! certainty, so the perplexity would be too low. Literal marks at the start and the end of a line are therefore ignored, also
//! several in a row. Elsewhere in a line, the mark of the order is read as a line end.

use super::tokens::TokenKind;

/// The marks.
pub(super) const MARKS: [&str; 6] = ["<S>", "<eos>", "<s>", "</s>", "</S>", "<EOS>"];

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

/// The number of bytes around a mark that are searched for the line end.
const NEAR: usize = 256;

/// The end of the literal mark that starts at `at`, if it is ignored.
#[inline]
pub(super) fn ignored_mark(text: &[u8], at: usize) -> Option<usize> {
    if text.get(at) == Some(&b'<') {
        ignored(text, at)
    } else {
        None
    }
}

#[cold]
fn ignored(text: &[u8], at: usize) -> Option<usize> {
    let end = word_at(text, at, &MARKS)?.1;
    (is_at_start(text, at) || is_at_end(text, end)).then_some(end)
}

/// The length of a line without the literal marks at its end and the white space before them.
pub(super) fn before_marks(line: &[u8]) -> usize {
    let (mut length, mut found) = (line.len(), false);
    loop {
        let trimmed = line[..length].trim_ascii_end().len();
        let is_last = |mark: &&&str| {
            line[..trimmed].ends_with(mark.as_bytes())
                && word_at(line, trimmed - mark.len(), &MARKS).is_some()
        };
        match MARKS.iter().find(is_last) {
            Some(mark) => (length, found) = (trimmed - mark.len(), true),
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
    let mut first = 0;
    loop {
        let start = first + body[first..].len() - body[first..].trim_ascii_start().len();
        match word_at(body, start, &MARKS) {
            Some((_, end)) => first = end,
            None if first > 0 => {
                first = start;
                break;
            }
            None => break,
        }
    }
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
    let starts = at == 0 || text[at - 1].is_ascii_whitespace();
    let word = words
        .iter()
        .find(|word| text[at..].starts_with(word.as_bytes()))?;
    let end = at + word.len();
    let ends = text.get(end).is_none_or(u8::is_ascii_whitespace);
    (starts && ends).then_some((*word, end))
}

/// Whether only marks stand between the start of the line and `at`.
fn is_at_start(text: &[u8], mut at: usize) -> bool {
    let limit = at.saturating_sub(NEAR);
    loop {
        match at.checked_sub(1).map(|before| text[before]) {
            None | Some(b'\n') => return true,
            _ if at <= limit => return false,
            Some(byte) if byte.is_ascii_whitespace() => at -= 1,
            Some(_) => {
                let is_before = |mark: &&&str| text[..at].ends_with(mark.as_bytes());
                let before = MARKS.iter().find(is_before).map(|mark| at - mark.len());
                match before.filter(|start| word_at(text, *start, &MARKS).is_some()) {
                    Some(start) => at = start,
                    None => return false,
                }
            }
        }
    }
}

/// Whether `at` is before the end of the line, or before another mark.
fn is_at_end(text: &[u8], at: usize) -> bool {
    for (k, byte) in text[at..].iter().enumerate().take(NEAR) {
        if *byte == b'\n' {
            return true;
        }
        if !byte.is_ascii_whitespace() {
            return word_at(text, at + k, &MARKS).is_some();
        }
    }
    text.len() - at < NEAR
}

#[cfg(test)]
mod tests {
    use crate::config::Tokens as TokenKind;

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
        // A long line of marks takes linear time.
        let long = "<eos> ".repeat(1_000_000);
        assert_eq!(split(TokenKind::Whitespace, &long), [""; 0]);
    }
}
