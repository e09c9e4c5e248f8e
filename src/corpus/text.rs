//! A corpus as ids, read token by token: from its text, or from the files of tokens that a cache has of it.
//!
//! A place in a file is a byte of its text or, where there is a file of tokens, a token. Nobody but this module knows which:
//! what is kept of a place is the line and the tokens since its begin, which are the same for both.

use std::path::Path;
use std::sync::Arc;

use super::cache::Tokens;
use super::files::Corpus;
use super::shuffle::LineIndex;
use super::token_file::{LINE_END, TokenFile};
use super::tokens::{BadUtf8, Item, Lexer, TokenKind, check_utf8};
use super::vocabulary::Vocabulary;
use crate::error::{Error, Result};

/// A corpus and how it becomes ids. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Text {
    corpus: Arc<Corpus>,
    vocabulary: Arc<Vocabulary>,
    kind: TokenKind,
    /// Files of tokens, for those files of the corpus that have one.
    tokens: Option<Arc<Tokens>>,
}

/// What stands next in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// The id; at the end of a line, that of the mark.
    pub(crate) id: u32,
    /// Whether this is the end of a line.
    pub(crate) ends_line: bool,
}

impl Text {
    /// The text of these files, in the order of the vocabulary. Tokens are looked up each time they are met; with a
    /// [`TokenCache`](super::TokenCache) they are looked up once.
    pub fn new(corpus: Arc<Corpus>, vocabulary: Arc<Vocabulary>, kind: TokenKind) -> Text {
        Text {
            corpus,
            vocabulary,
            kind,
            tokens: None,
        }
    }

    /// The same with files of tokens.
    pub(super) fn with_tokens(self, tokens: Tokens) -> Text {
        Text {
            tokens: Some(Arc::new(tokens)),
            ..self
        }
    }

    /// The files.
    pub fn corpus(&self) -> &Corpus {
        &self.corpus
    }

    /// The words.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// What tokens are.
    pub fn kind(&self) -> TokenKind {
        self.kind
    }

    /// How many of the corpus's files are read as tokens from a cache.
    pub fn cached_files(&self) -> usize {
        let files = 0..self.corpus.files();
        files.filter(|file| self.counted(*file).is_some()).count()
    }

    #[inline]
    fn token_file(&self, file: usize) -> Option<&TokenFile> {
        self.tokens.as_ref()?.file(file)
    }

    /// The tokens of a file, line ends counted too, where that is known. If so, places in it are numbers of tokens.
    pub(crate) fn counted(&self, file: usize) -> Option<usize> {
        self.token_file(file).map(TokenFile::len)
    }

    /// The next token or line end of a file from place `at`, which moves on; nothing at the end of the file. A place is a byte
    /// or, in a file of tokens, a token.
    #[inline]
    pub(crate) fn read(&self, file: usize, at: &mut usize) -> Result<Option<Token>> {
        if let Some(tokens) = self.token_file(file) {
            let Some(id) = tokens.get(*at) else {
                return Ok(None);
            };
            *at += 1;
            return match id {
                LINE_END => Ok(Some(self.line_end())),
                id if (id as usize) < self.vocabulary.len() => Ok(Some(Token {
                    id,
                    ends_line: false,
                })),
                _ => Err(self.damaged(file)),
            };
        }
        let text = self.corpus.text(file);
        let mut lexer = Lexer::new(self.kind, text, *at);
        let item = lexer.next().map_err(|bad| self.bad_utf8(file, bad))?;
        *at = lexer.at;
        let Some(item) = item else {
            return Ok(None);
        };
        Ok(Some(match item {
            Item::LineEnd => self.line_end(),
            Item::Token(range) => {
                let found = self.vocabulary.get_bytes(&text[range.clone()]);
                if found.is_none() {
                    check_utf8(text, range).map_err(|bad| self.bad_utf8(file, bad))?;
                }
                Token {
                    id: found.unwrap_or(self.vocabulary.unknown()),
                    ends_line: false,
                }
            }
        }))
    }

    #[inline]
    fn line_end(&self) -> Token {
        Token {
            id: self.vocabulary.mark(),
            ends_line: true,
        }
    }

    /// The place after the line in which place `at` stands; nothing at the end of the file.
    pub(crate) fn line_after(&self, file: usize, at: usize) -> Option<usize> {
        if let Some(tokens) = self.token_file(file) {
            return tokens.line_after(at);
        }
        let rest = self.corpus.text(file).get(at..)?;
        let line = memchr::memchr(b'\n', rest).map(|end| end + 1);
        (!rest.is_empty()).then(|| at + line.unwrap_or(rest.len()))
    }

    /// The lines of a file. Where there is no file of tokens, the file is walked over.
    pub(crate) fn lines(&self, file: usize) -> Lines {
        match self.token_file(file) {
            Some(_) => Lines::OfTokens,
            None => {
                let touched = |bytes| self.corpus.touched(bytes);
                Lines::OfText(LineIndex::new(self.corpus.text(file), touched))
            }
        }
    }

    /// The number of lines of a file.
    pub(crate) fn line_count(&self, file: usize, lines: &Lines) -> usize {
        match (lines, self.token_file(file)) {
            (Lines::OfText(index), _) => index.len(),
            (Lines::OfTokens, tokens) => tokens.map_or(0, TokenFile::lines),
        }
    }

    /// The place at which a line of a file begins; the end of the file for a line that is not there.
    pub(crate) fn line_start(&self, file: usize, lines: &Lines, line: usize) -> usize {
        match (lines, self.token_file(file)) {
            (Lines::OfText(index), _) => {
                let text = self.corpus.text(file);
                match line < index.len() {
                    true => index.start(text, line),
                    false => text.len(),
                }
            }
            (Lines::OfTokens, tokens) => tokens.map_or(0, |tokens| tokens.line_start(line)),
        }
    }

    /// Notes that this many places of a file were walked over.
    pub(crate) fn walked(&self, file: usize, places: usize) {
        match &self.tokens {
            Some(tokens) if tokens.file(file).is_some() => tokens.touched(4 * places),
            _ => self.corpus.touched(places),
        }
    }

    /// Notes that a line somewhere in a file was looked up.
    pub(crate) fn looked_up(&self, file: usize) {
        match &self.tokens {
            Some(tokens) if tokens.file(file).is_some() => tokens.touched_somewhere(file),
            _ => self.corpus.touched_somewhere(file),
        }
    }

    #[cold]
    fn damaged(&self, file: usize) -> Error {
        let folder = self.tokens.as_ref().map(|tokens| tokens.folder());
        let folder = folder.unwrap_or(Path::new("")).display();
        Error::data(format!(
            "the tokens of `{}` that are kept in `{folder}` are damaged",
            self.corpus.path(file).display()
        ))
        .help("remove that folder, which is made again from the text, and check the disk")
    }

    #[cold]
    pub(crate) fn bad_utf8(&self, file: usize, bad: BadUtf8) -> Error {
        self.corpus.bad_utf8(file, bad)
    }
}

/// Where the lines of a file begin.
#[derive(Clone, Debug)]
pub(crate) enum Lines {
    /// As found in its text.
    OfText(LineIndex),
    /// As its file of tokens says.
    OfTokens,
}
