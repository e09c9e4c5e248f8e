//! What a run leaves in its folder besides metrics: checkpoints and the record of which is the best and which the last.
//!
//! A checkpoint holds what an update has made, and whether that was any good shows only afterwards, in a loss. Until then the
//! newest one that is known to be good is kept beside it, and if the run diverges, what is not known to be good goes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::progress::Progress;
use super::session::TrainingSession;
use crate::checkpoint::{RunFolder, RunRecord, SavedCheckpoint, Status};
use crate::config::{Config, TrainConfig};
use crate::corpus::Vocabulary;
use crate::error::Result;

/// Keeps the folder of a run.
pub(super) struct Checkpointer<'a> {
    folder: &'a RunFolder,
    record: RunRecord,
    /// The step whose state the newest checkpoint holds.
    saved: Option<u64>,
    /// How many checkpoints are kept besides the best.
    keep: usize,
    /// The last validation.
    validated: Option<SavedCheckpoint>,
    /// The step of the newest checkpoint that a loss has shown to be good.
    proven: Option<u64>,
    /// The step at which this process began.
    begin: u64,
}

impl<'a> Checkpointer<'a> {
    /// Opens the record of a run that stands at `progress`. What the record says of checkpoints is taken from there: a kill
    /// may have come between a checkpoint and its record.
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
            // Those before the one that is resumed were followed by it.
            proven: match saved {
                Some(step) if progress.validated != saved => {
                    folder.steps()?.into_iter().rfind(|&before| before < step)
                }
                saved => saved,
            },
            begin: progress.step,
        };
        checkpointer.record.last = saved.map(|step| checkpointer.point(step));
        folder.write_record(&checkpointer.record)?;
        Ok(checkpointer)
    }

    /// The checkpoint at `step`, with what its validation has found if that is known.
    fn point(&self, step: u64) -> SavedCheckpoint {
        let known = [&self.validated, &self.record.best];
        let found = known.into_iter().flatten().find(|point| point.step == step);
        found
            .cloned()
            .unwrap_or_else(|| SavedCheckpoint::new(step, None))
    }

    /// Something that a checkpoint holds has changed since the last one, without a step.
    pub fn changed(&mut self) {
        self.saved = None;
    }

    /// This step was validated, and if it is the best so far is to be saved now.
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

    /// Whether this state has no checkpoint yet.
    pub fn is_due(&self, progress: &Progress) -> bool {
        self.saved != Some(progress.step)
    }

    /// Writes a checkpoint with the recurrent states of all streams; gives its path.
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
        let progress = serde_json::to_string(progress).expect("numbers and names");
        let metadata = [
            ("format", "wlstm checkpoint 1".to_owned()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("config", config.to_toml()),
            ("progress", progress),
        ];
        let metadata: BTreeMap<String, String> = metadata
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        let path = self.folder.checkpoint_path(step);
        session.save(&path, states, &vocabulary.to_bytes(), &metadata)?;
        self.record.last = Some(self.point(step));
        self.folder.write_record(&self.record)?;
        self.saved = Some(step);
        if validated {
            self.proven = self.saved;
        }
        self.prune()?;
        Ok(path)
    }

    /// A loss has shown that the state of the newest checkpoint is good.
    pub fn proven(&mut self) -> Result<()> {
        // Nothing is saved before the first checkpoint, and while one is due: no loss speaks of it.
        if self.saved.is_none() || self.proven == self.saved {
            return Ok(());
        }
        self.proven = self.saved;
        self.prune()
    }

    /// Removes what this process has saved and no loss has shown to be good, because the run diverged.
    pub fn disown(&mut self) -> Result<()> {
        let best = self.record.best.as_ref().map(|best| best.step);
        for step in self.folder.steps()? {
            if step > self.begin && Some(step) > self.proven && Some(step) != best {
                self.folder.remove(step)?;
            }
        }
        let last = self.folder.steps()?.pop();
        self.record.last = last.map(|step| self.point(step));
        self.folder.write_record(&self.record)
    }

    /// Removes the checkpoints that are not to be kept.
    fn prune(&self) -> Result<()> {
        let best = self.record.best.as_ref().map(|best| best.step);
        self.folder.prune(self.keep, &[best, self.proven]).map(drop)
    }

    /// Records how the run ended.
    pub fn end(&mut self, status: Status) -> Result<()> {
        self.record.status = status;
        self.folder.write_record(&self.record)
    }

    /// The best checkpoint.
    pub fn best_point(&self) -> Option<SavedCheckpoint> {
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
