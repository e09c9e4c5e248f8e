//! The folder of one run.
//!
//! A folder is new, or it is resumed: nothing in it is overwritten by another run, and a lock keeps a second process
//! out. Without a name of its own a run goes to `runs/NAME`, after its configuration, or to `runs/NAME-2`, `-3`, ... if
//! that is taken.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files;

/// The folder of a run, locked for this process as long as this value lives.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    _lock: File,
    /// What this value made, for a new run.
    made: Made,
}

/// What was there before a run folder was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Made {
    /// A run.
    Nothing,
    /// An empty folder.
    Contents,
    /// No folder.
    Folder,
}

/// What was made for a run of which nothing was recorded is taken away again.
impl Drop for RunFolder {
    fn drop(&mut self) {
        if self.made == Made::Nothing || self.path.join(RECORD).exists() {
            return;
        }
        // Whatever cannot be removed stays: an empty folder does no harm.
        let _ = std::fs::remove_dir(self.path.join(CHECKPOINTS));
        let _ = std::fs::remove_file(self.path.join(LOCK));
        if self.made == Made::Folder {
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

/// What `run.json` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The version of wlstm that trained last.
    pub version: String,
    /// The name of the configuration, for people.
    pub config: String,
    /// The devices that trained last.
    pub devices: Vec<String>,
    /// The key of every random number.
    pub seed: u64,
    /// How far it is.
    pub status: Status,
    /// The checkpoint of the lowest validation perplexity.
    pub best: Option<Point>,
    /// The newest checkpoint.
    pub last: Option<Point>,
}

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It trains, or was killed.
    Running,
    /// A limit was reached.
    Finished,
    /// It was stopped and saved.
    Interrupted,
    /// The loss was no longer finite.
    Diverged,
    /// Something else ended it.
    Failed,
}

/// A checkpoint of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The file, relative to the run folder.
    pub checkpoint: String,
    /// Optimizer steps done.
    pub step: u64,
    /// The validation perplexity at that step, if it was measured and is finite.
    pub perplexity: Option<f64>,
}

impl Point {
    /// The checkpoint at `step`.
    pub fn new(step: u64, perplexity: Option<f64>) -> Point {
        let perplexity = perplexity.filter(|perplexity| perplexity.is_finite());
        Point {
            checkpoint: format!("{CHECKPOINTS}/{}", checkpoint_name(step)),
            step,
            perplexity,
        }
    }
}

const CHECKPOINTS: &str = "checkpoints";
const LOCK: &str = ".lock";
const RECORD: &str = "run.json";
const CONFIG: &str = "config.toml";

/// Whether a run in this folder has begun: it has a record.
pub fn is_begun(path: &Path) -> bool {
    path.join(RECORD).is_file()
}

fn holds_a_run(path: &Path) -> Error {
    Error::data(format!("`{}` holds a run already", path.display()))
        .help("continue it with --resume, or choose another folder with --out")
}

/// Keeps other processes from training in a folder, as long as the file lives.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if one does, or the folder cannot be written to.
pub fn lock(folder: &Path) -> Result<File> {
    let file = folder.join(LOCK);
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&file)
        .map_err(|error| files::cannot_write(&file, error))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(
                Error::data(format!("another process trains in `{}`", folder.display()))
                    .help("wait for it or stop it, or choose another folder with --out"),
            );
        }
        // Some network file systems have no locks; training there is better than not training.
        Err(TryLockError::Error(error)) => {
            tracing::warn!(path = %file.display(), %error, "cannot lock the folder; keep other processes out of it");
        }
    }
    Ok(lock)
}

/// Whether no process trains in a folder, as far as its lock tells.
pub fn is_left(folder: &Path) -> bool {
    File::open(folder.join(LOCK)).is_ok_and(|file| file.try_lock_shared().is_ok())
}

impl RunFolder {
    /// Makes a new folder. An empty folder that is already there will do.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if something is there, or the folder cannot be made.
    pub fn create(path: &Path) -> Result<RunFolder> {
        RunFolder::check_free(path)?;
        let made = if path.exists() {
            Made::Contents
        } else {
            Made::Folder
        };
        std::fs::create_dir_all(path).map_err(|error| files::cannot_make(path, error))?;
        let mut run = RunFolder::lock(path)?;
        let checkpoints = path.join(CHECKPOINTS);
        std::fs::create_dir_all(&checkpoints)
            .map_err(|error| files::cannot_make(&checkpoints, error))?;
        // Of two processes that came here at once, the second finds what the first has recorded, once it has the lock.
        if path.join(RECORD).exists() {
            return Err(holds_a_run(path));
        }
        run.made = made;
        files::sync_folder(path).map_err(|error| files::cannot_make(path, error))?;
        Ok(run)
    }

    /// Whether a new run could be made there: for commands that do much before they make it.
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
            if path.join(RECORD).exists() {
                return Err(holds_a_run(path));
            }
            // A process that was killed before its first record leaves a lock and a folder without checkpoints.
            let checkpoints = path.join(CHECKPOINTS);
            let empty = files::entries(path)?
                .iter()
                .all(|entry| entry.ends_with(LOCK) || *entry == checkpoints);
            if !empty || (checkpoints.exists() && !files::entries(&checkpoints)?.is_empty()) {
                return Err(taken("is not empty").help("choose another folder with --out"));
            }
        }
        Ok(())
    }

    /// Makes the folder `runs/NAME` in `base`, or the one after the last of `runs/NAME`, `runs/NAME-2`, ... that is there;
    /// NAME is that of the configuration, see [`run_name`].
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the folder cannot be made.
    pub fn create_numbered(base: &Path, config: &Path) -> Result<RunFolder> {
        let runs = base.join("runs");
        std::fs::create_dir_all(&runs).map_err(|error| files::cannot_make(&runs, error))?;
        let mut number = numbers(&runs, config)?.last().map_or(1, |last| last + 1);
        loop {
            let path = numbered(base, config, number);
            // Making it is also how two processes that start at once get two numbers.
            match std::fs::create_dir(&path) {
                Ok(()) => {
                    let mut run = RunFolder::create(&path)?;
                    run.made = Made::Folder;
                    return Ok(run);
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(files::cannot_make(&path, error)),
            }
        }
    }

    /// The newest of the numbered folders of a configuration that holds a run, if there is one.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the folder `runs` cannot be read.
    pub fn newest_numbered(base: &Path, config: &Path) -> Result<Option<PathBuf>> {
        let runs = base.join("runs");
        if !runs.is_dir() {
            return Ok(None);
        }
        let paths = numbers(&runs, config)?
            .into_iter()
            .map(|number| numbered(base, config, number));
        Ok(paths.rev().find(|path| is_begun(path)))
    }

    /// Opens the folder of an earlier run to continue it, and removes what a kill has left half written.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if there is no run in it, or another process trains in it.
    pub fn resume(path: &Path) -> Result<RunFolder> {
        if !is_begun(path) {
            return Err(
                Error::data(format!("there is no run to resume in `{}`", path.display()))
                    .help("name the folder of a run with --out, or leave --resume out"),
            );
        }
        let run = RunFolder::lock(path)?;
        let checkpoints = path.join(CHECKPOINTS);
        std::fs::create_dir_all(&checkpoints)
            .map_err(|error| files::cannot_make(&checkpoints, error))?;
        for folder in [path, &checkpoints] {
            for leftover in files::sweep(folder)? {
                tracing::info!(path = %leftover.display(), "removed a file that was left half written");
            }
        }
        Ok(run)
    }

    fn lock(path: &Path) -> Result<RunFolder> {
        Ok(RunFolder {
            path: path.to_path_buf(),
            _lock: lock(path)?,
            made: Made::Nothing,
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of the resolved configuration.
    pub fn config_path(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// The file of the metrics.
    pub fn metrics_path(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// The folder of the event files for TensorBoard.
    pub fn board_path(&self) -> PathBuf {
        self.path.join("tensorboard")
    }

    /// The file of the checkpoint at `step`.
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
    pub fn write_record(&self, record: &Record) -> Result<()> {
        let path = self.path.join(RECORD);
        let text = serde_json::to_string_pretty(record).expect("names and numbers");
        files::write_text(&path, &(text + "\n"))
    }

    /// The steps of the checkpoints that are there, in rising order.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the folder cannot be read.
    pub fn steps(&self) -> Result<Vec<u64>> {
        steps(&self.path.join(CHECKPOINTS))
    }

    /// Removes all checkpoints but the `keep` newest and those of some steps, and says which steps went.
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
                .help("check that the folder may be written to")
        })
    }
}

/// Which checkpoint of a run is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one of the lowest validation perplexity; the newest if none was measured or its file is gone.
    Best,
    /// The newest.
    Last,
}

/// A checkpoint that a user named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The file.
    pub checkpoint: PathBuf,
    /// The run folder, if that was named.
    pub run: Option<PathBuf>,
}

/// Finds the checkpoint that `path` means: itself if it is a file, one of its checkpoints if it is a run folder.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if there is nothing at `path`, no checkpoint in it, or its record is broken.
pub fn find(path: &Path, which: Which) -> Result<Found> {
    if path.is_file() {
        return Ok(Found {
            checkpoint: path.to_path_buf(),
            run: None,
        });
    }
    if !path.is_dir() {
        return Err(Error::data(format!(
            "there is no run and no checkpoint at `{}`",
            path.display()
        ))
        .help("name the folder of a run, such as runs/shakespeare, or a checkpoint in it"));
    }
    let run = Some(path.to_path_buf());
    if which == Which::Best
        && path.join(RECORD).exists()
        && let Some(best) = read_record(path)?.best
    {
        let checkpoint = path.join(&best.checkpoint);
        if checkpoint.is_file() {
            return Ok(Found { checkpoint, run });
        }
        tracing::warn!(
            "the best checkpoint of the run, `{}`, is gone; taking its newest",
            checkpoint.display()
        );
    }
    let checkpoints = path.join(CHECKPOINTS);
    let newest = if checkpoints.is_dir() {
        steps(&checkpoints)?.pop()
    } else {
        None
    };
    match newest {
        Some(step) => Ok(Found {
            checkpoint: checkpoints.join(checkpoint_name(step)),
            run,
        }),
        None => Err(
            Error::data(format!("there is no checkpoint in `{}`", path.display()))
                .help("name the folder of a run that has saved at least once"),
        ),
    }
}

fn checkpoint_name(step: u64) -> String {
    format!("step-{step:08}.safetensors")
}

fn steps(folder: &Path) -> Result<Vec<u64>> {
    let mut steps: Vec<u64> = files::entries(folder)?
        .iter()
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?;
            let step = name
                .strip_prefix("step-")?
                .strip_suffix(".safetensors")?
                .parse()
                .ok()?;
            (name == checkpoint_name(step)).then_some(step)
        })
        .collect();
    steps.sort_unstable();
    Ok(steps)
}

/// The name of the runs of a configuration: that of its file, or of the run whose folder it is in.
pub fn run_name(config: &Path) -> String {
    let of_run = run_of_config(config)
        .and_then(|run| Some(run.canonicalize().ok()?.file_name()?.to_owned()));
    let name = of_run.or_else(|| Some(config.file_stem()?.to_owned()));
    name.map_or_else(
        || "run".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// The run that this configuration file is the resolved configuration of.
pub fn run_of_config(config: &Path) -> Option<PathBuf> {
    let folder = files::folder_of(config);
    let is_own = config.file_name()? == CONFIG && is_begun(folder);
    is_own.then(|| folder.to_path_buf())
}

fn numbered(base: &Path, config: &Path, number: u64) -> PathBuf {
    let name = run_name(config);
    base.join("runs").join(if number == 1 {
        name
    } else {
        format!("{name}-{number}")
    })
}

/// The numbers of the folders of a configuration that are there, in rising order.
fn numbers(runs: &Path, config: &Path) -> Result<Vec<u64>> {
    let name = run_name(config);
    let number = |path: &PathBuf| -> Option<u64> {
        let rest = path.file_name()?.to_str()?.strip_prefix(&name)?;
        if rest.is_empty() {
            return Some(1);
        }
        let number = rest.strip_prefix('-')?.parse().ok()?;
        // As it is written here: not `-02`.
        (rest == format!("-{number}") && (2..u64::MAX).contains(&number)).then_some(number)
    };
    let mut numbers: Vec<u64> = files::entries(runs)?.iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Reads the `run.json` of a run folder.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if it is missing or broken.
pub fn read_record(folder: &Path) -> Result<Record> {
    let path = folder.join(RECORD);
    let broken = |error: Box<dyn std::error::Error + Send + Sync>| {
        Error::data(format!("cannot read `{}`", path.display()))
            .because(error)
            .help("name one of the checkpoints instead of the folder")
    };
    let text = std::fs::read_to_string(&path).map_err(|error| broken(error.into()))?;
    serde_json::from_str(&text).map_err(|error| broken(error.into()))
}
