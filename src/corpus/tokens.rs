//! Splits text into tokens.
//!
//! [`Lexer`] reads bytes that have not been checked as UTF-8, and its only state is its offset, so that reading can stop and
//! continue at any token of a line of any length. The words of a vocabulary are valid UTF-8, so only tokens outside the
//! vocabulary must be checked. [`check_utf8`] of these tokens finds every invalid byte of a text, because each byte belongs to a
//! token or to a valid separator.

use std::ops::Range;
use std::str;

pub(super) use super::bad_utf8::BadUtf8;
use super::bpe::pieces::segment_end;
use super::marks::{after_marks, before_marks, ignored_mark, line_bytes};
use super::spaces::{char_at, space_length};
use super::words::word_end;

pub use crate::config::Tokens as TokenKind;

impl TokenKind {
    /// The tokens of `text` in order; for [`TokenKind::Bpe`], its lines. Line ends separate tokens and are not returned. Literal
    /// marks such as `<eos>` at the start or the end of a line are ignored.
    ///
    /// ```
    /// use wlstm::corpus::TokenKind;
    /// let tokens = |kind: TokenKind| kind.split("It's well-known.").collect::<Vec<_>>();
    /// assert_eq!(tokens(TokenKind::Whitespace), ["It's", "well-known."]);
    /// assert_eq!(tokens(TokenKind::Words), ["It's", "well-known", "."]);
    /// assert_eq!(tokens(TokenKind::Characters).len(), 16);
    /// ```
    pub fn split(self, text: &str) -> impl Iterator<Item = &str> {
        let mut lexer = Lexer::new(self, text.as_bytes(), 0);
        std::iter::from_fn(move || {
            loop {
                match lexer.next() {
                    // Tokens start and end between characters, so `get` always succeeds.
                    Ok(Some(Item::Token(range))) => return text.get(range),
                    Ok(Some(Item::LineEnd)) => {}
                    Ok(None) | Err(_) => return None,
                }
            }
        })
    }
}

impl TokenKind {
    /// The bytes of a line, without the literal marks that are ignored at its start and its end and the white space around them.
    ///
    /// ```
    /// use wlstm::corpus::TokenKind;
    /// assert_eq!(TokenKind::Words.line_bytes("<s> a line </s>"), 6);
    /// ```
    pub fn line_bytes(self, line: &str) -> usize {
        line_bytes(line.as_bytes(), self)
    }
}

/// An item of a [`Lexer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A token and its range in the text.
    Token(Range<usize>),
    /// A line end. The last line has one even if the text does not end in a line feed.
    LineEnd,
}

/// Reads text token by token. Its whole state is the offset `at`.
pub(super) struct Lexer<'a> {
    kind: TokenKind,
    text: &'a [u8],
    /// Offset of the next byte to read. One past the end of the text after the line end that a last line without line feed has.
    pub(super) at: usize,
}

impl<'a> Lexer<'a> {
    /// Starts at byte `at`. This must be 0, the offset of another lexer of the same kind, or a boundary of
    /// [`Boundary::between`](super::chunks::Boundary::between).
    #[inline]
    pub(super) fn new(kind: TokenKind, text: &'a [u8], at: usize) -> Lexer<'a> {
        Lexer { kind, text, at }
    }

    /// The next token or line end. `None` at the end of the text.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Item>, BadUtf8> {
        match self.kind {
            TokenKind::Whitespace => Ok(self.next_whitespace_token()),
            TokenKind::Words => self.next_word(),
            TokenKind::Characters => self.next_character(),
            TokenKind::Bpe => Ok(self.next_segment()),
        }
    }

    /// The line end of a last line without line feed, once.
    fn missing_line_end(&mut self) -> Option<Item> {
        let open = self.at == self.text.len() && self.text.last().is_some_and(|&b| b != b'\n');
        open.then(|| {
            self.at += 1;
            Item::LineEnd
        })
    }

    #[inline]
    fn next_whitespace_token(&mut self) -> Option<Item> {
        while let Some(&byte) = self.text.get(self.at) {
            if byte == b'\n' {
                self.at += 1;
                return Some(Item::LineEnd);
            }
            match space_length(self.text, self.at, byte) {
                0 => {
                    if let Some(end) = ignored_mark(self.text, self.at) {
                        self.at = end;
                        continue;
                    }
                    let start = self.at;
                    self.at += 1;
                    while let Some(&byte) = self.text.get(self.at) {
                        if space_length(self.text, self.at, byte) > 0 {
                            break;
                        }
                        self.at += 1;
                    }
                    return Some(Item::Token(start..self.at));
                }
                length => self.at += length,
            }
        }
        self.missing_line_end()
    }

    fn next_word(&mut self) -> Result<Option<Item>, BadUtf8> {
        while let Some(&byte) = self.text.get(self.at) {
            if byte == b'\n' {
                self.at += 1;
                return Ok(Some(Item::LineEnd));
            }
            match space_length(self.text, self.at, byte) {
                0 => {
                    if let Some(end) = ignored_mark(self.text, self.at) {
                        self.at = end;
                        continue;
                    }
                    let start = self.at;
                    self.at = word_end(self.text, start)?;
                    return Ok(Some(Item::Token(start..self.at)));
                }
                length => self.at += length,
            }
        }
        Ok(self.missing_line_end())
    }

    /// The next segment of a line, which BPE divides into tokens.
    fn next_segment(&mut self) -> Option<Item> {
        let line_end = |at: usize| match self.text.get(at..)? {
            [b'\n', ..] => Some(at + 1),
            [b'\r', b'\n', ..] => Some(at + 2),
            _ => None,
        };
        let before = self.at.checked_sub(1).map(|at| self.text.get(at));
        if matches!(before, None | Some(Some(b'\n'))) {
            self.at += after_marks(&self.text[self.at..]);
        }
        while self.at < self.text.len() && line_end(self.at).is_none() {
            let (start, end) = (self.at, segment_end(self.text, self.at));
            let ends_line = end == self.text.len() || line_end(end).is_some();
            let segment = &self.text[start..end];
            // The rest of the line can be the literal marks at its end.
            let length = if ends_line {
                before_marks(segment)
            } else {
                segment.len()
            };
            self.at = if length == 0 { end } else { start + length };
            if length > 0 {
                return Some(Item::Token(start..self.at));
            }
        }
        match line_end(self.at) {
            Some(end) => {
                self.at = end;
                Some(Item::LineEnd)
            }
            None => self.missing_line_end(),
        }
    }

    fn next_character(&mut self) -> Result<Option<Item>, BadUtf8> {
        while let Some(end) = ignored_mark(self.text, self.at) {
            self.at = end;
        }
        let Some((character, length)) = char_at(self.text, self.at)? else {
            return Ok(self.missing_line_end());
        };
        let start = self.at;
        self.at += length;
        if character == '\r' && self.text.get(self.at) == Some(&b'\n') {
            self.at += 1;
            return Ok(Some(Item::LineEnd));
        }
        Ok(Some(match character {
            '\n' => Item::LineEnd,
            _ => Item::Token(start..self.at),
        }))
    }
}

/// Checks that the token at `range` is UTF-8 and has no NUL byte, which no text has.
pub(super) fn check_utf8(text: &[u8], range: Range<usize>) -> Result<(), BadUtf8> {
    match str::from_utf8(&text[range.clone()]) {
        Ok(token) => match memchr::memchr(0, token.as_bytes()) {
            None => Ok(()),
            Some(at) => Err(BadUtf8(range.start + at)),
        },
        Err(error) => Err(BadUtf8(range.start + error.valid_up_to())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(kind: TokenKind, text: &[u8]) -> Result<Vec<String>, BadUtf8> {
        let mut lexer = Lexer::new(kind, text, 0);
        let mut found = Vec::new();
        while let Some(item) = lexer.next()? {
            found.push(match item {
                Item::LineEnd => "|".to_owned(),
                Item::Token(range) => {
                    check_utf8(text, range.clone())?;
                    String::from_utf8_lossy(&text[range]).into_owned()
                }
            });
        }
        Ok(found)
    }

    #[test]
    fn each_line_ends_once_with_or_without_line_feed() {
        for kind in [
            TokenKind::Whitespace,
            TokenKind::Words,
            TokenKind::Characters,
        ] {
            let found = |text: &str| items(kind, text.as_bytes()).unwrap();
            assert!(found("").is_empty());
            assert_eq!(found("\n"), ["|"]);
            assert_eq!(found("a"), ["a", "|"]);
            assert_eq!(found("a\n"), ["a", "|"]);
            assert_eq!(found("a\r\nb\r\n"), ["a", "|", "b", "|"]);
            assert_eq!(found("a\n\nb"), ["a", "|", "|", "b", "|"]);
        }
    }

    #[test]
    fn white_space_is_unicode_white_space() {
        let text = "a\u{a0}b\u{3000}c\u{2009}d\u{85}e\tf\u{200b}g é";
        assert_eq!(
            items(TokenKind::Whitespace, text.as_bytes()).unwrap(),
            ["a", "b", "c", "d", "e", "f\u{200b}g", "é", "|"]
        );
    }

    #[test]
    fn every_kind_finds_invalid_bytes() {
        for kind in [
            TokenKind::Whitespace,
            TokenKind::Words,
            TokenKind::Characters,
        ] {
            for bad in [
                &b"\xff"[..],
                b"\xc2",
                b"\xe2\xc2\xa0",
                b"\xe2\x80",
                b"\xc0\xa0",
                b"\xed\xa0\x80",
                b"\xa0",
            ] {
                let text = [b"ab c", bad, b" d\n"].concat();
                let place = items(kind, &text).unwrap_err().0;
                assert!((4..4 + bad.len()).contains(&place), "{kind:?} {bad:?}");
            }
        }
    }
}
