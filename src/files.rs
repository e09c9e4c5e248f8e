//! Files that appear whole or not at all. A leaf.
//!
//! A file is written into a temporary sibling, flushed to the disk, renamed over the old one, and the folder is flushed
//! too: whatever happens in between, the old file stays. What a killed process leaves behind has a name that
//! [`sweep`] knows.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};

/// How the names of temporary siblings begin.
const PARTIAL: &str = ".wlstm-partial-";

/// Writes the file at `path` with `fill`, in place of what is there, once all is written.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if the folder cannot be written or the disk is full, and what `fill`
/// returns. The old file is as it was, and nothing else is left.
pub fn write_atomically(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let folder = folder_of(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(PARTIAL);
    #[cfg(unix)]
    {
        // Readable for whom other files of the user are: temporary files are private otherwise.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let temporary = builder
        .tempfile_in(folder)
        .map_err(|error| cannot_write(path, error))?;
    let mut writer = BufWriter::with_capacity(1 << 20, temporary.as_file());
    fill(&mut writer)?;
    writer.flush().map_err(|error| cannot_write(path, error))?;
    drop(writer);
    temporary
        .as_file()
        .sync_all()
        .map_err(|error| cannot_write(path, error))?;
    temporary
        .persist(path)
        .map_err(|error| cannot_write(path, error.error))?;
    sync_folder(folder).map_err(|error| cannot_write(path, error))
}

/// The failure to write a file.
pub fn cannot_write(path: &Path, error: std::io::Error) -> Error {
    let help = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            "make room on the disk, or write to another one"
        }
        std::io::ErrorKind::NotFound => "make the folder first",
        _ => "check that the folder may be written to",
    };
    Error::data(format!("cannot write `{}`", path.display()))
        .because(error)
        .help(help)
}

/// Removes what processes that were killed while writing have left in `folder`, and says what it was. Nobody else may be
/// writing into the folder.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if the folder cannot be read or a leftover not removed.
pub fn sweep(folder: &Path) -> Result<Vec<PathBuf>> {
    sweep_older(folder, Duration::ZERO)
}

/// The same of what nobody has written to for `age`, so that others may be writing into the folder.
///
/// # Errors
///
/// As [`sweep`].
pub fn sweep_older(folder: &Path, age: Duration) -> Result<Vec<PathBuf>> {
    let is_old = |path: &Path| {
        let modified = path.metadata().and_then(|metadata| metadata.modified());
        let since = modified.map(|time| SystemTime::now().duration_since(time));
        matches!(since, Ok(Ok(since)) if since >= age)
    };
    let mut swept = Vec::new();
    for path in entries(folder)? {
        let leftover = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(PARTIAL));
        if leftover && (age.is_zero() || is_old(&path)) {
            std::fs::remove_file(&path).map_err(|error| {
                Error::data(format!("cannot remove the leftover `{}`", path.display()))
                    .because(error)
                    .help("check that the folder may be written to")
            })?;
            swept.push(path);
        }
    }
    Ok(swept)
}

/// The paths in a folder, by name.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if it cannot be read.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |error| {
        Error::data(format!("cannot read the folder `{}`", folder.display()))
            .because(error)
            .help("check the name and the rights of the folder")
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        paths.push(entry.map_err(unreadable)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// The folder for what this program can make again: the one that `WLSTM_CACHE` names, else `wlstm` in the user's folder for
/// caches. None if `WLSTM_CACHE` is empty, or the system knows no such folder.
pub fn cache_folder() -> Option<PathBuf> {
    match std::env::var_os("WLSTM_CACHE") {
        Some(folder) if folder.is_empty() => None,
        Some(folder) => Some(folder.into()),
        None => dirs::cache_dir().map(|folder| folder.join("wlstm")),
    }
}

/// The folder of a path as the system takes it: `.` for a bare name.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Flushes the names in a folder to the disk, where the system can.
pub fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}
