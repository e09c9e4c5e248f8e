//! Splits a line into the pieces that BPE divides into tokens: words with the space before them, numbers, and runs of symbols or of
//! white space. This is the rule of GPT-2 and of the pre-tokenizer `ByteLevel` in the `tokenizers` library.

use std::sync::LazyLock;

use regex::Regex;

/// The rule without its look-ahead, by which the last character of white space before a word belongs to the word.
static PIECE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+")
        .expect("a regular expression")
});

/// The maximum number of bytes of a piece.
pub(super) const MAX_PIECE: usize = 1 << 12;

/// A line of more bytes is cut into segments.
pub const SEGMENT: usize = 1 << 16;

/// Passes the pieces of a text to `take`, in order. A piece longer than [`MAX_PIECE`] is cut.
pub(super) fn for_each_piece<'a>(text: &'a str, mut take: impl FnMut(&'a str)) {
    let mut start = 0;
    while let Some(found) = PIECE.find_at(text, start) {
        let mut end = found.end();
        let piece = found.as_str();
        if end < text.len() && piece.ends_with(char::is_whitespace) {
            let last = piece.chars().next_back().map_or(0, char::len_utf8);
            if piece.len() > last {
                end -= last;
            }
        }
        let mut rest = &text[start..end];
        while rest.len() > MAX_PIECE {
            let (piece, more) = rest.split_at(rest.floor_char_boundary(MAX_PIECE));
            take(piece);
            rest = more;
        }
        take(rest);
        start = end;
    }
}

/// The end of the segment that starts at `start`, which is not a line end. Segments are encoded one by one. A line of up to
/// [`SEGMENT`] bytes is one segment. A longer one is cut before a space between two ASCII letters, where common pre-tokenizers have
/// a boundary, or, if there is none in the second half, between two characters.
pub fn segment_end(text: &[u8], start: usize) -> usize {
    let near = &text[start..text.len().min(start + SEGMENT)];
    if let Some(end) = memchr::memchr(b'\n', near) {
        let is_crlf = end > 0 && near[end - 1] == b'\r';
        return start + end - usize::from(is_crlf);
    }
    if start + near.len() == text.len() {
        return text.len();
    }
    let is_letter = |at: usize| text.get(start + at).is_some_and(u8::is_ascii_alphabetic);
    let is_space = |at: &usize| near[*at] == b' ' && is_letter(at - 1) && is_letter(at + 1);
    let is_first_byte = |at: &usize| near[*at] & 0xc0 != 0x80;
    let place = (SEGMENT / 2..SEGMENT).rev().find(is_space);
    let place = place.or_else(|| (SEGMENT - 4..SEGMENT).rev().find(is_first_byte));
    start + place.unwrap_or(SEGMENT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        for_each_piece(text, |piece| found.push(piece));
        found
    }

    #[test]
    fn pieces_are_those_of_the_rule() {
        assert_eq!(
            pieces("It's 3.5  élan,   isn't\tit? "),
            [
                "It", "'s", " 3", ".", "5", " ", " élan", ",", "  ", " isn", "'t", "\t", "it", "?",
                " "
            ]
        );
        let long = "a".repeat(3 * MAX_PIECE + 5);
        assert_eq!(pieces(&long).concat(), long);
        assert!(pieces(&long).iter().all(|piece| piece.len() <= MAX_PIECE));
    }

    #[test]
    fn long_lines_are_cut() {
        for word in ["word ", "é", "ab", "-"] {
            let text = word.repeat(SEGMENT) + "\r\nend";
            let mut at = 0;
            while text.as_bytes()[at] != b'\r' {
                let end = segment_end(text.as_bytes(), at);
                assert!(end > at && end - at <= SEGMENT && text.is_char_boundary(end));
                at = end;
            }
            assert_eq!(text.len() - at, 5);
        }
    }

    proptest! {
        #[test]
        fn no_byte_is_lost(text in "([ \t]|\\PC|'s|[a-z0-9.]){0,40}") {
            prop_assert_eq!(pieces(&text).concat(), text);
        }
    }
}
