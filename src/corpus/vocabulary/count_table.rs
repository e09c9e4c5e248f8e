//! A hash table of words and counts.

use std::hash::BuildHasher;
use std::ops::Range;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

/// A word and its count.
pub(super) type WordCount<'a> = (&'a [u8], u64);

/// Words with their counts. The bytes of all words are stored contiguously.
#[derive(Default)]
pub(super) struct CountTable {
    bytes: Vec<u8>,
    words: Vec<Slot>,
    index: HashTable<u32>,
}

#[derive(Clone, Copy)]
struct Slot {
    /// End of the word in `bytes`.
    end: usize,
    count: u64,
}

impl CountTable {
    #[inline]
    fn range(bytes: &[u8], words: &[Slot], k: u32) -> Range<usize> {
        let k = k as usize;
        let start = if k == 0 { 0 } else { words[k - 1].end };
        debug_assert!(words[k].end <= bytes.len());
        start..words[k].end
    }

    /// Adds to the count of a word. Returns whether the word is new in this table.
    #[inline]
    pub(super) fn add(
        &mut self,
        hasher: &DefaultHashBuilder,
        hash: u64,
        word: &[u8],
        count: u64,
    ) -> bool {
        let CountTable {
            bytes,
            words,
            index,
        } = self;
        let same = |&k: &u32| &bytes[CountTable::range(bytes, words, k)] == word;
        let rehash = |&k: &u32| hasher.hash_one(&bytes[CountTable::range(bytes, words, k)]);
        match index.entry(hash, same, rehash) {
            Entry::Occupied(found) => {
                words[*found.get() as usize].count += count;
                false
            }
            Entry::Vacant(place) => {
                place.insert(words.len() as u32);
                bytes.extend_from_slice(word);
                let end = bytes.len();
                words.push(Slot { end, count });
                true
            }
        }
    }

    /// Number of words.
    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// Bytes of all words.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = WordCount<'_>> {
        (0..self.words.len() as u32).map(|k| {
            let range = CountTable::range(&self.bytes, &self.words, k);
            (&self.bytes[range], self.words[k as usize].count)
        })
    }

    /// The words in byte order.
    pub(super) fn sorted(&self) -> Vec<WordCount<'_>> {
        let mut words: Vec<_> = self.iter().collect();
        words.sort_unstable();
        words
    }

    /// Memory of the content in bytes, approximately. Capacity that stays after [`CountTable::clear`] is not counted.
    pub(super) fn memory(&self) -> usize {
        // Vectors that grow by doubling are three quarters full on average, as is the index, at 5 bytes an entry.
        (self.bytes.len() + self.words.len() * (size_of::<Slot>() + 5)) * 4 / 3
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.words.clear();
        self.index.clear();
    }
}
