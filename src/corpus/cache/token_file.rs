//! A token file: one file of text as token ids of one vocabulary.
//!
//! | part | content |
//! |---|---|
//! | tokens | `u32`: ids, and `u32::MAX`, which is not a valid id, for a line end |
//! | padding | to a multiple of 8 bytes |
//! | lines | `u64`: the number of the first token of every 16th line |
//! | footer | twelve `u64`: [`Key`], counts, the digest of everything before the footer, the digest of the footer |
//!
//! All numbers are little-endian. The footer comes last, so that tokens are written as they are parsed; a truncated file has
//! none. Opening a file checks its size and its footer. The caller decides whether the digest is checked too
//! ([`TokenFile::is_intact`]). An invalid id is an error when it is read.

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use crate::corpus::contents::Contents;
use crate::corpus::files::Corpus;
use crate::corpus::pages::PageBudget;
use crate::corpus::tokens::TokenKind;
use crate::corpus::vocabulary::{Order, Vocabulary};
use crate::digest::Xxh64;

/// The id of a line end.
pub(in crate::corpus) const LINE_END: u32 = u32::MAX;

/// The extension of a token file.
pub(super) const EXTENSION: &str = "tokens";

/// The first number of a key. It identifies the format.
const MAGIC: u64 = u64::from_le_bytes(*b"wlstmtok");

/// Version of the format and of the tokenizers. Any change to them increases it.
///
/// 2: literal marks at line ends are ignored.
const VERSION: u64 = 3;

/// Lines from one entry of the line index to the next.
pub(super) const STRIDE: usize = 16;

/// Number of `u64` in the footer.
pub(super) const FOOTER: usize = 12;

/// Everything that decides the tokens of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::corpus) struct Key {
    order: Order,
    kind: TokenKind,
    vocabulary: u64,
    words: u64,
    bytes: u64,
    text: u64,
}

impl Key {
    /// The key of file `file` of a corpus. `digest` is that of the vocabulary.
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

    /// The kind of tokens.
    pub(super) fn kind(&self) -> TokenKind {
        self.kind
    }

    fn numbers(&self) -> [u64; 8] {
        let order = match self.order {
            Order::Sentences => 0,
            Order::Contiguous => 1,
        };
        let kind = match self.kind {
            TokenKind::Whitespace => 0,
            TokenKind::Characters => 2,
            // 1 was another rule for words.
            TokenKind::Words => 3,
            TokenKind::Bpe => 4,
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

    /// The name of the token file.
    pub(super) fn name(&self) -> String {
        let [one, two] =
            [0, 1].map(|salt: u64| digest_of(&[&self.numbers()[..], &[salt]].concat()));
        format!("{one:016x}{two:016x}.{EXTENSION}")
    }

    /// The footer of a token file with these numbers of tokens and lines. `content` is the digest of
    /// everything before the footer.
    pub(super) fn footer(&self, tokens: u64, lines: u64, content: u64) -> Vec<u8> {
        let mut footer = self.numbers().to_vec();
        footer.extend([tokens, lines, content]);
        footer.push(digest_of(&footer));
        bytes_of(&footer)
    }
}

fn digest_of(numbers: &[u64]) -> u64 {
    Xxh64::of(&bytes_of(numbers))
}

/// Numbers as little-endian bytes.
pub(super) fn bytes_of(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
}

/// A token file.
#[derive(Debug)]
pub(in crate::corpus) struct TokenFile {
    contents: Contents,
    tokens: usize,
    lines: usize,
    /// Digest of everything before the footer, as the footer states it.
    content: u64,
}

impl TokenFile {
    /// Opens the token file of a key, and copies it into memory or maps it. `None` if there is none.
    ///
    /// # Errors
    ///
    /// The defect of the file.
    pub(super) fn open(path: &Path, key: &Key, copied: bool) -> Result<Option<TokenFile>, String> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        // This program renames and removes token files but never changes one.
        let contents = Contents::read(file, path, copied).map_err(|error| error.to_string())?;
        TokenFile::read(contents, key).map(Some)
    }

    /// The token file of a key with these contents.
    ///
    /// # Errors
    ///
    /// The defect of the file.
    pub(super) fn read(contents: Contents, key: &Key) -> Result<TokenFile, String> {
        let number = |at: usize| Some(u64::from_le_bytes(*contents.get(at..)?.first_chunk()?));
        let start = contents
            .len()
            .checked_sub(8 * FOOTER)
            .ok_or("the file is truncated")?;
        let mut footer = [0; FOOTER];
        for (k, value) in footer.iter_mut().enumerate() {
            *value = number(start + 8 * k).ok_or("the file is truncated")?;
        }
        let [head @ .., check] = footer;
        if digest_of(&head) != check {
            return Err("its footer is damaged".to_owned());
        }
        let [of_key @ .., tokens, lines, content] = head;
        if of_key != key.numbers() {
            return Err("it belongs to another text or vocabulary".to_owned());
        }
        let size = || {
            let (tokens, lines) = (usize::try_from(tokens).ok()?, usize::try_from(lines).ok()?);
            let size = tokens.checked_mul(4)?.checked_next_multiple_of(8)?;
            size.checked_add(8 * lines.div_ceil(STRIDE))
        };
        if size() != Some(start) {
            return Err("its size does not match its footer".to_owned());
        }
        Ok(TokenFile {
            tokens: tokens as usize,
            lines: lines as usize,
            content,
            contents,
        })
    }

    /// Whether all bytes match the digest in the footer. Reads the whole file.
    pub(super) fn is_intact(&self) -> bool {
        let (mut digest, pages) = (Xxh64::default(), PageBudget::default());
        for block in self.contents[..self.contents.len() - 8 * FOOTER].chunks(1 << 20) {
            if !self.is_whole() {
                return false;
            }
            digest.add(block);
            pages.note_read(block.len(), self.map().into_iter());
        }
        digest.value() == self.content
    }

    /// Number of tokens, line ends included.
    pub(in crate::corpus) fn len(&self) -> usize {
        self.tokens
    }

    /// Number of lines.
    pub(in crate::corpus) fn lines(&self) -> usize {
        self.lines
    }

    /// Size of the file in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.contents.len()
    }

    /// The memory map, if the file is mapped.
    pub(super) fn map(&self) -> Option<&Mmap> {
        self.contents.mapped()
    }

    /// Whether the file is not shorter than its map.
    pub(in crate::corpus) fn is_whole(&self) -> bool {
        self.contents.is_whole()
    }

    /// Token number `at`: an id or [`LINE_END`]. `None` at the end.
    #[inline]
    pub(in crate::corpus) fn get(&self, at: usize) -> Option<u32> {
        self.token_bytes().get(at).map(|id| u32::from_le_bytes(*id))
    }

    /// All tokens, little-endian.
    #[inline]
    fn token_bytes(&self) -> &[[u8; 4]] {
        self.contents[..4 * self.tokens].as_chunks().0
    }

    /// The line index, little-endian.
    fn index_bytes(&self) -> &[[u8; 8]] {
        let start = (4 * self.tokens).next_multiple_of(8);
        self.contents[start..start + 8 * self.lines.div_ceil(STRIDE)]
            .as_chunks()
            .0
    }

    /// The number of pairs of input and target if each line is a sentence: one for each token and one for its end. Blank lines have
    /// none.
    pub(in crate::corpus) fn pairs(&self) -> u64 {
        let (mut pairs, mut blank) = (0, true);
        let pages = PageBudget::default();
        for block in self.token_bytes().chunks(1 << 18) {
            for token in block {
                let ends_line = *token == LINE_END.to_le_bytes();
                pairs += u64::from(!(ends_line && blank));
                blank = ends_line;
            }
            pages.note_read(4 * block.len(), self.map().into_iter());
        }
        pairs
    }

    /// The first token after the line that contains token `at`. `None` at the end.
    pub(in crate::corpus) fn line_after(&self, at: usize) -> Option<usize> {
        (at < self.tokens).then(|| self.after_line_ends(at, 1))
    }

    /// The first token of line `line`. The end of the file if there is no such line.
    pub(in crate::corpus) fn line_start(&self, line: usize) -> usize {
        if line >= self.lines {
            return self.tokens;
        }
        let near = u64::from_le_bytes(self.index_bytes()[line / STRIDE]);
        // A damaged entry must not lead out of the file.
        let near = usize::try_from(near).map_or(self.tokens, |near| near.min(self.tokens));
        self.after_line_ends(near, line % STRIDE)
    }

    /// The token after the next `count` line ends from token `at` on.
    fn after_line_ends(&self, at: usize, count: usize) -> usize {
        let Some(last) = count.checked_sub(1) else {
            return at;
        };
        let mut found = self.token_bytes()[at..]
            .iter()
            .enumerate()
            .filter(|(_, token)| **token == LINE_END.to_le_bytes());
        found.nth(last).map_or(self.tokens, |(k, _)| at + k + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If the digest of the tokens changes, `VERSION` must be increased, so that files with the earlier tokens are not read. (Files of
    /// version 2 can have parts of ignored marks.)
    #[test]
    fn the_version_changes_with_the_tokens() {
        let text = "<s> It's 3.14, U.S.A. <eos> a_b well-known--... </s>\u{a0}\r\n\n \u{3000}<eos> e\u{301} \u{65e5}\u{672c}\u{1f44d}\u{1f3fd}\tx</s>";
        let mut tokens = Xxh64::default();
        for kind in [
            TokenKind::Whitespace,
            TokenKind::Words,
            TokenKind::Characters,
            TokenKind::Bpe,
        ] {
            for token in kind.split(text) {
                tokens.add(token.as_bytes());
                tokens.add(b"\n");
            }
        }
        assert_eq!((VERSION, tokens.value()), (3, 5_256_283_068_997_961_081));
    }
}
