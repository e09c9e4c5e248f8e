//! A corpus as token ids, read one by one: from its text, or from the token files of the cache.
//!
//! Offsets in a file are bytes of its text or, if the file has a token file, numbers of tokens. Only this module
//! distinguishes the two. A stored position has the line and the number of tokens in it, which are the same for both.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::cache::cached_tokens::CachedTokens;
use super::cache::token_file::{LINE_END, TokenFile};
use super::files::Corpus;
use super::marks::gap_bytes;
use super::shuffle::LineIndex;
use super::tokens::{BadUtf8, Item, Lexer, TokenKind, check_utf8};
use super::vocabulary::Vocabulary;
use crate::error::{Error, Result};

/// A corpus, its vocabulary and its kind of tokens. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Text {
    corpus: Arc<Corpus>,
    vocabulary: Arc<Vocabulary>,
    kind: TokenKind,
    /// The token files, for those files of the corpus that have one.
    tokens: Option<Arc<CachedTokens>>,
}

/// The next item of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// The id. At a line end, the id of the boundary token.
    pub(super) id: u32,
    /// Whether this is a line end.
    pub(super) ends_line: bool,
    /// Bytes from the end of the previous token to its own end, without ignored marks. In a token file: the length of a subword, 1
    /// for a line end, and otherwise 0.
    pub(super) bytes: u64,
}

impl Text {
    /// The text of `corpus` in the order of the vocabulary; with subwords, see
    /// [`TokenCache::uncached`](super::TokenCache::uncached). Every token is looked up each time it is read; with a
    /// [`TokenCache`](super::TokenCache) it is looked up once.
    pub fn new(corpus: Arc<Corpus>, vocabulary: Arc<Vocabulary>, kind: TokenKind) -> Text {
        Text {
            corpus,
            vocabulary,
            kind,
            tokens: None,
        }
    }

    /// The same text, read from token files where there are some.
    pub(super) fn with_tokens(self, tokens: CachedTokens) -> Text {
        Text {
            tokens: Some(Arc::new(tokens)),
            ..self
        }
    }

    /// The same text in a form in which tokens have their bytes. It is parsed while it is read, except for subwords, whose lengths
    /// are known.
    pub(super) fn with_bytes(&self) -> Text {
        Text {
            tokens: self.tokens.clone().filter(|_| self.kind == TokenKind::Bpe),
            ..self.clone()
        }
    }

    /// The files.
    pub fn corpus(&self) -> &Corpus {
        &self.corpus
    }

    /// The vocabulary.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The kind of tokens.
    pub fn kind(&self) -> TokenKind {
        self.kind
    }

    /// Number of files of the corpus that are read from the token cache.
    pub fn cached_files(&self) -> usize {
        let files = 0..self.corpus.files();
        files
            .filter(|file| self.token_file(*file).is_some())
            .count()
    }

    #[inline]
    fn token_file(&self, file: usize) -> Option<&TokenFile> {
        self.tokens.as_ref()?.file(file)
    }

    /// Number of pairs of input and target in `sentences` order, if all files have token files.
    pub(super) fn counted_pairs(&self) -> Option<u64> {
        let files = 0..self.corpus.files();
        files
            .map(|file| self.token_file(file).map(TokenFile::pairs))
            .sum()
    }

    /// Number of tokens of a file, line ends included, if it has a token file. Then its offsets are numbers of tokens.
    pub(super) fn token_count(&self, file: usize) -> Option<usize> {
        self.token_file(file).map(TokenFile::len)
    }

    /// Reads the token or line end at offset `at` of a file, and moves `at` after it. `None` at the end of the file.
    #[inline]
    pub(super) fn read(&self, file: usize, at: &mut usize) -> Result<Option<Token>> {
        if let Some(tokens) = self.token_file(file) {
            let Some(id) = tokens.get(*at) else {
                return Ok(None);
            };
            *at += 1;
            return match id {
                LINE_END => Ok(Some(self.line_end((self.kind == TokenKind::Bpe).into()))),
                id if (id as usize) < self.vocabulary.len() => Ok(Some(Token {
                    id,
                    ends_line: false,
                    bytes: match self.kind {
                        // A subword has one character for each byte.
                        TokenKind::Bpe => self.vocabulary.word(id).chars().count() as u64,
                        _ => 0,
                    },
                })),
                _ => Err(self.damaged(file)),
            };
        }
        if self.kind == TokenKind::Bpe && !self.corpus.text(file).is_empty() {
            return Err(
                Error::usage("a text of subwords was opened without its tokens")
                    .help("open it with `TokenCache::open` or `TokenCache::uncached`"),
            );
        }
        let text = self.corpus.text(file);
        let mut lexer = Lexer::new(self.kind, text, *at);
        let item = lexer.next().map_err(|bad| self.bad_utf8(file, bad))?;
        let before = *at;
        *at = lexer.at;
        let Some(item) = item else {
            return Ok(None);
        };
        // The offset is past the end after the line end of a last line without line feed.
        let end = lexer.at.min(text.len());
        let bytes_of = |range: Range<usize>| {
            let gap = text.get(before..range.start).unwrap_or_default();
            (gap_bytes(gap, self.kind) + range.len()) as u64
        };
        Ok(Some(match item {
            Item::LineEnd => {
                let line_end = match text.get(before..end) {
                    Some([.., b'\r', b'\n']) => 2,
                    Some([.., b'\n']) => 1,
                    _ => 0,
                };
                self.line_end(bytes_of(end - line_end..end))
            }
            Item::Token(range) => {
                let bytes = bytes_of(range.clone());
                let found = self.vocabulary.get_bytes(&text[range.clone()]);
                if found.is_none() {
                    check_utf8(text, range).map_err(|bad| self.bad_utf8(file, bad))?;
                }
                Token {
                    id: found.unwrap_or(self.vocabulary.unknown()),
                    ends_line: false,
                    bytes,
                }
            }
        }))
    }

    #[inline]
    fn line_end(&self, bytes: u64) -> Token {
        Token {
            id: self.vocabulary.mark(),
            ends_line: true,
            bytes,
        }
    }

    /// Fails if a mapped file was truncated: reading it would end the process.
    pub(super) fn check_whole(&self) -> Result<()> {
        let is_damaged = |file: &usize| {
            self.token_file(*file)
                .is_some_and(|tokens| !tokens.is_whole())
        };
        match (0..self.corpus.files()).find(is_damaged) {
            Some(file) => Err(self.damaged(file)),
            None => self.corpus.check_whole(),
        }
    }

    /// Offset after the line that contains offset `at`. `None` at the end of the file.
    pub(super) fn line_after(&self, file: usize, at: usize) -> Option<usize> {
        if let Some(tokens) = self.token_file(file) {
            return tokens.line_after(at);
        }
        let rest = self.corpus.text(file).get(at..)?;
        let line = memchr::memchr(b'\n', rest).map(|end| end + 1);
        (!rest.is_empty()).then(|| at + line.unwrap_or(rest.len()))
    }

    /// The line index of a file. Reads the whole file unless it has a token file.
    pub(super) fn lines(&self, file: usize) -> Lines {
        if self.token_file(file).is_some() {
            return Lines::OfTokens;
        }
        let note_read = |bytes| self.corpus.note_read(bytes);
        Lines::OfText(LineIndex::new(self.corpus.text(file), note_read))
    }

    /// Number of lines of a file.
    pub(super) fn line_count(&self, file: usize, lines: &Lines) -> usize {
        match lines {
            Lines::OfText(index) => index.len(),
            Lines::OfTokens => self.token_file(file).map_or(0, TokenFile::lines),
        }
    }

    /// Offset at which a line of a file starts. The end of the file if there is no such line.
    pub(super) fn line_start(&self, file: usize, lines: &Lines, line: usize) -> usize {
        match lines {
            Lines::OfText(index) => {
                let text = self.corpus.text(file);
                if line < index.len() {
                    index.start(text, line)
                } else {
                    text.len()
                }
            }
            Lines::OfTokens => self
                .token_file(file)
                .map_or(0, |tokens| tokens.line_start(line)),
        }
    }

    /// Records a read of this many bytes or tokens of a file.
    pub(super) fn note_read(&self, file: usize, count: usize) {
        match &self.tokens {
            Some(tokens) if tokens.file(file).is_some() => tokens.note_read(4 * count),
            _ => self.corpus.note_read(count),
        }
    }

    /// Records a read at a random offset of a file.
    pub(super) fn note_random_read(&self, file: usize) {
        match &self.tokens {
            Some(tokens) if tokens.file(file).is_some() => tokens.note_random_read(file),
            _ => self.corpus.note_random_read(file),
        }
    }

    #[cold]
    fn damaged(&self, file: usize) -> Error {
        let folder = self.tokens.as_ref().map(|tokens| tokens.folder());
        let folder = folder.unwrap_or(Path::new("")).display();
        Error::data(format!(
            "the cached tokens of `{}` in `{folder}` are damaged",
            self.corpus.path(file).display()
        ))
        .help("remove that folder, which is a cache and is built again from the text, and check the disk")
    }

    /// The error for bytes of file `file` that are not UTF-8.
    #[cold]
    pub(super) fn bad_utf8(&self, file: usize, bad: BadUtf8) -> Error {
        self.corpus.bad_utf8(file, bad)
    }
}

/// The line index of a file.
#[derive(Clone, Debug)]
pub(super) enum Lines {
    /// Built from the text.
    OfText(LineIndex),
    /// Stored in the token file.
    OfTokens,
}
