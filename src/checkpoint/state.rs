//! What is in a folder that a run may use.
//!
//! A process may be killed, or fail, at any moment. Whatever it has left, the folder is free for a new run as long as it has only
//! files of this program, and neither a checkpoint nor a step of training would be lost.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::layout::{
    CHECKPOINTS, CONFIG, LOCK, METRICS, RECORD, REPORT, TENSORBOARD, metrics_path,
};
use crate::error::{Error, Result};
use crate::files;

/// The files of a run in its folder.
const FILES: [&str; 5] = [LOCK, CONFIG, RECORD, METRICS, REPORT];

/// The folders of a run in its folder.
const FOLDERS: [&str; 2] = [CHECKPOINTS, TENSORBOARD];

/// What is in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FolderState {
    /// Nothing at all, or no such folder.
    Empty,
    /// What a run leaves that has trained no step.
    Begun,
    /// Something else: a run with steps or checkpoints, or files of the user.
    Taken,
}

/// What is in the folder at `path`.
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
    let entries = files::entries(path)?;
    if entries.is_empty() {
        return Ok(FolderState::Empty);
    }
    for entry in &entries {
        if !is_left_over(entry)? {
            return Ok(FolderState::Taken);
        }
    }
    Ok(if has_steps(&metrics_path(path)) {
        FolderState::Taken
    } else {
        FolderState::Begun
    })
}

/// Whether an entry of a run folder is one that a run leaves before its first checkpoint.
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
        name => Ok(metadata.is_file() && (FILES.contains(&name) || files::is_partial(entry))),
    }
}

fn is_event_file(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let is_event =
        |name: &str| name.starts_with("events.out.tfevents.") && name.contains(".wlstm.");
    name.is_some_and(is_event) && fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

/// Whether a file of metrics has a line besides that of the start. Lines have their kind first.
fn has_steps(metrics: &Path) -> bool {
    /// More than the lines of several starts.
    const HEAD: u64 = 1 << 16;
    let mut head = Vec::new();
    let read = File::open(metrics).and_then(|file| file.take(HEAD).read_to_end(&mut head));
    if read.is_err() {
        return false;
    }
    let mut lines = head.split_inclusive(|byte| *byte == b'\n');
    lines.any(|line| line.ends_with(b"\n") && !is_frame(line)) || head.len() as u64 == HEAD
}

/// Whether a line of metrics is about the process and not about the model.
fn is_frame(line: &[u8]) -> bool {
    [&b"{\"kind\":\"start\""[..], b"{\"kind\":\"end\""]
        .iter()
        .any(|kind| line.starts_with(kind))
}

/// Removes what a run has left in its folder, all but the lock, the configuration and the record: a new run replaces these, and
/// its configuration may be that file. The folder is in the state [`FolderState::Begun`], and this process holds its lock.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if something cannot be removed.
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

/// Checks that whatever a run reads or writes in its folder is a file or a folder in it. A link in a folder from a stranger could
/// name any file of the user.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) that names the first other one.
pub(super) fn check_files(path: &Path) -> Result<()> {
    let file = |name| (path.join(name), files::check_own as Check);
    let folder = |name| (path.join(name), files::check_own_folder as Check);
    let mut all = FILES.map(file).into_iter().chain(FOLDERS.map(folder));
    all.try_for_each(|(path, check)| {
        check(&path).map_err(|error| {
            Error::data(format!("cannot use `{}`", path.display()))
                .because(error)
                .help(
                    "a run folder has only files and folders of its own: replace it, or remove it",
                )
        })
    })
}

type Check = fn(&Path) -> std::io::Result<()>;

/// The folders of a run that may hold partial files.
pub(super) fn folders(path: &Path) -> [PathBuf; 3] {
    let [checkpoints, tensorboard] = FOLDERS.map(|name| path.join(name));
    [path.to_path_buf(), checkpoints, tensorboard]
}
