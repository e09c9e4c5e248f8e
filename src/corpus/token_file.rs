//! One file of tokens: a file of text as ids, in the words of one vocabulary.
//!
//! | part | what |
//! |---|---|
//! | tokens | `u32`: ids, and `u32::MAX`, which is the id of no word, for the end of a line |
//! | padding | up to a multiple of 8 bytes |
//! | lines | `u64`: the token at which every 16th line begins |
//! | footer | 12 numbers of `u64`: [`Key`], counts, the digest of all before, the digest of the footer |
//!
//! All numbers are little-endian. The footer comes last, so that tokens are written as they are parsed, in memory that does not
//! grow with the text but by half a byte a line; a file that was cut off has none. Opening a file checks its size and its
//! footer, not its tokens: an id that no word has is an error when it is read.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use memmap2::Mmap;
use rayon::prelude::*;

use super::files::{Corpus, Cut, Piece};
use super::tokens::{BadUtf8, Item, TokenKind, check_utf8};
use super::vocabulary::{Order, Vocabulary};
use crate::digest::Content;
use crate::error::{Error, Result};
use crate::files;

/// The end of a line among the tokens.
pub(super) const LINE_END: u32 = u32::MAX;

/// `wlstmtok` and the version of the format and of the tokenisers: whatever changes them counts up the last number.
const MAGIC: u64 = u64::from_le_bytes(*b"wlstmtok");
const VERSION: u64 = 1;

/// Lines between two remembered ones.
const STRIDE: usize = 16;

/// Bytes of text that are parsed as one.
const PIECE: usize = 1 << 20;

/// The numbers of the footer.
const FOOTER: usize = 12;

/// What decides the tokens of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    order: Order,
    kind: TokenKind,
    vocabulary: u64,
    words: u64,
    bytes: u64,
    text: u64,
}

impl Key {
    /// For file `file` of a corpus. `digest` is that of the vocabulary.
    pub(super) fn new(
        corpus: &Corpus,
        file: usize,
        vocabulary: &Vocabulary,
        digest: u64,
        kind: TokenKind,
    ) -> Key {
        Key {
            order: vocabulary.order(),
            kind,
            vocabulary: digest,
            words: vocabulary.len() as u64,
            bytes: corpus.text(file).len() as u64,
            text: corpus.file_digest(file),
        }
    }

    fn numbers(&self) -> [u64; 8] {
        let order = match self.order {
            Order::Sentences => 0,
            Order::Contiguous => 1,
        };
        let kind = match self.kind {
            TokenKind::Whitespace => 0,
            TokenKind::Words => 1,
            TokenKind::Characters => 2,
        };
        [
            MAGIC,
            VERSION,
            order,
            kind,
            self.vocabulary,
            self.words,
            self.bytes,
            self.text,
        ]
    }

    /// The name of the file, the same for the same key.
    pub(super) fn name(&self) -> String {
        let [one, two] =
            [0, 1].map(|salt: u64| digest_of(&[&self.numbers()[..], &[salt]].concat()));
        format!("{one:016x}{two:016x}.tokens")
    }
}

fn digest_of(numbers: &[u64]) -> u64 {
    Content::of(&bytes_of(numbers))
}

fn bytes_of(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
}

/// A file of tokens, mapped into memory.
#[derive(Debug)]
pub(super) struct TokenFile {
    map: Mmap,
    tokens: usize,
    lines: usize,
    /// What the footer says of the rest.
    content: u64,
}

impl TokenFile {
    /// Opens the file of a key; nothing if it is not there.
    ///
    /// # Errors
    ///
    /// What is wrong with the file.
    pub(super) fn open(path: &Path, key: &Key) -> Result<Option<TokenFile>, String> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        // SAFETY: the map is only read. The program renames and removes these files but never writes into one; if someone
        // else does, we read other bytes, which are checked where they are used, or this process ends with SIGBUS.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(&file) }.map_err(|error| error.to_string())?;
        let number = |at: usize| Some(u64::from_le_bytes(*map.get(at..)?.first_chunk()?));
        let start = map.len().checked_sub(8 * FOOTER).ok_or("it is cut off")?;
        let mut footer = [0; FOOTER];
        for (k, value) in footer.iter_mut().enumerate() {
            *value = number(start + 8 * k).ok_or("it is cut off")?;
        }
        let [head @ .., check] = footer;
        if digest_of(&head) != check {
            return Err("its footer is damaged".to_owned());
        }
        let [of_key @ .., tokens, lines, content] = head;
        if of_key != key.numbers() {
            return Err("it is one of another text or vocabulary".to_owned());
        }
        let size = || {
            let (tokens, lines) = (usize::try_from(tokens).ok()?, usize::try_from(lines).ok()?);
            let size = tokens.checked_mul(4)?.checked_next_multiple_of(8)?;
            size.checked_add(8 * lines.div_ceil(STRIDE))
        };
        if size() != Some(start) {
            return Err("it has another size than its footer says".to_owned());
        }
        Ok(Some(TokenFile {
            tokens: tokens as usize,
            lines: lines as usize,
            content,
            map,
        }))
    }

    /// Whether all bytes are those that were written.
    pub(super) fn is_whole(&self) -> bool {
        Content::of(&self.map[..self.map.len() - 8 * FOOTER]) == self.content
    }

    /// The tokens, ends of lines counted too.
    pub(super) fn len(&self) -> usize {
        self.tokens
    }

    /// The lines.
    pub(super) fn lines(&self) -> usize {
        self.lines
    }

    /// The bytes of the file.
    pub(super) fn bytes(&self) -> usize {
        self.map.len()
    }

    /// The file.
    pub(super) fn map(&self) -> &Mmap {
        &self.map
    }

    /// Token `at`: an id or [`LINE_END`]; nothing at the end.
    #[inline]
    pub(super) fn get(&self, at: usize) -> Option<u32> {
        (at < self.tokens).then(|| self.token(at))
    }

    #[inline]
    fn token(&self, at: usize) -> u32 {
        let bytes = self.map[4 * at..].first_chunk();
        u32::from_le_bytes(*bytes.expect("the size of the file was checked"))
    }

    /// The first token after the line in which token `at` stands; nothing if there is no such token.
    pub(super) fn line_after(&self, at: usize) -> Option<usize> {
        (at < self.tokens).then(|| self.after_ends(at, 1))
    }

    /// Where line `line` begins; the end of all for a line that is not there.
    pub(super) fn line_start(&self, line: usize) -> usize {
        if line >= self.lines {
            return self.tokens;
        }
        let index = (4 * self.tokens).next_multiple_of(8) + 8 * (line / STRIDE);
        let near = self.map[index..].first_chunk();
        let near = u64::from_le_bytes(*near.expect("the size of the file was checked"));
        // A damaged entry leads to another line, not out of the file.
        let near = usize::try_from(near).map_or(self.tokens, |near| near.min(self.tokens));
        self.after_ends(near, line % STRIDE)
    }

    /// The token after `ends` ends of lines from `at` on.
    fn after_ends(&self, at: usize, ends: usize) -> usize {
        let Some(last) = ends.checked_sub(1) else {
            return at;
        };
        let (tokens, _) = self.map[4 * at..4 * self.tokens].as_chunks::<4>();
        let mut found = tokens
            .iter()
            .enumerate()
            .filter(|(_, token)| **token == LINE_END.to_le_bytes());
        found.nth(last).map_or(self.tokens, |(k, _)| at + k + 1)
    }
}

/// Why a file of tokens was not made.
pub(super) enum Failure {
    /// The text cannot be used.
    Text(Error),
    /// The file cannot be written.
    Disk(Error),
}

/// Parses file `file` of a corpus into the file at `path`, which appears whole or not at all.
pub(super) fn write(
    path: &Path,
    key: &Key,
    corpus: &Corpus,
    file: usize,
    vocabulary: &Vocabulary,
    watch: &(dyn Fn(usize) + Sync),
) -> Result<(), Failure> {
    let mut bad = None;
    let written = files::write_atomically(path, |out| {
        let disk = |error| files::cannot_write(path, error);
        let mut content = Content::default();
        let mut put = |out: &mut dyn Write, bytes: &[u8]| {
            content.add(bytes);
            out.write_all(bytes).map_err(disk)
        };
        let mut index = Lines::default();
        let pieces = corpus.pieces_of(file, PIECE, Cut::between(key.kind));
        // As many as keep all cores at work, so that no more than their tokens are in memory.
        for group in pieces.chunks(2 * rayon::current_num_threads()) {
            let parsed: Vec<_> = group
                .par_iter()
                .map(|piece| parse(corpus, piece, vocabulary, key.kind))
                .collect();
            for (piece, tokens) in group.iter().zip(parsed) {
                let tokens = tokens.map_err(|place| {
                    bad = Some(place);
                    corpus.bad_utf8(file, place)
                })?;
                index.add(&tokens);
                let tokens: Vec<[u8; 4]> = tokens.into_iter().map(u32::to_le_bytes).collect();
                put(out, tokens.as_flattened())?;
                watch(piece.range.len());
            }
        }
        if index.tokens % 2 == 1 {
            put(out, &[0; 4])?;
        }
        put(out, &bytes_of(&index.starts))?;
        let mut footer = key.numbers().to_vec();
        footer.extend([index.tokens, index.lines, content.value()]);
        footer.push(digest_of(&footer));
        out.write_all(&bytes_of(&footer)).map_err(disk)
    });
    written.map_err(|error| match bad {
        Some(_) => Failure::Text(error),
        None => Failure::Disk(error),
    })
}

/// The tokens of a piece of text.
fn parse(
    corpus: &Corpus,
    piece: &Piece,
    vocabulary: &Vocabulary,
    kind: TokenKind,
) -> Result<Vec<u32>, BadUtf8> {
    let each = if kind == TokenKind::Characters { 1 } else { 4 };
    let mut tokens = Vec::with_capacity(piece.range.len() / each);
    let unknown = vocabulary.unknown();
    corpus.walk(piece, kind, |text, item| {
        tokens.push(match item {
            Item::LineEnd => LINE_END,
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

/// Where lines begin, while they are written.
#[derive(Default)]
struct Lines {
    tokens: u64,
    lines: u64,
    starts: Vec<u64>,
    /// Whether the last token was in a line that has not ended.
    open: bool,
}

impl Lines {
    fn add(&mut self, tokens: &[u32]) {
        for &token in tokens {
            if !self.open {
                if self.lines.is_multiple_of(STRIDE as u64) {
                    self.starts.push(self.tokens);
                }
                self.lines += 1;
            }
            self.open = token != LINE_END;
            self.tokens += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::VocabularyBuilder;
    use std::fs;

    fn written(text: &str, order: Order, kind: TokenKind) -> (tempfile::TempDir, Key, TokenFile) {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("text");
        fs::write(&source, text).unwrap();
        let corpus = Corpus::open(&[source]).unwrap();
        let vocabulary = VocabularyBuilder::new(order, kind).build(&corpus).unwrap();
        let key = Key::new(&corpus, 0, &vocabulary, vocabulary.digest(), kind);
        let path = folder.path().join("tokens");
        assert!(TokenFile::open(&path, &key).unwrap().is_none());
        let made = write(&path, &key, &corpus, 0, &vocabulary, &|_| {});
        assert!(made.is_ok());
        let file = TokenFile::open(&path, &key).unwrap().unwrap();
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
        assert!(file.is_whole());
        for (line, &start) in starts.iter().enumerate() {
            assert_eq!(file.line_start(line), start);
            assert_eq!(file.line_after(start), starts.get(line + 1).copied());
        }
        assert_eq!(file.line_start(1000), file.len());
        // The last line may be open.
        let (_folder, _, file) = written("a b\nc", Order::Contiguous, kind);
        assert_eq!((file.lines(), file.len(), file.line_start(1)), (2, 5, 3));
        assert_eq!((file.get(4), file.get(5)), (Some(LINE_END), None));
    }

    #[test]
    fn files_that_are_not_whole_are_known() {
        let (folder, key, file) = written("a b c\nd e f\n", Order::Sentences, TokenKind::Words);
        let path = folder.path().join("tokens");
        let good = fs::read(&path).unwrap();
        assert_eq!(good.len(), file.bytes());
        for length in 0..good.len() {
            fs::write(&path, &good[..length]).unwrap();
            assert!(TokenFile::open(&path, &key).is_err(), "{length}");
        }
        let longer = [&good[..], &good[..]].concat();
        fs::write(&path, longer).unwrap();
        assert!(TokenFile::open(&path, &key).is_err());
        for at in 0..good.len() {
            let mut changed = good.clone();
            changed[at] ^= 0x40;
            fs::write(&path, changed).unwrap();
            match TokenFile::open(&path, &key) {
                Err(_) => assert!(at >= good.len() - 8 * FOOTER, "{at}"),
                Ok(file) => {
                    let file = file.unwrap();
                    assert!(at < good.len() - 8 * FOOTER && !file.is_whole(), "{at}");
                    // Nothing of it leads outside.
                    let lines = (0..9).map(|line| file.line_start(line));
                    assert!(lines.into_iter().all(|start| start <= file.len()));
                }
            }
        }
        fs::write(&path, &good).unwrap();
        let other = Key { text: 0, ..key };
        assert!(TokenFile::open(&path, &other).is_err());
        assert_ne!(other.name(), key.name());
    }
}
