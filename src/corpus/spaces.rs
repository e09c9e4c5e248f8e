//! Characters and white space of text that has not been checked as UTF-8.

use std::str;

use super::bad_utf8::BadUtf8;

/// The character at `at` and its length in bytes. `None` at the end.
#[inline]
pub(super) fn char_at(text: &[u8], at: usize) -> Result<Option<(char, usize)>, BadUtf8> {
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

/// The length in bytes of the white space character at `at`, whose first byte is `first`. 0 if it is not white space.
#[inline(always)]
pub(super) fn space_length(text: &[u8], at: usize, first: u8) -> usize {
    match first {
        b'!'..=0x7f => 0,
        b' ' | b'\t'..=b'\r' => 1,
        // First bytes of all white space characters outside ASCII.
        0xc2 | 0xe1 | 0xe2 | 0xe3 => match char_at(text, at) {
            Ok(Some((character, length))) if character.is_whitespace() => length,
            _ => 0,
        },
        _ => 0,
    }
}

/// The length in bytes of the white space character that ends before `at`. 0 if there is none.
pub(super) fn space_before(text: &[u8], at: usize) -> usize {
    let ends_before = |length: &usize| {
        let start = at.wrapping_sub(*length);
        text.get(start)
            .is_some_and(|first| space_length(text, start, *first) == *length)
    };
    match text.get(at.wrapping_sub(1)) {
        Some(0x80..=0xbf) => (2..=3).find(ends_before).unwrap_or(0),
        Some(_) => usize::from(ends_before(&1)),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_found_from_both_sides() {
        let text =
            "a\u{a0}b\u{3000}c\u{2009}d\u{85}e\tf\u{200b}g \u{e9}\r\n\u{1680}\u{2028}\u{1f44d}";
        for (at, character) in text.char_indices() {
            let (bytes, length) = (text.as_bytes(), character.len_utf8());
            let expected = if character.is_whitespace() { length } else { 0 };
            assert_eq!(space_length(bytes, at, bytes[at]), expected);
            assert_eq!(space_before(bytes, at + length), expected);
        }
        assert_eq!(space_before(b" ", 0) + space_before(b"", 0), 0);
        assert_eq!(space_before(b"\xa0", 1) + space_before(b"\xe2\xa0", 2), 0);
    }
}
