//! Counts words in memory that does not grow with the text nor, beyond a budget, with the number of distinct words.
//!
//! Each thread counts into a small table of its own ([`Counter`]), which stays in the caches of its core and holds the words
//! that come all the time. When it is full, its counts are added to tables that all threads share, one for each of 64 parts of
//! the words by their hash. A part that has outgrown its share of the budget is written to a temporary file as a run of words in
//! order, and begins anew. In the end the runs of a part are merged: each word comes once, with its whole count. The file is
//! in the folder for caches, or that for temporary files, and has no name: the system removes it however the process ends.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{BufWriter, Write};
use std::iter::once;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};
use memmap2::Mmap;
use rayon::prelude::*;

use super::files::Resident;
use crate::error::{Error, Result};
use crate::files;

/// The parts of the words.
const PARTS: usize = 64;

/// The distinct words and their bytes that a thread counts by itself.
const OWN_WORDS: usize = 1 << 15;
const OWN_BYTES: usize = 1 << 20;

/// Words with their counts, their bytes one after the other.
#[derive(Default)]
struct Table {
    bytes: Vec<u8>,
    words: Vec<Counted>,
    index: HashTable<u32>,
}

#[derive(Clone, Copy)]
struct Counted {
    /// Where the word ends in `bytes`.
    end: usize,
    count: u64,
}

impl Table {
    #[inline]
    fn word(bytes: &[u8], words: &[Counted], k: u32) -> Range<usize> {
        let k = k as usize;
        let start = if k == 0 { 0 } else { words[k - 1].end };
        debug_assert!(words[k].end <= bytes.len());
        start..words[k].end
    }

    /// Adds to the count of a word. Gives whether it is new here.
    #[inline]
    fn add(&mut self, hasher: &DefaultHashBuilder, hash: u64, word: &[u8], count: u64) -> bool {
        let Table {
            bytes,
            words,
            index,
        } = self;
        let same = |&k: &u32| &bytes[Table::word(bytes, words, k)] == word;
        let rehash = |&k: &u32| hasher.hash_one(&bytes[Table::word(bytes, words, k)]);
        match index.entry(hash, same, rehash) {
            Entry::Occupied(found) => {
                words[*found.get() as usize].count += count;
                false
            }
            Entry::Vacant(place) => {
                place.insert(words.len() as u32);
                bytes.extend_from_slice(word);
                let end = bytes.len();
                words.push(Counted { end, count });
                true
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        (0..self.words.len() as u32).map(|k| {
            let range = Table::word(&self.bytes, &self.words, k);
            (&self.bytes[range], self.words[k as usize].count)
        })
    }

    /// The words in the order of their bytes.
    fn sorted(&self) -> Vec<(&[u8], u64)> {
        let mut words: Vec<_> = self.iter().collect();
        words.sort_unstable();
        words
    }

    /// About the bytes that it takes: by what is in it, as what was grown for it stays when it is cleared.
    fn memory(&self) -> usize {
        // What grows by doubling is three quarters full, as is the index, of five bytes a place.
        (self.bytes.len() + self.words.len() * (size_of::<Counted>() + 5)) * 4 / 3
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.words.clear();
        self.index.clear();
    }
}

/// The words of one part.
#[derive(Default)]
struct Part {
    table: Table,
    /// Where its runs are in the file.
    runs: Vec<Range<usize>>,
}

/// The file of runs.
struct Spilled {
    file: File,
    length: usize,
}

/// The counts of all threads.
pub(super) struct Tally {
    hasher: DefaultHashBuilder,
    /// The bytes that one part may take.
    share: usize,
    parts: Vec<Mutex<Part>>,
    spilled: Mutex<Option<Spilled>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tally {
    /// For about `budget` bytes of memory.
    pub(super) fn new(budget: usize) -> Tally {
        Tally {
            hasher: DefaultHashBuilder::default(),
            share: budget / PARTS,
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
            spilled: Mutex::new(None),
        }
    }

    /// The counter of a thread.
    pub(super) fn counter(&self) -> Counter<'_> {
        Counter {
            tally: self,
            own: Table::default(),
        }
    }

    /// Adds the counts of a thread.
    fn add(&self, own: &Table) -> Result<()> {
        let mut of_part: Vec<Vec<(u64, &[u8], u64)>> = vec![Vec::new(); PARTS];
        for (word, count) in own.iter() {
            let hash = self.hasher.hash_one(word);
            // Neither the low bits nor the highest, by which a table finds its words.
            of_part[(hash >> 40) as usize % PARTS].push((hash, word, count));
        }
        for (part, words) in self.parts.iter().zip(of_part) {
            if words.is_empty() {
                continue;
            }
            let mut part = lock(part);
            for (hash, word, count) in words {
                part.table.add(&self.hasher, hash, word, count);
            }
            if part.table.memory() > self.share {
                self.spill(&mut part)?;
            }
        }
        Ok(())
    }

    /// Writes the words of a part to the file.
    fn spill(&self, part: &mut Part) -> Result<()> {
        let folder = files::cache_folder().unwrap_or_else(std::env::temp_dir);
        let failed = |error| {
            files::cannot_write(&folder, error).context(
                "the text has more different words than fit the memory for counting them, and they cannot be put on the disk",
            )
        };
        let words = part.table.sorted();
        let mut spilled = lock(&self.spilled);
        if spilled.is_none() {
            // On the disk of the user's caches if it can be: the folder for temporary files is often memory.
            let made = std::fs::create_dir_all(&folder)
                .and_then(|()| tempfile::tempfile_in(&folder))
                .or_else(|_| tempfile::tempfile());
            *spilled = Some(Spilled {
                file: made.map_err(failed)?,
                length: 0,
            });
        }
        let Some(Spilled { file, length }) = spilled.as_mut() else {
            return Ok(());
        };
        let mut out = BufWriter::with_capacity(1 << 20, &*file);
        let start = *length;
        for (word, count) in words {
            *length += put(&mut out, word, count).map_err(failed)?;
        }
        out.flush().map_err(failed)?;
        part.runs.push(start..*length);
        drop(out);
        part.table.clear();
        Ok(())
    }

    /// Ends the counting.
    ///
    /// # Errors
    ///
    /// If the runs cannot be read.
    pub(super) fn finish(self) -> Result<Tallied> {
        let spilled = self.spilled.into_inner();
        let spilled = spilled.unwrap_or_else(PoisonError::into_inner);
        let map = match spilled {
            None => None,
            // SAFETY: the file has no name, so nobody else writes into it.
            #[allow(unsafe_code)]
            Some(Spilled { file, .. }) => Some(unsafe { Mmap::map(&file) }.map_err(|error| {
                Error::data("cannot read the words that were put on the disk")
                    .because(error)
                    .help("check the disk and the limits on memory")
            })?),
        };
        let parts = self.parts.into_iter().map(Mutex::into_inner);
        Ok(Tallied {
            parts: parts
                .map(|part| part.unwrap_or_else(PoisonError::into_inner))
                .collect(),
            map,
            resident: Resident::default(),
        })
    }
}

/// What one thread counts.
pub(super) struct Counter<'a> {
    tally: &'a Tally,
    own: Table,
}

impl Counter<'_> {
    /// Counts a word. Gives whether it must be looked at, as it may be new.
    #[inline]
    pub(super) fn count(&mut self, word: &[u8]) -> bool {
        let hasher = &self.tally.hasher;
        self.own.add(hasher, hasher.hash_one(word), word, 1)
    }

    /// Hands over the counts, if they are many. To be called now and then.
    ///
    /// # Errors
    ///
    /// If there are more words than fit the budget, and they cannot be written to the disk.
    #[inline]
    pub(super) fn settle(&mut self) -> Result<()> {
        if self.own.words.len() >= OWN_WORDS || self.own.bytes.len() >= OWN_BYTES {
            self.finish()?;
        }
        Ok(())
    }

    /// Hands over the counts.
    ///
    /// # Errors
    ///
    /// As [`Counter::settle`].
    pub(super) fn finish(&mut self) -> Result<()> {
        self.tally.add(&self.own)?;
        self.own.clear();
        Ok(())
    }
}

/// All words with their counts.
pub(super) struct Tallied {
    parts: Vec<Part>,
    map: Option<Mmap>,
    resident: Resident,
}

impl Tallied {
    /// Gives every word once, with its count, in no order and from many threads. An error ends it.
    pub(super) fn each(self, take: impl Fn(&[(&[u8], u64)]) -> Result<()> + Sync) -> Result<()> {
        const AT_ONCE: usize = 4096;
        let Tallied {
            parts,
            map,
            resident,
        } = self;
        // A part goes when its words were given.
        parts.into_par_iter().try_for_each(|part| {
            let mut batch = Vec::with_capacity(AT_ONCE);
            for word in part.words(map.as_ref(), &resident) {
                batch.push(word);
                if batch.len() == AT_ONCE {
                    take(&batch)?;
                    batch.clear();
                }
            }
            take(&batch)
        })
    }
}

impl Part {
    /// Every word once, with its count.
    fn words<'a>(
        &'a self,
        map: Option<&'a Mmap>,
        resident: &'a Resident,
    ) -> Box<dyn Iterator<Item = (&'a [u8], u64)> + 'a> {
        let Some(map) = map.filter(|_| !self.runs.is_empty()) else {
            return Box::new(self.table.iter());
        };
        let written = self.runs.iter();
        let written = written.map(|run| Run::Written(&map[run.clone()]));
        let held = Run::Held(self.table.sorted().into_iter());
        let touched = move |bytes| resident.touched(bytes, once(map));
        Box::new(Merged::new(written.chain(once(held)).collect(), touched))
    }
}

/// Runs as one, in which the counts of a word are added up.
struct Merged<'a, F> {
    runs: Vec<Run<'a>>,
    /// The next word of each run, the first in order on top.
    heads: BinaryHeap<Reverse<(&'a [u8], usize, u64)>>,
    touched: F,
}

impl<'a, F: Fn(usize)> Merged<'a, F> {
    fn new(mut runs: Vec<Run<'a>>, touched: F) -> Merged<'a, F> {
        let first = |(k, run): (usize, &mut Run<'a>)| {
            let (word, count) = run.next()?;
            Some(Reverse((word, k, count)))
        };
        Merged {
            heads: runs.iter_mut().enumerate().filter_map(first).collect(),
            runs,
            touched,
        }
    }

    /// The next word of any run.
    fn step(&mut self) -> Option<(&'a [u8], u64)> {
        let mut head = self.heads.peek_mut()?;
        let Reverse((word, k, count)) = *head;
        match self.runs[k].next() {
            Some((next, count)) => *head = Reverse((next, k, count)),
            None => drop(PeekMut::pop(head)),
        }
        // The word and the two numbers beside it.
        (self.touched)(word.len() + 2);
        Some((word, count))
    }
}

impl<'a, F: Fn(usize)> Iterator for Merged<'a, F> {
    type Item = (&'a [u8], u64);

    fn next(&mut self) -> Option<(&'a [u8], u64)> {
        let (word, mut sum) = self.step()?;
        while self
            .heads
            .peek()
            .is_some_and(|Reverse(head)| head.0 == word)
        {
            sum += self.step()?.1;
        }
        Some((word, sum))
    }
}

/// Words in the order of their bytes.
enum Run<'a> {
    Written(&'a [u8]),
    Held(std::vec::IntoIter<(&'a [u8], u64)>),
}

impl<'a> Iterator for Run<'a> {
    type Item = (&'a [u8], u64);

    fn next(&mut self) -> Option<(&'a [u8], u64)> {
        match self {
            Run::Held(words) => words.next(),
            Run::Written(rest) => {
                if rest.is_empty() {
                    return None;
                }
                let length = number(rest)? as usize;
                let (word, more) = rest.split_at_checked(length)?;
                *rest = more;
                Some((word, number(rest)?))
            }
        }
    }
}

/// Writes a word of a run. Gives how many bytes that took.
fn put(out: &mut impl Write, word: &[u8], count: u64) -> std::io::Result<usize> {
    let length = put_number(out, word.len() as u64)?;
    out.write_all(word)?;
    Ok(length + word.len() + put_number(out, count)?)
}

/// Writes a number, seven bits a byte, the lowest first; the highest bit of a byte says that more follow.
fn put_number(out: &mut impl Write, mut number: u64) -> std::io::Result<usize> {
    let mut bytes = 1;
    while number >= 0x80 {
        out.write_all(&[number as u8 | 0x80])?;
        number >>= 7;
        bytes += 1;
    }
    out.write_all(&[number as u8])?;
    Ok(bytes)
}

/// Reads a number of [`put_number`] from the front; nothing if there is none.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn numbers_are_read_as_written() {
        let numbers = [0, 1, 127, 128, 300, 1 << 35, u64::MAX];
        let mut bytes = Vec::new();
        for value in numbers {
            let before = bytes.len();
            assert_eq!(put_number(&mut bytes, value).unwrap(), bytes.len() - before);
        }
        let mut rest = &bytes[..];
        for value in numbers {
            assert_eq!(number(&mut rest), Some(value));
        }
        assert_eq!(number(&mut rest), None);
    }

    /// Counts as a map does. Gives how many runs were written.
    fn check(words: &[Vec<u8>], budget: usize, threads: usize) -> usize {
        let mut expected: BTreeMap<&[u8], u64> = BTreeMap::new();
        for word in words {
            *expected.entry(word).or_default() += 1;
        }
        let tally = Tally::new(budget);
        std::thread::scope(|scope| {
            for mine in words.chunks(words.len().div_ceil(threads).max(1)) {
                let tally = &tally;
                scope.spawn(move || {
                    let mut counter = tally.counter();
                    for (k, word) in mine.iter().enumerate() {
                        counter.count(word);
                        counter.settle().unwrap();
                        if k % 97 == 96 {
                            counter.finish().unwrap();
                        }
                    }
                    counter.finish().unwrap();
                });
            }
        });
        let tallied = tally.finish().unwrap();
        let found = Mutex::new(BTreeMap::new());
        let take = |batch: &[(&[u8], u64)]| {
            for &(word, count) in batch {
                let before = found.lock().unwrap().insert(word.to_vec(), count);
                assert_eq!(before, None, "a word comes twice");
            }
            Ok(())
        };
        let runs = tallied.parts.iter().map(|part| part.runs.len()).sum();
        tallied.each(take).unwrap();
        let found = found.into_inner().unwrap();
        let found: BTreeMap<&[u8], u64> = found.iter().map(|(word, n)| (&word[..], *n)).collect();
        assert_eq!(found, expected);
        runs
    }

    #[test]
    fn more_words_than_fit_are_counted_on_the_disk() {
        let words: Vec<Vec<u8>> = (0..60_000_u32)
            .map(|k| format!("word{}", k * k % 30_011).into_bytes())
            .collect();
        assert_eq!(check(&words, 1 << 30, 3), 0);
        let runs = check(&words, 1 << 18, 3);
        // Not one each time that counts are handed over, which is some 40,000 times.
        assert!((100..2000).contains(&runs), "{runs}");
        // A run for each handing over.
        assert!(check(&words[..5000], 0, 1) > 1000);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        #[test]
        fn counts_are_those_of_a_map(
            words in prop::collection::vec(prop::collection::vec(0..3_u8, 0..6), 0..800),
            budget in prop::sample::select(vec![0_usize, 1 << 14, 1 << 30]),
            threads in 1..4_usize,
        ) {
            check(&words, budget, threads);
        }
    }
}
