//! The training loop.

use super::request::{Run, RunOutcome};
use super::trainer::Trainer;
use super::when::{When, due};
use crate::corpus::{BatchOptions, Batches, Loader};
use crate::error::{Error, Result};
use crate::model::parameter_set::ParameterSet;
use crate::numbers::counted;
use crate::train::collective::all_agree;
use crate::train::plans::validation_extent;
use crate::train::prepare::{Prepared, Preparer};

/// Trains until a limit, a signal or a failure ends the run.
///
/// # Errors
///
/// [`Kind::Interrupted`](crate::error::Kind::Interrupted) and
/// [`Kind::Terminated`](crate::error::Kind::Terminated) after a signal, with everything saved;
/// [`Kind::Diverged`](crate::error::Kind::Diverged) if a loss, its perplexity or the norm of a gradient is
/// not finite, with the checkpoints before; [`Kind::Data`](crate::error::Kind::Data) and
/// [`Kind::Device`](crate::error::Kind::Device).
pub fn train(run: Run<'_>) -> Result<RunOutcome> {
    let division = run.session.division();
    let options = BatchOptions {
        batch: run.config.train.batch * division.parts(),
        unroll: run.config.train.unroll,
        shuffle: run.config.data.shuffle,
        seed: run.config.train.seed,
        epochs: run.config.train.epochs,
    };
    let batches = match &run.progress.position {
        Some(position) => Batches::resume(&run.train, &options, position)?,
        None => Batches::training(&run.train, &options)?,
    };
    let epoch_steps = batches.epoch_steps()?.max(1);
    if let Some(text) = &run.valid {
        // If validation is impossible, for its text or for lack of memory, the run fails now and not after an epoch.
        let extent = validation_extent(run.config);
        Batches::evaluation(text, extent.batch, extent.unroll)?;
        if run.session.is_root() {
            for set in ParameterSet::of_run(run.config, run.progress.step) {
                run.session.evaluator(set)?;
            }
        }
    }
    let vocabulary = run.session.vocabulary();
    let mut preparer = Preparer::new(run.config, vocabulary, run.progress.step, division)?;
    let batches = Loader::spawn(batches, move |batch| preparer.prepare(batch))?;
    let mut trainer = Trainer::start(run, epoch_steps)?;
    let ended = trainer.train(batches);
    trainer.finish(ended)
}

/// The elapsed training time, relative to the limit `train.seconds`.
struct TimeOver {
    /// Whether the limit is reached.
    is_up: bool,
    /// The number of parts of the run that are done; see [`Trainer::parts_by_time`].
    parts: u64,
    /// The seconds of training so far.
    seconds: f64,
}

impl Trainer<'_> {
    /// The loop. Returns which limit ended it.
    fn train(&mut self, batches: Loader<Prepared>) -> Result<String> {
        let config = self.run.config;
        let train = &config.train;
        // A validation that was interrupted is repeated; one whose result is in the checkpoint is not.
        if self.validation_is_due(self.started(), 0) && self.validate(true)? {
            self.checkpoint()?;
        }
        for batch in batches {
            self.take_turns()?;
            let (batch, time) = self.agree(batch)?;
            // Before the limits, so that a resumed run has ended the same epochs as one that was not stopped.
            if self.run.progress.epochs_ended + 1 < batch.epoch {
                self.end_epoch(batch.epoch - 1)?;
            }
            if let Some(reason) = self.limit(batch.epoch, time.is_up) {
                return Ok(reason);
            }
            // Forward, backward, reduction, clipping and update.
            self.start_step(batch, time.seconds)?;
            while self.in_flight.len() >= self.run.session.in_flight() {
                self.fetch()?;
            }
            let step = self.started();
            let mut save = due(train.checkpoint_every, step);
            if self.validation_is_due(step, time.parts) {
                self.drain()?;
                save |= self.validate(true)?;
            }
            if save {
                self.checkpoint()?;
            }
            if due(train.histogram_every, step) {
                self.write_histograms()?;
            }
        }
        self.drain()?;
        let epoch = self.run.progress.epoch;
        if self.run.progress.epochs_ended < epoch {
            self.end_epoch(epoch)?;
        }
        Ok(counted(epoch, "epoch"))
    }

    /// Collective. The next batch, and the elapsed time by the clock of the root process. Fails on every rank if one rank has
    /// no batch or is asked to stop.
    fn agree(&mut self, batch: Result<Prepared>) -> Result<(Prepared, TimeOver)> {
        let batch = batch.and_then(|batch| match self.run.stop.asked() {
            Some(kind) => Err(Error::new(kind, "interrupted")),
            None => Ok(batch),
        });
        let limit = self.run.config.train.seconds;
        let seconds = self.clock.seconds();
        let mut shared = [0.0; 3];
        if self.run.session.is_root() {
            let is_up = limit > 0.0 && seconds >= limit;
            let parts = self.parts_by_time(seconds) as f64;
            shared = [f64::from(is_up), parts, seconds];
        }
        let batch = all_agree(self.run.session.collective(), batch, &mut shared)?;
        let time = TimeOver {
            is_up: shared[0] > 0.0,
            parts: shared[1] as u64,
            seconds: shared[2],
        };
        Ok((batch, time))
    }

    /// The limit that ends the run before a step of this epoch, if one does.
    fn limit(&self, epoch: u64, time_is_up: bool) -> Option<String> {
        let train = &self.run.config.train;
        if train.epochs > 0 && epoch > train.epochs {
            return Some(counted(train.epochs, "epoch"));
        }
        if train.steps > 0 && self.started() >= train.steps {
            return Some(counted(train.steps, "step"));
        }
        time_is_up.then(|| format!("{} seconds", train.seconds))
    }

    /// Validates and saves after the last step of `epoch`.
    fn end_epoch(&mut self, epoch: u64) -> Result<()> {
        self.drain()?;
        if let When::Every(_) = self.when {
            self.validate(true)?;
        }
        if self.run.progress.epochs_ended != epoch {
            self.run.progress.epochs_ended = epoch;
            if let Some(output) = &mut self.output {
                output.checkpointer.mark_unsaved();
            }
        }
        self.checkpoint()
    }
}
