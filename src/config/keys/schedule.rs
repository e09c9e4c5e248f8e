//! The schedules of the learning rate, with their keys in `[train]`.

use super::limits::COUNT;
use crate::config::document::Document;
use crate::config::key::Resume::MustStay;
use crate::config::named::named;
use crate::config::section::keys;
use crate::config::setting::{Numbers, Setting};
use crate::error::Result;

/// How the learning rate changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// It does not change.
    Constant,
    /// Rises linearly for `warmup_steps`, then falls along half a cosine to 0 at the end of the run.
    Cosine {
        /// Number of warm-up steps.
        warmup_steps: u64,
    },
    /// Multiplied by `decay` at the start of each epoch after epoch `decay_after`, the first epoch being 1.
    Exponential {
        /// The factor, in `(0, 1]`.
        decay: f64,
        /// The last epoch at the full rate.
        decay_after: u64,
    },
    /// Multiplied by `decay` when a validation is no better than the best before it.
    Plateau {
        /// The factor, in `(0, 1]`.
        decay: f64,
    },
}

named! {
    /// The kinds of schedules.
    Kind {
        /// The learning rate does not change.
        Constant = "constant",
        /// Rises linearly for `warmup_steps`, then falls along half a cosine to 0 at the end of the run. If a run
        /// is resumed with a later end, the rate jumps to the new curve. With `seconds`, the position on the curve is the
        /// elapsed fraction of the time or of the steps, whichever is larger.
        Cosine = "cosine",
        /// Multiplied by `decay` at the start of each epoch after epoch `decay_after`. With `epochs` and `seconds`, the
        /// epoch is also computed from the elapsed fraction of the time, and the larger of the two counts.
        Exponential = "exponential",
        /// Multiplied by `decay` whenever a validation is no better than the best before it.
        Plateau = "plateau",
    }
}

keys! {
    Schedule: "train" {
        /// How the learning rate changes.
        schedule: Kind = Setting { default: Kind::Constant, rule: (), resume: MustStay },
            known as ["lr_schedule", "lr_scheduler", "scheduler", "lr_scheduler_type", "learning_rate_schedule"],
            of |schedule| Some(schedule.kind());

        /// Factor of the schedules `exponential` and `plateau`.
        decay: f64 = Setting {
            default: 0.5,
            rule: Numbers { allowed: "a number above 0, at most 1", contains: |x| x > 0.0 && x <= 1.0 },
            resume: MustStay,
        },
            known as ["lr_decay", "decay_rate", "gamma", "anneal"], of |schedule| schedule.decay();

        /// Last epoch at the full rate, for the schedule `exponential`.
        decay_after: u64 = Setting { default: 0, rule: 0..=COUNT, resume: MustStay },
            of |schedule| match schedule {
                Schedule::Exponential { decay_after, .. } => Some(*decay_after),
                _ => None,
            };

        /// Number of warm-up steps of the schedule `cosine`.
        warmup_steps: u64 = Setting { default: 0, rule: 0..=COUNT, resume: MustStay },
            known as ["warmup", "warm_up", "num_warmup_steps", "lr_warmup", "warmup_iters"],
            of |schedule| match schedule {
                Schedule::Cosine { warmup_steps } => Some(*warmup_steps),
                _ => None,
            };
    }
}

impl Schedule {
    fn kind(&self) -> Kind {
        match self {
            Schedule::Constant => Kind::Constant,
            Schedule::Cosine { .. } => Kind::Cosine,
            Schedule::Exponential { .. } => Kind::Exponential,
            Schedule::Plateau { .. } => Kind::Plateau,
        }
    }

    fn decay(&self) -> Option<f64> {
        match self {
            Schedule::Exponential { decay, .. } | Schedule::Plateau { decay } => Some(*decay),
            Schedule::Constant | Schedule::Cosine { .. } => None,
        }
    }

    /// Reads the schedule and its keys.
    pub(crate) fn read(document: &Document) -> Result<Schedule> {
        Ok(match schedule(document)? {
            Kind::Constant => Schedule::Constant,
            Kind::Cosine => Schedule::Cosine {
                warmup_steps: warmup_steps(document)?,
            },
            Kind::Exponential => Schedule::Exponential {
                decay: decay(document)?,
                decay_after: decay_after(document)?,
            },
            Kind::Plateau => Schedule::Plateau {
                decay: decay(document)?,
            },
        })
    }
}
