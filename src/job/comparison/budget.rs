//! The training budget of every model.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::numbers::counted;

/// The training budget of every model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Budget {
    /// Seconds of training, without validation and checkpoints.
    Seconds(f64),
    /// Optimizer steps.
    Steps(u64),
    /// Passes over the text.
    Epochs(u64),
    /// Words, rounded up to whole steps of full unrolls.
    Words(u64),
    /// The limits in the configurations.
    Own {
        /// `train.epochs`; 0: no limit.
        epochs: u64,
        /// `train.steps`; 0: no limit.
        steps: u64,
        /// `train.seconds`; 0: no limit.
        seconds: f64,
    },
}

impl Budget {
    /// The configuration overrides that set this budget.
    pub fn sets(&self) -> Vec<String> {
        let (seconds, steps, epochs) = match *self {
            Budget::Seconds(seconds) => (seconds, 0, 0),
            Budget::Steps(steps) => (0.0, steps, 0),
            Budget::Epochs(epochs) => (0.0, 0, epochs),
            // `apply` replaces the number of steps when the size of a step is known.
            Budget::Words(words) => (0.0, words, 0),
            Budget::Own {
                epochs,
                steps,
                seconds,
            } => (seconds, steps, epochs),
        };
        vec![
            format!("train.seconds={seconds:?}"),
            format!("train.steps={steps}"),
            format!("train.epochs={epochs}"),
        ]
    }

    /// Sets the limit that depends on the configuration.
    pub fn apply(&self, config: &mut Config) {
        if let Budget::Words(words) = self {
            let train = &mut config.train;
            let step = train.batch * train.unroll * train.accumulate;
            train.steps = words.div_ceil(step as u64);
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Budget::Seconds(seconds) => write!(f, "{seconds} seconds of training"),
            Budget::Steps(steps) => write!(f, "{}", counted(steps, "step")),
            Budget::Epochs(epochs) => write!(f, "{}", counted(epochs, "epoch")),
            Budget::Words(words) => write!(f, "{}", counted(words, "word")),
            Budget::Own {
                epochs,
                steps,
                seconds,
            } => {
                let parts = [
                    (epochs > 0).then(|| counted(epochs, "epoch")),
                    (steps > 0).then(|| counted(steps, "step")),
                    (seconds > 0.0).then(|| format!("{seconds} seconds of training")),
                ];
                let parts: Vec<String> = parts.into_iter().flatten().collect();
                write!(f, "{}", parts.join(" or "))
            }
        }
    }
}
