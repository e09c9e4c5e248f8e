//! The end of a run, after success or failure.

use std::path::PathBuf;

use super::request::RunOutcome;
use super::trainer::{RunOutput, Trainer};
use crate::checkpoint::Status;
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::metrics;
use crate::model::parameter_set::ParameterSet;
use crate::train::sample::{is_too_slow, sample};

impl Trainer<'_> {
    /// Ends the run after its loop: saves what can be saved, and records how it ended.
    pub fn finish(mut self, ended: Result<String>) -> Result<RunOutcome> {
        let ended = match ended.and_then(|reason| self.complete(reason)) {
            Ok(reason) => Ok(reason),
            Err(error) => Err(self.save_after(error)),
        };
        let (status, reason) = match &ended {
            Ok(reason) => (Status::Finished, reason.clone()),
            Err(error) => match error.kind() {
                Kind::Interrupted | Kind::Terminated => {
                    (Status::Interrupted, "interrupted".to_owned())
                }
                Kind::Diverged => (Status::Diverged, "diverged".to_owned()),
                _ => (Status::Failed, error.to_string()),
            },
        };
        let mut outcome = RunOutcome {
            reason,
            progress: self.run.progress,
            best: None,
            sample: self.sample,
        };
        let Some(RunOutput {
            metrics,
            mut checkpointer,
        }) = self.output
        else {
            ended?;
            return Ok(outcome);
        };
        let devices = self.run.session.division().devices;
        // The first failure is the one to report.
        let recorded = checkpointer.end(status);
        let written = metrics.end(outcome.reason.clone());
        let step = outcome.progress.step;
        ended
            .map_err(|error| explain(error, checkpointer.last(), self.run.config, devices, step))?;
        recorded?;
        written?;
        outcome.best = checkpointer.best();
        Ok(outcome)
    }

    /// Ends a run that reached its limit: last validation, checkpoint, sample, evaluation on all targets.
    fn complete(&mut self, reason: String) -> Result<String> {
        self.drain()?;
        self.validate(false)?;
        self.checkpoint()?;
        if let Some(output) = &mut self.output {
            output.checkpointer.confirm()?;
        }
        self.write_sample()?;
        self.conclude()?;
        Ok(reason)
    }

    /// Saves what can be saved after a failure. Returns the error to report.
    fn save_after(&mut self, error: Error) -> Error {
        match error.kind() {
            Kind::Interrupted | Kind::Terminated => {
                // If the steps cannot be saved, the user must see this error.
                let saved = self.drain().and_then(|()| self.checkpoint());
                saved.err().unwrap_or(error)
            }
            // For example a part of the text that is not UTF-8: the steps before it are good. If only this
            // rank has failed, the others would not take part in a checkpoint.
            Kind::Data if self.run.progress.position.is_some() && self.fails_everywhere(&error) => {
                if let Err(second) = self.drain().and_then(|()| self.checkpoint())
                    && second.is_reported_here()
                {
                    tracing::warn!(error = %second, "the steps since the last checkpoint are lost");
                }
                error
            }
            Kind::Device => {
                match self.rescue() {
                    Ok(()) => tracing::warn!(
                        "the steps so far are saved; recurrent states of a lost device start at zero when the run is resumed"
                    ),
                    Err(second) => tracing::debug!(error = %second, "nothing could be saved"),
                }
                error
            }
            Kind::Diverged => {
                let output = self.output.as_mut();
                let discarded = output.map(|output| output.checkpointer.discard_unconfirmed());
                discarded.and_then(Result::err).unwrap_or(error)
            }
            _ => error,
        }
    }

    /// Whether every rank fails with this error.
    fn fails_everywhere(&mut self, error: &Error) -> bool {
        error.is_shared() || self.run.session.collective().ranks() == 1
    }

    /// Generates a text with the model. A failure to do so does not affect the run.
    fn write_sample(&mut self) -> Result<()> {
        let Some(output) = &mut self.output else {
            return Ok(());
        };
        let session = &mut *self.run.session;
        if is_too_slow(session) {
            return Ok(());
        }
        let vocabulary = self.run.train.vocabulary();
        let set = ParameterSet::after(self.run.config, self.run.progress.step);
        let predictor = session.predictor(set);
        match predictor.and_then(|predictor| sample(predictor, vocabulary)) {
            Ok(text) => {
                output.metrics.sample(metrics::Sample {
                    step: self.run.progress.step,
                    text: text.clone(),
                })?;
                self.sample = Some(text);
            }
            Err(error) => tracing::warn!("cannot generate a sample: {error}"),
        }
        Ok(())
    }
}

/// Adds help to an error after `step` steps: the last checkpoint, and how to continue.
fn explain(
    error: Error,
    last: Option<PathBuf>,
    config: &Config,
    devices: usize,
    step: u64,
) -> Error {
    match (error.kind(), last) {
        (Kind::Interrupted | Kind::Terminated, Some(last)) => {
            error.help(format!("everything is saved in `{}`", last.display()))
        }
        (Kind::Device, Some(last)) if devices > 1 => error.help(format!(
            "the last checkpoint is `{}`; resume with --resume and the same number of devices; one may be named twice",
            last.display()
        )),
        (Kind::Diverged, Some(last)) if !starts_far_off(config, step) => error.help(format!(
            "the last good checkpoint is `{}`: start a new run from it with --init, {}",
            last.display(),
            remedies(config, step)
        )),
        (Kind::Diverged, _) => error.help(format!("start again, {}", remedies(config, step))),
        _ => error,
    }
}

/// The largest `train.init_range` with which training can be expected to converge.
const LARGE_RANGE: f64 = 0.5;

/// If a run diverges within this number of steps, its initial parameters are a likely cause.
const FIRST_STEPS: u64 = 20;

/// Whether a run probably diverged because of its initial parameters.
fn starts_far_off(config: &Config, step: u64) -> bool {
    config.train.init_range > LARGE_RANGE && step < FIRST_STEPS
}

/// The help for a run that diverged after `step` steps: changes of the configuration for the two most likely causes.
fn remedies(config: &Config, step: u64) -> String {
    let train = &config.train;
    // The shortest notation that a configuration accepts.
    let short = |number: f64| {
        if number < 1e7 {
            number.to_string()
        } else {
            format!("{number:e}")
        }
    };
    let mut all = Vec::new();
    if starts_far_off(config, step) {
        all.push(format!(
            "with a much smaller `train.init_range` than {}, or with 0 for the default initialisers",
            short(train.init_range)
        ));
    }
    if train.precision.multiplies_halves() {
        all.push("with `train.precision = \"f32\"`: f16 overflows above 65,504".to_owned());
    }
    if train.clip_norm == 0.0 {
        all.push("with `train.clip_norm = 10`: gradients are not clipped now".to_owned());
    }
    all.push(format!(
        "with a lower `train.learning_rate` than {}",
        short(train.learning_rate)
    ));
    all.push(format!(
        "with a lower `train.clip_norm` than {}",
        short(train.clip_norm)
    ));
    all.truncate(2);
    all.join("; or ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_likely_cause_comes_first() {
        let remedies = |sets: &[&str], step| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            let toml = "[data]\ntrain = [\"x\"]\n[train]\nsteps = 1\n";
            remedies(
                &Config::parse(toml, "x", Path::new("/"), &sets).unwrap(),
                step,
            )
        };
        for (sets, step, first) in [
            (&[][..], 500, "with a lower `train.learning_rate` than 0.2"),
            (
                &["train.init_range=5"],
                0,
                "with a much smaller `train.init_range` than 5",
            ),
            (
                &["train.init_range=5"],
                500,
                "with a lower `train.learning_rate`",
            ),
            (
                &["train.init_range=0.1"],
                0,
                "with a lower `train.learning_rate`",
            ),
            (&["train.clip_norm=0"], 500, "with `train.clip_norm = 10`"),
            (
                &["train.precision=mixed"],
                500,
                "with `train.precision = \"f32\"`",
            ),
        ] {
            let found = remedies(sets, step);
            assert!(found.starts_with(first), "{found}");
            assert!(found.contains("learning_rate"), "{found}");
        }
    }
}
