//! Files of this program in folders from untrusted sources, for example a downloaded run folder.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::regular::read_regular;

/// Checks that `path` is a regular file or does not exist. A symbolic link could point to any file of the user, and reading a
/// pipe could block forever.
///
/// # Errors
///
/// If `path` is anything else.
pub fn check_own(path: &Path) -> io::Result<()> {
    check(path, fs::FileType::is_file, "it is not a regular file")
}

/// Checks that `path` is a folder, and not a symbolic link to one, or does not exist.
///
/// # Errors
///
/// If `path` is anything else.
pub fn check_own_folder(path: &Path) -> io::Result<()> {
    check(path, fs::FileType::is_dir, "it is not a folder")
}

fn check(path: &Path, is_right: fn(&fs::FileType) -> bool, what: &str) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if is_right(&found.file_type()) => Ok(()),
        Ok(found) if found.is_symlink() => Err(io::Error::other("it is a symbolic link")),
        Ok(_) => Err(io::Error::other(what.to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Reads a file of this program of at most `limit` bytes.
///
/// # Errors
///
/// Same as [`check_own`], and if the file cannot be read or is larger.
pub fn read_own(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    check_own(path)?;
    read_regular(path, limit)
}
