//! Builds a vocabulary by counting the words of a corpus.
//!
//! The files are cut into pieces that are counted in parallel. The memory needed is some 60 bytes a distinct word and thread,
//! whatever the length of the corpus.

use hashbrown::HashMap;
use rayon::prelude::*;

use super::files::{Corpus, Cut, Piece};
use super::tokens::{BadUtf8, Item, TokenKind, check_utf8};
use super::vocabulary::{
    Builder, END_OF_LINE, Order, SENTENCE, UNKNOWN, UNKNOWN_IN_TEXT, Vocabulary,
};
use crate::error::{Error, Result};

/// The bytes that one task counts.
const PIECE: usize = 1 << 20;

/// Builds a [`Vocabulary`] from a corpus.
#[derive(Clone, Copy, Debug)]
pub struct VocabularyBuilder {
    order: Order,
    kind: TokenKind,
    size: usize,
    min_count: u64,
}

impl VocabularyBuilder {
    /// Counts all words, as this order and this kind of tokens have them.
    pub fn new(order: Order, kind: TokenKind) -> VocabularyBuilder {
        VocabularyBuilder {
            order,
            kind,
            size: 0,
            min_count: 0,
        }
    }

    /// Keeps the `size` most frequent words, special ones counted too. 0: all.
    pub fn size(mut self, size: usize) -> VocabularyBuilder {
        self.size = size;
        self
    }

    /// Keeps words that are there at least so often.
    pub fn min_count(mut self, min_count: u64) -> VocabularyBuilder {
        self.min_count = min_count;
        self
    }

    /// Counts and sorts: by falling count, words of one count by their bytes, so that every run gives the same.
    ///
    /// The special words are never cut. In `sentences` order `<S>` counts the sentences; in `contiguous` order `<eos>` counts
    /// the lines. The unknown word counts the words that were cut, and itself where it is in the text: `<UNK>` in
    /// `sentences` order, in `contiguous` order `<unk>` if the text has it.
    ///
    /// # Errors
    ///
    /// If the text is not UTF-8 (with file and line) or has no tokens, or the size has no room for the special words.
    pub fn build(&self, corpus: &Corpus) -> Result<Vocabulary> {
        if matches!(self.size, 1..=2) {
            return Err(Error::usage(format!(
                "a vocabulary of {} has no room for words",
                self.size
            ))
            .help("two places are for the special words: give at least 3, or 0 for all words"));
        }
        let Counts {
            words: mut counts,
            lines,
            ..
        } = self.count(corpus)?;
        if counts.is_empty() {
            return Err(Error::data(format!(
                "there is no word in `{}`{}",
                corpus.path(0).display(),
                if corpus.files() > 1 {
                    " and the other files"
                } else {
                    ""
                }
            ))
            .help("a corpus is UTF-8 text, one sentence or paragraph a line"));
        }
        let (mark, unknown) = match self.order {
            Order::Sentences => (SENTENCE, UNKNOWN),
            Order::Contiguous if counts.contains_key(UNKNOWN_IN_TEXT.as_bytes()) => {
                (END_OF_LINE, UNKNOWN_IN_TEXT)
            }
            Order::Contiguous => (END_OF_LINE, UNKNOWN),
        };
        let marks = lines + counts.remove(mark.as_bytes()).unwrap_or(0);
        let unknowns = counts.remove(unknown.as_bytes()).unwrap_or(0);
        let mut sorted: Vec<_> = counts.into_iter().collect();
        sort(&mut sorted);
        let enough = sorted.partition_point(|&(_, count)| count >= self.min_count);
        let room = match self.size {
            0 => sorted.len(),
            size => size - 2,
        };
        let cut = sorted.split_off(enough.min(room));
        let rest: u64 = cut.iter().map(|(_, count)| count).sum();
        sorted.push((mark.as_bytes().into(), marks));
        sorted.push((unknown.as_bytes().into(), unknowns + rest));
        sort(&mut sorted);

        let mut builder = Builder::new(self.order);
        for (word, count) in sorted {
            // All words were checked when they were met first.
            builder.push(&String::from_utf8_lossy(&word), count)?;
        }
        builder.finish("the vocabulary")
    }

    fn count(&self, corpus: &Corpus) -> Result<Counts> {
        let cut = match self.order {
            Order::Sentences => Cut::Lines,
            Order::Contiguous => Cut::between(self.kind),
        };
        let pieces = corpus.pieces(PIECE, cut);
        pieces
            .par_iter()
            .fold(Counts::default, |mut counts, piece| {
                if counts.bad.is_none() {
                    counts.bad = self
                        .count_piece(corpus, piece, &mut counts)
                        .err()
                        .map(|bad| (piece.file, bad));
                }
                counts
            })
            .reduce(Counts::default, Counts::merge)
            .checked(corpus)
    }

    fn count_piece(
        &self,
        corpus: &Corpus,
        piece: &Piece,
        counts: &mut Counts,
    ) -> Result<(), BadUtf8> {
        let skip_blank = self.order == Order::Sentences;
        let mut blank = true;
        corpus.walk(piece, self.kind, |text, item| {
            match item {
                Item::LineEnd => {
                    counts.lines += u64::from(!(skip_blank && blank));
                    blank = true;
                }
                Item::Token(range) => {
                    blank = false;
                    match counts.words.get_mut(&text[range.clone()]) {
                        Some(count) => *count += 1,
                        None => {
                            check_utf8(text, range.clone())?;
                            counts.words.insert(text[range].into(), 1);
                        }
                    }
                }
            }
            Ok(())
        })
    }
}

/// By falling count, then by bytes.
fn sort(words: &mut [(Box<[u8]>, u64)]) {
    words.par_sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
}

/// What was counted in some pieces.
#[derive(Default)]
struct Counts {
    words: HashMap<Box<[u8]>, u64>,
    /// Lines, in `sentences` order those with words.
    lines: u64,
    /// The first bad place, if there is one.
    bad: Option<(usize, BadUtf8)>,
}

impl Counts {
    /// Both together; `self` is of earlier pieces.
    fn merge(self, other: Counts) -> Counts {
        let (mut large, small) = if self.words.len() >= other.words.len() {
            (self.words, other.words)
        } else {
            (other.words, self.words)
        };
        for (word, count) in small {
            *large.entry(word).or_insert(0) += count;
        }
        Counts {
            words: large,
            lines: self.lines + other.lines,
            bad: self.bad.or(other.bad),
        }
    }

    fn checked(self, corpus: &Corpus) -> Result<Counts> {
        match self.bad {
            Some((file, bad)) => Err(corpus.bad_utf8(file, bad)),
            None => Ok(self),
        }
    }
}
