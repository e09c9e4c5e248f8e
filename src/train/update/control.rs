//! The values that the host passes to the update of each step, and the results of the update.

use crate::config::{Config, Recipe};
use crate::kernels::optimizer::{Optimizer, control};

/// The loss scale of the first step of mixed precision.
pub const FIRST_LOSS_SCALE: f32 = 65_536.0;
/// The lowest loss scale. Below this scale a non-finite gradient is not an overflow of `f16`: the model has diverged.
pub const LOWEST_LOSS_SCALE: f32 = 1.0 / 16_384.0;
/// The highest loss scale.
pub(super) const HIGHEST_LOSS_SCALE: f32 = 16_777_216.0;
/// The loss scale doubles after this many steps without overflow.
pub(super) const LOSS_SCALE_PATIENCE: u32 = 2000;

/// The input with the values of the update of the tables, if these have a different optimizer or learning rate.
pub const TABLE_CONTROL: &str = "control.tables";

/// The values of the inputs of an update.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// The input `control`.
    pub values: Vec<f64>,
    /// The input [`TABLE_CONTROL`], if the plan has it.
    pub of_tables: Option<Vec<f64>>,
}

impl From<Vec<f64>> for Control {
    fn from(values: Vec<f64>) -> Control {
        Control {
            values,
            of_tables: None,
        }
    }
}

/// The inputs of the update of a training plan at optimizer step `step`, counted from 0.
///
/// `padding_factor` is the number of positions of the batch divided by the number that are not padding. The
/// recipe `plain` scales its gradients by it, so that they are those of the mean over the latter. The
/// gradients of `paper` are of `T * mean(l)`, a sum over time, and are not scaled.
pub fn control(config: &Config, step: u64, learning_rate: f64, padding_factor: f64) -> Control {
    let scale = match config.train.recipe {
        Recipe::Paper => 1.0,
        Recipe::Plain => padding_factor,
    };
    let mut values = vec![0.0; control::LEN];
    values[control::CLIP_NORM] = config.train.clip_norm;
    values[control::EMA_DECAY] = config.train.ema;
    values[control::CLIPPED_SCALE] = scale;
    values[control::LOSS_SCALE] = 1.0;
    let with = |optimizer: &Optimizer, learning_rate: f64| {
        let mut values = values.clone();
        values[control::LEARNING_RATE] = learning_rate;
        [
            values[control::FIRST_CORRECTION],
            values[control::SECOND_CORRECTION],
        ] = (optimizer.corrections)(step);
        values
    };
    let train = &config.train;
    Control {
        values: with(train.optimizer, learning_rate),
        of_tables: train.has_own_table_update().then(|| {
            // The schedule changes both rates by the same factor.
            let factor = if train.learning_rate > 0.0 {
                learning_rate / train.learning_rate
            } else {
                1.0
            };
            with(train.tables.optimizer, factor * train.tables.learning_rate)
        }),
    }
}

/// The output `norm` of a training step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// The joint norm of the clipped gradients, before clipping.
    pub value: f64,
    /// The factor of the loss: 1 except in mixed precision.
    pub loss_scale: f64,
    /// Mixed precision: a gradient was not finite, and the step changed no parameter.
    pub unchanged: bool,
}

impl Norm {
    /// Reads the output: `[3]`, or `[5]` in mixed precision.
    pub fn of(output: &[f64]) -> Norm {
        let (loss_scale, unchanged) = match *output {
            [_, _, _, scale, flag] => (scale, flag != 0.0),
            _ => (1.0, false),
        };
        Norm {
            value: output[0],
            loss_scale,
            unchanged,
        }
    }

    /// Whether the step was skipped and the next one may succeed with a lower loss scale. At the lowest scale
    /// the model has diverged.
    pub fn is_skip(&self) -> bool {
        self.unchanged && self.loss_scale > LOWEST_LOSS_SCALE.into()
    }
}
