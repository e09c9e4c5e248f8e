//! Shuffles the files of an epoch and the lines of a file.
//!
//! The order of lines is a keyed permutation that is computed, not stored. Lines are found by an index of every 32nd line of the
//! file that is being read. Shuffling therefore needs a quarter of a byte for each line of one file.

use crate::random::{Purpose, Stream};

/// Lines between two entries of a [`LineIndex`].
const STRIDE: usize = 32;

/// The numbers `0..files` in the order in which the files of an epoch are read.
pub(super) fn file_order(files: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..files).collect();
    let mut stream = Stream::new(seed, Purpose::Shuffle, step_of(epoch, None));
    for k in (1..files).rev() {
        order.swap(k, stream.below(k as u64 + 1) as usize);
    }
    order
}

/// The step of the random stream for the files (`None`) or for the lines of one file in an epoch.
fn step_of(epoch: u64, file: Option<usize>) -> u64 {
    epoch << 32 | file.map_or(0, |file| file as u64 + 1)
}

/// A keyed permutation of `0..len`: a Feistel network over pairs `(left, right)` with two nearly equal moduli whose product is at
/// least `len`. Values outside `0..len` are permuted again until they fall inside (cycle walking).
#[derive(Clone, Debug)]
pub(super) struct Permutation {
    len: u64,
    /// The number of values of `left` and of `right`.
    sides: [u64; 2],
    keys: [u64; Permutation::ROUNDS],
}

impl Permutation {
    const ROUNDS: usize = 8;

    /// The order of the `len` lines of a file in an epoch.
    pub(super) fn of_lines(len: u64, seed: u64, epoch: u64, file: usize) -> Permutation {
        let mut stream = Stream::new(seed, Purpose::Shuffle, step_of(epoch, Some(file)));
        let left = len.isqrt().max(1);
        Permutation {
            len,
            sides: [left, len.div_ceil(left)],
            keys: std::array::from_fn(|_| {
                u64::from(stream.next_u32()) << 32 | u64::from(stream.next_u32())
            }),
        }
    }

    /// The number at position `k`.
    ///
    /// # Panics
    ///
    /// If `k` is not below the length.
    pub(super) fn at(&self, k: u64) -> u64 {
        assert!(k < self.len, "position {k} of {}", self.len);
        let mut value = k;
        loop {
            let mut halves = [value / self.sides[1], value % self.sides[1]];
            for (round, key) in self.keys.iter().enumerate() {
                let (changed, by) = (round % 2, 1 - round % 2);
                let side = self.sides[changed];
                halves[changed] = (halves[changed] + mix(halves[by] ^ key) % side) % side;
            }
            value = halves[0] * self.sides[1] + halves[1];
            if value < self.len {
                return value;
            }
        }
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014): every input bit changes about half of the output bits.
fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// Line index of a text. The start of every 32nd line is stored; the others are searched from there.
#[derive(Clone, Debug)]
pub(super) struct LineIndex {
    starts: Vec<usize>,
    lines: usize,
}

impl LineIndex {
    /// Indexes a text. A last line without line feed counts. `note_read` receives the bytes read, a megabyte at a time.
    pub(super) fn new(text: &[u8], note_read: impl Fn(usize)) -> LineIndex {
        const BLOCK: usize = 1 << 20;
        let mut index = LineIndex {
            starts: Vec::new(),
            lines: 0,
        };
        index.add(text, 0);
        for (block, bytes) in text.chunks(BLOCK).enumerate() {
            for end in memchr::memchr_iter(b'\n', bytes) {
                index.add(text, block * BLOCK + end + 1);
            }
            note_read(bytes.len());
        }
        index
    }

    /// Adds the line that starts at `start`, unless that is the end of the text.
    fn add(&mut self, text: &[u8], start: usize) {
        if start < text.len() {
            if self.lines.is_multiple_of(STRIDE) {
                self.starts.push(start);
            }
            self.lines += 1;
        }
    }

    /// Number of lines.
    pub(super) fn len(&self) -> usize {
        self.lines
    }

    /// Start of line `line` of the same text.
    pub(super) fn start(&self, text: &[u8], line: usize) -> usize {
        let near = self.starts[line / STRIDE];
        let skipped = line % STRIDE;
        let mut ends = memchr::memchr_iter(b'\n', &text[near..]);
        match skipped.checked_sub(1).and_then(|k| ends.nth(k)) {
            Some(end) => near + end + 1,
            None => near,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permutations_contain_every_number_once() {
        for len in (1..70).chain([99, 100, 101, 1000, 4097]) {
            let permutation = Permutation::of_lines(len, 7, 2, 3);
            let mut seen: Vec<_> = (0..len).map(|k| permutation.at(k)).collect();
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..len), "{len}");
        }
    }

    #[test]
    fn permutations_depend_on_seed_epoch_and_file() {
        let order = |seed, epoch, file| -> Vec<u64> {
            let permutation = Permutation::of_lines(200, seed, epoch, file);
            (0..200).map(|k| permutation.at(k)).collect()
        };
        let first = order(1, 1, 0);
        assert_eq!(first, order(1, 1, 0));
        for other in [order(2, 1, 0), order(1, 2, 0), order(1, 1, 1)] {
            assert_ne!(first, other);
        }
        assert_ne!(file_order(20, 1, 1), file_order(20, 1, 2));
        let mut files = file_order(20, 1, 1);
        files.sort_unstable();
        assert!(files.into_iter().eq(0..20));
    }

    /// Over many keys, every line comes at every position about equally often, and so does every pair of neighbours.
    #[test]
    fn permutations_are_fair() {
        let (len, keys) = (11, 20_000);
        let mut places = vec![0.0; 121];
        let mut neighbours = vec![0.0; 121];
        for epoch in 0..keys {
            let permutation = Permutation::of_lines(len, 5, epoch, 0);
            let order: Vec<_> = (0..len).map(|k| permutation.at(k) as usize).collect();
            for (k, &line) in order.iter().enumerate() {
                places[k * 11 + line] += 1.0;
            }
            for pair in order.windows(2) {
                neighbours[pair[0] * 11 + pair[1]] += 1.0;
            }
        }
        let expected = keys as f64 / 11.0;
        let worst = places.iter().map(|n: &f64| (n - expected).abs());
        // Five standard deviations of a binomial count.
        assert!(worst.fold(0.0, f64::max) < 5.0 * expected.sqrt());
        for (k, &count) in neighbours.iter().enumerate() {
            let expected: f64 = if k / 11 == k % 11 { 0.0 } else { expected };
            assert!(
                (count - expected).abs() <= 5.0 * expected.sqrt(),
                "{k}: {count}"
            );
        }
    }

    #[test]
    fn lines_are_found() {
        for lines in [0, 1, 31, 32, 33, 100] {
            for last in ["", "end"] {
                let mut text = String::new();
                let mut starts = Vec::new();
                for k in 0..lines {
                    starts.push(text.len());
                    text.push_str(&"x".repeat(k % 5));
                    text.push('\n');
                }
                if !last.is_empty() {
                    starts.push(text.len());
                    text.push_str(last);
                }
                let index = LineIndex::new(text.as_bytes(), |_| {});
                assert_eq!(index.len(), starts.len());
                for (line, &start) in starts.iter().enumerate() {
                    assert_eq!(index.start(text.as_bytes(), line), start);
                }
            }
        }
    }
}
