//! Where a run stands, as a checkpoint keeps it.

use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::corpus::{Position, Text};
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
    /// Words trained.
    #[serde(default)]
    pub words: u64,
    /// Unknown words trained on; not known where an older version began the run.
    #[serde(default)]
    pub unknown: Option<u64>,
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
    /// What `best` and `due_nll` were measured on.
    #[serde(default)]
    pub measure: Option<Measure>,
}

/// What perplexities are of: those of one measure can be compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// The digest of the validation text.
    digest: u64,
    /// `train.validate_targets`.
    targets: u64,
}

impl Measure {
    /// Of this validation text.
    pub fn of(text: &Text, config: &Config) -> Measure {
        Measure {
            digest: text.corpus().digest(),
            targets: config.train.validate_targets,
        }
    }
}

impl Progress {
    /// Before the first step.
    pub fn start() -> Progress {
        Progress {
            step: 0,
            epoch: 0,
            epochs_ended: 0,
            seconds: 0.0,
            words: 0,
            unknown: Some(0),
            skipped: 0,
            validated: None,
            best: None,
            due_nll: None,
            stalls: 0,
            position: None,
            measure: None,
        }
    }

    /// Adds the words of a step, and those of them that are unknown.
    pub fn count(&mut self, words: usize, unknown: usize) {
        self.words += words as u64;
        self.unknown = self.unknown.map(|all| all + unknown as u64);
    }

    /// Takes what validations of this run are from now on measured on.
    ///
    /// # Errors
    ///
    /// [`Kind::Usage`](crate::error::Kind::Usage) if there were some before, on something else: the best of them would be none.
    pub fn measure_on(&mut self, measure: Measure) -> Result<()> {
        let of_before = self.best.and(self.measure.as_ref());
        if let Some(before) = of_before.filter(|before| **before != measure) {
            let what = match before.digest == measure.digest {
                true => format!(
                    "`train.validate_targets` was {}, and is {}",
                    before.targets, measure.targets
                ),
                false => "`data.valid` is not the text that it was".to_owned(),
            };
            return Err(Error::usage(format!(
                "the best checkpoint of the run would be compared by another measure: {what}"
            ))
            .help(
                "resume with the validation of the run, as its `config.toml` names it, or with none (--set 'data.valid=[]'); for another \
                 text there is `wlstm eval`",
            ));
        }
        self.measure = Some(measure);
        Ok(())
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
