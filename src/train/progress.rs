//! Where a run stands, as a checkpoint keeps it.

use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::corpus::Position;
use crate::error::{Error, Result};

/// Where a run stands: what a checkpoint keeps besides tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Optimizer steps done.
    pub step: u64,
    /// The pass over the text of the last step, from 1; 0 before the first.
    pub epoch: u64,
    /// Epochs whose end was treated.
    pub epochs_ended: u64,
    /// Seconds of training, validation and checkpoints left out.
    pub seconds: f64,
    /// Steps of mixed precision that changed nothing.
    #[serde(default)]
    pub skipped: u64,
    /// The step of the last validation.
    pub validated: Option<u64>,
    /// The step and the mean negative log-likelihood of the best validation.
    pub best: Option<(u64, f64)>,
    /// The lowest of the validations that were due: one at the end of a run that goes on later must not change its course.
    pub due_nll: Option<f64>,
    /// Validations that were due and no better than the best due before them.
    pub stalls: u32,
    /// Where the text goes on; nothing: at its start.
    pub position: Option<Position>,
}

impl Progress {
    /// Before the first step.
    pub fn start() -> Progress {
        Progress {
            step: 0,
            epoch: 0,
            epochs_ended: 0,
            seconds: 0.0,
            skipped: 0,
            validated: None,
            best: None,
            due_nll: None,
            stalls: 0,
            position: None,
        }
    }

    /// Where the run of a checkpoint stood.
    ///
    /// # Errors
    ///
    /// [`Kind::Data`](crate::error::Kind::Data) if the file is no checkpoint of a run.
    pub fn read(file: &Checkpoint) -> Result<Progress> {
        let place = file.path().display();
        let text = file.metadata().get("progress").ok_or_else(|| {
            Error::data(format!(
                "`{place}` has parameters but is no checkpoint of a run"
            ))
            .help("start a new run from it with `--init`")
        })?;
        serde_json::from_str(text).map_err(|error| {
            Error::data(format!("`{place}` does not say where its run stood"))
                .because(error)
                .help("use the version of wlstm that wrote it, or start a new run from it with `--init`")
        })
    }
}
