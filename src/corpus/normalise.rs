//! Unicode normalization of texts: `data.normalization`.
//!
//! A file is normalized when it is opened, so that all code reads normalized text. Most files are normalized already and are read
//! unchanged. Other files are copied: into memory if they are small, else into a temporary file, which the system removes when the
//! process ends.

use std::borrow::Cow;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::str;

use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::bad_utf8::BadUtf8;
use super::contents::Contents;
use crate::config::Normalization;
use crate::error::{Error, Result};
use crate::files;

/// The number of bytes that are normalized at once.
const BLOCK: usize = 1 << 20;

impl Normalization {
    /// A line in this form.
    ///
    /// ```
    /// use wlstm::config::Normalization;
    /// assert_eq!(Normalization::Nfc.apply("e\u{301}"), "é");
    /// assert_eq!(Normalization::None.apply("e\u{301}"), "e\u{301}");
    /// ```
    pub fn apply(self, text: &str) -> Cow<'_, str> {
        match self {
            Normalization::None => Cow::Borrowed(text),
            Normalization::Nfc if is_normalized(text) => Cow::Borrowed(text),
            Normalization::Nfc => {
                let normalized: String = text.nfc().collect();
                if normalized == text {
                    return Cow::Borrowed(text);
                }
                Cow::Owned(normalized)
            }
        }
    }

    /// The text in this form, as the contents of the file at `path`. `None` if the text is in this form already. It is copied
    /// into memory if `copied`, else into a temporary file.
    pub(super) fn contents(
        self,
        text: &[u8],
        path: &Path,
        copied: bool,
    ) -> Result<Option<Contents>, Failure> {
        let mut is_changed = false;
        self.for_each_block(text, |block| {
            is_changed |= matches!(block, Cow::Owned(_));
            Ok(!is_changed)
        })?;
        if !is_changed {
            return Ok(None);
        }
        if copied {
            let mut copy = Vec::with_capacity(text.len());
            self.for_each_block(text, |block| {
                copy.extend_from_slice(block.as_bytes());
                Ok(true)
            })?;
            return Ok(Some(Contents::Copied(copy)));
        }
        let file = files::temporary_file().map_err(|error| disk_error(path, error))?;
        let write = || -> Result<(), Failure> {
            let mut out = BufWriter::with_capacity(BLOCK, &file);
            self.for_each_block(text, |block| {
                let written = out.write_all(block.as_bytes());
                written.map_err(|error| disk_error(path, error))?;
                Ok(true)
            })?;
            Ok(out.flush().map_err(|error| disk_error(path, error))?)
        };
        write()?;
        let map = Contents::map(&file, Path::new(""));
        Ok(Some(map.map_err(|error| disk_error(path, error))?))
    }

    /// Passes the normalized text to `take` in blocks, until it returns false. A borrowed block is unchanged text.
    fn for_each_block(
        self,
        text: &[u8],
        mut take: impl FnMut(Cow<'_, str>) -> Result<bool>,
    ) -> Result<(), Failure> {
        let mut start = 0;
        while start < text.len() {
            let bytes = &text[start..text.len().min(start + BLOCK)];
            let is_last = start + bytes.len() == text.len();
            let valid = match str::from_utf8(bytes) {
                Ok(valid) => valid,
                // The end of the block can be within a character.
                Err(error) if error.error_len().is_none() && !is_last => {
                    str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
                }
                Err(error) => return Err(Failure::Text(BadUtf8(start + error.valid_up_to()))),
            };
            let block = if is_last { valid } else { &valid[..cut(valid)] };
            if !take(self.apply(block))? {
                return Ok(());
            }
            start += block.len();
        }
        Ok(())
    }
}

/// Whether a text is known to be in NFC. False for some texts that are.
fn is_normalized(text: &str) -> bool {
    // Most characters are ASCII.
    text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes
}

/// A position where a text can be cut so that its parts can be normalized separately: before the last character that never combines
/// with a previous one. The end of the text if there is none, as in a megabyte of combining marks.
fn cut(text: &str) -> usize {
    let stands_alone = |c: char| {
        canonical_combining_class(c) == 0 && is_nfc_quick([c].into_iter()) == IsNormalized::Yes
    };
    let mut places = text.char_indices().rev();
    let place = places.find(|&(at, c)| at > 0 && stands_alone(c));
    place.map_or(text.len(), |(at, _)| at)
}

/// Why a text was not normalized.
pub(super) enum Failure {
    /// It is not UTF-8.
    Text(BadUtf8),
    /// Its copy cannot be written.
    Disk(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Disk(error)
    }
}

fn disk_error(path: &Path, error: std::io::Error) -> Error {
    Error::data(format!(
        "cannot write the normalized copy of `{}`",
        path.display()
    ))
    .because(error)
    .help("free some space on the disk of the cache folder, or normalize the text with `uconv -x any-nfc` and leave `data.normalization` out")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(text: &[u8], copied: bool) -> Option<Vec<u8>> {
        let found = Normalization::Nfc.contents(text, Path::new("text"), copied);
        let found = found.unwrap_or_else(|_| panic!("the text is UTF-8"));
        found.map(|contents| contents.to_vec())
    }

    #[test]
    fn texts_are_normalized_across_blocks() {
        // Move the combining marks by one byte relative to the blocks.
        for shift in 0..8 {
            let text =
                "x".repeat(BLOCK - 4 + shift) + "e\u{301}\u{323}o\u{308}" + &"é".repeat(BLOCK);
            let expected: String = text.nfc().collect();
            for copied in [true, false] {
                assert_eq!(bytes(text.as_bytes(), copied).unwrap(), expected.as_bytes());
            }
            assert!(bytes(expected.as_bytes(), false).is_none());
        }
        let marks = "a".to_owned() + &"\u{301}".repeat(BLOCK);
        assert_eq!(
            bytes(marks.as_bytes(), true).unwrap().len(),
            marks.len() - 1
        );
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_found() {
        for (text, place) in [(&b"ab\xff"[..], 2), (b"\xe2\x80", 0), (b"a\xc3", 1)] {
            match Normalization::Nfc.contents(text, Path::new("text"), true) {
                Err(Failure::Text(BadUtf8(at))) => assert_eq!(at, place),
                _ => panic!("{text:?} is not UTF-8"),
            }
        }
    }

    proptest! {
        #[test]
        fn lines_are_in_nfc(text in "(\\PC|[aeo\u{301}\u{308}\u{323}\u{1100}\u{1161}가]){0,20}") {
            let expected: String = text.nfc().collect();
            prop_assert_eq!(Normalization::Nfc.apply(&text), expected);
        }
    }
}
