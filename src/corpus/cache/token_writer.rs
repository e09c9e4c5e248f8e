//! Writes token files.

use std::io::{BufWriter, Write};
use std::path::Path;

use rayon::prelude::*;

use super::token_file::{Key, LINE_END, STRIDE, TokenFile, bytes_of};
use crate::corpus::chunks::{Boundary, Chunk};
use crate::corpus::contents::Contents;
use crate::corpus::files::Corpus;
use crate::corpus::tokens::{BadUtf8, Item, TokenKind, check_utf8};
use crate::corpus::vocabulary::Vocabulary;
use crate::digest::Xxh64;
use crate::error::{Error, Result};
use crate::files;

/// Bytes of text that one task parses.
const CHUNK: usize = 1 << 20;

/// Why a token file was not written.
pub(super) enum Failure {
    /// The text is not valid.
    Text(Error),
    /// The file cannot be written.
    Disk(Error),
}

/// A token file that is to be written.
pub(super) struct NewFile<'a> {
    /// The path that errors name.
    pub path: &'a Path,
    /// What the file is valid for.
    pub key: &'a Key,
    /// The text.
    pub corpus: &'a Corpus,
    /// The number of the file of the corpus.
    pub file: usize,
    /// The ids of its tokens.
    pub vocabulary: &'a Vocabulary,
    /// Receives the bytes of each chunk that is done.
    pub watch: &'a (dyn Fn(usize) + Sync),
}

impl NewFile<'_> {
    /// Parses the text into the token file at its path, which is written atomically.
    ///
    /// The memory needed does not grow with the text, except for half a byte per line.
    pub(super) fn write(&self) -> Result<(), Failure> {
        let mut failure = None;
        let written = files::write_atomically(self.path, |out| {
            self.write_to(out).map_err(|found| match found {
                Failure::Text(error) => {
                    failure = Some(());
                    error
                }
                Failure::Disk(error) => error,
            })
        });
        written.map_err(|error| match failure {
            Some(()) => Failure::Text(error),
            None => Failure::Disk(error),
        })
    }

    /// The tokens of a text that is not cached: in memory if `copied`, else in a temporary file.
    pub(super) fn temporary(&self, copied: bool) -> Result<TokenFile> {
        let path = self.path;
        let failed = |error| {
            files::cannot_write(path, error)
                .context("the tokens of a text cannot be written to a temporary file")
        };
        let of_failure = |failure| match failure {
            Failure::Text(error) | Failure::Disk(error) => error,
        };
        let contents = if copied {
            let mut bytes = Vec::new();
            self.write_to(&mut bytes).map_err(of_failure)?;
            Contents::Copied(bytes)
        } else {
            let file = files::temporary_file().map_err(failed)?;
            let mut out = BufWriter::with_capacity(1 << 20, &file);
            self.write_to(&mut out).map_err(of_failure)?;
            out.flush().map_err(failed)?;
            drop(out);
            Contents::map(&file, Path::new("")).map_err(failed)?
        };
        TokenFile::read(contents, self.key).map_err(|what| {
            Error::data(format!(
                "the tokens of `{}` are damaged: {what}",
                path.display()
            ))
            .help("check the disk and the memory")
        })
    }

    /// Writes the whole file.
    fn write_to(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let NewFile {
            path,
            key,
            corpus,
            file,
            vocabulary,
            watch,
        } = *self;
        let failed = |error| Failure::Disk(files::cannot_write(path, error));
        let mut content = Xxh64::default();
        let mut put = |out: &mut dyn Write, bytes: &[u8]| {
            content.add(bytes);
            out.write_all(bytes).map_err(failed)
        };
        let mut index = LineIndexBuilder::default();
        let chunks = corpus.chunks_of(file, CHUNK, Boundary::between(key.kind()));
        let chunks = chunks.map_err(Failure::Disk)?;
        // Enough chunks to keep all cores busy, so that only their tokens are in memory.
        for group in chunks.chunks(2 * rayon::current_num_threads()) {
            corpus.check_file(file).map_err(Failure::Disk)?;
            let parsed: Vec<_> = group
                .par_iter()
                .map(|chunk| parse(corpus, chunk, vocabulary, key.kind()))
                .collect();
            for (chunk, tokens) in group.iter().zip(parsed) {
                let tokens = tokens.map_err(|place| Failure::Text(corpus.bad_utf8(file, place)))?;
                index.add(&tokens);
                let tokens: Vec<[u8; 4]> = tokens.into_iter().map(u32::to_le_bytes).collect();
                put(out, tokens.as_flattened())?;
                watch(chunk.range.len());
            }
        }
        if index.tokens % 2 == 1 {
            put(out, &[0; 4])?;
        }
        put(out, &bytes_of(&index.starts))?;
        let footer = key.footer(index.tokens, index.lines, content.value());
        out.write_all(&footer).map_err(failed)
    }
}

/// The tokens of a chunk of text.
fn parse(
    corpus: &Corpus,
    chunk: &Chunk,
    vocabulary: &Vocabulary,
    kind: TokenKind,
) -> Result<Vec<u32>, BadUtf8> {
    let bytes_per_token = if kind == TokenKind::Characters { 1 } else { 4 };
    let mut tokens = Vec::with_capacity(chunk.range.len() / bytes_per_token);
    let unknown = vocabulary.unknown();
    corpus.for_each_item(chunk, kind, |text, item| {
        tokens.push(match item {
            Item::LineEnd => LINE_END,
            Item::Token(range) if kind == TokenKind::Bpe => {
                check_utf8(text, range.clone())?;
                let bytes = &text[range.clone()];
                let segment = std::str::from_utf8(bytes).map_err(|_| BadUtf8(range.start))?;
                vocabulary.encode_segment(segment, &mut tokens);
                return Ok(());
            }
            Item::Token(range) => match vocabulary.get_bytes(&text[range.clone()]) {
                Some(id) => id,
                None => {
                    check_utf8(text, range)?;
                    unknown
                }
            },
        });
        Ok(())
    })?;
    Ok(tokens)
}

/// Builds the line index while tokens are written.
#[derive(Default)]
struct LineIndexBuilder {
    tokens: u64,
    lines: u64,
    /// The first token of every line that has an entry.
    starts: Vec<u64>,
    /// Whether the last token belongs to a line that has not ended.
    in_line: bool,
}

impl LineIndexBuilder {
    fn add(&mut self, tokens: &[u32]) {
        for &token in tokens {
            if !self.in_line {
                if self.lines.is_multiple_of(STRIDE as u64) {
                    self.starts.push(self.tokens);
                }
                self.lines += 1;
            }
            self.in_line = token != LINE_END;
            self.tokens += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::corpus::VocabularyBuilder;
    use crate::corpus::cache::token_file::FOOTER;
    use crate::corpus::vocabulary::Order;

    fn written(text: &str, order: Order, kind: TokenKind) -> (tempfile::TempDir, Key, TokenFile) {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("text");
        fs::write(&source, text).unwrap();
        let corpus = Corpus::open(&[source]).unwrap();
        let vocabulary = VocabularyBuilder::new(order, kind).build(&corpus).unwrap();
        let key = Key::new(&corpus, 0, &vocabulary, vocabulary.digest(), kind);
        let path = folder.path().join("tokens");
        assert!(TokenFile::open(&path, &key, true).unwrap().is_none());
        let new = NewFile {
            path: &path,
            key: &key,
            corpus: &corpus,
            file: 0,
            vocabulary: &vocabulary,
            watch: &|_| {},
        };
        assert!(new.write().is_ok());
        let file = TokenFile::open(&path, &key, true).unwrap().unwrap();
        (folder, key, file)
    }

    #[test]
    fn lines_are_found() {
        let mut text = String::new();
        let mut starts = vec![0];
        for line in 0..100 {
            let words = line % 5;
            text += &"a ".repeat(words);
            text += "\n";
            starts.push(starts[line] + words + 1);
        }
        let kind = TokenKind::Whitespace;
        let (_folder, _, file) = written(&text, Order::Sentences, kind);
        assert_eq!((file.lines(), file.len()), (100, starts[100]));
        assert!(file.is_intact());
        for (line, &start) in starts.iter().enumerate() {
            assert_eq!(file.line_start(line), start);
            assert_eq!(file.line_after(start), starts.get(line + 1).copied());
        }
        assert_eq!(file.line_start(1000), file.len());
        // The last line may have no line feed.
        let (_folder, _, file) = written("a b\nc", Order::Contiguous, kind);
        assert_eq!((file.lines(), file.len(), file.line_start(1)), (2, 5, 3));
        assert_eq!((file.get(4), file.get(5)), (Some(LINE_END), None));
    }

    #[test]
    fn damaged_files_are_detected() {
        let (folder, key, file) = written("a b c\nd e f\n", Order::Sentences, TokenKind::Words);
        let path = folder.path().join("tokens");
        let good = fs::read(&path).unwrap();
        assert_eq!(good.len(), file.bytes());
        for length in 0..good.len() {
            fs::write(&path, &good[..length]).unwrap();
            assert!(TokenFile::open(&path, &key, true).is_err(), "{length}");
        }
        let longer = [&good[..], &good[..]].concat();
        fs::write(&path, longer).unwrap();
        assert!(TokenFile::open(&path, &key, true).is_err());
        for at in 0..good.len() {
            let mut changed = good.clone();
            changed[at] ^= 0x40;
            fs::write(&path, changed).unwrap();
            match TokenFile::open(&path, &key, true) {
                Err(_) => assert!(at >= good.len() - 8 * FOOTER, "{at}"),
                Ok(file) => {
                    let file = file.unwrap();
                    assert!(at < good.len() - 8 * FOOTER && !file.is_intact(), "{at}");
                    // No line start leads out of the file.
                    let lines = (0..9).map(|line| file.line_start(line));
                    assert!(lines.into_iter().all(|start| start <= file.len()));
                }
            }
        }
        fs::write(&path, &good).unwrap();
        // The same file is not valid for another text.
        let (_, other, _) = written("a b c\nd e g\n", Order::Sentences, TokenKind::Words);
        assert!(TokenFile::open(&path, &other, false).is_err());
        assert_ne!(other.name(), key.name());
    }
}
