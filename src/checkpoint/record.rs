//! `run.json`: the record of a run as a whole.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::layout::{CHECKPOINTS, RECORD, checkpoint_name};
use crate::error::{Error, Result};
use crate::files;

/// The largest `run.json` that is read, in bytes.
const MAX_RECORD: u64 = 1 << 20;

/// The content of `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The version of wlstm that trained last.
    pub version: String,
    /// Name of the configuration, for display.
    pub config: String,
    /// The devices that trained last.
    pub devices: Vec<String>,
    /// Seed of all random numbers.
    pub seed: u64,
    /// State of the run.
    pub status: Status,
    /// The checkpoint with the lowest validation perplexity.
    pub best: Option<SavedCheckpoint>,
    /// The newest checkpoint.
    pub last: Option<SavedCheckpoint>,
}

/// State of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is training, or its process was killed.
    Running,
    /// It reached a limit.
    Finished,
    /// It was stopped, and saved a checkpoint.
    Interrupted,
    /// The loss was not finite.
    Diverged,
    /// It ended with another error.
    Failed,
}

/// A checkpoint of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedCheckpoint {
    /// Path of the file, relative to the run folder.
    pub checkpoint: String,
    /// Optimizer steps done.
    pub step: u64,
    /// Validation perplexity at that step, if it was measured and is finite.
    pub perplexity: Option<f64>,
}

impl SavedCheckpoint {
    /// The checkpoint at `step`.
    pub fn new(step: u64, perplexity: Option<f64>) -> SavedCheckpoint {
        let perplexity = perplexity.filter(|perplexity| perplexity.is_finite());
        SavedCheckpoint {
            checkpoint: format!("{CHECKPOINTS}/{}", checkpoint_name(step)),
            step,
            perplexity,
        }
    }
}

impl RunRecord {
    /// Reads the `run.json` of a run folder.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if it is missing or invalid.
    pub fn read(folder: &Path) -> Result<RunRecord> {
        let path = folder.join(RECORD);
        let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| {
            Error::data(format!("cannot read `{}`", path.display()))
                .because(error)
                .help("give one of the checkpoints instead of the folder")
        };
        let text = files::read_own(&path, MAX_RECORD).map_err(|error| unreadable(error.into()))?;
        serde_json::from_slice(&text).map_err(|error| unreadable(error.into()))
    }

    /// Writes the `run.json` of a run folder.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if it cannot be written.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(RECORD);
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| files::cannot_write(&path, error.into()))?;
        files::write_text(&path, &(text + "\n"))
    }
}
