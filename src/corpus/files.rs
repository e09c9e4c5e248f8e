//! The files of a corpus: copied into memory if they are small, else mapped.
//!
//! Readers report what they read ([`Corpus::note_read`]), so that pages are released again and memory does not grow with the
//! corpus.
//!
//! A text is identified by a digest of all its bytes, computed per file on first use. The token cache remembers the digests of
//! unchanged files ([`Corpus::remember`]), so that they are not read again.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::Utf8Error;
use std::sync::OnceLock;

use memmap2::Mmap;
use rayon::prelude::*;

use super::contents::COPIED;
use super::expand::expand;
use super::held_out::held_out;
use super::normalise::Failure;
use super::pages::PageBudget;
use super::text_file::TextFile;
use super::tokens::BadUtf8;
use crate::config::{DataConfig, Normalization, ValidChoice};
use crate::digest::Xxh64;
use crate::error::{Error, Result};
use crate::files;
use crate::team;

/// The files of a corpus in name order.
#[derive(Debug)]
pub struct Corpus {
    files: Vec<TextFile>,
    sources: Vec<Source>,
    pages: PageBudget,
    /// Whether `data.valid_share` divided the text.
    is_part: bool,
    /// See [`Corpus::digest`].
    digest: OnceLock<u64>,
}

/// A file that was opened for a corpus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its path.
    pub path: PathBuf,
    /// Its size, of which the corpus may have a part.
    pub bytes: u64,
}

/// The two parts of a text of which a share is held out for validation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The lines that are not held out for validation.
    Training,
    /// The lines that are held out for validation.
    Validation,
}

impl Corpus {
    /// Opens the files that match these names and patterns; see [`expand`].
    ///
    /// # Errors
    ///
    /// Same as [`expand`], and if a file cannot be read or all files are empty.
    pub fn open<P: AsRef<Path>>(patterns: &[P]) -> Result<Corpus> {
        Corpus::open_as(patterns, Normalization::None)
    }

    /// Same as [`Corpus::open`], with the text in a Unicode normalization form.
    ///
    /// # Errors
    ///
    /// Same as [`Corpus::open`]. If text must be normalized, also if it is not UTF-8 (with file and line) or a temporary file
    /// cannot be written.
    pub fn open_as<P: AsRef<Path>>(patterns: &[P], form: Normalization) -> Result<Corpus> {
        // Texts are read on all threads.
        team::start().map_err(Error::no_thread)?;
        let paths = expand(patterns)?;
        let lengths = paths.iter().filter_map(|path| path.metadata().ok());
        let copied = lengths.map(|metadata| metadata.len()).sum::<u64>() < COPIED;
        let files = paths.into_iter().map(|path| TextFile::open(path, copied));
        let files = files.collect::<Result<Vec<TextFile>>>()?;
        let source = |file: &TextFile| Source {
            path: file.path().to_path_buf(),
            bytes: file.text().len() as u64,
        };
        let mut corpus = Corpus {
            sources: files.iter().map(source).collect(),
            files,
            pages: PageBudget::default(),
            is_part: false,
            digest: OnceLock::new(),
        };
        if form != Normalization::None {
            let mut files = std::mem::take(&mut corpus.files);
            let normalised: Vec<_> = files
                .par_iter_mut()
                .map(|file| file.normalise(form))
                .collect();
            corpus.files = files;
            for (file, result) in normalised.into_iter().enumerate() {
                result.map_err(|failure| match failure {
                    Failure::Text(bad) => corpus.bad_utf8(file, bad),
                    Failure::Disk(error) => error,
                })?;
            }
        }
        for file in &corpus.files {
            if file.text().is_empty() {
                let path = file.path().display();
                if corpus.bytes() == 0 {
                    return Err(Error::data(format!("`{path}` is empty"))
                        .help("a corpus is UTF-8 text, one sentence or paragraph per line"));
                }
                tracing::warn!(file = %path, "a file of the corpus is empty");
            }
        }
        Ok(corpus)
    }

    /// Opens the training text of a configuration, without the lines that `data.valid_share` holds out.
    ///
    /// # Errors
    ///
    /// Same as [`Corpus::open`], and if no line is left.
    pub fn training(data: &DataConfig) -> Result<Corpus> {
        let corpus = Corpus::open_as(&data.train, data.normalization)?;
        if data.valid.is_empty() && data.valid_share > 0.0 {
            corpus.part(data, Part::Training)
        } else {
            Ok(corpus)
        }
    }

    /// Opens the validation text of a configuration: `data.valid`, or the lines of the training text that
    /// `data.valid_share` holds out. `None` if the configuration has neither.
    ///
    /// # Errors
    ///
    /// Same as [`Corpus::training`].
    pub fn validation(data: &DataConfig) -> Result<Option<Corpus>> {
        if !data.valid.is_empty() {
            Corpus::open_as(&data.valid, data.normalization).map(Some)
        } else if data.valid_share > 0.0 {
            Corpus::open_as(&data.train, data.normalization)?
                .part(data, Part::Validation)
                .map(Some)
        } else {
            Ok(None)
        }
    }

    /// The training lines, or the lines that are held out for validation.
    fn part(mut self, data: &DataConfig, part: Part) -> Result<Corpus> {
        if data.valid_choice == ValidChoice::Random {
            // Later errors could not name the line in the file.
            (0..self.files()).try_for_each(|file| {
                let bad = |error: Utf8Error| self.bad_utf8(file, BadUtf8(error.valid_up_to()));
                std::str::from_utf8(self.text(file)).map(drop).map_err(bad)
            })?;
        }
        let texts: Vec<&[u8]> = self.files.iter().map(TextFile::text).collect();
        let ranges = held_out(&texts, data.valid_share, data.valid_choice, data.order);
        let mut kept = Vec::new();
        for (mut file, held_out) in self.files.drain(..).zip(ranges) {
            file.keep(&match part {
                Part::Training => between(&held_out, file.text().len()),
                Part::Validation => held_out,
            });
            if !file.text().is_empty() {
                kept.push(file);
            }
        }
        if kept.is_empty() {
            let what = match part {
                Part::Training => "training",
                Part::Validation => "validation",
            };
            return Err(Error::data(format!(
                "`data.valid_share` leaves no line for the {what} text"
            ))
            .help(
                "use a text with more lines (`fold -s -w 200 TEXT` breaks long ones), or set `data.valid`",
            ));
        }
        (self.files, self.is_part) = (kept, true);
        Ok(self)
    }

    /// Whether this is one of the two parts into which `data.valid_share` divides a text.
    pub fn is_part(&self) -> bool {
        self.is_part
    }

    /// Number of files.
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// The files that were opened, including those of which this corpus has no line; see [`Corpus::validation`].
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Bytes of all files, without byte order marks.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.text().len() as u64).sum()
    }

    /// Digest of every byte of the text and of how it is split into files. File names do not matter.
    ///
    /// The first call reads all files whose digest is not remembered.
    pub fn digest(&self) -> u64 {
        if let Some(known) = self.digest.get() {
            return *known;
        }
        let files: Vec<[u64; 2]> = (0..self.files())
            .into_par_iter()
            .map(|file| [self.text(file).len() as u64, self.file_digest(file)])
            .collect();
        let mut all = Xxh64::default();
        for number in files.as_flattened() {
            all.add(&number.to_le_bytes());
        }
        *self.digest.get_or_init(|| all.value())
    }

    /// Digest of the text of file `file`.
    pub(super) fn file_digest(&self, file: usize) -> u64 {
        *self.files[file].digest.get_or_init(|| {
            let mut content = Xxh64::default();
            for block in self.text(file).chunks(1 << 20) {
                // The next read of the text reports it, so that this digest is not used.
                if !self.files[file].is_whole() {
                    break;
                }
                content.add(block);
                self.note_read(block.len());
            }
            content.value()
        })
    }

    /// Sets the digest of file `file`, if the file still has the stamp for which that digest was computed.
    pub(super) fn remember(&self, file: usize, stamp: &str, digest: u64) {
        if self.stamp(file) == Some(stamp) {
            let _ = self.files[file].digest.set(digest);
        }
    }

    /// Identifies the content of file `file` without reading it. `None` if the file has just been changed.
    pub(super) fn stamp(&self, file: usize) -> Option<&str> {
        self.files[file].stamp()
    }

    /// Path of file `file`.
    pub fn path(&self, file: usize) -> &Path {
        self.files[file].path()
    }

    /// Bytes of file `file`.
    #[inline]
    pub(super) fn text(&self, file: usize) -> &[u8] {
        self.files[file].text()
    }

    /// Fails if a mapped file was truncated.
    pub(super) fn check_whole(&self) -> Result<()> {
        self.files.iter().try_for_each(TextFile::check_whole)
    }

    /// Fails if file `file` is mapped and was truncated. Readers of long ranges call it between them.
    pub(super) fn check_file(&self, file: usize) -> Result<()> {
        self.files[file].check_whole()
    }

    /// Records a read of about this many bytes; see [`PageBudget`].
    pub(super) fn note_read(&self, bytes: usize) {
        self.pages.note_read(bytes, self.maps());
    }

    /// Records a read of a few bytes at a random offset of file `file`.
    pub(super) fn note_random_read(&self, file: usize) {
        let length = self.text(file).len();
        self.pages.note_random_read(length, self.maps());
    }

    fn maps(&self) -> impl Iterator<Item = &Mmap> {
        self.files.iter().filter_map(TextFile::map)
    }

    /// The error for bytes of file `file` that are not UTF-8, or for a NUL byte.
    pub(super) fn bad_utf8(&self, file: usize, BadUtf8(at): BadUtf8) -> Error {
        let line = self.files[file].line_number(at);
        let path = self.path(file).display();
        let rest = &self.text(file)[at..];
        if rest.first() == Some(&0) {
            return files::nul_at(&path.to_string(), line, rest);
        }
        Error::data(format!(
            "{path}:{line}: not UTF-8 (byte {at} of the file's text)"
        ))
        .help("convert the file, for instance with `iconv -f latin1 -t utf-8`")
    }
}

/// The ranges of `0..end` that `ranges` do not cover.
fn between(ranges: &[Range<usize>], end: usize) -> Vec<Range<usize>> {
    let starts = [0].into_iter().chain(ranges.iter().map(|range| range.end));
    let ends = ranges.iter().map(|range| range.start).chain([end]);
    let all = starts.zip(ends).map(|(start, end)| start..end);
    all.filter(|range| !range.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn digests_see_every_byte_and_how_text_is_cut_into_files() {
        let folder = tempfile::tempdir().unwrap();
        let digest = |files: &[&[u8]]| {
            let paths: Vec<_> = (0..files.len())
                .map(|k| folder.path().join(k.to_string()))
                .collect();
            for (path, bytes) in paths.iter().zip(files) {
                fs::write(path, bytes).unwrap();
            }
            Corpus::open(&paths).unwrap().digest()
        };
        let text = b"some text\n".repeat(50_000);
        let whole = digest(&[&text]);
        assert_eq!(digest(&[&text]), whole);
        for place in [0, 100_003, 250_000, text.len() - 2] {
            let mut changed = text.clone();
            changed[place] ^= 1;
            assert_ne!(digest(&[&changed]), whole, "{place}");
        }
        let (first, second) = text.split_at(250_004);
        assert_ne!(digest(&[first, second]), whole);
        assert_ne!(digest(&[second, first]), digest(&[first, second]));
        // Neither the name of a file nor a byte order mark at its start matters.
        let marked = [b"\xef\xbb\xbf", &text[..]].concat();
        assert_eq!(digest(&[&marked]), whole);
    }

    #[test]
    fn a_digest_is_remembered_until_the_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        fs::write(&path, "one\n").unwrap();
        let fresh = Corpus::open(&[&path]).unwrap();
        assert_eq!(fresh.stamp(0), None, "it has just been written");
        let age = |seconds| {
            let file = fs::File::options().append(true).open(&path).unwrap();
            let then = SystemTime::now() - Duration::from_secs(seconds);
            file.set_modified(then).unwrap();
        };
        age(60);
        let old = Corpus::open(&[&path]).unwrap();
        let stamp = old.stamp(0).unwrap().to_owned();
        old.remember(0, "another stamp", 1);
        assert_eq!(old.file_digest(0), Xxh64::of(b"one\n"));
        let again = Corpus::open(&[&path]).unwrap();
        again.remember(0, &stamp, 7);
        assert_eq!(again.file_digest(0), 7);
        fs::write(&path, "two\n").unwrap();
        age(90);
        let changed = Corpus::open(&[&path]).unwrap();
        assert_ne!(changed.stamp(0).unwrap(), stamp);
        changed.remember(0, &stamp, 7);
        assert_eq!(changed.file_digest(0), Xxh64::of(b"two\n"));
    }

    #[test]
    fn empty_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.txt");
        fs::write(&empty, "").unwrap();
        let error = Corpus::open(&[&empty]).unwrap_err();
        assert!(error.to_string().contains("is empty"), "{error}");
        // An empty file among others is allowed.
        fs::write(folder.path().join("full.txt"), "\u{feff}a b\n").unwrap();
        let corpus = Corpus::open(&[folder.path().join("*")]).unwrap();
        assert_eq!((corpus.files(), corpus.bytes()), (2, 4));
        assert_eq!(corpus.text(1), b"a b\n");
    }
}
