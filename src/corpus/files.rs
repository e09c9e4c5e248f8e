//! The files of a corpus: patterns become names, names become memory-mapped files.
//!
//! The operating system brings in pages as they are walked over. Whoever walks says so with [`Corpus::touched`], which now
//! and then lets the pages go again: the memory needed does not grow with the corpus.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use memmap2::Mmap;
#[cfg(unix)]
use memmap2::UncheckedAdvice;

use super::tokens::{BadUtf8, Item, Lexer, TokenKind};
use crate::config::is_pattern;
use crate::digest::Digest;
use crate::error::{Error, Result};

/// The bytes of mapped files that may stay in memory, about.
const RESIDENT: usize = 64 << 20;

/// What the operating system brings in for one byte that is read somewhere (Linux maps 16 pages around it).
const AROUND: usize = 1 << 16;

/// One file of text.
#[derive(Debug)]
struct TextFile {
    path: PathBuf,
    map: Mmap,
    /// Where the text begins: after the byte order mark, if there is one.
    start: usize,
}

/// The files of a corpus in name order, mapped into memory.
#[derive(Debug)]
pub struct Corpus {
    files: Vec<TextFile>,
    /// The bytes read since pages were let go, about.
    touched: AtomicUsize,
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
            touched: AtomicUsize::new(0),
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

    /// The number of files.
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// The bytes of all files, byte order marks left out.
    pub fn bytes(&self) -> u64 {
        (0..self.files()).map(|k| self.text(k).len() as u64).sum()
    }

    /// Tells this text from others, whatever its files are called: a digest of the length of every file and of some bytes
    /// all over it. Only an exchange of text between these places, of the same length, is not seen.
    pub fn digest(&self) -> u64 {
        /// The places in a file, and the bytes looked at in each.
        const PLACES: usize = 32;
        const LOOK: usize = 1 << 12;
        *self.digest.get_or_init(|| {
            let of_file = |digest: Digest, file: usize| {
                let text = self.text(file);
                let digest = digest.and((text.len() as u64).to_le_bytes());
                let last = text.len().saturating_sub(LOOK);
                let places = (0..PLACES).map(|k| last * k / (PLACES - 1));
                places.fold(digest, |digest, at| {
                    self.touched(AROUND);
                    digest.and(text[at..].iter().take(LOOK).copied())
                })
            };
            (0..self.files()).fold(Digest::default(), of_file).value()
        })
    }

    /// The path of file `file`.
    pub fn path(&self, file: usize) -> &Path {
        &self.files[file].path
    }

    /// The bytes of file `file`.
    #[inline]
    pub(crate) fn text(&self, file: usize) -> &[u8] {
        let file = &self.files[file];
        &file.map[file.start..]
    }

    /// Notes that about this many bytes were read, and lets go of the pages of all files once these are many. What is still
    /// needed comes back from the cache of the operating system.
    pub(crate) fn touched(&self, bytes: usize) {
        if self.touched.fetch_add(bytes, Ordering::Relaxed) + bytes < RESIDENT {
            return;
        }
        self.touched.store(0, Ordering::Relaxed);
        #[cfg(unix)]
        for file in &self.files {
            // SAFETY: the maps are shared and only read, so pages that are let go come back as they were.
            #[allow(unsafe_code)]
            let let_go = unsafe { file.map.unchecked_advise(UncheckedAdvice::DontNeed) };
            if let Err(error) = let_go {
                tracing::debug!(%error, "cannot let go of the pages of a corpus");
            }
        }
    }

    /// Notes that a few bytes were read somewhere in a file that was walked over as a whole before.
    pub(crate) fn touched_somewhere(&self, file: usize) {
        // All of a smaller file may stay.
        if self.text(file).len() > RESIDENT {
            self.touched(AROUND);
        }
    }

    /// The error for bytes of file `file` that are not UTF-8.
    pub(crate) fn bad_utf8(&self, file: usize, BadUtf8(at): BadUtf8) -> Error {
        let line = memchr::memchr_iter(b'\n', &self.text(file)[..at]).count() + 1;
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
            return self.pieces(size, true);
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

    /// Cuts the files into pieces of about `size` bytes, in order, so that no token is cut. With `whole_lines` no line is
    /// cut either, however long it is.
    pub(crate) fn pieces(&self, size: usize, whole_lines: bool) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for file in 0..self.files() {
            let text = self.text(file);
            let mut start = 0;
            while start < text.len() {
                let rest = &text[start..];
                let nominal = size.min(rest.len());
                let border = if whole_lines {
                    memchr::memchr(b'\n', &rest[nominal..])
                } else {
                    memchr::memchr2(b'\n', b' ', &rest[nominal..])
                };
                let length = border.map_or(rest.len(), |offset| nominal + offset + 1);
                self.touched(AROUND + length - nominal);
                pieces.push(Piece {
                    file,
                    range: start..start + length,
                });
                start += length;
            }
        }
        pieces
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
        let kind = fs::metadata(&path).map_err(unreadable)?;
        if !kind.is_file() {
            let what = if kind.is_dir() {
                "a folder"
            } else {
                "not a regular file"
            };
            return Err(Error::data(format!("`{}` is {what}", path.display())).help(
                if kind.is_dir() {
                    format!("name its files: `{}/*`", path.display())
                } else {
                    "pipes cannot be read twice: save the text to a file".to_owned()
                },
            ));
        }
        let file = fs::File::open(&path).map_err(unreadable)?;
        // SAFETY: the map is only read. Another process that changes the file while it is mapped can make us read other
        // bytes, which are checked like all others; one that shortens it ends this process with SIGBUS, never more.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(&file) }.map_err(unreadable)?;
        let start = if map.starts_with(b"\xef\xbb\xbf") {
            3
        } else {
            0
        };
        Ok(TextFile { path, map, start })
    }
}

/// What is to be seen where a file is not.
fn what_is_there(pattern: &Path) -> String {
    let folder = folder_of(pattern);
    let shown = folder.display();
    match folder.is_dir() {
        true => format!("the folder `{shown}` is there, but not the file: check its name"),
        false => {
            format!("there is no folder `{shown}` either: check the path, or bring the text there")
        }
    }
}

/// The files that names and patterns (`corpus/train/*`) stand for, in name order, each once.
///
/// `*`, `?`, `[ab]` and `**` work as in a shell: they match no names that begin with a dot. A pattern stands for files only,
/// not for folders. A name that exists is taken as it is.
///
/// # Errors
///
/// If a file is missing, a pattern is malformed or matches nothing, or there is no name at all.
pub fn expand<P: AsRef<Path>>(patterns: &[P]) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for pattern in patterns {
        let pattern = pattern.as_ref();
        let shown = pattern.display();
        let text = pattern.to_string_lossy();
        if pattern.exists() {
            paths.push(pattern.to_owned());
            continue;
        }
        if !is_pattern(pattern) {
            return Err(
                Error::data(format!("there is no file `{shown}`")).help(what_is_there(pattern))
            );
        }
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let matches = glob::glob_with(&text, options).map_err(|error| {
            Error::data(format!("`{shown}` is not a pattern"))
                .because(error)
                .help("write `folder/*` for all files of a folder")
        })?;
        let before = paths.len();
        for path in matches {
            let path = path.map_err(|error| {
                Error::data(format!("cannot search for `{shown}`"))
                    .because(error)
                    .help("check the rights of the folders")
            })?;
            if path.is_file() {
                paths.push(path);
            }
        }
        if paths.len() == before {
            return Err(
                Error::data(format!("no file matches `{shown}`")).help(what_is_there(pattern))
            );
        }
    }
    if paths.is_empty() {
        return Err(Error::data("no corpus is named")
            .help("name at least one file or pattern, as `corpus/train/*`"));
    }
    paths.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    paths.dedup();
    Ok(paths)
}

/// The folder in which a pattern is searched, as a whole path where that can be said.
fn folder_of(pattern: &Path) -> PathBuf {
    let plain = |part: &std::path::Component<'_>| !is_pattern(part);
    let parent = pattern.parent().unwrap_or(Path::new(""));
    let folder: PathBuf = parent.components().take_while(plain).collect();
    std::path::absolute(if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        &folder
    })
    .unwrap_or(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_give_files_in_name_order_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["b.txt", "a.txt", ".hidden", "c[1].txt"] {
            fs::write(root.join(name), "x\n").unwrap();
        }
        fs::create_dir(root.join("sub")).unwrap();
        let names = |patterns: &[&str]| -> Vec<String> {
            let patterns: Vec<_> = patterns.iter().map(|p| root.join(p)).collect();
            let paths = expand(&patterns).unwrap();
            let name = |p: &PathBuf| p.file_name().unwrap().to_string_lossy().into_owned();
            paths.iter().map(name).collect()
        };
        assert_eq!(names(&["*"]), ["a.txt", "b.txt", "c[1].txt"]);
        assert_eq!(
            names(&["b.txt", "*", "a.txt"]),
            ["a.txt", "b.txt", "c[1].txt"]
        );
        assert_eq!(names(&["c[1].txt"]), ["c[1].txt"]);
        for (pattern, says) in [
            ("no.txt", "there is no file"),
            ("no/*", "no file matches"),
            ("a[", "is not a pattern"),
        ] {
            let error = expand(&[root.join(pattern)]).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
            assert!(error.to_string().contains(pattern), "{error}");
        }
        let help = expand(&[root.join("no/*.txt")]).unwrap_err();
        assert!(help.chain().to_string().contains(root.to_str().unwrap()));
        assert!(expand::<&str>(&[]).is_err());
    }

    #[test]
    fn folders_and_empty_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = Corpus::open(&[folder.path()]).unwrap_err();
        assert!(error.to_string().contains("is a folder"), "{error}");
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
        let text = "one two three\nfour five\n\n  six seveneightnine ten";
        fs::write(&path, text).unwrap();
        let corpus = Corpus::open(&[path]).unwrap();
        for whole_lines in [false, true] {
            for size in 1..text.len() + 2 {
                let mut end = 0;
                for piece in corpus.pieces(size, whole_lines) {
                    assert_eq!(piece.range.start, end);
                    end = piece.range.end;
                    let last = text.as_bytes()[end - 1];
                    assert!(end == text.len() || last == b'\n' || (last == b' ' && !whole_lines));
                }
                assert_eq!(end, text.len());
            }
        }
    }
}
