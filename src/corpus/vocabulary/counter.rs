//! Counts words in bounded memory, on all threads.
//!
//! Each thread counts into its own small table ([`ThreadCounter`]), which fits the caches of its core. When it is full, its
//! counts are added to 64 shared shards, chosen by the hash of the word. A shard that exceeds its share of the memory budget is
//! written to a temporary file as a sorted run, and starts again empty. At the end the runs of each shard are merged, so that
//! each word is returned once, with its total count. The temporary file has no name, so the system removes it however the
//! process ends.

use std::fs::File;
use std::hash::BuildHasher;
use std::io::{BufWriter, Write};
use std::iter::once;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::DefaultHashBuilder;
use memmap2::Mmap;
use rayon::prelude::*;

use super::count_table::{CountTable, WordCount};
use super::merge::{Merge, SortedRun, write_word};
use crate::corpus::pages::PageBudget;
use crate::error::{Error, Result};
use crate::files;

/// Number of shards.
const SHARDS: usize = 64;

/// Number of words that a thread counts before it adds them to the shards.
const THREAD_WORDS: usize = 1 << 15;

/// Bytes of these words.
const THREAD_BYTES: usize = 1 << 20;

/// The words of one shard.
#[derive(Default)]
struct Shard {
    table: CountTable,
    /// Ranges of its runs in the spill file.
    runs: Vec<Range<usize>>,
}

/// The file of spilled runs.
struct SpillFile {
    file: File,
    length: usize,
}

/// The shared counts.
pub(super) struct WordCounter {
    hasher: DefaultHashBuilder,
    /// Memory of one shard in bytes, above which it is spilled.
    shard_budget: usize,
    shards: Vec<Mutex<Shard>>,
    spilled: Mutex<Option<SpillFile>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl WordCounter {
    /// A counter that takes about `budget` bytes of memory.
    pub(super) fn new(budget: usize) -> WordCounter {
        WordCounter {
            hasher: DefaultHashBuilder::default(),
            shard_budget: budget / SHARDS,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            spilled: Mutex::new(None),
        }
    }

    /// A counter for one thread.
    pub(super) fn thread(&self) -> ThreadCounter<'_> {
        ThreadCounter {
            shared: self,
            table: CountTable::default(),
        }
    }

    /// Adds the counts of a thread.
    fn add(&self, table: &CountTable) -> Result<()> {
        let mut by_shard: Vec<Vec<(u64, &[u8], u64)>> = vec![Vec::new(); SHARDS];
        for (word, count) in table.iter() {
            let hash = self.hasher.hash_one(word);
            // The hash table uses the lowest and the highest bits.
            by_shard[(hash >> 40) as usize % SHARDS].push((hash, word, count));
        }
        for (shard, words) in self.shards.iter().zip(by_shard) {
            if words.is_empty() {
                continue;
            }
            let mut shard = lock(shard);
            for (hash, word, count) in words {
                shard.table.add(&self.hasher, hash, word, count);
            }
            if shard.table.memory() > self.shard_budget {
                self.spill(&mut shard)?;
            }
        }
        Ok(())
    }

    /// Writes the words of a shard to the spill file and removes them from memory.
    fn spill(&self, shard: &mut Shard) -> Result<()> {
        let folder = files::cache_folder().unwrap_or_else(std::env::temp_dir);
        let failed = |error| {
            files::cannot_write(&folder, error).context(
                "the text has more distinct words than fit into memory for counting, and they cannot be written to the disk",
            )
        };
        let words = shard.table.sorted();
        let mut spilled = lock(&self.spilled);
        let SpillFile { file, length } = match &mut *spilled {
            Some(spilled) => spilled,
            none => {
                let file = files::temporary_file().map_err(failed)?;
                none.insert(SpillFile { file, length: 0 })
            }
        };
        let mut out = BufWriter::with_capacity(1 << 20, &*file);
        let start = *length;
        for (word, count) in words {
            *length += write_word(&mut out, word, count).map_err(failed)?;
        }
        out.flush().map_err(failed)?;
        shard.runs.push(start..*length);
        drop(out);
        shard.table.clear();
        Ok(())
    }

    /// Ends the counting. All threads must have flushed their counts.
    ///
    /// # Errors
    ///
    /// If the spill file cannot be read.
    pub(super) fn finish(self) -> Result<WordCounts> {
        let spilled = self.spilled.into_inner();
        let spilled = spilled.unwrap_or_else(PoisonError::into_inner);
        let map = match spilled {
            None => None,
            // SAFETY: the file has no name, so no other process writes to it.
            #[allow(unsafe_code)]
            Some(SpillFile { file, .. }) => Some(unsafe { Mmap::map(&file) }.map_err(|error| {
                Error::data("cannot read the word counts that were written to the disk")
                    .because(error)
                    .help("check the disk and the limits on memory")
            })?),
        };
        let shards = self.shards.into_iter().map(Mutex::into_inner);
        Ok(WordCounts {
            shards: shards
                .map(|shard| shard.unwrap_or_else(PoisonError::into_inner))
                .collect(),
            map,
            pages: PageBudget::default(),
        })
    }
}

/// The counts of one thread. They reach the shared counts by [`ThreadCounter::flush`].
pub(super) struct ThreadCounter<'a> {
    shared: &'a WordCounter,
    table: CountTable,
}

impl ThreadCounter<'_> {
    /// Counts a word. Returns whether the word is new to this table, and so may be new altogether.
    #[inline]
    pub(super) fn count(&mut self, word: &[u8]) -> bool {
        let hasher = &self.shared.hasher;
        self.table.add(hasher, hasher.hash_one(word), word, 1)
    }

    /// Flushes the counts if there are many. Must be called regularly.
    ///
    /// # Errors
    ///
    /// Same as [`ThreadCounter::flush`].
    #[inline]
    pub(super) fn flush_if_full(&mut self) -> Result<()> {
        if self.table.len() >= THREAD_WORDS || self.table.bytes() >= THREAD_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Adds the counts to the shared ones.
    ///
    /// # Errors
    ///
    /// If the words exceed the budget and cannot be written to the disk.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.shared.add(&self.table)?;
        self.table.clear();
        Ok(())
    }
}

/// All words with their counts.
pub(super) struct WordCounts {
    shards: Vec<Shard>,
    map: Option<Mmap>,
    pages: PageBudget,
}

impl WordCounts {
    /// Calls `take` with every word once, in batches, in no particular order and from many threads. Stops at the first error.
    pub(super) fn for_each(
        self,
        take: impl Fn(&[WordCount<'_>]) -> Result<()> + Sync,
    ) -> Result<()> {
        const BATCH: usize = 4096;
        let WordCounts { shards, map, pages } = self;
        // Each shard is freed as soon as its words are done.
        shards.into_par_iter().try_for_each(|shard| {
            let mut batch = Vec::with_capacity(BATCH);
            for word in shard.words(map.as_ref(), &pages) {
                batch.push(word);
                if batch.len() == BATCH {
                    take(&batch)?;
                    batch.clear();
                }
            }
            take(&batch)
        })
    }
}

impl Shard {
    /// Every word once, with its total count.
    fn words<'a>(
        &'a self,
        map: Option<&'a Mmap>,
        pages: &'a PageBudget,
    ) -> Box<dyn Iterator<Item = WordCount<'a>> + 'a> {
        let Some(map) = map.filter(|_| !self.runs.is_empty()) else {
            return Box::new(self.table.iter());
        };
        let spilled = self.runs.iter();
        let spilled = spilled.map(|run| SortedRun::Spilled(&map[run.clone()]));
        let in_memory = SortedRun::InMemory(self.table.sorted().into_iter());
        let note_read = move |bytes| pages.note_read(bytes, once(map));
        Box::new(Merge::new(
            spilled.chain(once(in_memory)).collect(),
            note_read,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Checks the counts against those of a map. Returns how many runs were spilled.
    fn check(words: &[Vec<u8>], budget: usize, threads: usize) -> usize {
        let mut expected: BTreeMap<&[u8], u64> = BTreeMap::new();
        for word in words {
            *expected.entry(word).or_default() += 1;
        }
        let counter = WordCounter::new(budget);
        std::thread::scope(|scope| {
            for mine in words.chunks(words.len().div_ceil(threads).max(1)) {
                let counter = &counter;
                scope.spawn(move || {
                    let mut thread = counter.thread();
                    for (k, word) in mine.iter().enumerate() {
                        thread.count(word);
                        thread.flush_if_full().unwrap();
                        if k % 97 == 96 {
                            thread.flush().unwrap();
                        }
                    }
                    thread.flush().unwrap();
                });
            }
        });
        let counts = counter.finish().unwrap();
        let found = Mutex::new(BTreeMap::new());
        let take = |batch: &[(&[u8], u64)]| {
            for &(word, count) in batch {
                let before = found.lock().unwrap().insert(word.to_vec(), count);
                assert_eq!(before, None, "a word comes twice");
            }
            Ok(())
        };
        let runs = counts.shards.iter().map(|shard| shard.runs.len()).sum();
        counts.for_each(take).unwrap();
        let found = found.into_inner().unwrap();
        let found: BTreeMap<&[u8], u64> = found.iter().map(|(word, n)| (&word[..], *n)).collect();
        assert_eq!(found, expected);
        runs
    }

    #[test]
    fn words_beyond_the_budget_are_spilled() {
        let words: Vec<Vec<u8>> = (0..60_000_u32)
            .map(|k| format!("word{}", k * k % 30_011).into_bytes())
            .collect();
        assert_eq!(check(&words, 1 << 30, 3), 0);
        let runs = check(&words, 1 << 18, 3);
        // Far fewer than the flushes, which are about 40,000.
        assert!((100..2000).contains(&runs), "{runs}");
        // Without a budget, every flush spills a run.
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
