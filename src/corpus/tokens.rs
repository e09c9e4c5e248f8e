//! Splits text into tokens, and joins generated tokens to text again.
//!
//! [`Lexer`] works on bytes that have not been checked as UTF-8 yet and keeps no state but its place, so that reading
//! may stop and continue at any token, however long a line is. Words of a vocabulary are valid UTF-8, so only tokens
//! that are in no vocabulary need a check: [`check_utf8`] of each such token finds every bad byte of a text, because each
//! byte is part of a token or of a separator that is valid by itself.

use std::ops::Range;
use std::str;

pub use crate::config::Tokens as TokenKind;

impl TokenKind {
    /// The tokens of `text` in order. Line ends separate tokens and are none themselves.
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
                    // Token borders are character borders, so this never ends early.
                    Ok(Some(Item::Token(range))) => return text.get(range),
                    Ok(Some(Item::LineEnd)) => {}
                    Ok(None) | Err(_) => return None,
                }
            }
        })
    }
}

/// What a [`Lexer`] finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A token and its place in the text.
    Token(Range<usize>),
    /// The end of a line. The last line has one even where the text does not end in a line feed.
    LineEnd,
}

/// A text with bytes that are not UTF-8 at this place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadUtf8(pub(crate) usize);

/// Walks through text token by token. Its whole state is the place `at`.
pub(crate) struct Lexer<'a> {
    kind: TokenKind,
    text: &'a [u8],
    /// The first byte that was not read yet. One past the end of the text once the line end that is missing there was given.
    pub(crate) at: usize,
}

impl<'a> Lexer<'a> {
    /// Starts at byte `at`, which must be 0, a place where another lexer of the same kind stood, or just after a space
    /// or a line feed.
    #[inline]
    pub(crate) fn new(kind: TokenKind, text: &'a [u8], at: usize) -> Lexer<'a> {
        Lexer { kind, text, at }
    }

    /// The next token or line end; nothing at the end of the text.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Item>, BadUtf8> {
        match self.kind {
            TokenKind::Whitespace => Ok(self.next_between_spaces()),
            TokenKind::Words => self.next_word(),
            TokenKind::Characters => self.next_character(),
        }
    }

    fn finish(&mut self) -> Option<Item> {
        let open = self.at == self.text.len() && self.text.last().is_some_and(|&b| b != b'\n');
        open.then(|| {
            self.at += 1;
            Item::LineEnd
        })
    }

    #[inline]
    fn next_between_spaces(&mut self) -> Option<Item> {
        while let Some(&byte) = self.text.get(self.at) {
            if byte == b'\n' {
                self.at += 1;
                return Some(Item::LineEnd);
            }
            match space_length(self.text, self.at, byte) {
                0 => {
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
        self.finish()
    }

    fn next_word(&mut self) -> Result<Option<Item>, BadUtf8> {
        while let Some((character, length)) = char_at(self.text, self.at)? {
            let start = self.at;
            self.at += length;
            if character == '\n' {
                return Ok(Some(Item::LineEnd));
            }
            if character.is_whitespace() {
                continue;
            }
            if is_of_word(character) {
                while let Some((character, length)) = char_at(self.text, self.at)? {
                    if is_of_word(character) {
                        self.at += length;
                        continue;
                    }
                    let joint = matches!(character, '\'' | '’' | '-');
                    match char_at(self.text, self.at + length)? {
                        Some((next, more)) if joint && is_of_word(next) => self.at += length + more,
                        _ => break,
                    }
                }
            }
            return Ok(Some(Item::Token(start..self.at)));
        }
        Ok(self.finish())
    }

    fn next_character(&mut self) -> Result<Option<Item>, BadUtf8> {
        let Some((character, length)) = char_at(self.text, self.at)? else {
            return Ok(self.finish());
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

/// Checks the token at `range` as UTF-8.
pub(crate) fn check_utf8(text: &[u8], range: Range<usize>) -> Result<(), BadUtf8> {
    match str::from_utf8(&text[range.clone()]) {
        Ok(_) => Ok(()),
        Err(error) => Err(BadUtf8(range.start + error.valid_up_to())),
    }
}

/// Letters, digits and the accents that are characters of their own.
fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&character)
}

/// The character at `at` and its length in bytes; nothing at the end.
#[inline]
fn char_at(text: &[u8], at: usize) -> Result<Option<(char, usize)>, BadUtf8> {
    let Some(&first) = text.get(at) else {
        return Ok(None);
    };
    let length = match first {
        0..=0x7f => return Ok(Some((first.into(), 1))),
        0xe0..=0xef => 3,
        0xf0..=0xff => 4,
        _ => 2,
    };
    let character = text
        .get(at..at + length)
        .and_then(|bytes| str::from_utf8(bytes).ok())
        .and_then(|text| text.chars().next());
    match character {
        Some(character) => Ok(Some((character, length))),
        None => Err(BadUtf8(at)),
    }
}

/// The length in bytes of the white space at `at`, where `first` stands; 0 if there is none.
#[inline(always)]
fn space_length(text: &[u8], at: usize, first: u8) -> usize {
    match first {
        b'!'..=0x7f => 0,
        b' ' | b'\t'..=b'\r' => 1,
        // The first bytes of the white space beyond ASCII.
        0xc2 | 0xe1 | 0xe2 | 0xe3 => match char_at(text, at) {
            Ok(Some((character, length))) if character.is_whitespace() => length,
            _ => 0,
        },
        _ => 0,
    }
}

/// Joins tokens to text as a person would write it: marks of sentences and lines become line breaks, punctuation stands
/// where it belongs, the `@-@` of WikiText becomes a hyphen. Characters are joined as they are.
///
/// ```
/// use wlstm::corpus::{TokenKind, detokenise};
/// let text = detokenise(["Who", "'s", "there", "?", "<eos>", "Me", "."], TokenKind::Words);
/// assert_eq!(text, "Who's there?\nMe.");
/// ```
pub fn detokenise<'a>(tokens: impl IntoIterator<Item = &'a str>, kind: TokenKind) -> String {
    let mut joiner = Detokeniser::new(kind);
    let mut text = String::new();
    for token in tokens {
        joiner.append(token, &mut text);
    }
    text
}

/// [`detokenise`] token by token.
#[derive(Clone, Debug)]
pub struct Detokeniser {
    kind: TokenKind,
    /// Whether the next token follows the one before without a space.
    attached: bool,
    in_quotes: bool,
}

impl Detokeniser {
    /// Before the first token.
    pub fn new(kind: TokenKind) -> Detokeniser {
        Detokeniser {
            kind,
            attached: true,
            in_quotes: false,
        }
    }

    /// Appends the next token to the text so far, with the space before it if there is one.
    pub fn append(&mut self, token: &str, text: &mut String) {
        if matches!(token, "<S>" | "<eos>") {
            text.push('\n');
            (self.attached, self.in_quotes) = (true, false);
        } else if self.kind == TokenKind::Characters {
            text.push_str(token);
        } else if let Some(joint) = joint(token) {
            text.push_str(joint);
            self.attached = true;
        } else {
            let closes_quotes = self.in_quotes && matches!(token, "\"" | "''");
            if !self.attached && !closes_quotes && !follows_closely(token) {
                text.push(' ');
            }
            text.push_str(token);
            self.attached = matches!(
                token,
                "(" | "[" | "{" | "“" | "‘" | "``" | "$" | "£" | "€" | "#" | "/"
            );
            if matches!(token, "\"" | "``" | "''") {
                self.in_quotes = !closes_quotes;
                self.attached = self.in_quotes;
            }
        }
    }
}

/// The character between two halves of a word or number, in the notation of WikiText.
fn joint(token: &str) -> Option<&str> {
    token.strip_prefix('@')?.strip_suffix('@').filter(|inner| {
        let mut characters = inner.chars();
        characters.next().is_some_and(|c| !c.is_alphanumeric()) && characters.next().is_none()
    })
}

/// Whether no space stands before this token.
fn follows_closely(token: &str) -> bool {
    match token {
        "." | "," | ";" | ":" | "!" | "?" | "%" | ")" | "]" | "}" | "”" | "…" | "..." | "/"
        | "n't" | "n’t" => true,
        _ => {
            // Clitics as 's, 're and 'll; a lone apostrophe too, as in "the boys' room".
            let rest = token.strip_prefix(['\'', '’']);
            rest.is_some_and(|rest| rest.len() <= 2 && rest.chars().all(char::is_alphabetic))
        }
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
    fn lines_end_once_with_and_without_line_feed() {
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
    fn white_space_is_that_of_unicode() {
        let text = "a\u{a0}b\u{3000}c\u{2009}d\u{85}e\tf\u{200b}g é";
        assert_eq!(
            items(TokenKind::Whitespace, text.as_bytes()).unwrap(),
            ["a", "b", "c", "d", "e", "f\u{200b}g", "é", "|"]
        );
    }

    #[test]
    fn words_keep_inner_apostrophes_and_hyphens() {
        let split = |text| TokenKind::Words.split(text).collect::<Vec<_>>();
        assert_eq!(
            split("'Tis well-known--don't o’er-do 'it' -5, a_b!"),
            [
                "'",
                "Tis",
                "well-known",
                "-",
                "-",
                "don't",
                "o’er-do",
                "'",
                "it",
                "'",
                "-",
                "5",
                ",",
                "a",
                "_",
                "b",
                "!"
            ]
        );
        assert_eq!(
            split("Cafe\u{301} «naïve»"),
            ["Cafe\u{301}", "«", "naïve", "»"]
        );
    }

    #[test]
    fn bad_bytes_are_found_by_every_kind() {
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

    #[test]
    fn text_is_joined_as_people_write() {
        let joined = |text: &str| detokenise(text.split(' '), TokenKind::Whitespace);
        assert_eq!(
            joined("`` Don 't , '' he said ( twice ) ."),
            "``Don't,'' he said (twice)."
        );
        assert_eq!(
            joined("the \" best \" of 1 @,@ 234"),
            "the \"best\" of 1,234"
        );
        assert_eq!(joined("17th @-@ place <eos> End"), "17th-place\nEnd");
        assert_eq!(joined("user @ home $ 5 %"), "user @ home $5%");
        let characters = ["a", " ", "b", "<eos>", "c"];
        assert_eq!(detokenise(characters, TokenKind::Characters), "a b\nc");
    }
}
