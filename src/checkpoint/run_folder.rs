//! The folder of one run.
//!
//! A run folder is either new or resumed: a run never overwrites the files of another one, and a lock keeps other processes out.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::layout::{
    CHECKPOINTS, LOCK, RECORD, checkpoint_name, checkpoint_steps, config_path, has_run,
    metrics_path, tensorboard_path,
};
use super::lock::lock_folder;
use super::numbered;
use super::record::RunRecord;
use super::state::{FolderState, check_files, clear, folders, kept_entry, state_of};
use crate::error::{Error, Result};
use crate::files;

/// The folder of a run, locked for this process until this value is dropped.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    _lock: File,
    /// Whether the run is new, and not resumed.
    is_new: bool,
    /// Set once the process writes a new run. Before, it has only locked the folder.
    begun: OnceLock<()>,
    /// The folders that did not exist before, the innermost first.
    created: Vec<PathBuf>,
    /// Whether the folder already had a lock.
    had_lock: bool,
    /// Whether the folder already had a configuration file. The run may have been started with it.
    had_config: bool,
}

/// Removes what was created for a run that has no record.
impl Drop for RunFolder {
    fn drop(&mut self) {
        if !self.is_new {
            return;
        }
        // Errors are ignored: what is left is removed by the next run in this folder.
        if self.begun.get().is_none() {
            if !self.had_lock {
                let _ = std::fs::remove_file(self.path.join(LOCK));
            }
        } else if self.path.join(RECORD).exists() {
            return;
        } else if matches!(state_of(&self.path), Ok(FolderState::Begun)) {
            let _ = clear(&self.path);
            if !self.had_config {
                let _ = std::fs::remove_file(self.config_path());
            }
            let _ = std::fs::remove_file(self.path.join(LOCK));
        }
        files::remove_empty(self.created.iter());
    }
}

fn already_has_run(path: &Path) -> Error {
    Error::data(format!("`{}` already contains a run", path.display()))
        .help("choose another folder with --out")
}

impl RunFolder {
    /// Creates a new run folder. The folder may exist if it is empty, or if it contains only files of a run that was killed
    /// before its first step. Same as [`RunFolder::reserve`] and [`RunFolder::begin`].
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the folder contains other files or cannot be created.
    pub fn create(path: &Path) -> Result<RunFolder> {
        let run = RunFolder::reserve(path)?;
        run.begin()?;
        Ok(run)
    }

    /// Creates the folder of a new run and locks it. Files of a killed run stay until [`RunFolder::begin`], so that a command
    /// that is refused in between removes nothing. Dropping the value removes what was created.
    ///
    /// # Errors
    ///
    /// Same as [`RunFolder::create`].
    pub fn reserve(path: &Path) -> Result<RunFolder> {
        RunFolder::check_free(path).map_err(|error| {
            if has_run(path) {
                error.help("continue it with --resume, or choose another folder with --out")
            } else {
                error
            }
        })?;
        let created =
            files::create_folders(path).map_err(|error| files::cannot_create(path, error))?;
        RunFolder::lock_new(path, created)
    }

    /// Locks a folder for a new run, whose folders `created` did not exist before.
    fn lock_new(path: &Path, created: Vec<PathBuf>) -> Result<RunFolder> {
        let locked = RunFolder::lock(path);
        let mut run = locked.inspect_err(|_| files::remove_empty(created.iter()))?;
        (run.is_new, run.created) = (true, created);
        // If two processes get here at once, the second one takes the lock after the first has ended.
        RunFolder::check_free(path)?;
        Ok(run)
    }

    /// Begins to write a new run: removes the files of a killed one. No effect on a run that is resumed.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the folder contains other files by now, or is not writable.
    pub fn begin(&self) -> Result<()> {
        if !self.is_new || self.begun.get().is_some() {
            return Ok(());
        }
        RunFolder::check_free(&self.path)?;
        self.begun.get_or_init(|| ());
        clear(&self.path)?;
        let checkpoints = self.path.join(CHECKPOINTS);
        std::fs::create_dir_all(&checkpoints)
            .map_err(|error| files::cannot_create(&checkpoints, error))?;
        files::sync_folder(&self.path).map_err(|error| files::cannot_create(&self.path, error))
    }

    /// Checks that [`RunFolder::create`] would succeed, for commands that do long work first or cannot resume a run.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if something is there.
    pub fn check_free(path: &Path) -> Result<()> {
        let taken = |what: &str| Error::data(format!("`{}` {what}", path.display()));
        if path.exists() {
            if !path.is_dir() {
                return Err(taken("is not a folder").help("choose another folder with --out"));
            }
            if state_of(path)? == FolderState::Taken {
                if path.join(RECORD).exists() || has_run(path) {
                    return Err(already_has_run(path));
                }
                let error = taken("is not empty").help("choose another folder with --out");
                return Err(match kept_entry(path)? {
                    Some(entry) => error.because(format!("it contains `{}`", entry.display())),
                    None => error,
                });
            }
        }
        Ok(())
    }

    /// Whether a run was started in this folder and killed before its first step. There is nothing to resume, and
    /// [`RunFolder::create`] would succeed.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the folder cannot be read.
    pub fn is_begun(path: &Path) -> Result<bool> {
        state_of(path).map(|state| state == FolderState::Begun)
    }

    /// Same as [`RunFolder::reserve`], for the next free folder of `runs/NAME`, `runs/NAME-2`, ... in `base`.
    /// [`run_name`](super::run_name) gives the NAME of a configuration.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the folder cannot be created.
    pub fn reserve_numbered(base: &Path, name: &str) -> Result<RunFolder> {
        let (path, created) = numbered::create_next(base, name)?;
        RunFolder::lock_new(&path, created)
    }

    /// The newest of the folders `runs/NAME`, `runs/NAME-2`, ... in `base` that contains a run, if there is one.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the folder `runs` cannot be read.
    pub fn newest_numbered(base: &Path, name: &str) -> Result<Option<PathBuf>> {
        numbered::newest(base, name)
    }

    /// Opens the folder of an existing run, and removes the partial files that a killed process has left.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the folder contains no run, or another process is training in it.
    pub fn resume(path: &Path) -> Result<RunFolder> {
        if !has_run(path) {
            return Err(
                Error::data(format!("there is no run to resume in `{}`", path.display()))
                    .help("give the run folder with --out, or leave --resume out"),
            );
        }
        let run = RunFolder::lock(path)?;
        let checkpoints = path.join(CHECKPOINTS);
        std::fs::create_dir_all(&checkpoints)
            .map_err(|error| files::cannot_create(&checkpoints, error))?;
        for folder in folders(path).iter().filter(|folder| folder.is_dir()) {
            for partial in files::sweep(folder)? {
                tracing::info!(path = %partial.display(), "removed a partial file");
            }
        }
        Ok(run)
    }

    /// Checks that the folder contains no links and no special files in place of its files, and locks it.
    fn lock(path: &Path) -> Result<RunFolder> {
        check_files(path)?;
        let had_lock = path.join(LOCK).exists();
        Ok(RunFolder {
            path: path.to_path_buf(),
            _lock: lock_folder(path)?,
            is_new: false,
            begun: OnceLock::new(),
            created: Vec::new(),
            had_lock,
            had_config: config_path(path).exists(),
        })
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Path of the resolved configuration.
    pub fn config_path(&self) -> PathBuf {
        config_path(&self.path)
    }

    /// Path of the metrics.
    pub fn metrics_path(&self) -> PathBuf {
        metrics_path(&self.path)
    }

    /// Path of the folder of TensorBoard event files.
    pub fn tensorboard_path(&self) -> PathBuf {
        tensorboard_path(&self.path)
    }

    /// Path of the checkpoint at `step`.
    pub fn checkpoint_path(&self, step: u64) -> PathBuf {
        self.path.join(CHECKPOINTS).join(checkpoint_name(step))
    }

    /// Writes the resolved configuration.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if it cannot be written.
    pub fn write_config(&self, text: &str) -> Result<()> {
        files::write_text(&self.config_path(), text)
    }

    /// Writes `run.json`.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if it cannot be written.
    pub fn write_record(&self, record: &RunRecord) -> Result<()> {
        record.write(&self.path)
    }

    /// The steps of all checkpoints, ascending.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the folder cannot be read.
    pub fn steps(&self) -> Result<Vec<u64>> {
        checkpoint_steps(&self.path.join(CHECKPOINTS))
    }

    /// Removes the record of a run that failed, so that dropping this value removes all files of the run.
    pub fn abandon(self) {
        if self.begun.get().is_some() {
            let _ = std::fs::remove_file(self.path.join(RECORD));
        }
    }

    /// Removes all checkpoints except the `keep` newest and those at the steps in `others`. Returns the removed steps.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if one cannot be removed.
    pub fn prune(&self, keep: usize, others: &[Option<u64>]) -> Result<Vec<u64>> {
        let mut steps = self.steps()?;
        steps.truncate(steps.len().saturating_sub(keep));
        steps.retain(|&step| !others.contains(&Some(step)));
        for &step in &steps {
            self.remove(step)?;
        }
        Ok(steps)
    }

    /// Removes the checkpoint at `step`.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if it cannot be removed.
    pub fn remove(&self, step: u64) -> Result<()> {
        let path = self.checkpoint_path(step);
        std::fs::remove_file(&path).map_err(|error| {
            Error::data(format!("cannot remove the checkpoint `{}`", path.display()))
                .because(error)
                .help("check that the folder is writable")
        })
    }
}
