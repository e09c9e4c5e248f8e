//! One file of text.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use memmap2::Mmap;

use super::contents::Contents;
use super::normalise::Failure;
use crate::config::Normalization;
use crate::error::{Error, Kind, Result};
use crate::files;

/// A file of text, or a range of one.
#[derive(Debug)]
pub(super) struct TextFile {
    path: PathBuf,
    contents: Contents,
    /// Where the text starts: after a byte order mark, or where the selected range starts.
    start: usize,
    /// Where the text ends.
    end: usize,
    /// See [`TextFile::stamp`].
    stamp: Option<String>,
    /// Digest of the text, computed on first use.
    pub(super) digest: OnceLock<u64>,
}

impl TextFile {
    /// Copies a file into memory or maps it. A byte order mark is skipped.
    ///
    /// # Errors
    ///
    /// If it cannot be read or is not a regular file.
    pub(super) fn open(path: PathBuf, copied: bool) -> Result<TextFile> {
        let unreadable = |error| {
            Error::data(format!("cannot read `{}`", path.display()))
                .because(error)
                .help("check the name and the permissions of the file")
        };
        if !fs::metadata(&path).map_err(unreadable)?.is_file() {
            return Err(
                Error::data(format!("`{}` is not a regular file", path.display())).help(
                    "a text is read more than once, so it cannot be a pipe: save it to a file",
                ),
            );
        }
        let file = files::open_regular(&path).map_err(unreadable)?;
        let stamp = file.metadata().ok().as_ref().and_then(stamp_of);
        let contents = Contents::read(file, &path, copied).map_err(unreadable)?;
        let name = path.display().to_string();
        files::check_encoding(&contents, &name, Kind::Data)?;
        // The tokens of larger files are checked when they are read.
        if copied && let Some(at) = memchr::memchr(0, &contents) {
            let line = memchr::memchr_iter(b'\n', &contents[..at]).count() + 1;
            return Err(files::nul_at(&name, line, &contents[at..]));
        }
        files::check_line_ends(&contents, &name)?;
        let start = if contents.starts_with(b"\xef\xbb\xbf") {
            3
        } else {
            0
        };
        Ok(TextFile {
            path,
            end: contents.len(),
            contents,
            start,
            stamp,
            digest: OnceLock::new(),
        })
    }

    /// Normalizes the text.
    ///
    /// # Errors
    ///
    /// Same as [`Normalization::contents`].
    pub(super) fn normalise(&mut self, form: Normalization) -> Result<(), Failure> {
        let copied = self.map().is_none();
        let Some(contents) = form.contents(self.text(), &self.path, copied)? else {
            return Ok(());
        };
        (self.start, self.end) = (0, contents.len());
        self.contents = contents;
        // The stamp of the file must not match its normalized text.
        self.stamp = self.stamp.take().map(|stamp| format!("{stamp} {form}"));
        Ok(())
    }

    /// The path that was opened.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The memory map, if the file is mapped.
    pub(super) fn map(&self) -> Option<&Mmap> {
        self.contents.mapped()
    }

    /// Whether the file is not mapped, or was not truncated.
    pub(super) fn is_whole(&self) -> bool {
        self.contents.is_whole()
    }

    /// Fails if a mapped file was truncated.
    pub(super) fn check_whole(&self) -> Result<()> {
        if self.is_whole() {
            return Ok(());
        }
        let path = self.path.display();
        Err(
            Error::data(format!("`{path}` was truncated while it was read"))
                .help("restore the text; edit a copy while a program reads it"),
        )
    }

    /// The bytes of the text.
    #[inline]
    pub(super) fn text(&self) -> &[u8] {
        &self.contents[self.start..self.end]
    }

    /// Identifies the content without reading it: length, times and inode of the file. `None` if the file was changed so
    /// recently that another change might not show in its times.
    pub(super) fn stamp(&self) -> Option<&str> {
        self.stamp.as_deref()
    }

    /// The line of byte `at` of the text, counted from 1.
    pub(super) fn line_number(&self, at: usize) -> usize {
        memchr::memchr_iter(b'\n', &self.contents[..self.start + at]).count() + 1
    }

    /// Keeps only these ranges of the text, which are ascending and end at line ends. If there are several, they are copied
    /// into memory.
    pub(super) fn keep(&mut self, ranges: &[Range<usize>]) {
        let range = match ranges {
            [] => 0..0,
            [one] => one.clone(),
            several => {
                let text = self.text();
                let parts: Vec<&[u8]> = several.iter().map(|range| &text[range.clone()]).collect();
                let copy = parts.concat();
                (self.start, self.end, self.stamp) = (0, copy.len(), None);
                self.contents = Contents::Copied(copy);
                return;
            }
        };
        let (start, end) = (self.start + range.start, self.start + range.end);
        if (self.start, self.end) == (start, end) {
            return;
        }
        (self.start, self.end) = (start, end);
        // The stamp of the whole file must not match its part.
        let range = format!(" {start}..{end}");
        self.stamp = self.stamp.take().map(|stamp| stamp + &range);
    }
}

/// See [`TextFile::stamp`].
fn stamp_of(metadata: &fs::Metadata) -> Option<String> {
    /// Longer than the resolution of the times of any file system.
    const SETTLED: Duration = Duration::from_secs(2);
    let modified = metadata.modified().ok()?;
    if SystemTime::now().duration_since(modified).ok()? < SETTLED {
        return None;
    }
    let since = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let mut stamp = format!("{} {}", metadata.len(), since.as_nanos());
    // Programs can set the modification time, but not the change time.
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let (changed, nanoseconds) = (metadata.ctime(), metadata.ctime_nsec());
        let (device, inode) = (metadata.dev(), metadata.ino());
        stamp += &format!(" {changed}.{nanoseconds:09} {device}:{inode}");
    }
    Some(stamp)
}
