//! The files of a corpus, mapped into memory.
//!
//! The operating system brings in pages as they are walked over. Whoever walks says so with [`Corpus::touched`], which now
//! and then lets the pages go again: the memory needed does not grow with the corpus.
//!
//! A text is known by a digest of all its bytes. It is made once for each file, when it is asked for; what the cache of tokens
//! remembers of an earlier run spares that ([`Corpus::remember`]).

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use memmap2::Mmap;
#[cfg(unix)]
use memmap2::UncheckedAdvice;
use rayon::prelude::*;

use super::names::expand;
use super::tokens::{BadUtf8, Item, Lexer, TokenKind};
use crate::config::DataConfig;
use crate::digest::Content;
use crate::error::{Error, Result};

/// The bytes of mapped files that may stay in memory, about.
const RESIDENT: usize = 64 << 20;

/// What the operating system brings in for one byte that is read somewhere (Linux maps 16 pages around it).
const AROUND: usize = 1 << 16;

/// Counts what is read of some mapped files, and lets go of their pages once these are many. What is still needed comes back
/// from the cache of the operating system.
#[derive(Debug, Default)]
pub(crate) struct Resident(AtomicUsize);

impl Resident {
    /// Notes that about this many bytes of the files were read.
    pub(crate) fn touched<'a>(&self, bytes: usize, maps: impl Iterator<Item = &'a Mmap>) {
        if self.0.fetch_add(bytes, Ordering::Relaxed) + bytes < RESIDENT {
            return;
        }
        self.0.store(0, Ordering::Relaxed);
        #[cfg(unix)]
        for map in maps {
            // SAFETY: the maps are shared and only read, so pages that are let go come back as they were.
            #[allow(unsafe_code)]
            let let_go = unsafe { map.unchecked_advise(UncheckedAdvice::DontNeed) };
            if let Err(error) = let_go {
                tracing::debug!(%error, "cannot let go of the pages of a corpus");
            }
        }
        #[cfg(not(unix))]
        drop(maps);
    }

    /// Notes that a few bytes were read somewhere in a file of this length that is read in no order.
    pub(crate) fn touched_somewhere<'a>(
        &self,
        length: usize,
        maps: impl Iterator<Item = &'a Mmap>,
    ) {
        // All of a smaller file may stay.
        if length > RESIDENT {
            self.touched(AROUND, maps);
        }
    }
}

/// One file of text.
#[derive(Debug)]
struct TextFile {
    path: PathBuf,
    map: Mmap,
    /// Where the text begins: after the byte order mark, if there is one, or where this part of the file does.
    start: usize,
    /// Where it ends.
    end: usize,
    /// See [`stamp_of`].
    stamp: Option<String>,
    /// The digest of the text.
    digest: OnceLock<u64>,
}

/// The files of a corpus in name order, mapped into memory.
#[derive(Debug)]
pub struct Corpus {
    files: Vec<TextFile>,
    resident: Resident,
    /// See [`Corpus::digest`].
    digest: OnceLock<u64>,
}

impl Corpus {
    /// Opens the files that these names and patterns stand for, see [`expand`].
    ///
    /// # Errors
    ///
    /// As [`expand`]; and if a file cannot be read, or none of them holds anything.
    pub fn open<P: AsRef<Path>>(patterns: &[P]) -> Result<Corpus> {
        let paths = expand(patterns)?;
        let files = paths.into_iter().map(TextFile::open);
        let corpus = Corpus {
            files: files.collect::<Result<_>>()?,
            resident: Resident::default(),
            digest: OnceLock::new(),
        };
        for (k, file) in corpus.files.iter().enumerate() {
            if corpus.text(k).is_empty() {
                if corpus.bytes() == 0 {
                    return Err(Error::data(format!("`{}` is empty", file.path.display()))
                        .help("a corpus is UTF-8 text, one sentence or paragraph a line"));
                }
                tracing::warn!(file = %file.path.display(), "a file of the corpus is empty");
            }
        }
        Ok(corpus)
    }

    /// The training text that a configuration names: without the part at its end that is held out, if one is.
    ///
    /// # Errors
    ///
    /// As [`Corpus::open`]; and if nothing is left of it.
    pub fn training(data: &DataConfig) -> Result<Corpus> {
        match data.valid.is_empty() && data.valid_share > 0.0 {
            true => Corpus::open(&data.train)?.part(data.valid_share, false),
            false => Corpus::open(&data.train),
        }
    }

    /// The validation text that a configuration names, or the part of the training text that is held out; none if there is neither.
    ///
    /// # Errors
    ///
    /// As [`Corpus::training`].
    pub fn validation(data: &DataConfig) -> Result<Option<Corpus>> {
        match (data.valid.as_slice(), data.valid_share > 0.0) {
            ([], false) => Ok(None),
            ([], true) => Corpus::open(&data.train)?
                .part(data.valid_share, true)
                .map(Some),
            (valid, _) => Corpus::open(valid).map(Some),
        }
    }

    /// All but the last lines, or the last lines: those that hold about this share of all bytes.
    fn part(mut self, share: f64, last: bool) -> Result<Corpus> {
        let mut kept = ((1.0 - share) * self.bytes() as f64) as usize;
        let mut parts = Vec::new();
        for mut file in self.files.drain(..) {
            let text = &file.map[file.start..file.end];
            let cut = match text.len() <= kept {
                true => text.len(),
                // Behind the line in which the share begins; nothing is kept of the files after that.
                false if kept > 0 => {
                    memchr::memchr(b'\n', &text[kept..]).map_or(text.len(), |at| kept + at + 1)
                }
                false => 0,
            };
            kept = kept.saturating_sub(text.len());
            let middle = file.start + cut;
            let whole = (file.start, file.end);
            match last {
                true => file.start = middle,
                false => file.end = middle,
            }
            // What is known of a file is not known of its part.
            if (file.start, file.end) != whole {
                let part = format!(" {}..{}", file.start, file.end);
                file.stamp = file.stamp.map(|stamp| stamp + &part);
            }
            if file.start < file.end {
                parts.push(file);
            }
        }
        let what = if last { "validation" } else { "training" };
        if parts.is_empty() {
            return Err(Error::data(format!(
                "`data.valid_share` leaves no line for the {what} text"
            ))
            .help(
                "name a text of more lines (`fold -s -w 200 TEXT` breaks long ones), or a validation text in `data.valid`",
            ));
        }
        self.files = parts;
        Ok(self)
    }

    /// The number of files.
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// The bytes of all files, byte order marks left out.
    pub fn bytes(&self) -> u64 {
        (0..self.files()).map(|k| self.text(k).len() as u64).sum()
    }

    /// Tells this text from others, whatever its files are called: a digest of every byte of it, and of how it is cut into
    /// files. The first call reads all that no cache remembers.
    pub fn digest(&self) -> u64 {
        if let Some(known) = self.digest.get() {
            return *known;
        }
        let files: Vec<[u64; 2]> = (0..self.files())
            .into_par_iter()
            .map(|file| [self.text(file).len() as u64, self.file_digest(file)])
            .collect();
        let mut all = Content::default();
        for number in files.as_flattened() {
            all.add(&number.to_le_bytes());
        }
        *self.digest.get_or_init(|| all.value())
    }

    /// A digest of the text of file `file`.
    pub(crate) fn file_digest(&self, file: usize) -> u64 {
        *self.files[file].digest.get_or_init(|| {
            let mut content = Content::default();
            for block in self.text(file).chunks(1 << 20) {
                content.add(block);
                self.touched(block.len());
            }
            content.value()
        })
    }

    /// Tells the digest of the text of file `file`, which had this stamp when the digest was made.
    pub(crate) fn remember(&self, file: usize, stamp: &str, digest: u64) {
        if self.stamp(file) == Some(stamp) {
            let _ = self.files[file].digest.set(digest);
        }
    }

    /// What stays the same as long as nobody writes to file `file`; nothing where that cannot be told.
    pub(crate) fn stamp(&self, file: usize) -> Option<&str> {
        self.files[file].stamp.as_deref()
    }

    /// The path of file `file`.
    pub fn path(&self, file: usize) -> &Path {
        &self.files[file].path
    }

    /// The bytes of file `file`.
    #[inline]
    pub(crate) fn text(&self, file: usize) -> &[u8] {
        let file = &self.files[file];
        &file.map[file.start..file.end]
    }

    /// Notes that about this many bytes were read, see [`Resident`].
    pub(crate) fn touched(&self, bytes: usize) {
        self.resident.touched(bytes, self.maps());
    }

    /// Notes that a few bytes were read somewhere in a file that was walked over as a whole before.
    pub(crate) fn touched_somewhere(&self, file: usize) {
        let length = self.text(file).len();
        self.resident.touched_somewhere(length, self.maps());
    }

    fn maps(&self) -> impl Iterator<Item = &Mmap> {
        self.files.iter().map(|file| &file.map)
    }

    /// The error for bytes of file `file` that are not UTF-8.
    pub(crate) fn bad_utf8(&self, file: usize, BadUtf8(at): BadUtf8) -> Error {
        let (map, start) = (&self.files[file].map, self.files[file].start);
        let line = memchr::memchr_iter(b'\n', &map[..start + at]).count() + 1;
        let path = self.path(file).display();
        Error::data(format!(
            "{path}:{line}: not UTF-8 (byte {at} of the file's text)"
        ))
        .help("convert the file, for instance with `iconv -f latin1 -t utf-8`")
    }

    /// Hands what is in a piece to `take`: the text of the file and the items in it.
    pub(crate) fn walk<'a>(
        &'a self,
        piece: &Piece,
        kind: TokenKind,
        mut take: impl FnMut(&'a [u8], Item) -> Result<(), BadUtf8>,
    ) -> Result<(), BadUtf8> {
        self.touched(piece.range.len());
        let (whole, end) = (self.text(piece.file), piece.range.end);
        let text = &whole[..end];
        let mut lexer = Lexer::new(kind, text, piece.range.start);
        while let Some(item) = lexer.next()? {
            // A lexer takes the end of its text for the end of a line, which it is at the end of the file only.
            if lexer.at > end && end < whole.len() {
                break;
            }
            take(text, item)?;
        }
        Ok(())
    }

    /// About `count` pieces of whole lines of about `size` bytes, evenly spread; all of the text, if it is not longer.
    pub(crate) fn samples(&self, count: usize, size: usize) -> Vec<Piece> {
        let total = self.bytes();
        if total <= (count * size) as u64 {
            return self.pieces(size, Cut::Lines);
        }
        let mut places = (0..count as u64)
            .map(|k| k * (total / count as u64))
            .peekable();
        let mut samples = Vec::new();
        let mut before = 0;
        for file in 0..self.files() {
            let text = self.text(file);
            let line_after = |at: usize| match memchr::memchr(b'\n', &text[at..]) {
                Some(end) => at + end + 1,
                None => text.len(),
            };
            while let Some(place) = places.next_if(|place| place - before < text.len() as u64) {
                let at = (place - before) as usize;
                let start = if at == 0 { 0 } else { line_after(at) };
                let range = start..line_after((start + size).min(text.len()));
                samples.push(Piece { file, range });
                self.touched(AROUND);
            }
            before += text.len() as u64;
        }
        samples
    }

    /// Cuts the files into pieces of about `size` bytes, in order, so that no token is cut.
    pub(crate) fn pieces(&self, size: usize, cut: Cut) -> Vec<Piece> {
        let of_file = |file| self.pieces_of(file, size, cut);
        (0..self.files()).flat_map(of_file).collect()
    }

    /// Cuts one file into pieces of about `size` bytes.
    pub(crate) fn pieces_of(&self, file: usize, size: usize, cut: Cut) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let text = self.text(file);
        let mut start = 0;
        while start < text.len() {
            let rest = &text[start..];
            let nominal = size.min(rest.len());
            let border = match cut {
                Cut::Lines => memchr::memchr(b'\n', &rest[nominal..]).map(|offset| offset + 1),
                Cut::Spaces => {
                    memchr::memchr2(b'\n', b' ', &rest[nominal..]).map(|offset| offset + 1)
                }
                // Before the first byte of a character that is not the second half of a line's end.
                Cut::Characters => (nominal..rest.len())
                    .find(|&k| rest[k] & 0xc0 != 0x80 && rest[k] != b'\n')
                    .map(|k| k - nominal),
            };
            let length = border.map_or(rest.len(), |offset| nominal + offset);
            self.touched(AROUND + length - nominal);
            pieces.push(Piece {
                file,
                range: start..start + length,
            });
            start += length;
        }
        pieces
    }
}

/// Where a text may be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// At the ends of lines only, however long they are.
    Lines,
    /// At spaces and the ends of lines.
    Spaces,
    /// Between characters, which are tokens.
    Characters,
}

impl Cut {
    /// The finest that cuts no token.
    pub(crate) fn between(kind: TokenKind) -> Cut {
        match kind {
            TokenKind::Whitespace | TokenKind::Words => Cut::Spaces,
            TokenKind::Characters => Cut::Characters,
        }
    }
}

/// A part of a file, cut between tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) file: usize,
    pub(crate) range: Range<usize>,
}

impl TextFile {
    fn open(path: PathBuf) -> Result<TextFile> {
        let unreadable = |error| {
            Error::data(format!("cannot read `{}`", path.display()))
                .because(error)
                .help("check the name and the rights of the file")
        };
        if !fs::metadata(&path).map_err(unreadable)?.is_file() {
            return Err(
                Error::data(format!("`{}` is not a regular file", path.display()))
                    .help("pipes cannot be read twice: save the text to a file"),
            );
        }
        let file = fs::File::open(&path).map_err(unreadable)?;
        let stamp = file.metadata().ok().as_ref().and_then(stamp_of);
        // SAFETY: the map is only read. Another process that changes the file while it is mapped can make us read other
        // bytes, which are checked like all others; one that shortens it ends this process with SIGBUS, never more.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(&file) }.map_err(unreadable)?;
        let start = if map.starts_with(b"\xef\xbb\xbf") {
            3
        } else {
            0
        };
        Ok(TextFile {
            path,
            end: map.len(),
            map,
            start,
            stamp,
            digest: OnceLock::new(),
        })
    }
}

/// Length, times and place of a file. Nothing if it was changed so lately that the clock of its times may not have moved on
/// since.
fn stamp_of(metadata: &fs::Metadata) -> Option<String> {
    /// Longer than a tick of any file system.
    const SETTLED: Duration = Duration::from_secs(2);
    let modified = metadata.modified().ok()?;
    if SystemTime::now().duration_since(modified).ok()? < SETTLED {
        return None;
    }
    let since = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let mut stamp = format!("{} {}", metadata.len(), since.as_nanos());
    // The time of the last change cannot be set back, as that of the last modification can.
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let (changed, nanoseconds) = (metadata.ctime(), metadata.ctime_nsec());
        let (device, inode) = (metadata.dev(), metadata.ino());
        stamp += &format!(" {changed}.{nanoseconds:09} {device}:{inode}");
    }
    Some(stamp)
}

#[cfg(test)]
mod tests {
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
        // What a file is called does not matter, nor the mark at its begin.
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
        assert_eq!(old.file_digest(0), Content::of(b"one\n"));
        let again = Corpus::open(&[&path]).unwrap();
        again.remember(0, &stamp, 7);
        assert_eq!(again.file_digest(0), 7);
        fs::write(&path, "two\n").unwrap();
        age(90);
        let changed = Corpus::open(&[&path]).unwrap();
        assert_ne!(changed.stamp(0).unwrap(), stamp);
        changed.remember(0, &stamp, 7);
        assert_eq!(changed.file_digest(0), Content::of(b"two\n"));
    }

    #[test]
    fn empty_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.txt");
        fs::write(&empty, "").unwrap();
        let error = Corpus::open(&[&empty]).unwrap_err();
        assert!(error.to_string().contains("is empty"), "{error}");
        // One empty file among others is no reason to stop.
        fs::write(folder.path().join("full.txt"), "\u{feff}a b\n").unwrap();
        let corpus = Corpus::open(&[folder.path().join("*")]).unwrap();
        assert_eq!((corpus.files(), corpus.bytes()), (2, 4));
        assert_eq!(corpus.text(1), b"a b\n");
    }

    #[test]
    fn pieces_cover_the_text_and_cut_no_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        let text = "one two three\nfour five\n\n  six sévèneightnine\r\n ten";
        fs::write(&path, text).unwrap();
        let corpus = Corpus::open(&[path]).unwrap();
        for cut in [Cut::Lines, Cut::Spaces, Cut::Characters] {
            for size in 1..text.len() + 2 {
                let mut end = 0;
                for piece in corpus.pieces(size, cut) {
                    assert_eq!(piece.range.start, end);
                    end = piece.range.end;
                    let last = text.as_bytes()[end - 1];
                    let good = match cut {
                        Cut::Lines => last == b'\n',
                        Cut::Spaces => matches!(last, b'\n' | b' '),
                        Cut::Characters => {
                            text.is_char_boundary(end) && !text[end..].starts_with('\n')
                        }
                    };
                    assert!(end == text.len() || good, "{cut:?} {size} {end}");
                }
                assert_eq!(end, text.len());
            }
        }
    }
}
