//! Text that is also in the training text.
//!
//! The perplexity of training text says little about other texts. Files of a text that are copies of training files are found by
//! their digests. Otherwise a sample of the long lines of the text is searched in the training text, of which about [`SEARCHED`]
//! bytes are compared. A text without long lines, or of one line only, is searched by passages that start at its words.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::chunks::Chunk;
use super::files::Corpus;
use crate::config::Normalization;
use crate::digest::Xxh64;
use crate::error::Result;

/// The maximum number of lines or passages that are searched.
const LINES: usize = 2000;

/// The minimum number of lines or passages for which a share is computed.
const MIN_LINES: usize = 10;

/// The minimum number of bytes of a line. Shorter lines, such as titles, can match by chance.
const LONG: usize = 32;

/// Bytes of a passage. They have several words or short lines, so that a passage does not match by chance.
const PASSAGE: usize = 96;

/// Bytes of a line or passage that are compared first.
const START: usize = 24;

/// Bytes of a line that are compared.
const COMPARED: usize = 4096;

/// The number of bytes of the training text that are compared, at most. The last line can exceed it.
const SEARCHED: usize = 256 << 20;

/// Bytes of a sample of the training text.
const SAMPLE: usize = 1 << 18;

/// Bytes of a sample of the text that is searched for.
const OWN_SAMPLE: usize = 1 << 14;

/// Bytes at both ends of a file that are compared before its digest is computed.
const ENDS: usize = 1 << 12;

/// The minimum share for a warning.
const MANY: f64 = 0.05;

/// The part of a text that is also in the training text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overlap {
    /// The share of its bytes in files that are copies of training files, or, if that is larger, the share of its long lines or of
    /// its passages that were found: from 0 to 1. An estimate if only part of the training text was read.
    pub share: f64,
    /// Whether the share is one of lines.
    pub is_of_lines: bool,
    /// The number of copied files, lines or passages that were found.
    found: usize,
    /// The number of them for a warning.
    enough: usize,
}

impl Overlap {
    /// Searches `text` in `training`, whose text is normalized while it is read. `None` if there is too little text.
    ///
    /// # Errors
    ///
    /// If a file is mapped and was truncated.
    pub fn of(text: &Corpus, training: &Corpus, form: Normalization) -> Result<Option<Overlap>> {
        let (bytes, copies) = copies(text, training)?;
        let copied = Overlap {
            share: bytes as f64 / text.bytes().max(1) as f64,
            is_of_lines: false,
            found: copies,
            enough: 1,
        };
        let copied = (copies > 0).then_some(copied);
        if bytes as u64 == text.bytes() {
            return Ok(copied);
        }
        for unit in [Unit::Line, Unit::Passage] {
            let wanted = Wanted::of(text, unit)?;
            if wanted.count >= MIN_LINES {
                let found = wanted.search(training, form)?;
                return Ok(copied
                    .filter(|copied| copied.share > found.share)
                    .or(Some(found)));
            }
        }
        Ok(copied)
    }

    /// Whether enough was found to warn: the text is, or contains, a part of the training text.
    pub fn is_large(&self) -> bool {
        self.share >= MANY && self.found >= self.enough
    }
}

/// The bytes and the number of the files of `text` that are copies of files of `training`.
fn copies(text: &Corpus, training: &Corpus) -> Result<(usize, usize)> {
    let mut by_length: HashMap<usize, Vec<usize>> = HashMap::new();
    for file in 0..training.files() {
        by_length
            .entry(training.text(file).len())
            .or_default()
            .push(file);
    }
    let (mut bytes, mut files) = (0, 0);
    for file in 0..text.files() {
        text.check_file(file)?;
        let own = text.text(file);
        for &other in by_length.get(&own.len()).into_iter().flatten() {
            training.check_file(other)?;
            let theirs = training.text(other);
            let ends = |bytes: &[u8]| {
                let length = bytes.len().min(ENDS);
                [&bytes[..length], &bytes[bytes.len() - length..]].concat()
            };
            if ends(own) == ends(theirs) && text.file_digest(file) == training.file_digest(other) {
                (bytes, files) = (bytes + own.len(), files + 1);
                break;
            }
        }
    }
    Ok((bytes, files))
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// Long lines, without white space at their ends.
    Line,
    /// [`PASSAGE`] bytes from the start of a word, or from a character that is not ASCII.
    Passage,
}

impl Unit {
    /// About `count` evenly spaced samples of a corpus, of about `size` bytes each.
    fn samples(self, corpus: &Corpus, count: usize, size: usize) -> Result<Vec<Chunk>> {
        match self {
            Unit::Line => corpus.samples(count, size),
            Unit::Passage => Ok(corpus.blocks(count, size)),
        }
    }

    /// Calls `take` with all lines or passages of a text.
    fn for_each<'a>(self, text: &'a [u8], mut take: impl FnMut(&'a [u8])) {
        match self {
            Unit::Line => long_lines(text).for_each(take),
            Unit::Passage => {
                let mut before = b' ';
                for (at, byte) in text.iter().enumerate() {
                    let starts = (matches!(before, b' ' | b'\n') && *byte > b' ') || *byte >= 0xc0;
                    before = *byte;
                    if starts {
                        let Some(passage) = text[at..].get(..PASSAGE) else {
                            return;
                        };
                        take(passage);
                    }
                }
            }
        }
    }
}

/// Digests of evenly spaced lines or passages of a text.
struct Wanted {
    unit: Unit,
    /// Grouped by their first bytes.
    digests: HashMap<[u8; START], HashSet<u64>>,
    count: usize,
}

impl Wanted {
    fn of(text: &Corpus, unit: Unit) -> Result<Wanted> {
        let mut digests: HashMap<[u8; START], HashSet<u64>> = HashMap::new();
        let samples = unit.samples(text, LINES / 10, OWN_SAMPLE)?;
        let in_sample = LINES.div_ceil(samples.len().max(1));
        for sample in samples {
            text.check_file(sample.file)?;
            let bytes = &text.text(sample.file)[sample.range.clone()];
            let mut count = 0_usize;
            unit.for_each(bytes, |_| count += 1);
            text.note_read(bytes.len());
            let step = count.div_ceil(in_sample).max(1);
            let mut number = 0_usize;
            unit.for_each(bytes, |line| {
                if let Some(start) = line.first_chunk::<START>()
                    && number.is_multiple_of(step)
                {
                    digests.entry(*start).or_default().insert(digest(line));
                }
                number += 1;
            });
        }
        Ok(Wanted {
            unit,
            count: digests.values().map(HashSet::len).sum(),
            digests,
        })
    }

    /// Searches them in a text, which is normalized while it is read.
    fn search(&self, training: &Corpus, form: Normalization) -> Result<Overlap> {
        // Most lines cannot match. A table of first bytes shows this without hashing the line.
        let mut slots = vec![false; 1 << 16];
        for start in self.digests.keys() {
            slots[slot_of(start)] = true;
        }
        let samples = self.unit.samples(training, SEARCHED / SAMPLE, SAMPLE)?;
        let searched = AtomicU64::new(0);
        let search = |sample: &Chunk| -> Result<HashSet<u64>> {
            training.check_file(sample.file)?;
            let bytes = &training.text(sample.file)[sample.range.clone()];
            searched.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            training.note_read(bytes.len());
            let normalized = normalized(bytes, form);
            let mut found = HashSet::new();
            self.unit.for_each(&normalized, |line| {
                if slots[slot_of(line)]
                    && let Some(same) = line.first_chunk().and_then(|start| self.digests.get(start))
                {
                    let digest = digest(line);
                    if same.contains(&digest) {
                        found.insert(digest);
                    }
                }
            });
            Ok(found)
        };
        let found: Result<Vec<HashSet<u64>>> = samples.par_iter().map(search).collect();
        let found: HashSet<u64> = found?.into_iter().flatten().collect();
        let read = searched.into_inner() as f64 / training.bytes().max(1) as f64;
        Ok(Overlap {
            share: (found.len() as f64 / self.count as f64 / read).min(1.0),
            is_of_lines: self.unit == Unit::Line,
            found: found.len(),
            enough: MIN_LINES / 2,
        })
    }
}

/// A sample of a text in a Unicode normalization form.
fn normalized(sample: &[u8], form: Normalization) -> Cow<'_, [u8]> {
    if form == Normalization::None || sample.is_ascii() {
        return Cow::Borrowed(sample);
    }
    // A sample can start and end within a character.
    let text = String::from_utf8_lossy(sample);
    match form.apply(&text) {
        Cow::Owned(changed) => Cow::Owned(changed.into_bytes()),
        Cow::Borrowed(_) => Cow::Borrowed(sample),
    }
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
    let compared = line.len().min(COMPARED);
    digest.add(&line[..compared]);
    // A longer line can be cut.
    digest.add(&(compared as u64).to_le_bytes());
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
        Overlap::of(&text, &training, Normalization::None).unwrap()
    }

    /// A random text of words, `in_line` in a line.
    fn short(seed: u64, words: usize, in_line: usize) -> String {
        let mut state = seed;
        let mut word = |k: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let end = if k % in_line == in_line - 1 {
                "\n"
            } else {
                " "
            };
            format!("w{:x}{end}", state >> 52)
        };
        (0..words).map(&mut word).collect()
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
        let titles = "a b\n= A title that is long enough to count =\n".repeat(50);
        assert!(!overlap(&titles, &training).unwrap().is_large());
    }

    /// Texts of short lines and texts of one line.
    #[test]
    fn text_without_long_lines_is_compared() {
        for in_line in [1, 3, usize::MAX] {
            let training = short(1, 200_000, in_line);
            let piece = |text: &str, start: usize, bytes: usize| text[start..][..bytes].to_owned();
            for (text, share) in [
                (training.clone(), 1.0),
                (piece(&training, 300_001, 200_000), 1.0),
                (piece(&training, 3, 900) + &short(2, 180, in_line), 0.5),
                (short(3, 5_000, in_line), 0.0),
            ] {
                let found = overlap(&text, &training).unwrap();
                assert!((found.share - share).abs() < 0.1, "{found:?}, not {share}");
                assert_eq!(found.is_large(), share > 0.0);
                assert!(!found.is_of_lines);
            }
        }
        let unspaced = "\u{65e5}\u{672c}\u{8a9e}".repeat(30) + &"本の日語".repeat(40);
        let found = overlap(&(unspaced.clone() + "a"), &unspaced).unwrap();
        assert!(found.is_large(), "{found:?}");
        // A file of a few words can be a copy too.
        assert!(overlap("a b\nc\n", "a b\nc\n").unwrap().is_large());
        assert_eq!(overlap("a b\nc\n", "a b\nd\n"), None);
    }

    /// The training text is in another normalization form.
    #[test]
    fn training_text_is_normalized() {
        let accents = |text: String| text.replace("the", "th\u{e9}").replace(" w", " \u{e9}w");
        let decomposed = |text: &str| text.replace('\u{e9}', "e\u{301}");
        for text in [
            accents(lines(0..500).replace("long", "the long")),
            accents(short(1, 20_000, 3)),
        ] {
            let (_one, own) = corpus(&text);
            let (_two, training) = corpus(&decomposed(&text));
            let found = Overlap::of(&own, &training, Normalization::Nfc).unwrap();
            assert!(found.unwrap().share > 0.9, "{found:?}");
            let found = Overlap::of(&own, &training, Normalization::None).unwrap();
            assert!(!found.unwrap().is_large(), "{found:?}");
        }
    }

    /// Many lines with the same start take no longer than others.
    #[test]
    fn lines_with_the_same_start_are_compared() {
        let log = |range: std::ops::Range<usize>| -> String {
            range
                .map(|k| format!("2026-12-01 00:00:00 server[1]: request {k}\n"))
                .collect()
        };
        let found = overlap(&log(90_000..110_000), &log(0..100_000)).unwrap();
        assert!((found.share - 0.5).abs() < 0.05, "{found:?}");
    }
}
