//! The learning rate of a step.

use crate::config::{Config, Schedule};

/// What schedules depend on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScheduleState {
    /// Optimizer steps done.
    pub step: u64,
    /// The epoch of the next step, from 1.
    pub epoch: u64,
    /// Validations that did not improve on the best before them.
    pub stalls: u32,
    /// The elapsed fraction of `train.seconds`, from 0 to 1; 0 without that limit.
    pub time: f64,
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
            // The limit that is closer ends the run.
            let done = ((step - warmup) / (total - warmup).max(1.0))
                .max(state.time)
                .min(1.0);
            rate * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
        }
        Schedule::Exponential { decay, decay_after } => {
            // The epoch that corresponds to the elapsed fraction of the time.
            let by_time = 1 + (state.time * config.train.epochs as f64) as u64;
            let epoch = state.epoch.max(by_time.min(config.train.epochs));
            rate * decay.powf(epoch.saturating_sub(decay_after) as f64)
        }
        Schedule::Plateau { decay } => rate * decay.powi(state.stalls as i32),
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
            time: 0.0,
        }
    }

    fn later(time: f64, state: ScheduleState) -> ScheduleState {
        ScheduleState { time, ..state }
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
    fn cosine_follows_the_time_if_it_ends_first() {
        let config = with("schedule = \"cosine\"\nwarmup_steps = 4\nseconds = 60");
        let rate = |time, step, total| learning_rate(&config, later(time, at(step, 1, 0)), total);
        assert_eq!(rate(0.0, 1, None), 1.0);
        assert_eq!(rate(0.0, 9, None), 2.0);
        assert!((rate(0.5, 9, None) - 1.0).abs() < 1e-12);
        assert!(rate(1.5, 9, None).abs() < 1e-12);
        // With a limit on steps too, the limit that is closer counts.
        assert!((rate(0.5, 29, Some(104)) - 1.0).abs() < 1e-12);
        assert!((rate(0.2, 54, Some(104)) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn exponential_waits_and_plateau_counts() {
        let config = with("schedule = \"exponential\"\ndecay = 0.5\ndecay_after = 4");
        let rate = |epoch| learning_rate(&config, at(0, epoch, 0), None);
        assert_eq!([rate(1), rate(4), rate(5), rate(6)], [2.0, 2.0, 1.0, 0.5]);
        // Half of the time corresponds to half of the epochs.
        let config = with("schedule = \"exponential\"\ndecay_after = 4\nepochs = 10\nseconds = 60");
        let rate = |time, epoch| learning_rate(&config, later(time, at(0, epoch, 0)), None);
        assert_eq!(
            [rate(0.0, 1), rate(0.3, 1), rate(0.4, 1), rate(0.5, 1)],
            [2.0, 2.0, 1.0, 0.5]
        );
        assert_eq!([rate(0.4, 6), rate(1.0, 1)], [0.5, 2.0 / 64.0]);
        let config = with("schedule = \"plateau\"\ndecay = 0.25");
        assert_eq!(learning_rate(&config, at(9, 9, 2), None), 0.125);
    }
}
