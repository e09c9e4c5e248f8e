//! The state of a folder in which a run is to be started.
//!
//! A process can be killed or fail at any moment. Its folder can be used by a new run if it contains only files of this
//! program, and no checkpoint and no training step would be lost.

use std::fs;
use std::path::{Path, PathBuf};

use super::layout::{
    CHECKPOINTS, CONFIG, LOCK, METRICS, RECORD, REPORT, TENSORBOARD, has_run, step_of_checkpoint,
};
use super::own::is_own_without_steps;
use crate::error::{Error, Result};
use crate::files;

/// Names of the files in a run folder.
const FILES: [&str; 5] = [LOCK, CONFIG, RECORD, METRICS, REPORT];

/// Names of the folders in a run folder.
const FOLDERS: [&str; 2] = [CHECKPOINTS, TENSORBOARD];

/// The state of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FolderState {
    /// The folder is empty or does not exist.
    Empty,
    /// It contains only files of a run that has not trained a step.
    Begun,
    /// It contains a run with steps or checkpoints, or other files.
    Taken,
}

/// The state of the folder at `path`.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if it cannot be read.
pub(super) fn state_of(path: &Path) -> Result<FolderState> {
    if fs::symlink_metadata(path).is_err() {
        return Ok(FolderState::Empty);
    }
    if !path.is_dir() {
        return Ok(FolderState::Taken);
    }
    if files::entries(path)?.is_empty() {
        return Ok(FolderState::Empty);
    }
    Ok(match kept_entry(path)? {
        Some(_) => FolderState::Taken,
        None => FolderState::Begun,
    })
}

/// The first entry of a folder that a new run would have to keep: of the user, or of a run with steps or checkpoints.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if the folder cannot be read.
pub(super) fn kept_entry(path: &Path) -> Result<Option<PathBuf>> {
    for entry in files::entries(path)? {
        if !is_left_over(&entry)? {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

/// Whether a run writes this entry of its folder before its first checkpoint.
fn is_left_over(entry: &Path) -> Result<bool> {
    let Some(name) = entry.file_name().and_then(|name| name.to_str()) else {
        return Ok(false);
    };
    let Ok(metadata) = fs::symlink_metadata(entry) else {
        // Another process has just removed it.
        return Ok(true);
    };
    let is_within = |known: fn(&Path) -> bool| {
        Ok(files::entries(entry)?
            .iter()
            .all(|inner| files::is_partial(inner) || known(inner)))
    };
    match name {
        CHECKPOINTS if metadata.is_dir() => is_within(|_| false),
        TENSORBOARD if metadata.is_dir() => is_within(is_event_file),
        _ => Ok(metadata.is_file() && (files::is_partial(entry) || is_own_without_steps(entry))),
    }
}

fn is_event_file(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let is_event =
        |name: &str| name.starts_with("events.out.tfevents.") && name.contains(".wlstm.");
    name.is_some_and(is_event) && fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

/// Removes the files that a run has left in its folder, except the lock, the configuration and the record. A new run replaces
/// these, and may have been started with this configuration. The folder is in the state [`FolderState::Begun`], and this
/// process holds its lock.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if a file or folder cannot be removed.
pub(super) fn clear(path: &Path) -> Result<()> {
    let failed = |path: &Path, error| {
        Error::data(format!("cannot remove `{}`", path.display()))
            .because(error)
            .help("check that the folder is writable, or choose another one with --out")
    };
    files::sweep(path)?;
    for folder in FOLDERS.map(|name| path.join(name)) {
        if folder.is_dir() {
            files::sweep(&folder)?;
            for file in files::entries(&folder)? {
                fs::remove_file(&file).map_err(|error| failed(&file, error))?;
            }
            fs::remove_dir(&folder).map_err(|error| failed(&folder, error))?;
        }
    }
    for file in [METRICS, REPORT].map(|name| path.join(name)) {
        if file.exists() {
            fs::remove_file(&file).map_err(|error| failed(&file, error))?;
        }
    }
    Ok(())
}

/// Checks that the files and folders of a run are regular files and folders. A link in a folder from an untrusted source could
/// point to any file of the user.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data), naming the first entry that is not.
pub(super) fn check_files(path: &Path) -> Result<()> {
    let file = |name| (path.join(name), files::check_own as Check);
    let folder = |name| (path.join(name), files::check_own_folder as Check);
    let mut all = FILES.map(file).into_iter().chain(FOLDERS.map(folder));
    all.try_for_each(|(path, check)| {
        check(&path).map_err(|error| {
            Error::data(format!("cannot use `{}`", path.display()))
                .because(error)
                .help(
                    "a run folder must contain only regular files and folders: remove this entry, or replace it by a copy",
                )
        })
    })
}

/// The run folder that this file belongs to: a file under a name that a run writes, whether it exists or not.
pub fn run_of_file(file: &Path) -> Option<PathBuf> {
    let folder = files::folder_of(file).canonicalize().ok()?;
    let name = file.file_name()?.to_str()?;
    let run = match folder.file_name().and_then(|name| name.to_str()) {
        Some(CHECKPOINTS) if step_of_checkpoint(file).is_some() => folder.parent()?,
        Some(TENSORBOARD) if is_event_file(file) => folder.parent()?,
        _ if FILES.contains(&name) => &folder,
        _ => return None,
    };
    has_run(run).then(|| run.to_path_buf())
}

type Check = fn(&Path) -> std::io::Result<()>;

/// The folders of a run that may hold partial files.
pub(super) fn folders(path: &Path) -> [PathBuf; 3] {
    let [checkpoints, tensorboard] = FOLDERS.map(|name| path.join(name));
    [path.to_path_buf(), checkpoints, tensorboard]
}
