//! The learning rate of a step.

use crate::config::{Config, Schedule};
use crate::error::{Error, Result};

/// What schedules depend on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScheduleState {
    /// Optimizer steps done.
    pub step: u64,
    /// The epoch of the next step, from 1.
    pub epoch: u64,
    /// Validations that did not improve on the best before them.
    pub stalls: u32,
}

/// The learning rate of the next step. `total` is the number of steps of the whole run, if it is known.
pub fn learning_rate(config: &Config, state: ScheduleState, total: Option<u64>) -> f64 {
    let rate = config.train.learning_rate;
    match config.train.schedule {
        Schedule::Constant => rate,
        Schedule::Cosine { warmup_steps } => {
            let step = state.step as f64;
            let warmup = warmup_steps as f64;
            if state.step < warmup_steps {
                return rate * (step + 1.0) / warmup;
            }
            let total = total.map_or(f64::INFINITY, |total| total as f64);
            let done = ((step - warmup) / (total - warmup).max(1.0)).min(1.0);
            rate * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
        }
        Schedule::Exponential { decay, decay_after } => {
            rate * decay.powf(state.epoch.saturating_sub(decay_after) as f64)
        }
        Schedule::Plateau { decay } => rate * decay.powi(state.stalls as i32),
    }
}

/// Checks that the run has what its schedule needs: a cosine needs a number of steps or epochs.
///
/// # Errors
///
/// [`Kind::Usage`](crate::error::Kind::Usage) for a cosine in a run that only `train.seconds` ends.
pub fn check(config: &Config) -> Result<()> {
    let train = &config.train;
    match train.schedule {
        Schedule::Cosine { .. } if train.steps == 0 && train.epochs == 0 => Err(Error::usage(
            "`train.schedule = \"cosine\"` needs the number of steps of the run, but only `train.seconds` limits this run",
        )
        .help("set `train.steps` or `train.epochs`, or choose another schedule")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(schedule: &str) -> Config {
        let text = format!(
            "[model]\ncell = \"lstmp\"\n[data]\ntrain = [\"x\"]\nvalid = [\"y\"]\n[train]\nlearning_rate = 2.0\n{schedule}\n"
        );
        Config::parse(&text, "test", &std::env::temp_dir(), &[]).expect("a valid configuration")
    }

    fn at(step: u64, epoch: u64, stalls: u32) -> ScheduleState {
        ScheduleState {
            step,
            epoch,
            stalls,
        }
    }

    #[test]
    fn cosine_rises_and_falls() {
        let config = with("schedule = \"cosine\"\nwarmup_steps = 4\nsteps = 104");
        let rate = |step| learning_rate(&config, at(step, 1, 0), Some(104));
        assert_eq!(rate(0), 0.5);
        assert_eq!(rate(3), 2.0);
        assert_eq!(rate(4), 2.0);
        assert!((rate(54) - 1.0).abs() < 1e-12);
        assert!(rate(104).abs() < 1e-12);
    }

    #[test]
    fn exponential_waits_and_plateau_counts() {
        let config = with("schedule = \"exponential\"\ndecay = 0.5\ndecay_after = 4");
        let rate = |epoch| learning_rate(&config, at(0, epoch, 0), None);
        assert_eq!([rate(1), rate(4), rate(5), rate(6)], [2.0, 2.0, 1.0, 0.5]);
        let config = with("schedule = \"plateau\"\ndecay = 0.25");
        assert_eq!(learning_rate(&config, at(9, 9, 2), None), 0.125);
    }
}
