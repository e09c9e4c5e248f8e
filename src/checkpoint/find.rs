//! Finds the checkpoint that a user names by its file or by its run folder.

use std::path::{Component, Path, PathBuf};

use super::layout::{CHECKPOINTS, RECORD, checkpoint_name, checkpoint_steps, has_run};
use super::record::RunRecord;
use crate::error::{Error, Result};
use crate::files;

/// The maximum number of runs that a message names.
const NAMED: usize = 3;

/// Which checkpoint of a run to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one with the lowest validation perplexity. The newest, if none was measured or its file is gone.
    Best,
    /// The newest.
    Last,
}

/// A checkpoint that a user named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundCheckpoint {
    /// Path of the file.
    pub checkpoint: PathBuf,
    /// The run folder, if the user named that.
    pub run: Option<PathBuf>,
}

/// Finds the checkpoint at `path`: the file itself, or one of the checkpoints of a run folder.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if there is nothing at `path`, it contains no checkpoint, or `run.json` is invalid.
pub fn find(path: &Path, which: Which) -> Result<FoundCheckpoint> {
    if path.is_file() {
        return Ok(FoundCheckpoint {
            checkpoint: path.to_path_buf(),
            run: None,
        });
    }
    if !path.is_dir() {
        return Err(Error::data(format!(
            "there is no run and no checkpoint at `{}`",
            path.display()
        ))
        .help("give the folder of a run, such as runs/shakespeare, or a checkpoint in it"));
    }
    let run = Some(path.to_path_buf());
    if which == Which::Best
        && path.join(RECORD).exists()
        && let Some(best) = RunRecord::read(path)?.best
    {
        check_inside(path, &best.checkpoint)?;
        let checkpoint = path.join(&best.checkpoint);
        if checkpoint.is_file() {
            check_own(&checkpoint)?;
            return Ok(FoundCheckpoint { checkpoint, run });
        }
        tracing::warn!(
            "the best checkpoint of the run, `{}`, does not exist; using the newest one",
            checkpoint.display()
        );
    }
    let checkpoints = path.join(CHECKPOINTS);
    let newest = if checkpoints.is_dir() {
        checkpoint_steps(&checkpoints)?.pop()
    } else {
        None
    };
    match newest {
        Some(step) => {
            let checkpoint = checkpoints.join(checkpoint_name(step));
            check_own(&checkpoint)?;
            Ok(FoundCheckpoint { checkpoint, run })
        }
        None => Err(
            Error::data(format!("there is no checkpoint in `{}`", path.display()))
                .help(help_without_checkpoint(path)?),
        ),
    }
}

/// Checks that the best checkpoint that `run.json` names is in the run folder.
fn check_inside(run: &Path, name: &str) -> Result<()> {
    let is_name = |part: Component<'_>| matches!(part, Component::Normal(_));
    if Path::new(name).components().all(is_name) {
        return Ok(());
    }
    Err(Error::data(format!(
        "`{}` names a checkpoint outside of the run folder, `{name}`",
        run.join(RECORD).display()
    ))
    .help("if you trust this file, give its path instead of the run folder"))
}

/// Checks that a checkpoint of a run folder is a regular file or a link to a file in the same folder.
fn check_own(checkpoint: &Path) -> Result<()> {
    let shown = checkpoint.display();
    let unreadable = |error| {
        Error::data(format!("cannot read `{shown}`"))
            .because(error)
            .help("use another checkpoint of the run")
    };
    let kind = checkpoint
        .symlink_metadata()
        .map_err(unreadable)?
        .file_type();
    if kind.is_file() {
        return Ok(());
    }
    if !kind.is_symlink() {
        return Err(Error::data(format!("`{shown}` is not a regular file"))
            .help("use another checkpoint of the run"));
    }
    let target = checkpoint.canonicalize().map_err(unreadable)?;
    let folder = files::folder_of(checkpoint);
    let own = folder.canonicalize().map_err(unreadable)?;
    if target.parent() == Some(own.as_path()) {
        return Ok(());
    }
    Err(Error::data(format!(
        "`{shown}` is a link to `{}`, outside of the run folder",
        target.display()
    ))
    .help("if you trust this file, give its path instead of the run folder"))
}

/// The help for a folder without checkpoints: names the runs in it, best first, at most [`NAMED`].
fn help_without_checkpoint(folder: &Path) -> Result<String> {
    let entries = files::entries(folder)?;
    let runs = entries.iter().filter(|entry| has_run(entry));
    let mut runs: Vec<(f64, &PathBuf)> = runs.map(|run| (perplexity(run), run)).collect();
    runs.sort_by(|(x, _), (y, _)| x.total_cmp(y));
    let name = |(perplexity, run): &(f64, &PathBuf)| {
        if perplexity.is_finite() {
            format!("`{}` (perplexity {perplexity:.2})", run.display())
        } else {
            format!("`{}`", run.display())
        }
    };
    let names: Vec<String> = runs.iter().take(NAMED).map(name).collect();
    Ok(match runs.len() {
        0 => "give the folder of a run that has saved a checkpoint".to_owned(),
        1 => format!("give the path of the run in it, {}", names[0]),
        count => format!(
            "give the path of one of the {count} runs in it, for example {}",
            names.join(", ")
        ),
    })
}

/// The best validation perplexity of a run; infinite if it has none.
fn perplexity(run: &Path) -> f64 {
    let record = RunRecord::read(run).ok();
    let best = record.and_then(|record| record.best);
    best.and_then(|best| best.perplexity)
        .unwrap_or(f64::INFINITY)
}
