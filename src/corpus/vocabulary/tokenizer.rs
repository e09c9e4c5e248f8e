//! Vocabularies of subwords: the tokens of a tokenizer, with their counts in a text.

use std::str;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::builder::no_words;
use super::special::{END_OF_LINE, SENTENCE, UNKNOWN, with_special_words};
use super::subwords::Subwords;
use super::words::{Order, Vocabulary};
use crate::corpus::bad_utf8::BadUtf8;
use crate::corpus::bpe::{Bpe, DEFAULT_SIZE, MIN_SIZE};
use crate::corpus::chunks::{Boundary, Chunk};
use crate::corpus::files::Corpus;
use crate::corpus::tokens::{Item, TokenKind, check_utf8};
use crate::error::{Error, Result};

/// The number of bytes of text for one task.
const CHUNK: usize = 1 << 20;

impl Vocabulary {
    /// Trains a tokenizer on a corpus; see [`Bpe::train`]. The vocabulary has `size` tokens (0: 8000), the special words included.
    ///
    /// # Errors
    ///
    /// If the size is too small, or the text is not UTF-8 or has no tokens.
    pub(super) fn train_tokenizer(
        corpus: &Corpus,
        order: Order,
        size: usize,
        watch: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Vocabulary> {
        let size = if size == 0 { DEFAULT_SIZE } else { size };
        if size < MIN_SIZE {
            return Err(Error::usage(format!(
                "a vocabulary of {size} is too small for `data.tokens = \"bpe\"`, which has a token for each of 256 bytes"
            ))
            .help(format!("give at least {MIN_SIZE} with --size or `data.vocab_size`; 8000 is usual")));
        }
        let tokenizer = Bpe::train(corpus, size - 2)?;
        Vocabulary::of_tokenizer(Arc::new(tokenizer), corpus, order, watch)
    }

    /// The tokens of a tokenizer and the special words of the order, by descending frequency in a corpus. The unknown word has the
    /// count 0, because no text is unknown.
    ///
    /// # Errors
    ///
    /// If the text is not UTF-8 (with file and line) or has no tokens.
    pub fn of_tokenizer(
        tokenizer: Arc<Bpe>,
        corpus: &Corpus,
        order: Order,
        watch: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Vocabulary> {
        let chunks = corpus.chunks(CHUNK, Boundary::between(TokenKind::Bpe))?;
        let (done, all) = (AtomicU64::new(0), corpus.bytes());
        let count = |mut counts: Counts, chunk: &Chunk| -> Result<Counts> {
            corpus.check_file(chunk.file)?;
            counts.add(corpus, chunk, &tokenizer, order)?;
            let bytes = chunk.range.len() as u64;
            watch(done.fetch_add(bytes, Ordering::Relaxed) + bytes, all);
            Ok(counts)
        };
        let counts = chunks
            .par_iter()
            .try_fold(Counts::default, count)
            .try_reduce(Counts::default, |one, other| Ok(one.plus(other)))?;
        if counts.tokens.iter().all(|count| *count == 0) {
            return Err(no_words(corpus));
        }
        Vocabulary::with_counts(tokenizer, order, &counts)
    }

    /// The tokens of a tokenizer and the special words of the order, without counts.
    ///
    /// # Errors
    ///
    /// If there are too many tokens.
    pub fn uncounted(tokenizer: Arc<Bpe>, order: Order) -> Result<Vocabulary> {
        Vocabulary::with_counts(tokenizer, order, &Counts::default())
    }

    fn with_counts(tokenizer: Arc<Bpe>, order: Order, counts: &Counts) -> Result<Vocabulary> {
        let mark = match order {
            Order::Sentences => SENTENCE,
            Order::Contiguous => END_OF_LINE,
        };
        let mut words: Vec<(String, u64)> = tokenizer
            .tokens()
            .into_iter()
            .map(|(id, token)| (token, counts.tokens.get(id as usize).copied().unwrap_or(0)))
            .collect();
        match words.iter_mut().find(|(word, _)| word == mark) {
            Some((_, count)) => *count += counts.lines,
            None => words.push((mark.to_owned(), counts.lines)),
        }
        if words.iter().all(|(word, _)| word != UNKNOWN) {
            words.push((UNKNOWN.to_owned(), 0));
        }
        // A stable sort: tokens with the same count stay in the order of the tokenizer.
        words.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let mut vocabulary = Vocabulary::empty(order);
        for (word, count) in &words {
            vocabulary.push(word, *count)?;
        }
        let vocabulary = vocabulary.with_tokenizer(tokenizer, "the tokenizer")?;
        with_special_words(vocabulary, "the tokenizer")
    }

    /// The same words, with the tokenizer that they belong to. `origin` names the vocabulary in errors.
    pub(super) fn with_tokenizer(
        mut self,
        tokenizer: Arc<Bpe>,
        origin: &str,
    ) -> Result<Vocabulary> {
        let subwords = Subwords::new(tokenizer, |token| self.get(token)).map_err(|token| {
            Error::data(format!(
                "`{origin}` has no `{token}`, a token of its tokenizer"
            ))
            .help(
                "use the tokenizer.json itself, or a vocabulary that `wlstm vocab RUN --out FILE` has written",
            )
        })?;
        self.subwords = Some(Arc::new(subwords));
        Ok(self)
    }
}

/// The counts of the tokens of a text.
#[derive(Default)]
struct Counts {
    /// By id of the tokenizer.
    tokens: Vec<u64>,
    /// The lines: in `sentences` order those that are not blank.
    lines: u64,
}

impl Counts {
    fn add(&mut self, corpus: &Corpus, chunk: &Chunk, tokenizer: &Bpe, order: Order) -> Result<()> {
        let (mut ids, mut blank) = (Vec::new(), true);
        let counted = corpus.for_each_item(chunk, TokenKind::Bpe, |text, item| {
            match item {
                Item::LineEnd => {
                    self.lines += u64::from(order == Order::Contiguous || !blank);
                    blank = true;
                }
                Item::Token(range) => {
                    blank = false;
                    check_utf8(text, range.clone())?;
                    let segment = str::from_utf8(&text[range.clone()]);
                    tokenizer.encode(segment.map_err(|_| BadUtf8(range.start))?, &mut ids);
                    for id in ids.drain(..) {
                        let id = id as usize;
                        if self.tokens.len() <= id {
                            self.tokens.resize(id + 1, 0);
                        }
                        self.tokens[id] += 1;
                    }
                }
            }
            Ok(())
        });
        counted.map_err(|bad| corpus.bad_utf8(chunk.file, bad))
    }

    fn plus(mut self, other: Counts) -> Counts {
        if self.tokens.len() < other.tokens.len() {
            self.tokens.resize(other.tokens.len(), 0);
        }
        for (own, more) in self.tokens.iter_mut().zip(&other.tokens) {
            *own += more;
        }
        self.lines += other.lines;
        self
    }
}
