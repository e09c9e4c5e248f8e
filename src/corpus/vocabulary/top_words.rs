//! Selects the most frequent words.

use std::cmp::Ordering;

use super::count_table::WordCount;
use crate::error::{Error, Result};

/// The largest number of words in a vocabulary. Building one of this size takes about 7 GB, and its embedding table a terabyte.
const MAX_WORDS: usize = 1 << 27;

/// Orders words by descending count, and words with the same count by their bytes.
pub(super) fn by_count(a: &WordCount<'_>, b: &WordCount<'_>) -> Ordering {
    b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0))
}

/// The most frequent words seen so far. The result does not depend on the order in which words are added.
pub(super) struct TopWords {
    /// Words that are counted separately.
    special: [&'static str; 3],
    pub(super) special_counts: [u64; 3],
    /// Number of words to keep.
    limit: usize,
    min_count: u64,
    /// The bytes of the words.
    bytes: Vec<u8>,
    /// Up to twice the limit.
    words: Vec<Word>,
    /// Sum of the counts of all words that were dropped.
    pub(super) rest_count: u64,
    /// Whether any word was added.
    pub(super) has_words: bool,
}

/// A word in the buffer, and its count.
struct Word {
    start: usize,
    length: usize,
    count: u64,
}

impl Word {
    fn get<'a>(&self, bytes: &'a [u8]) -> WordCount<'a> {
        (&bytes[self.start..][..self.length], self.count)
    }
}

impl TopWords {
    /// Keeps up to `limit` words that are counted at least `min_count` times. `special` words are counted separately.
    pub(super) fn new(special: [&'static str; 3], limit: usize, min_count: u64) -> TopWords {
        TopWords {
            special,
            special_counts: [0; 3],
            limit,
            min_count,
            bytes: Vec::new(),
            words: Vec::new(),
            rest_count: 0,
            has_words: false,
        }
    }

    /// The words that are kept.
    pub(super) fn words(&self) -> impl Iterator<Item = WordCount<'_>> {
        self.words.iter().map(|word| word.get(&self.bytes))
    }

    /// Adds words. Each word may be added once.
    ///
    /// # Errors
    ///
    /// If there are more words than a vocabulary can have, and no limit was set.
    pub(super) fn add_all(&mut self, words: &[WordCount<'_>]) -> Result<()> {
        for &(word, count) in words {
            self.has_words = true;
            let special = self.special.iter().position(|name| name.as_bytes() == word);
            match special {
                Some(k) => self.special_counts[k] = count,
                None => self.add(word, count),
            }
        }
        if self.limit > MAX_WORDS && self.words.len() > MAX_WORDS {
            return Err(Error::data(format!(
                "the text has more than {MAX_WORDS} distinct words, the limit of a vocabulary"
            ))
            .help("keep fewer, with --size or --min-count of `wlstm vocab` or `data.vocab_size`; and check that `data.tokens` fits the text"));
        }
        Ok(())
    }

    /// Adds a word that is not special.
    pub(super) fn add(&mut self, word: &[u8], count: u64) {
        if count < self.min_count {
            self.rest_count += count;
            return;
        }
        self.words.push(Word {
            start: self.bytes.len(),
            length: word.len(),
            count,
        });
        self.bytes.extend_from_slice(word);
        if self.words.len() >= self.limit.saturating_mul(2).max(1 << 16) {
            self.truncate();
        }
    }

    /// Drops the words beyond the limit.
    pub(super) fn truncate(&mut self) {
        if self.words.len() <= self.limit {
            return;
        }
        let bytes = &self.bytes;
        let order = |a: &Word, b: &Word| by_count(&a.get(bytes), &b.get(bytes));
        self.words.select_nth_unstable_by(self.limit, order);
        let dropped = self.words.drain(self.limit..);
        self.rest_count += dropped.map(|word| word.count).sum::<u64>();
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
    fn the_result_does_not_depend_on_the_order_of_words() {
        let words: Vec<(String, u64)> = (0..300_000_u64)
            .map(|k| (format!("w{k}"), k * k % 1009 % 7))
            .collect();
        let keep = |backwards: bool| {
            let mut kept = TopWords::new(["w5", "none", "w6"], 1000, 2);
            let all: Vec<(&[u8], u64)> = words.iter().map(|(w, n)| (w.as_bytes(), *n)).collect();
            let mut batches: Vec<_> = all.chunks(999).collect();
            if backwards {
                batches.reverse();
            }
            for batch in batches {
                kept.add_all(batch).unwrap();
                assert!(kept.words.len() < 1 << 16);
            }
            kept.truncate();
            let mut found: Vec<_> = kept.words().collect();
            found.sort_by(by_count);
            let found: Vec<_> = found.iter().map(|(w, n)| (w.to_vec(), *n)).collect();
            (found, kept.rest_count, kept.special_counts)
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
