//! Starts a step, and reports its result.

use super::trainer::{InFlightStep, Trainer};
use crate::error::{Error, Kind, Result};
use crate::metrics;
use crate::train::prepare::Prepared;
use crate::train::schedule::{ScheduleState, learning_rate};
use crate::train::session::StepResult;
use crate::train::update::{Norm, control};
use crate::train::watch::Event;

impl Trainer<'_> {
    /// Starts a step: forward and backward pass, reduction over devices, clipping, update. `seconds`: the training time so far.
    pub fn start_step(&mut self, batch: Prepared, seconds: f64) -> Result<()> {
        let config = self.run.config;
        let step = self.started();
        if batch.reset {
            self.run.session.reset_states()?;
        }
        let state = ScheduleState {
            step,
            epoch: batch.epoch,
            stalls: self.run.progress.stalls,
            time: match config.train.seconds {
                0.0 => 0.0,
                limit => seconds / limit,
            },
        };
        let learning_rate = learning_rate(config, state, self.total_steps);
        // The plan takes means over all positions; the last batch of an epoch may have padding.
        let parts = self.run.session.division().parts();
        let positions = parts * config.train.batch * config.train.unroll;
        let padding_factor = positions as f64 / batch.words as f64;
        let mut inputs = batch.inputs;
        inputs.set_control(control(config, step, learning_rate, padding_factor));
        // Recorded before the step: if a device is lost during it, others may complete it.
        self.in_flight.push_back(InFlightStep {
            step: step + 1,
            epoch: batch.epoch,
            words: batch.words,
            unknown: batch.unknown,
            padding_factor,
            learning_rate,
            position: batch.position,
        });
        self.run.session.step(inputs)
    }

    /// Waits for the oldest step and reports it.
    pub fn fetch(&mut self) -> Result<()> {
        let StepResult { loss, norm } = self.run.session.fetch()?;
        let step = self.in_flight.pop_front().expect("a step is in flight");
        let loss = loss * step.padding_factor;
        let words_per_second = self.clock.lap(step.words);
        let seconds = self.clock.seconds();
        // The loss of an untrained model is the logarithm of the vocabulary size. A loss far above it confirms nothing.
        let is_plausible = loss <= 2.0 * (self.run.session.vocabulary() as f64).ln();
        if let Some(output) = &mut self.output {
            output.metrics.step(metrics::Step {
                step: step.step,
                epoch: step.epoch,
                loss,
                words_per_second,
                learning_rate: step.learning_rate,
                grad_norm: norm.value,
                seconds,
                words: self.run.progress.words + step.words as u64,
            })?;
            if is_plausible {
                output.checkpointer.confirm()?;
            }
        }
        self.check_divergence(&step, loss, norm)?;
        if norm.is_skip() {
            self.report_skip(step.step, norm.loss_scale)?;
        }
        let progress = &mut self.run.progress;
        progress.step = step.step;
        progress.epoch = step.epoch;
        progress.seconds = seconds;
        progress.count(step.words, step.unknown);
        progress.position = Some(step.position);
        let left = self.time_left(step.words);
        (self.run.watch)(Event::Step {
            step: step.step,
            epoch: step.epoch,
            loss,
            words_per_second: self.clock.words_per_second(),
            learning_rate: step.learning_rate,
            done: left.done,
            left: left.seconds,
        });
        Ok(())
    }

    /// Fails if the loss, its perplexity or the norm is not finite. Bounded outputs keep the loss finite
    /// however large the weights become, so a perplexity that overflows counts as well. Every rank has the
    /// same numbers.
    fn check_divergence(&self, step: &InFlightStep, loss: f64, norm: Norm) -> Result<()> {
        let is_good = norm.is_skip() || (norm.value.is_finite() && !norm.unchanged);
        if loss.is_finite() && loss.exp().is_finite() && is_good {
            return Ok(());
        }
        Err(Error::new(
            Kind::Diverged,
            format!(
                "training diverged at step {}: the loss is {loss}, the norm of the gradient {}",
                step.step, norm.value
            ),
        )
        .shared(self.run.session.is_root()))
    }

    /// Reports a step of mixed precision that changed no parameter.
    fn report_skip(&mut self, step: u64, loss_scale: f64) -> Result<()> {
        self.run.progress.skipped += 1;
        if let Some(output) = &mut self.output {
            let skipped = metrics::Skipped { step, loss_scale };
            output.metrics.skipped(skipped)?;
        }
        (self.run.watch)(Event::Skipped { step, loss_scale });
        Ok(())
    }
}
