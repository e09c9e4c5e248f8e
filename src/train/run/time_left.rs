//! Estimates the remaining time of a run.

use super::trainer::Trainer;
use super::when::When;
use crate::config::Automatic;

/// The progress of a run, and its remaining time.
pub(super) struct TimeLeft {
    /// The fraction that is done, from 0 to 1.
    pub done: f64,
    /// Seconds that remain, including validations.
    pub seconds: f64,
}

impl Trainer<'_> {
    /// The progress and the remaining time, with steps of `words` words.
    pub fn time_left(&self, words: usize) -> TimeLeft {
        let step_seconds = words as f64 / self.clock.words_per_second();
        let training = self.training_left(step_seconds);
        let steps = training.seconds / step_seconds;
        let validations = self.validations_left(training.done, steps);
        let (each, at_end) = self.seconds_of_validation(step_seconds);
        TimeLeft {
            seconds: training.seconds + validations * each + at_end,
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

    /// The number of validations in the next `steps` steps, when the fraction `done` of the run is done.
    fn validations_left(&self, done: f64, steps: f64) -> f64 {
        if self.run.valid.is_none() || !steps.is_finite() {
            return 0.0;
        }
        let step = self.run.progress.step;
        let due = |interval: u64| match interval {
            0 => 0.0,
            _ => ((step % interval) as f64 + steps) / interval as f64,
        };
        match self.when {
            When::Parts => self.parts_left(done),
            // Including those at the ends of epochs. The end of the run is one of them.
            When::Every(steps) => due(steps).floor() + due(self.epoch_steps).floor().max(1.0),
        }
    }

    /// The seconds of a validation, and those of the final evaluation on all targets. They are estimated from the last
    /// validation, or from the FLOPs before the first.
    fn seconds_of_validation(&self, step_seconds: f64) -> (f64, f64) {
        if self.run.valid.is_none() {
            return (0.0, 0.0);
        }
        let all = self.all_targets;
        let chosen = self.chosen_targets().unwrap_or(all);
        let by_work = self.steps_of_validation(chosen) * step_seconds;
        let each = self.validation_seconds.unwrap_or(by_work);
        let is_partial = chosen < all && self.run.config.train.validate_targets == Automatic::Auto;
        let at_end = if is_partial {
            each * all as f64 / chosen as f64
        } else {
            0.0
        };
        (each, at_end)
    }
}
