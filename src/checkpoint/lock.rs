//! Locks a folder, so that only one process trains in it.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::layout::LOCK;
use crate::error::{Error, Result};
use crate::files;

/// Locks a folder for this process until the returned file is dropped.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if another process holds the lock, or the folder is not writable.
pub fn lock_folder(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    files::check_own(&path).map_err(|error| files::cannot_write(&path, error).help("remove it"))?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| files::cannot_write(&path, error))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Error::data(format!(
                "another process is training in `{}`",
                folder.display()
            ))
            .help("wait for it or stop it, or choose another folder with --out"));
        }
        // Some network file systems have no locks. Training still works there.
        Err(TryLockError::Error(error)) => {
            tracing::warn!(path = %path.display(), %error, "cannot lock the folder; make sure that no other process uses it");
        }
    }
    Ok(lock)
}

/// Whether this is the file that a process locks in a folder. It is empty: others belong to the user.
pub fn is_lock(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == LOCK)
        && path.symlink_metadata().is_ok_and(|file| file.len() == 0)
}

/// Whether no process holds the lock of a folder.
pub fn is_unlocked(folder: &Path) -> bool {
    let path = folder.join(LOCK);
    files::check_own(&path).is_ok()
        && files::open_regular(&path).is_ok_and(|file| file.try_lock_shared().is_ok())
}
