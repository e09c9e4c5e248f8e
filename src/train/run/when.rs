//! When validations are due, as the configuration sets it.

use std::sync::OnceLock;

use crate::config::{Automatic, Config, Schedule};

/// When validations are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Every N steps (0: never), and at the ends of epochs.
    Every(u64),
    /// At the end of each part of the run.
    Parts,
}

impl When {
    /// The rule that a configuration sets.
    pub fn of(config: &Config) -> When {
        let train = &config.train;
        let is_plateau = matches!(train.schedule, Schedule::Plateau { .. });
        let by_epochs = train.steps == 0 && train.seconds == 0.0;
        match train.validate_every {
            Automatic::Given(steps) => When::Every(steps),
            // The schedule depends on the validations, which must not depend on the length of the run.
            Automatic::Auto if is_plateau => When::Every(1000),
            Automatic::Auto if by_epochs && (10..=20).contains(&train.epochs) => When::Every(0),
            Automatic::Auto => When::Parts,
        }
    }
}

/// Whether `step` is a multiple of `every`; never if `every` is 0.
pub(super) fn due(every: u64, step: u64) -> bool {
    every > 0 && step > 0 && step.is_multiple_of(every)
}

/// The number of targets that all runs of a comparison validate on, once it is chosen.
pub type SharedTargets = OnceLock<u64>;
