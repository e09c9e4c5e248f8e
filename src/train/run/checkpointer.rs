//! Which checkpoints a run keeps, and the record of the best and the last.
//!
//! A checkpoint holds the parameters after an update. Only a later loss confirms that they are good. Until
//! then the newest confirmed checkpoint is kept as well, and if the run diverges, those that are not
//! confirmed are removed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::checkpoint::{RunFolder, RunRecord, SavedCheckpoint, Status};
use crate::config::{Config, TrainConfig};
use crate::corpus::{Vocabulary, WORD_RULE};
use crate::error::Result;
use crate::tensor::names;
use crate::train::progress::Progress;
use crate::train::session::TrainingSession;

/// Writes and removes the checkpoints of a run.
pub(super) struct Checkpointer<'a> {
    folder: &'a RunFolder,
    record: RunRecord,
    /// The step of the newest checkpoint.
    saved: Option<u64>,
    /// How many checkpoints are kept in addition to the best.
    keep: usize,
    /// The last validation.
    validated: Option<SavedCheckpoint>,
    /// The step of the newest confirmed checkpoint.
    confirmed: Option<u64>,
    /// The step at which this process began.
    begin: u64,
    /// The lowest perplexity on all targets in the final evaluation.
    on_all: Option<f64>,
}

impl<'a> Checkpointer<'a> {
    /// Opens the record of a run at `progress`, from which it takes the checkpoints: the process may have
    /// been killed after it wrote a checkpoint and before it wrote the record.
    pub fn open(
        folder: &'a RunFolder,
        name: &str,
        devices: &[String],
        train: &TrainConfig,
        progress: &Progress,
    ) -> Result<Checkpointer<'a>> {
        let saved = progress.position.is_some().then_some(progress.step);
        let best = progress
            .best
            .map(|(step, nll)| SavedCheckpoint::new(step, Some(nll.exp())));
        let record = RunRecord {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config: name.to_owned(),
            devices: devices.to_vec(),
            seed: train.seed,
            status: Status::Running,
            last: None,
            best,
        };
        let mut checkpointer = Checkpointer {
            folder,
            record,
            saved,
            keep: train.keep,
            validated: None,
            // The run continued after all checkpoints before the resumed one, so they are confirmed.
            confirmed: match saved {
                Some(step) if progress.validated != saved => {
                    folder.steps()?.into_iter().rfind(|&before| before < step)
                }
                saved => saved,
            },
            begin: progress.step,
            on_all: None,
        };
        checkpointer.record.last = saved.map(|step| checkpointer.saved_at(step));
        folder.write_record(&checkpointer.record)?;
        // The process may have been killed after it wrote a checkpoint and before it removed an older one.
        checkpointer.prune()?;
        Ok(checkpointer)
    }

    /// The checkpoint at `step`, with its perplexity if that is known.
    fn saved_at(&self, step: u64) -> SavedCheckpoint {
        let known = [&self.validated, &self.record.best];
        let found = known.into_iter().flatten().find(|point| point.step == step);
        found
            .cloned()
            .unwrap_or_else(|| SavedCheckpoint::new(step, None))
    }

    /// The state has changed since the last checkpoint, without a step.
    pub fn mark_unsaved(&mut self) {
        self.saved = None;
    }

    /// Records a validation. If it is the best so far, a checkpoint is due.
    pub fn validated(&mut self, step: u64, perplexity: f64, best: bool) {
        self.validated = Some(SavedCheckpoint::new(step, Some(perplexity)));
        if self.saved == Some(step) {
            self.record.last.clone_from(&self.validated);
        }
        if best {
            self.record.best.clone_from(&self.validated);
            self.saved = None;
        }
    }

    /// Records a perplexity of the final evaluation on all targets. The checkpoint with the lowest one becomes the best.
    pub fn measured_on_all(&mut self, step: u64, perplexity: f64) -> Result<()> {
        let found = SavedCheckpoint::new(step, Some(perplexity));
        let is_better = self.on_all.is_none_or(|best| perplexity < best);
        if is_better {
            self.on_all = Some(perplexity);
            self.record.best = Some(found.clone());
        }
        if self
            .record
            .last
            .as_ref()
            .is_some_and(|last| last.step == step)
        {
            self.record.last = Some(found);
        }
        self.folder.write_record(&self.record)
    }

    /// Whether the current state has no checkpoint.
    pub fn is_due(&self, progress: &Progress) -> bool {
        self.saved != Some(progress.step)
    }

    /// Writes a checkpoint with the recurrent states of all streams. Returns its path.
    pub fn save(
        &mut self,
        session: &mut TrainingSession,
        states: &BTreeMap<String, Vec<f32>>,
        config: &Config,
        progress: &Progress,
        vocabulary: &Vocabulary,
    ) -> Result<PathBuf> {
        let step = progress.step;
        let validated = progress.validated == Some(step);
        let progress = serde_json::to_string(progress).expect("progress has a JSON form");
        let metadata = [
            ("format", "wlstm checkpoint 1".to_owned()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("config", config.to_toml()),
            (names::WORD_RULE, WORD_RULE.to_owned()),
            ("progress", progress),
        ];
        let metadata: BTreeMap<String, String> = metadata
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        let path = self.folder.checkpoint_path(step);
        session.save(&path, states, &vocabulary.to_bytes(), &metadata)?;
        self.record.last = Some(self.saved_at(step));
        self.folder.write_record(&self.record)?;
        self.saved = Some(step);
        if validated {
            self.confirmed = self.saved;
        }
        self.prune()?;
        Ok(path)
    }

    /// Confirms the newest checkpoint: a loss has shown that it is good.
    pub fn confirm(&mut self) -> Result<()> {
        // A loss says nothing about a checkpoint that is not written yet.
        if self.saved.is_none() || self.confirmed == self.saved {
            return Ok(());
        }
        self.confirmed = self.saved;
        self.prune()
    }

    /// After divergence: removes the checkpoints of this process that are not confirmed.
    pub fn discard_unconfirmed(&mut self) -> Result<()> {
        let best = self.record.best.as_ref().map(|best| best.step);
        let is_discarded =
            |step: &u64| *step > self.begin && Some(*step) > self.confirmed && Some(*step) != best;
        let (discarded, kept): (Vec<u64>, Vec<u64>) =
            self.folder.steps()?.into_iter().partition(is_discarded);
        // The record is written first, so that it never names a missing checkpoint, even if the process is killed.
        self.record.last = kept.last().map(|step| self.saved_at(*step));
        self.folder.write_record(&self.record)?;
        discarded
            .into_iter()
            .try_for_each(|step| self.folder.remove(step))
    }

    /// Removes checkpoints, all but those to keep.
    fn prune(&self) -> Result<()> {
        let best = self.record.best.as_ref().map(|best| best.step);
        self.folder
            .prune(self.keep, &[best, self.confirmed, self.saved])
            .map(drop)
    }

    /// Records how the run ended.
    pub fn end(&mut self, status: Status) -> Result<()> {
        self.record.status = status;
        self.folder.write_record(&self.record)
    }

    /// The best checkpoint.
    pub fn best(&self) -> Option<SavedCheckpoint> {
        self.record.best.clone()
    }

    /// The path of the newest checkpoint.
    pub fn last(&self) -> Option<PathBuf> {
        self.record
            .last
            .as_ref()
            .map(|point| self.folder.path().join(&point.checkpoint))
    }
}
