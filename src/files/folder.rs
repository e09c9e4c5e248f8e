//! Reads, cleans and flushes folders.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};

/// How the names of temporary files begin.
pub(super) const PARTIAL_PREFIX: &str = ".wlstm-partial-";

/// Without locks, a partial file is abandoned if it was not modified for this time.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Removes the partial files that killed processes have left in `folder`, and returns their paths. Those of running processes
/// are kept.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if the folder cannot be read or a partial file cannot be removed.
pub fn sweep(folder: &Path) -> Result<Vec<PathBuf>> {
    sweep_older(folder, Duration::ZERO)
}

/// Same as [`sweep`], for partial files that were not modified for `age`.
///
/// # Errors
///
/// Same as [`sweep`].
pub fn sweep_older(folder: &Path, age: Duration) -> Result<Vec<PathBuf>> {
    let mut removed = Vec::new();
    for path in entries(folder)? {
        // The lock is held until the file is removed, so that its process cannot begin to write.
        if is_partial(&path)
            && let Some(_lock) = abandoned(&path, age)
        {
            let removal = std::fs::remove_file(&path);
            if matches!(&removal, Err(error) if error.kind() == ErrorKind::NotFound) {
                continue;
            }
            removal.map_err(|error| {
                Error::data(format!(
                    "cannot remove the partial file `{}`",
                    path.display()
                ))
                .because(error)
                .help("check that the folder is writable")
            })?;
            removed.push(path);
        }
    }
    Ok(removed)
}

/// Whether the name is that of a partial file.
pub fn is_partial(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(PARTIAL_PREFIX))
}

/// Removes the partial files of killed processes in a folder that other programs use as well. Errors are ignored.
pub(super) fn sweep_others(folder: &Path) {
    if let Err(error) = sweep(folder) {
        tracing::debug!("{}", error.chain());
    }
}

/// The partial file at `path` with its lock, if no running process has locked it and it was not modified for `age`.
fn abandoned(path: &Path, age: Duration) -> Option<File> {
    // This program does not create links or pipes.
    if !path.symlink_metadata().ok()?.is_file() {
        return None;
    }
    // Some systems lock only files that are open for writing.
    let file = File::options().append(true).open(path).ok()?;
    let is_older = |age| {
        let modified = file.metadata().and_then(|metadata| metadata.modified());
        let since = modified.map(|time| SystemTime::now().duration_since(time));
        matches!(since, Ok(Ok(since)) if since >= age)
    };
    let is_abandoned = match file.try_lock() {
        Ok(()) => age.is_zero() || is_older(age),
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => is_older(age.max(ABANDONED)),
    };
    is_abandoned.then_some(file)
}

/// Creates a folder and its parents. Returns those that did not exist, the innermost first.
///
/// # Errors
///
/// If one cannot be created. Then none of them is left.
pub fn create_folders(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let missing = path.ancestors().take_while(is_missing);
    let missing: Vec<PathBuf> = missing.map(Path::to_path_buf).collect();
    if let Err(error) = std::fs::create_dir_all(path) {
        let is_created = |folder: &&PathBuf| folder.is_dir();
        remove_empty(missing.iter().filter(is_created));
        return Err(error);
    }
    Ok(missing)
}

/// Removes folders, the innermost first, until one is not empty or cannot be removed.
pub fn remove_empty<'a>(mut folders: impl Iterator<Item = &'a PathBuf>) {
    // Errors are ignored: an empty folder does no harm.
    let _ = folders.try_for_each(std::fs::remove_dir);
}

/// The paths in a folder, sorted by name.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if the folder cannot be read.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |error| {
        Error::data(format!("cannot read the folder `{}`", folder.display()))
            .because(error)
            .help("check the name and the permissions of the folder")
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        paths.push(entry.map_err(unreadable)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// The cache folder of this program: `WLSTM_CACHE`, or `wlstm` in the user's cache folder. `None` if `WLSTM_CACHE` is empty, or
/// the system has no cache folder.
pub fn cache_folder() -> Option<PathBuf> {
    match std::env::var_os("WLSTM_CACHE") {
        Some(folder) if folder.is_empty() => None,
        Some(folder) => Some(folder.into()),
        None => dirs::cache_dir().map(|folder| folder.join("wlstm")),
    }
}

/// An unnamed temporary file, which the system removes when the process ends. It is in the cache folder if possible, because the
/// folder for temporary files may be in memory.
///
/// # Errors
///
/// If no file can be created.
pub fn temporary_file() -> std::io::Result<File> {
    let folder = cache_folder().unwrap_or_else(std::env::temp_dir);
    std::fs::create_dir_all(&folder)
        .and_then(|()| tempfile::tempfile_in(&folder))
        .or_else(|_| tempfile::tempfile())
}

/// The folder of a path: its parent, or `.` for a bare name.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Flushes the names in a folder to the disk, where the system supports that.
pub fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}
