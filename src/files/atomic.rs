//! Replaces a file atomically.

use std::fs::{File, TryLockError};
use std::io::{BufWriter, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use super::failure::cannot_write;
use super::folder::{PARTIAL_PREFIX, folder_of, sync_folder};
use crate::error::Result;

/// Writes a file with `fill`. It replaces the file at `path` once it is complete.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if the folder is not writable or the disk is full, and any error of `fill`. Then the
/// old file is unchanged, and no other file is left.
pub fn write_atomically(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    replace(path, |file| {
        let mut writer = BufWriter::with_capacity(1 << 20, file);
        fill(&mut writer)?;
        writer.flush().map_err(|error| cannot_write(path, error))
    })
}

/// Writes a text file, as [`write_atomically`] does.
///
/// # Errors
///
/// Same as [`write_atomically`].
pub fn write_text(path: &Path, text: &str) -> Result<()> {
    write_atomically(path, |writer| {
        writer
            .write_all(text.as_bytes())
            .map_err(|error| cannot_write(path, error))
    })
}

/// Calls `fill` with a temporary file in the folder of `path`, flushes the file and renames it to `path`.
pub(super) fn replace(path: &Path, fill: impl FnOnce(&File) -> Result<()>) -> Result<()> {
    let folder = folder_of(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(PARTIAL_PREFIX);
    #[cfg(unix)]
    {
        // The default permissions of new files. Temporary files are private otherwise.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let temporary =
        locked(|| builder.tempfile_in(folder)).map_err(|error| cannot_write(path, error))?;
    fill(temporary.as_file())?;
    temporary
        .as_file()
        .sync_all()
        .map_err(|error| cannot_write(path, error))?;
    temporary
        .persist(path)
        .map_err(|error| cannot_write(path, error.error))?;
    sync_folder(folder).map_err(|error| cannot_write(path, error))
}

/// A temporary file whose lock this process holds, so that other processes do not treat it as abandoned.
fn locked(create: impl Fn() -> std::io::Result<NamedTempFile>) -> std::io::Result<NamedTempFile> {
    loop {
        let temporary = create()?;
        match temporary.as_file().try_lock() {
            // Another process has found the file before it was locked, and removes it.
            Err(TryLockError::WouldBlock) => {}
            Ok(()) if !temporary.path().exists() => {}
            // Some network file systems have no locks.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(temporary),
        }
    }
}
