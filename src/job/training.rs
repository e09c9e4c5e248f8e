//! A prepared training run, and its outcome.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::page;
use super::text::Texts;
use crate::checkpoint::{RunFolder, SavedCheckpoint};
use crate::config::Config;
use crate::error::Result;
use crate::train::progress::Progress;
use crate::train::run::{Run, SharedTargets, train};
use crate::train::sample::is_too_slow;
use crate::train::session::TrainingSession;
use crate::train::watch::{Event, Stop, Turns};

/// A run before its first step: the model on its devices, the texts and the folder.
pub struct Training {
    pub(super) config: Config,
    pub(super) name: String,
    pub(super) session: TrainingSession,
    pub(super) texts: Texts,
    pub(super) folder: Option<RunFolder>,
    pub(super) progress: Progress,
    pub(super) stop: Stop,
    pub(super) shared_targets: Option<Arc<SharedTargets>>,
}

/// The result of a training run.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The run folder. None except on the root process of a job.
    pub folder: Option<PathBuf>,
    /// A description of the limit that ended the run.
    pub reason: String,
    /// Steps done before this run was resumed.
    pub resumed: u64,
    /// The progress of the run.
    pub progress: Progress,
    /// The best checkpoint.
    pub best: Option<SavedCheckpoint>,
    /// A text that the model generates. None if that takes too long.
    pub sample: Option<String>,
    /// Whether there is no sample because a software device is too slow for the vocabulary.
    pub sample_is_too_slow: bool,
}

impl Training {
    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The run folder. None except on the root process of a job.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_ref().map(RunFolder::path)
    }

    /// The number of processes that train together.
    pub fn processes(&mut self) -> usize {
        self.session.collective().ranks()
    }

    /// Saves and stops when `stop` asks for it.
    pub fn stop(mut self, stop: Stop) -> Training {
        self.stop = stop;
        self
    }

    /// Trains until a limit is reached, then writes the last checkpoint and the report.
    ///
    /// # Errors
    ///
    /// Same as [`train`]. The report is written in any case.
    pub fn run(self, mut observer: impl FnMut(Event) + Send) -> Result<Outcome> {
        self.train(None, &mut observer)
    }

    /// Same as [`Training::run`], in turns with other runs on the same device.
    ///
    /// # Errors
    ///
    /// Same as [`Training::run`].
    pub fn run_in_turns(
        self,
        turns: &dyn Turns,
        mut observer: impl FnMut(Event) + Send,
    ) -> Result<Outcome> {
        self.train(Some(turns), &mut observer)
    }

    fn train(
        mut self,
        turns: Option<&dyn Turns>,
        observer: &mut dyn FnMut(Event),
    ) -> Result<Outcome> {
        let resumed = self.progress.step;
        let outcome = train(Run {
            config: &self.config,
            name: self.name,
            session: &mut self.session,
            train: self.texts.train,
            valid: self.texts.valid,
            folder: self.folder.as_ref(),
            progress: self.progress,
            stop: &self.stop,
            turns,
            shared_targets: self.shared_targets.as_deref(),
            watch: observer,
        });
        for (device, bytes) in self.session.allocated_bytes().into_iter().enumerate() {
            tracing::debug!(device, bytes, "memory of a device");
        }
        if let Some(folder) = &self.folder {
            page::write_after_run(folder);
        }
        let outcome = outcome?;
        Ok(Outcome {
            folder: self.folder.map(|folder| folder.path().to_path_buf()),
            reason: outcome.reason,
            resumed,
            progress: outcome.progress,
            best: outcome.best,
            sample: outcome.sample,
            sample_is_too_slow: is_too_slow(&self.session),
        })
    }
}
