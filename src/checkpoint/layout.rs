//! The names of the files in a run folder.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::files;

/// The folder of checkpoints.
pub(super) const CHECKPOINTS: &str = "checkpoints";
/// The file that a process locks while it trains in the folder.
pub(super) const LOCK: &str = ".lock";
/// The record of the run as a whole; see [`RunRecord`](super::RunRecord).
pub(super) const RECORD: &str = "run.json";
pub(super) const CONFIG: &str = "config.toml";
pub(super) const METRICS: &str = "metrics.jsonl";
pub(super) const TENSORBOARD: &str = "tensorboard";
/// The report of a run.
pub const REPORT: &str = "report.html";
/// The beginning of the element of a report that says that this program wrote it.
pub const REPORT_MARK: &str = "<meta name=\"generator\" content=\"wlstm ";

/// The folder of the runs and comparisons whose folder is not given, in the folder `base`.
pub fn runs_folder(base: &Path) -> PathBuf {
    base.join("runs")
}

/// Path of the resolved configuration in a run folder.
pub fn config_path(run: &Path) -> PathBuf {
    run.join(CONFIG)
}

/// Path of the metrics in a run folder.
pub fn metrics_path(run: &Path) -> PathBuf {
    run.join(METRICS)
}

/// Path of the TensorBoard event files in a run folder.
pub(super) fn tensorboard_path(run: &Path) -> PathBuf {
    run.join(TENSORBOARD)
}

/// Whether a run has started in this folder: it has a record, or a checkpoint if the record is lost.
pub fn has_run(folder: &Path) -> bool {
    let checkpoints = folder.join(CHECKPOINTS);
    folder.join(RECORD).is_file()
        || checkpoints.is_dir() && checkpoint_steps(&checkpoints).is_ok_and(|all| !all.is_empty())
}

/// The run folder whose resolved configuration this file is, if it is one.
pub fn run_of_config(config: &Path) -> Option<PathBuf> {
    let folder = files::folder_of(config);
    let is_own = config.file_name()? == CONFIG && has_run(folder);
    is_own.then(|| folder.to_path_buf())
}

/// The run folder that has this file among its checkpoints, if there is one.
pub fn run_of_checkpoint(file: &Path) -> Option<PathBuf> {
    let folder = file.parent().filter(|folder| folder.ends_with(CHECKPOINTS));
    folder?.parent().map(Path::to_path_buf)
}

/// Name of the checkpoint at `step`.
pub(super) fn checkpoint_name(step: u64) -> String {
    format!("step-{step:08}.safetensors")
}

/// The step of a checkpoint, from the name of its file.
pub fn step_of_checkpoint(file: &Path) -> Option<u64> {
    let name = file.file_name()?.to_str()?;
    let digits = name.strip_prefix("step-")?.strip_suffix(".safetensors")?;
    let step = digits.parse().ok()?;
    (name == checkpoint_name(step)).then_some(step)
}

/// The number of checkpoints in a folder of checkpoints.
///
/// # Errors
///
/// [`Kind::Data`](crate::error::Kind::Data) if the folder cannot be read.
pub fn checkpoints_in(folder: &Path) -> Result<usize> {
    checkpoint_steps(folder).map(|steps| steps.len())
}

/// The steps of the checkpoints in a folder of checkpoints, ascending.
pub(super) fn checkpoint_steps(folder: &Path) -> Result<Vec<u64>> {
    let mut steps: Vec<u64> = files::entries(folder)?
        .iter()
        .filter_map(|path| step_of_checkpoint(path))
        .collect();
    steps.sort_unstable();
    Ok(steps)
}
