//! Builds a vocabulary by counting the words of a corpus.
//!
//! The corpus is cut into chunks that are counted in parallel ([`WordCounter`]). The memory needed is that of the resulting
//! vocabulary plus at most about 1 GB for the counts, however long the text is and however many distinct words it has: counts
//! that do not fit are written to the disk. The result is exact, and the same in every run.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::count_table::WordCount;
use super::counter::{ThreadCounter, WordCounter, WordCounts};
use super::special::{END_OF_LINE, SENTENCE, UNKNOWN, UNKNOWN_IN_TEXT, with_special_words};
use super::top_words::{TopWords, by_count};
use super::words::{Order, Vocabulary};
use crate::corpus::chunks::{Boundary, Chunk};
use crate::corpus::files::Corpus;
use crate::corpus::tokens::{BadUtf8, Item, TokenKind, check_utf8};
use crate::error::{Error, Result};

/// Bytes of text that one task counts.
const CHUNK: usize = 1 << 20;

/// Default memory for counts in bytes, approximately.
const BUDGET: usize = 1 << 30;

/// Builds a [`Vocabulary`] from a corpus.
#[derive(Clone, Copy, Debug)]
pub struct VocabularyBuilder {
    order: Order,
    kind: TokenKind,
    size: usize,
    min_count: u64,
    budget: usize,
}

impl VocabularyBuilder {
    /// A vocabulary of all words, for this order and kind of tokens.
    pub fn new(order: Order, kind: TokenKind) -> VocabularyBuilder {
        VocabularyBuilder {
            order,
            kind,
            size: 0,
            min_count: 0,
            budget: BUDGET,
        }
    }

    /// Keeps the `size` most frequent words, special words included. 0: all words.
    pub fn size(mut self, size: usize) -> VocabularyBuilder {
        self.size = size;
        self
    }

    /// Keeps words that occur at least `min_count` times.
    pub fn min_count(mut self, min_count: u64) -> VocabularyBuilder {
        self.min_count = min_count;
        self
    }

    /// The kind of tokens that are counted.
    pub fn kind(&self) -> TokenKind {
        self.kind
    }

    /// The minimum number of occurrences of a word to be kept.
    pub fn get_min_count(&self) -> u64 {
        self.min_count
    }

    /// Sets the memory for counts in bytes (default 1 GB, approximate). The result does not depend on it.
    pub fn budget(mut self, bytes: usize) -> VocabularyBuilder {
        self.budget = bytes;
        self
    }

    /// Counts the words of a corpus. Ids are given by descending count; words with the same count are ordered by their bytes.
    ///
    /// With [`TokenKind::Bpe`], a tokenizer of `size` tokens (0: 8000) is trained on the corpus.
    ///
    /// The special words are always kept. In `sentences` order `<S>` counts the sentences; in `contiguous` order `<eos>`
    /// counts the lines. The count of the unknown word is that of all dropped words plus its own occurrences in the text. The
    /// unknown word is `<UNK>`, or in `contiguous` order `<unk>` if the text has it.
    ///
    /// # Errors
    ///
    /// If the text is not UTF-8 (with file and line) or has no tokens; if the size is too small for the special words; if more
    /// than 134 million words would be kept; if the counts fit neither into memory nor on the disk.
    pub fn build(&self, corpus: &Corpus) -> Result<Vocabulary> {
        self.build_watched(corpus, &|_, _| {})
    }

    /// Same as [`VocabularyBuilder::build`]. `watch` is called from any thread with the bytes counted so far and all bytes.
    ///
    /// # Errors
    ///
    /// Same as [`VocabularyBuilder::build`].
    pub fn build_watched(
        &self,
        corpus: &Corpus,
        watch: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Vocabulary> {
        if self.kind == TokenKind::Bpe {
            return Vocabulary::train_tokenizer(corpus, self.order, self.size, watch);
        }
        if matches!(self.size, 1..=2) {
            return Err(Error::usage(format!(
                "a vocabulary of {} has no room for words",
                self.size
            ))
            .help("two words are special: give at least 3, or 0 for all words"));
        }
        let (counts, lines) = self.count(corpus, watch)?;
        let mark = match self.order {
            Order::Sentences => SENTENCE,
            Order::Contiguous => END_OF_LINE,
        };
        let limit = match self.size {
            0 => usize::MAX,
            size => size - 2,
        };
        let special = [mark, UNKNOWN, UNKNOWN_IN_TEXT];
        let kept = Mutex::new(TopWords::new(special, limit, self.min_count));
        counts.for_each(|words| {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.add_all(words)
        })?;
        let mut kept = kept.into_inner().unwrap_or_else(PoisonError::into_inner);
        if !kept.has_words {
            return Err(no_words(corpus));
        }
        let [marks, large, small] = kept.special_counts;
        // One of `<UNK>` and `<unk>` is the unknown word. The other one is an ordinary word.
        let (unknown, unknown_count, (other, other_count)) = match self.order {
            Order::Contiguous if small > 0 => (UNKNOWN_IN_TEXT, small, (UNKNOWN, large)),
            _ => (UNKNOWN, large, (UNKNOWN_IN_TEXT, small)),
        };
        if other_count > 0 {
            kept.add(other.as_bytes(), other_count);
        }
        kept.truncate();
        let mut sorted: Vec<WordCount<'_>> = kept.words().collect();
        sorted.push((mark.as_bytes(), marks + lines));
        sorted.push((unknown.as_bytes(), unknown_count + kept.rest_count));
        sorted.par_sort_unstable_by(by_count);

        let mut vocabulary = Vocabulary::empty(self.order);
        for (word, count) in sorted {
            // Every word was checked as UTF-8 when it was first counted.
            vocabulary.push(&String::from_utf8_lossy(word), count)?;
        }
        with_special_words(vocabulary, "the vocabulary")
    }

    /// Counts all words, and the lines: all of them in `contiguous` order, those with words in `sentences` order.
    fn count(
        &self,
        corpus: &Corpus,
        watch: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<(WordCounts, u64)> {
        let boundary = match self.order {
            Order::Sentences => Boundary::Lines,
            Order::Contiguous => Boundary::between(self.kind),
        };
        let chunks = corpus.chunks(CHUNK, boundary)?;
        let counter = WordCounter::new(self.budget);
        let (next, lines) = (AtomicUsize::new(0), AtomicU64::new(0));
        let stopped = AtomicBool::new(false);
        let (done, all) = (AtomicU64::new(0), corpus.bytes());
        // Chunks start in order, and a chunk that was started is finished. The first bad byte is therefore among those
        // found.
        let work = || -> Result<(), Failure> {
            let mut thread = counter.thread();
            while !stopped.load(Ordering::Relaxed)
                && let Some(chunk) = chunks.get(next.fetch_add(1, Ordering::Relaxed))
            {
                corpus.check_file(chunk.file).map_err(Failure::Disk)?;
                let counted = self.count_chunk(corpus, chunk, &mut thread)?;
                lines.fetch_add(counted, Ordering::Relaxed);
                let bytes = chunk.range.len() as u64;
                watch(done.fetch_add(bytes, Ordering::Relaxed) + bytes, all);
            }
            thread.flush().map_err(Failure::Disk)
        };
        let results = rayon::broadcast(|_| {
            let result = work();
            stopped.fetch_or(result.is_err(), Ordering::Relaxed);
            result
        });
        let mut first_bad: Option<(usize, BadUtf8)> = None;
        for failure in results.into_iter().filter_map(Result::err) {
            match failure {
                Failure::Disk(error) => return Err(error),
                Failure::Text(file, bad) => {
                    let is_first =
                        first_bad.is_none_or(|(other, BadUtf8(at))| (file, bad.0) < (other, at));
                    if is_first {
                        first_bad = Some((file, bad));
                    }
                }
            }
        }
        match first_bad {
            Some((file, bad)) => Err(corpus.bad_utf8(file, bad)),
            None => Ok((counter.finish()?, lines.into_inner())),
        }
    }

    /// Counts the words of a chunk. Returns the number of its lines.
    fn count_chunk(
        &self,
        corpus: &Corpus,
        chunk: &Chunk,
        counter: &mut ThreadCounter<'_>,
    ) -> Result<u64, Failure> {
        let skip_blank = self.order == Order::Sentences;
        let (mut lines, mut blank) = (0, true);
        let mut flushed = Ok(());
        let result = corpus.for_each_item(chunk, self.kind, |text, item| {
            match item {
                Item::LineEnd => {
                    lines += u64::from(!(skip_blank && blank));
                    blank = true;
                }
                Item::Token(range) => {
                    blank = false;
                    if counter.count(&text[range.clone()]) {
                        check_utf8(text, range)?;
                        if flushed.is_ok() {
                            flushed = counter.flush_if_full();
                        }
                    }
                }
            }
            Ok(())
        });
        result.map_err(|bad| Failure::Text(chunk.file, bad))?;
        flushed.map_err(Failure::Disk)?;
        Ok(lines)
    }
}

pub(super) fn no_words(corpus: &Corpus) -> Error {
    let others = if corpus.files() > 1 {
        " and the other files"
    } else {
        ""
    };
    Error::data(format!(
        "there is no word in `{}`{others}",
        corpus.path(0).display()
    ))
    .help("a corpus is UTF-8 text, one sentence or paragraph per line")
}

/// Why counting stopped early.
enum Failure {
    /// Bytes of this file are not UTF-8.
    Text(usize, BadUtf8),
    /// Counts cannot be written to the disk.
    Disk(Error),
}
