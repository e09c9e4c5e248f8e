//! A training run: the loop, with limits, validation, checkpoints and resume.
//!
//! Time is counted in optimizer steps. On devices that work asynchronously a step is in flight while the next
//! one starts, so its loss is reported one step later. All steps are fetched before a validation or a
//! checkpoint.
//!
//! | module | contents |
//! |---|---|
//! | `request` | the inputs and the result of a run: [`Run`], [`RunOutcome`] |
//! | `training_loop` | the loop: [`train()`] |
//! | `trainer` | the state of the loop |
//! | `step` | starts a step, reports its result |
//! | `validation` | validates, and keeps track of the best |
//! | `when`, `plan` | when validations are due, on how many targets, and what they cost |
//! | `conclusion` | the final evaluation, on all targets |
//! | `useless` | the likely cause of a perplexity that is worse than random guessing |
//! | `saving` | checkpoints, also after the loss of a device |
//! | `checkpointer` | keeps and removes checkpoints |
//! | `ending` | the end of a run, after success or failure |
//! | `time_left` | estimates the remaining time |
//! | `clock` | the seconds of training |

mod checkpointer;
mod clock;
mod conclusion;
mod ending;
mod plan;
mod request;
mod saving;
mod step;
mod time_left;
mod trainer;
mod training_loop;
mod useless;
mod validation;
mod when;

pub use request::{Run, RunOutcome};
pub use training_loop::train;
pub use when::SharedTargets;
