//! The bytes of a file that is read more than once: a copy in memory, or a memory map.
//!
//! Another program can truncate a file in place while it is read, as some editors do when they save. A copy is not affected.
//! Reading the lost part of a memory map ends the process with SIGBUS. Readers therefore check the length of the file before
//! each batch, so that only a truncation during a batch has this effect.

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

/// Files are copied into memory if all files that are opened together have less than this many bytes.
pub(super) const COPIED: u64 = 64 << 20;

/// The bytes of a file.
#[derive(Debug)]
pub(super) enum Contents {
    /// A copy.
    Copied(Vec<u8>),
    /// A map, and the file it belongs to.
    Mapped(Mmap, Identity),
}

impl Contents {
    /// The bytes of a file, copied or mapped.
    pub(super) fn read(file: File, path: &Path, copied: bool) -> io::Result<Contents> {
        if copied {
            Contents::copy(file)
        } else {
            Contents::map(&file, path)
        }
    }

    fn copy(mut file: File) -> io::Result<Contents> {
        let length = file.metadata()?.len();
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        file.read_to_end(&mut bytes)?;
        Ok(Contents::Copied(bytes))
    }

    /// Maps a file that was opened at `path`, or has no path.
    pub(super) fn map(file: &File, path: &Path) -> io::Result<Contents> {
        // SAFETY: the map is only read. If another process changes the file meanwhile, we read other bytes, which are checked
        // like all others. If it truncates the file between two calls of `is_whole`, this process ends with SIGBUS.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(file) }?;
        let identity = Identity {
            path: path.to_path_buf(),
            number: number(&file.metadata()?),
        };
        Ok(Contents::Mapped(map, identity))
    }

    /// The memory map, if the file is mapped.
    pub(super) fn mapped(&self) -> Option<&Mmap> {
        match self {
            Contents::Copied(_) => None,
            Contents::Mapped(map, _) => Some(map),
        }
    }

    /// Whether the file is at least as long as its map. Always true for a copy.
    pub(super) fn is_whole(&self) -> bool {
        match self {
            Contents::Copied(_) => true,
            Contents::Mapped(map, identity) => match fs::metadata(&identity.path) {
                // The bytes of a file that was replaced or removed exist as long as it is mapped.
                Ok(now) if number(&now) == identity.number => now.len() >= map.len() as u64,
                _ => true,
            },
        }
    }
}

impl Deref for Contents {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Contents::Copied(bytes) => bytes,
            Contents::Mapped(map, _) => map,
        }
    }
}

/// Identifies a file without keeping it open: a corpus may have more files than a process may open.
#[derive(Debug)]
pub(super) struct Identity {
    path: PathBuf,
    number: Option<(u64, u64)>,
}

/// Device and inode of a file. `None` on systems without them, where a mapped file cannot be truncated.
fn number(metadata: &fs::Metadata) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Some((metadata.dev(), metadata.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortened_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "some bytes").unwrap();
        let open = |copied| Contents::read(File::open(&path).unwrap(), &path, copied).unwrap();
        let (copy, map) = (open(true), open(false));
        assert!(copy.is_whole() && map.is_whole() && *copy == *map);
        File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .set_len(20)
            .unwrap();
        assert!(map.is_whole(), "it has grown");
        File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .set_len(4)
            .unwrap();
        assert_eq!((copy.is_whole(), map.is_whole()), (true, !cfg!(unix)));
        assert_eq!(&*copy, b"some bytes");
        // A file that takes its place has other bytes.
        let other = folder.path().join("other");
        fs::write(&other, "x").unwrap();
        fs::rename(other, &path).unwrap();
        assert!(map.is_whole());
    }
}
