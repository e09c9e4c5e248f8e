//! Builds a vocabulary by counting the words of a corpus.
//!
//! The files are cut into pieces that are counted in parallel ([`Tally`]). The memory needed is that of the vocabulary that
//! comes out, and at most about a gigabyte for the counting, however long the text is and however many different words it has:
//! what does not fit is counted on the disk. The result is exact, and the same in every run.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::files::{Corpus, Cut, Piece};
use super::tally::{Counter, Tallied, Tally};
use super::tokens::{BadUtf8, Item, TokenKind, check_utf8};
use super::vocabulary::{
    Builder, END_OF_LINE, Order, SENTENCE, UNKNOWN, UNKNOWN_IN_TEXT, Vocabulary,
};
use crate::error::{Error, Result};

/// The bytes that one task counts.
const PIECE: usize = 1 << 20;

/// The bytes that counts may take in memory, about.
const BUDGET: usize = 1 << 30;

/// The words that a vocabulary may have: some 7 GB while it is made, and a table of a terabyte in any model.
const MOST: usize = 1 << 27;

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
    /// Counts all words, as this order and this kind of tokens have them.
    pub fn new(order: Order, kind: TokenKind) -> VocabularyBuilder {
        VocabularyBuilder {
            order,
            kind,
            size: 0,
            min_count: 0,
            budget: BUDGET,
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

    /// How often a word must be there to be kept.
    pub fn least(&self) -> u64 {
        self.min_count
    }

    /// Counts in about so many bytes of memory (a gigabyte, if nothing is said). The result does not depend on it.
    pub fn budget(mut self, bytes: usize) -> VocabularyBuilder {
        self.budget = bytes;
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
    /// If the text is not UTF-8 (with file and line) or has no tokens, or the size has no room for the special words; if more
    /// than 134 million words are to be kept, or what is counted does not fit the memory nor the disk.
    pub fn build(&self, corpus: &Corpus) -> Result<Vocabulary> {
        self.build_watched(corpus, &|_, _| {})
    }

    /// The same; `watch` hears the bytes that are counted, and all, from any thread.
    ///
    /// # Errors
    ///
    /// As [`VocabularyBuilder::build`].
    pub fn build_watched(
        &self,
        corpus: &Corpus,
        watch: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Vocabulary> {
        if matches!(self.size, 1..=2) {
            return Err(Error::usage(format!(
                "a vocabulary of {} has no room for words",
                self.size
            ))
            .help("two places are for the special words: give at least 3, or 0 for all words"));
        }
        let (tallied, lines) = self.count(corpus, watch)?;
        let mark = match self.order {
            Order::Sentences => SENTENCE,
            Order::Contiguous => END_OF_LINE,
        };
        let room = match self.size {
            0 => usize::MAX,
            size => size - 2,
        };
        let kept = Mutex::new(Kept::new(
            [mark, UNKNOWN, UNKNOWN_IN_TEXT],
            room,
            self.min_count,
        ));
        tallied.each(|words| lock(&kept).take(words))?;
        let mut kept = kept.into_inner().unwrap_or_else(PoisonError::into_inner);
        if !kept.any {
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
        let [marks, large, small] = kept.counts;
        let marks = marks + lines;
        // Which word stands for unknown ones decides which is a word like others.
        let (unknown, unknowns, other) = match self.order {
            Order::Contiguous if small > 0 => (UNKNOWN_IN_TEXT, small, (UNKNOWN, large)),
            _ => (UNKNOWN, large, (UNKNOWN_IN_TEXT, small)),
        };
        if other.1 > 0 {
            kept.offer(other.0.as_bytes(), other.1);
        }
        kept.cut();
        let mut sorted: Vec<(&[u8], u64)> = kept.words.iter().map(|word| kept.get(word)).collect();
        sorted.push((mark.as_bytes(), marks));
        sorted.push((unknown.as_bytes(), unknowns + kept.rest));
        sorted.par_sort_unstable_by(by_count);

        let mut builder = Builder::new(self.order);
        for (word, count) in sorted {
            // All words were checked when they were met first.
            builder.push(&String::from_utf8_lossy(word), count)?;
        }
        builder.finish("the vocabulary")
    }

    /// Counts all words; and the lines, in `sentences` order those with words.
    fn count(&self, corpus: &Corpus, watch: &(dyn Fn(u64, u64) + Sync)) -> Result<(Tallied, u64)> {
        let cut = match self.order {
            Order::Sentences => Cut::Lines,
            Order::Contiguous => Cut::between(self.kind),
        };
        let pieces = corpus.pieces(PIECE, cut);
        let tally = Tally::new(self.budget);
        let (next, lines) = (AtomicUsize::new(0), AtomicU64::new(0));
        let stopped = AtomicBool::new(false);
        let (done, all) = (AtomicU64::new(0), corpus.bytes());
        // Pieces are handed out in order, and one that was begun is ended: so the first bad place is among those found.
        let work = || -> Result<(), Failure> {
            let mut counter = tally.counter();
            while !stopped.load(Ordering::Relaxed)
                && let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed))
            {
                let counted = self.count_piece(corpus, piece, &mut counter)?;
                lines.fetch_add(counted, Ordering::Relaxed);
                let bytes = piece.range.len() as u64;
                watch(done.fetch_add(bytes, Ordering::Relaxed) + bytes, all);
            }
            counter.finish().map_err(Failure::Disk)
        };
        let ended = rayon::broadcast(|_| {
            let ended = work();
            stopped.fetch_or(ended.is_err(), Ordering::Relaxed);
            ended
        });
        let mut bad: Option<(usize, BadUtf8)> = None;
        for failure in ended.into_iter().filter_map(Result::err) {
            match failure {
                Failure::Disk(error) => return Err(error),
                Failure::Text(file, place) => {
                    let first =
                        bad.is_none_or(|(other, BadUtf8(at))| (file, place.0) < (other, at));
                    bad = if first { Some((file, place)) } else { bad };
                }
            }
        }
        match bad {
            Some((file, place)) => Err(corpus.bad_utf8(file, place)),
            None => Ok((tally.finish()?, lines.into_inner())),
        }
    }

    /// Counts the words of a piece, and gives its lines.
    fn count_piece(
        &self,
        corpus: &Corpus,
        piece: &Piece,
        counter: &mut Counter<'_>,
    ) -> Result<u64, Failure> {
        let skip_blank = self.order == Order::Sentences;
        let (mut lines, mut blank) = (0, true);
        let mut full = Ok(());
        let walked = corpus.walk(piece, self.kind, |text, item| {
            match item {
                Item::LineEnd => {
                    lines += u64::from(!(skip_blank && blank));
                    blank = true;
                }
                Item::Token(range) => {
                    blank = false;
                    if counter.count(&text[range.clone()]) {
                        check_utf8(text, range)?;
                        if full.is_ok() {
                            full = counter.settle();
                        }
                    }
                }
            }
            Ok(())
        });
        walked.map_err(|bad| Failure::Text(piece.file, bad))?;
        full.map_err(Failure::Disk)?;
        Ok(lines)
    }
}

/// Why counting ended early.
enum Failure {
    Text(usize, BadUtf8),
    Disk(Error),
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// By falling count, then by bytes.
fn by_count(a: &(&[u8], u64), b: &(&[u8], u64)) -> std::cmp::Ordering {
    b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0))
}

/// The words that a vocabulary keeps. What it holds in the end does not depend on the order in which words come.
struct Kept {
    /// Words whose counts are wanted apart, and these counts.
    special: [&'static str; 3],
    counts: [u64; 3],
    room: usize,
    min_count: u64,
    /// The bytes of the words.
    bytes: Vec<u8>,
    /// Up to twice as many as there is room for.
    words: Vec<Word>,
    /// The counts of all words that were left out.
    rest: u64,
    /// Whether there was any word.
    any: bool,
}

/// A word that is kept: where it is, and its count.
struct Word {
    start: usize,
    length: usize,
    count: u64,
}

impl Word {
    fn get<'a>(&self, bytes: &'a [u8]) -> (&'a [u8], u64) {
        (&bytes[self.start..][..self.length], self.count)
    }
}

impl Kept {
    fn new(special: [&'static str; 3], room: usize, min_count: u64) -> Kept {
        Kept {
            special,
            counts: [0; 3],
            room,
            min_count,
            bytes: Vec::new(),
            words: Vec::new(),
            rest: 0,
            any: false,
        }
    }

    fn get(&self, word: &Word) -> (&[u8], u64) {
        word.get(&self.bytes)
    }

    fn take(&mut self, words: &[(&[u8], u64)]) -> Result<()> {
        for &(word, count) in words {
            self.any = true;
            let special = self.special.iter().position(|name| name.as_bytes() == word);
            match special {
                Some(k) => self.counts[k] = count,
                None => self.offer(word, count),
            }
        }
        if self.room > MOST && self.words.len() > MOST {
            return Err(Error::data(format!(
                "the text has more than {MOST} different words, more than a vocabulary can have"
            ))
            .help("keep fewer, with --size or --min-count of `wlstm vocab` or `data.vocab_size`; and check that `tokens` fits the text"));
        }
        Ok(())
    }

    fn offer(&mut self, word: &[u8], count: u64) {
        if count < self.min_count {
            self.rest += count;
            return;
        }
        self.words.push(Word {
            start: self.bytes.len(),
            length: word.len(),
            count,
        });
        self.bytes.extend_from_slice(word);
        if self.words.len() >= self.room.saturating_mul(2).max(1 << 16) {
            self.cut();
        }
    }

    /// Leaves out the words for which there is no room.
    fn cut(&mut self) {
        if self.words.len() <= self.room {
            return;
        }
        let bytes = &self.bytes;
        let order = |a: &Word, b: &Word| by_count(&a.get(bytes), &b.get(bytes));
        self.words.select_nth_unstable_by(self.room, order);
        let cut = self.words.drain(self.room..);
        self.rest += cut.map(|word| word.count).sum::<u64>();
        let length = self.words.iter().map(|word| word.length).sum();
        let mut bytes = Vec::with_capacity(length);
        for word in &mut self.words {
            let start = bytes.len();
            bytes.extend_from_slice(word.get(&self.bytes).0);
            word.start = start;
        }
        self.bytes = bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_does_not_depend_on_the_order() {
        let words: Vec<(String, u64)> = (0..300_000_u64)
            .map(|k| (format!("w{k}"), k * k % 1009 % 7))
            .collect();
        let keep = |backwards: bool| {
            let mut kept = Kept::new(["w5", "none", "w6"], 1000, 2);
            let all: Vec<(&[u8], u64)> = words.iter().map(|(w, n)| (w.as_bytes(), *n)).collect();
            let mut batches: Vec<_> = all.chunks(999).collect();
            if backwards {
                batches.reverse();
            }
            for batch in batches {
                kept.take(batch).unwrap();
                assert!(kept.words.len() < 1 << 16);
            }
            kept.cut();
            let mut found: Vec<_> = kept.words.iter().map(|word| kept.get(word)).collect();
            found.sort_by(by_count);
            let found: Vec<_> = found.iter().map(|(w, n)| (w.to_vec(), *n)).collect();
            (found, kept.rest, kept.counts)
        };
        let (found, rest, counts) = keep(false);
        assert_eq!((found.clone(), rest, counts), keep(true));
        let mut expected = words.clone();
        expected.retain(|(word, _)| !["w5", "w6"].contains(&&**word));
        expected.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        let left: u64 = expected.drain(1000..).map(|(_, count)| count).sum();
        assert_eq!((rest, counts), (left, [25 % 7, 0, 36 % 7]));
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(w, n)| (w.into_bytes(), n))
            .collect();
        assert_eq!(found, expected);
    }
}
