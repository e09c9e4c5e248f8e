//! Files of this program in folders that may come from strangers: a run folder that was sent, for example.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::regular::read_regular;

/// Checks that there is a regular file at `path`, or nothing. A symbolic link could name any file of the user, and reading a pipe
/// could wait for ever.
///
/// # Errors
///
/// If there is anything else.
pub fn check_own(path: &Path) -> io::Result<()> {
    check(path, fs::FileType::is_file, "it is not a regular file")
}

/// Checks that there is a folder at `path`, which is no symbolic link, or nothing.
///
/// # Errors
///
/// If there is anything else.
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
/// Same as [`check_own`], and if it cannot be read or is larger.
pub fn read_own(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    check_own(path)?;
    read_regular(path, limit)
}
