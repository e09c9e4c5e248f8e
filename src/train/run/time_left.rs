//! Estimates the remaining time of a run.

use super::trainer::Trainer;
use crate::config::{Tokens, TrainConfig};

/// How much of a run is done.
pub(super) struct TimeLeft {
    /// The share that is done, from 0 to 1.
    pub done: f64,
    /// Seconds that remain, including validations.
    pub seconds: f64,
}

impl Trainer<'_> {
    /// How much is done after a step of `words`.
    pub fn time_left(&self, words: usize) -> TimeLeft {
        let step_seconds = words as f64 / self.clock.words_per_second();
        let training = self.training_left(step_seconds);
        let validations = self.validations_left(training.seconds / step_seconds);
        TimeLeft {
            seconds: training.seconds + validations * self.seconds_of_validation(step_seconds),
            ..training
        }
    }

    /// The same without validations.
    fn training_left(&self, step_seconds: f64) -> TimeLeft {
        let train = &self.run.config.train;
        let steps = self.run.progress.step as f64;
        let by_steps = self.total_steps.map(|total| {
            let total = total as f64;
            TimeLeft {
                done: steps / total,
                seconds: (total - steps).max(0.0) * step_seconds,
            }
        });
        let seconds = self.run.progress.seconds;
        let by_time = (train.seconds > 0.0).then(|| TimeLeft {
            done: seconds / train.seconds,
            seconds: train.seconds - seconds,
        });
        let limits = by_steps.into_iter().chain(by_time);
        let first = limits.min_by(|x, y| x.seconds.total_cmp(&y.seconds));
        first.unwrap_or(TimeLeft {
            done: 0.0,
            seconds: f64::INFINITY,
        })
    }

    /// The number of validations in the next `steps` steps.
    fn validations_left(&self, steps: f64) -> f64 {
        if self.run.valid.is_none() || !steps.is_finite() {
            return 0.0;
        }
        let step = self.run.progress.step;
        let due = |interval: u64| match interval {
            0 => 0.0,
            _ => ((step % interval) as f64 + steps) / interval as f64,
        };
        // Those at the ends of epochs. The end of the run is one of them.
        let at_ends = due(self.epoch_steps).floor().max(1.0);
        due(self.run.config.train.validate_every).floor() + at_ends
    }

    /// The seconds of the last validation; before the first one a guess: a third of the work of training.
    fn seconds_of_validation(&self, step_seconds: f64) -> f64 {
        if let Some(seconds) = self.validation_seconds {
            return seconds;
        }
        let text = self.run.valid.as_ref();
        let bytes = text.map_or(0, |text| text.corpus().bytes());
        // A word has about five letters.
        let targets = match self.run.config.data.tokens {
            Tokens::Characters => bytes,
            Tokens::Whitespace | Tokens::Words => bytes / 5,
        };
        let TrainConfig {
            batch,
            unroll,
            validate_targets,
            ..
        } = self.run.config.train;
        let targets = match validate_targets {
            0 => targets,
            most => most.min(targets),
        };
        targets as f64 / (batch * unroll) as f64 * step_seconds / 3.0
    }
}
