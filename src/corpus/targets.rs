//! The number of targets of a text, and their bytes.

use rayon::prelude::*;

use super::chunks::{Boundary, Chunk};
use super::contiguous::{Stream, seek_points};
use super::marks::line_bytes;
use super::text::Text;
use super::tokens::{Item, TokenKind};
use super::vocabulary::Order;
use crate::error::Result;

/// Bytes of text that one task counts.
const CHUNK: usize = 1 << 20;

impl Text {
    /// The number of targets of an evaluation of the whole text.
    ///
    /// # Errors
    ///
    /// If the text is not UTF-8 (with file and line).
    pub fn targets(&self) -> Result<u64> {
        match self.vocabulary().order() {
            Order::Contiguous => Ok(seek_points(self)?.1.saturating_sub(1)),
            Order::Sentences if self.kind() == TokenKind::Bpe => {
                Ok(self.counted_pairs().unwrap_or(0))
            }
            Order::Sentences => {
                let chunks = self.corpus().chunks(CHUNK, Boundary::Lines)?;
                let counts = chunks.par_iter().map(|chunk| self.pairs(chunk));
                counts.sum()
            }
        }
    }

    /// The number of bytes of all targets in an evaluation of the whole text, line ends included: in `contiguous` order the whole
    /// text without its first token, in `sentences` order all lines that are not blank. Byte order marks and ignored marks do not
    /// count.
    ///
    /// # Errors
    ///
    /// If the text is not UTF-8 (with file and line).
    pub fn target_bytes(&self) -> Result<u64> {
        match self.vocabulary().order() {
            Order::Contiguous => {
                let first = Stream::default().advance(&self.with_bytes())?;
                let given = first.map_or(0, |token| token.bytes);
                let chunks = self.corpus().chunks(CHUNK, Boundary::Lines)?;
                let bytes = chunks.par_iter().map(|chunk| self.line_bytes(chunk));
                Ok(bytes.sum::<Result<u64>>()?.saturating_sub(given))
            }
            Order::Sentences => {
                let chunks = self.corpus().chunks(CHUNK, Boundary::Lines)?;
                let bytes = chunks.par_iter().map(|chunk| self.sentence_bytes(chunk));
                bytes.sum()
            }
        }
    }

    /// The bytes of the lines of a chunk.
    fn line_bytes(&self, chunk: &Chunk) -> Result<u64> {
        self.corpus().check_file(chunk.file)?;
        let text = &self.corpus().text(chunk.file)[chunk.range.clone()];
        let lines = text.split_inclusive(|byte| *byte == b'\n');
        Ok(lines.map(|line| line_bytes(line, self.kind()) as u64).sum())
    }

    /// The bytes of the lines of a chunk that are not blank.
    fn sentence_bytes(&self, chunk: &Chunk) -> Result<u64> {
        self.corpus().check_file(chunk.file)?;
        let text = &self.corpus().text(chunk.file)[chunk.range.clone()];
        let mut lines = text.split_inclusive(|byte| *byte == b'\n');
        let (mut bytes, mut blank) = (0, true);
        let counted = self.corpus().for_each_item(chunk, self.kind(), |_, item| {
            if item == Item::LineEnd {
                let line = lines.next().map_or(0, |line| line_bytes(line, self.kind()));
                bytes += if blank { 0 } else { line as u64 };
            }
            blank = item == Item::LineEnd;
            Ok(())
        });
        counted
            .map(|()| bytes)
            .map_err(|bad| self.bad_utf8(chunk.file, bad))
    }

    /// The number of pairs of input and target of a chunk of sentences. Blank lines have none.
    pub(super) fn pairs(&self, chunk: &Chunk) -> Result<u64> {
        self.corpus().check_file(chunk.file)?;
        let (mut pairs, mut blank) = (0, true);
        let counted = self.corpus().for_each_item(chunk, self.kind(), |_, item| {
            pairs += u64::from(item != Item::LineEnd || !blank);
            blank = item == Item::LineEnd;
            Ok(())
        });
        counted
            .map(|()| pairs)
            .map_err(|bad| self.bad_utf8(chunk.file, bad))
    }
}
