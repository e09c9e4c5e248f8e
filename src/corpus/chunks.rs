//! Cuts a corpus into chunks that are read in parallel, and samples it.

use std::ops::Range;

use super::bpe::pieces::SEGMENT;
use super::files::Corpus;
use super::marks::is_in_mark;
use super::pages::FAULT_AROUND;
use super::tokens::{BadUtf8, Item, Lexer, TokenKind};
use super::words::is_boundary;
use crate::error::Result;

/// Where a text may be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Boundary {
    /// At line ends only, however long the lines are.
    Lines,
    /// At spaces and line ends.
    Spaces,
    /// At positions where a word always ends; see [`is_boundary`].
    Words,
    /// Between characters.
    Characters,
    /// At line ends; in long lines, at spaces between letters or, if there are none, between characters.
    Segments,
}

impl Boundary {
    /// The finest boundary that cuts no token.
    pub(super) fn between(kind: TokenKind) -> Boundary {
        match kind {
            TokenKind::Whitespace => Boundary::Spaces,
            TokenKind::Words => Boundary::Words,
            TokenKind::Characters => Boundary::Characters,
            TokenKind::Bpe => Boundary::Segments,
        }
    }
}

/// A range of bytes of one file, cut between tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) file: usize,
    pub(super) range: Range<usize>,
}

/// The maximum number of bytes of a sample.
const LONGEST: usize = 64 << 20;

impl Corpus {
    /// Calls `take` with the text of the file and every item of a chunk, in order.
    pub(super) fn for_each_item<'a>(
        &'a self,
        chunk: &Chunk,
        kind: TokenKind,
        mut take: impl FnMut(&'a [u8], Item) -> Result<(), BadUtf8>,
    ) -> Result<(), BadUtf8> {
        self.note_read(chunk.range.len());
        let (whole, end) = (self.text(chunk.file), chunk.range.end);
        // Marks at a line end are recognized by the text after them. A segment of a line must end with the chunk.
        let text = match kind {
            TokenKind::Bpe => &whole[..end],
            _ => whole,
        };
        let mut lexer = Lexer::new(kind, text, chunk.range.start);
        while lexer.at < end || end == whole.len() {
            let Some(item) = lexer.next()? else {
                break;
            };
            // The lexer skips white space at the end of the chunk and finds the text after it, at the end of the file a line end.
            let start = match &item {
                Item::Token(range) => range.start,
                Item::LineEnd => lexer.at - 1,
            };
            if start >= end && end < whole.len() {
                break;
            }
            take(text, item)?;
        }
        Ok(())
    }

    /// About `count` evenly spaced chunks of whole lines, of about `size` bytes each, or fewer if lines are longer. No byte is in two
    /// of them, and a line of more than [`LONGEST`] bytes is cut. The whole text, if it is not longer than that.
    pub(super) fn samples(&self, count: usize, size: usize) -> Result<Vec<Chunk>> {
        let total = self.bytes();
        if total <= (count * size) as u64 {
            return self.chunks(size, Boundary::Lines);
        }
        let mut offsets = (0..count as u64)
            .map(|k| k * (total / count as u64))
            .peekable();
        let mut samples = Vec::new();
        let mut before = 0;
        for file in 0..self.files() {
            let text = self.text(file);
            let line_after = |at: usize| match memchr::memchr(b'\n', &text[at..]) {
                Some(end) => at + end + 1,
                None => text.len(),
            };
            // The first line that starts at an offset or after it, and the end of the last sample.
            let (mut start, mut end) = (0, 0);
            while let Some(offset) = offsets.next_if(|offset| offset - before < text.len() as u64) {
                self.check_file(file)?;
                let at = (offset - before) as usize;
                if at > start {
                    start = line_after(at);
                }
                if start >= end && start < text.len() {
                    end = line_after((start + size).min(text.len()));
                    let range = start..end.min(start + LONGEST);
                    samples.push(Chunk { file, range });
                    self.note_read(FAULT_AROUND);
                }
            }
            before += text.len() as u64;
        }
        let bytes: usize = samples.iter().map(|sample| sample.range.len()).sum();
        let expected = count * size;
        let every = ((bytes + expected / 2) / expected).max(1);
        Ok(samples.into_iter().step_by(every).collect())
    }

    /// About `count` evenly spaced blocks of at most `size` bytes each, and at least one of each file that is not empty. They can
    /// start and end anywhere. The whole text, if it is not longer than that.
    pub(super) fn blocks(&self, count: usize, size: usize) -> Vec<Chunk> {
        let total = self.bytes() as usize;
        let mut blocks = Vec::new();
        for file in 0..self.files() {
            let length = self.text(file).len();
            let whole = length.div_ceil(size);
            let share = (length as u128 * count as u128).div_ceil(total.max(1) as u128) as usize;
            let blocks_of_file = share.min(whole);
            let start = |k: usize| (length as u128 * k as u128 / blocks_of_file as u128) as usize;
            blocks.extend((0..blocks_of_file).map(|k| Chunk {
                file,
                range: start(k)..start(k + 1).min(start(k) + size),
            }));
        }
        blocks
    }

    /// Cuts all files into chunks of about `size` bytes, in order.
    pub(super) fn chunks(&self, size: usize, boundary: Boundary) -> Result<Vec<Chunk>> {
        let of_file = |file| self.chunks_of(file, size, boundary);
        let chunks: Result<Vec<_>> = (0..self.files()).map(of_file).collect();
        Ok(chunks?.concat())
    }

    /// Cuts one file into chunks of about `size` bytes.
    ///
    /// # Errors
    ///
    /// If the file is mapped and was truncated.
    pub(super) fn chunks_of(
        &self,
        file: usize,
        size: usize,
        boundary: Boundary,
    ) -> Result<Vec<Chunk>> {
        let mut chunks = Vec::new();
        let text = self.text(file);
        let mut start = 0;
        while start < text.len() {
            self.check_file(file)?;
            let rest = &text[start..];
            let nominal = size.min(rest.len());
            let offset = match boundary {
                Boundary::Lines => memchr::memchr(b'\n', &rest[nominal..]).map(|at| at + 1),
                Boundary::Spaces => memchr::memchr2(b'\n', b' ', &rest[nominal..]).map(|at| at + 1),
                Boundary::Words => (nominal..rest.len())
                    .find(|&k| is_boundary(rest, k) && !is_in_mark(text, start + k))
                    .map(|k| k - nominal),
                Boundary::Characters => between_characters(text, start + nominal),
                Boundary::Segments => {
                    let near = &rest[nominal..rest.len().min(nominal + SEGMENT)];
                    let is_letter = |at: usize| near.get(at).is_some_and(u8::is_ascii_alphabetic);
                    let is_space =
                        |&k: &usize| near[k] == b' ' && is_letter(k - 1) && is_letter(k + 1);
                    memchr::memchr(b'\n', near)
                        .map(|at| at + 1)
                        .or_else(|| (1..near.len()).find(is_space))
                        .or_else(|| between_characters(text, start + nominal))
                }
            };
            let length = offset.map_or(rest.len(), |offset| nominal + offset);
            self.note_read(FAULT_AROUND + length - nominal);
            chunks.push(Chunk {
                file,
                range: start..start + length,
            });
            start += length;
        }
        Ok(chunks)
    }
}

/// The first position from `nominal` on that is the start of a character, but not between `\r` and `\n`, and not in an ignored mark.
/// Relative to `nominal`.
fn between_characters(text: &[u8], nominal: usize) -> Option<usize> {
    (nominal..text.len())
        .find(|&k| text[k] & 0xc0 != 0x80 && text[k] != b'\n' && !is_in_mark(text, k))
        .map(|k| k - nominal)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn blocks_are_evenly_spaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "x".repeat(1000)).unwrap();
        fs::write(folder.path().join("b"), "y".repeat(3000)).unwrap();
        let corpus = Corpus::open(&[folder.path()]).unwrap();
        let blocks = corpus.blocks(8, 100);
        let starts: Vec<_> = blocks.iter().map(|b| (b.file, b.range.start)).collect();
        let second = (0..6).map(|k| (1, 500 * k));
        assert_eq!(
            starts,
            [(0, 0), (0, 500)]
                .into_iter()
                .chain(second)
                .collect::<Vec<_>>()
        );
        assert!(blocks.iter().all(|block| block.range.len() == 100));
        for size in [1, 7, 1000, 5000] {
            let all = corpus.blocks(4000, size);
            assert_eq!(
                all.iter().map(|block| block.range.len()).sum::<usize>(),
                4000
            );
            assert!(all.iter().all(|block| block.range.len() <= size));
        }
    }

    /// Lines that are longer than the distance of two samples are in one sample each.
    #[test]
    fn samples_do_not_overlap() {
        let folder = tempfile::tempdir().unwrap();
        let line = |length: usize| "x".repeat(length - 1) + "\n";
        for (lengths, count, most) in [
            (vec![10_000; 40], 100, 10),
            (vec![1_000; 400], 100, 50),
            (vec![10; 40_000], 100, 100),
            ([vec![300_000], vec![100; 1000]].concat(), 100, 10),
        ] {
            let text: String = lengths.iter().map(|length| line(*length)).collect();
            let path = folder.path().join("text");
            fs::write(&path, &text).unwrap();
            let corpus = Corpus::open(&[path]).unwrap();
            let samples = corpus.samples(count, 1000).unwrap();
            assert!((most / 2..=most).contains(&samples.len()), "{samples:?}");
            let mut end = 0;
            for sample in &samples {
                let range = sample.range.clone();
                assert!(range.start >= end && !range.is_empty(), "{samples:?}");
                end = range.end;
                assert!(range.start == 0 || text[..range.start].ends_with('\n'));
                assert!(text[range].ends_with('\n'));
            }
        }
    }

    /// The tokens of chunks of any size are those of the whole text, which has marks that are ignored.
    #[test]
    fn chunks_cut_no_mark() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        let text = "<s> abcd </s>\nef <eos> gh <eos>\n\n<S> <S>\ti\t<EOS>\r\n\u{3000}</s>\n日本\t<eos>\t<eos>";
        fs::write(&path, text).unwrap();
        let corpus = Corpus::open(&[path]).unwrap();
        for kind in [
            TokenKind::Whitespace,
            TokenKind::Words,
            TokenKind::Characters,
        ] {
            let tokens = |size: usize| {
                let mut found = Vec::new();
                for chunk in corpus.chunks(size, Boundary::between(kind)).unwrap() {
                    let add = |text: &[u8], item: Item| {
                        found.push(match item {
                            Item::Token(range) => text[range].to_vec(),
                            Item::LineEnd => b"|".to_vec(),
                        });
                        Ok(())
                    };
                    corpus.for_each_item(&chunk, kind, add).unwrap();
                }
                found
            };
            let whole = tokens(text.len());
            for size in 1..text.len() {
                assert_eq!(tokens(size), whole, "{kind:?} {size}");
            }
        }
    }

    #[test]
    fn chunks_cover_the_text_and_cut_no_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        let text = "one two three\nfour five\n\n  six sévèneightnine\r\n ten";
        fs::write(&path, text).unwrap();
        let corpus = Corpus::open(&[path]).unwrap();
        for boundary in [
            Boundary::Lines,
            Boundary::Spaces,
            Boundary::Words,
            Boundary::Characters,
            Boundary::Segments,
        ] {
            for size in 1..text.len() + 2 {
                let mut end = 0;
                for chunk in corpus.chunks(size, boundary).unwrap() {
                    assert_eq!(chunk.range.start, end);
                    end = chunk.range.end;
                    let last = text.as_bytes()[end - 1];
                    let good = match boundary {
                        Boundary::Lines => last == b'\n',
                        Boundary::Spaces => matches!(last, b'\n' | b' '),
                        Boundary::Words => is_boundary(text.as_bytes(), end),
                        Boundary::Segments => last == b'\n' || text.is_char_boundary(end),
                        Boundary::Characters => {
                            text.is_char_boundary(end) && !text[end..].starts_with('\n')
                        }
                    };
                    assert!(end == text.len() || good, "{boundary:?} {size} {end}");
                }
                assert_eq!(end, text.len());
            }
        }
    }
}
