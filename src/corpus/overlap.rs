//! Lines of a text that are also in the training text.
//!
//! The perplexity of training text says little about other texts. A sample of the long lines of a text is searched in the training
//! text, of which at most [`SEARCHED`] bytes are read.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::files::Corpus;
use crate::digest::Xxh64;
use crate::error::Result;

/// The maximum number of lines that are searched.
const LINES: usize = 2000;

/// The minimum number of lines for which a share is computed.
const MIN_LINES: usize = 10;

/// The minimum number of bytes of a line. Shorter lines, such as titles, can match by chance.
const LONG: usize = 32;

/// Bytes of a line that are compared first.
const START: usize = 24;

/// Bytes of a line that are compared.
const COMPARED: usize = 4096;

/// The maximum number of bytes of the training text that are read.
const SEARCHED: usize = 256 << 20;

/// Bytes of a sample of a text.
const SAMPLE: usize = 1 << 18;

/// The minimum share of lines for a warning.
const MANY: f64 = 0.05;

/// The lines of a text that are also in the training text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overlap {
    /// Their share of the long lines, from 0 to 1. An estimate if only part of the training text was read.
    pub share: f64,
    /// The number of lines that were found.
    pub found: usize,
}

impl Overlap {
    /// Searches lines of `text` in `training`. `None` if the text has too few long lines.
    ///
    /// # Errors
    ///
    /// If a file is mapped and was truncated.
    pub fn of(text: &Corpus, training: &Corpus) -> Result<Option<Overlap>> {
        let wanted = sample(text)?;
        let lines: usize = wanted.values().map(Vec::len).sum();
        if lines < MIN_LINES {
            return Ok(None);
        }
        // Most lines cannot match. A table of first bytes shows this without hashing the line.
        let mut slots = vec![false; 1 << 16];
        for start in wanted.keys() {
            slots[slot_of(start)] = true;
        }
        let samples = training.samples(SEARCHED / SAMPLE, SAMPLE)?;
        let searched = AtomicU64::new(0);
        let search = |sample: &super::chunks::Chunk| -> Result<HashSet<u64>> {
            training.check_file(sample.file)?;
            let bytes = &training.text(sample.file)[sample.range.clone()];
            searched.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            training.note_read(bytes.len());
            let mut found = HashSet::new();
            for line in long_lines(bytes) {
                if slots[slot_of(line)]
                    && let Some(same) = wanted.get(&line[..START])
                {
                    let digest = digest(line);
                    if same.contains(&digest) {
                        found.insert(digest);
                    }
                }
            }
            Ok(found)
        };
        let found: Result<Vec<HashSet<u64>>> = samples.par_iter().map(search).collect();
        let found: HashSet<u64> = found?.into_iter().flatten().collect();
        let read = searched.into_inner() as f64 / training.bytes().max(1) as f64;
        Ok(Some(Overlap {
            share: (found.len() as f64 / lines as f64 / read).min(1.0),
            found: found.len(),
        }))
    }

    /// Whether enough lines match to warn: the text is, or contains, a part of the training text.
    pub fn is_large(&self) -> bool {
        self.share >= MANY && self.found >= MIN_LINES / 2
    }
}

/// Digests of evenly spaced long lines of a text, grouped by their first bytes.
fn sample(text: &Corpus) -> Result<HashMap<[u8; START], Vec<u64>>> {
    let mut lines: HashMap<[u8; START], Vec<u64>> = HashMap::new();
    let samples = text.samples(LINES / 10, 1 << 14)?;
    let in_sample = LINES.div_ceil(samples.len().max(1));
    for sample in samples {
        text.check_file(sample.file)?;
        let bytes = &text.text(sample.file)[sample.range.clone()];
        let count = long_lines(bytes).count();
        text.note_read(bytes.len());
        for line in long_lines(bytes).step_by(count.div_ceil(in_sample).max(1)) {
            if let Some(start) = line.first_chunk::<START>() {
                let same = lines.entry(*start).or_default();
                let digest = digest(line);
                if !same.contains(&digest) {
                    same.push(digest);
                }
            }
        }
    }
    Ok(lines)
}

/// The lines that are long enough, without white space at their ends. Titles such as `= Title =` are left out.
fn long_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', text).chain([text.len()]);
    let lines = ends.map(move |end| {
        let line = &text[start.min(end)..end];
        start = end + 1;
        line.trim_ascii()
    });
    lines.filter(|line| line.len() >= LONG && line[0] != b'=')
}

/// A hash of the first bytes of a line, below 65,536.
fn slot_of(line: &[u8]) -> usize {
    let first = line
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes));
    (first.wrapping_mul(0x9e37_79b1_85eb_ca87) >> 48) as usize
}

fn digest(line: &[u8]) -> u64 {
    let mut digest = Xxh64::default();
    digest.add(&line[..line.len().min(COMPARED)]);
    digest.add(&(line.len() as u64).to_le_bytes());
    digest.value()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn corpus(text: &str) -> (tempfile::TempDir, Corpus) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        fs::write(&path, text).unwrap();
        let corpus = Corpus::open(&[path]).unwrap();
        (folder, corpus)
    }

    fn lines(range: std::ops::Range<usize>) -> String {
        range
            .map(|k| {
                format!(
                    "= Title {k:030} =\n\nLine {k} of a text: it is long enough to be compared.\n"
                )
            })
            .collect()
    }

    fn overlap(text: &str, training: &str) -> Option<Overlap> {
        let (_one, text) = corpus(text);
        let (_two, training) = corpus(training);
        Overlap::of(&text, &training).unwrap()
    }

    #[test]
    fn the_share_of_common_lines_is_found() {
        let training = lines(0..20_000);
        for (text, share) in [
            (lines(3_000..4_000), 1.0),
            (lines(19_500..20_500), 0.5),
            (lines(20_000..21_000), 0.0),
            (training.replace('\n', "\r\n"), 1.0),
            (lines(10_000..60_000), 0.2),
        ] {
            let found = overlap(&text, &training).unwrap();
            assert!((found.share - share).abs() < 0.03, "{found:?}, not {share}");
            assert_eq!(found.is_large(), share > 0.0);
        }
        // Titles and other short lines do not count.
        assert_eq!(
            overlap(
                &"a b\n= A title that is long enough to count =\n".repeat(50),
                &training
            ),
            None
        );
    }
}
