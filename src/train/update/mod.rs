//! What a training step does with the gradients: norm, clipping, optimizer, moving average. Appended to the training graph.
//!
//! The recipe `paper` clips the gradients of the recurrent parameters by their joint norm and does not clip those of the
//! tables. `plain` clips all gradients by one norm.
//!
//! | module | contents |
//! |---|---|
//! | `control` | the values that change from step to step, and the results of a step: [`control()`], [`Norm`] |
//! | `append` | the steps of the update: norm, optimizer, moving average |
//! | `optimizer` | the step that updates a parameter |
//! | `rounding` | the copies of parameters in `f16` before the first step: [`round_parameters`] |
//! | `whole` | the plan of a step on one device in one batch: [`training_plan`] |
//! | `divided` | the plans of a step divided between devices or into micro-batches: [`divided_plans`] |

mod append;
mod control;
mod divided;
mod norm;
mod optimizer;
mod parameter;
mod rounding;
mod whole;

pub use control::{Control, FIRST_LOSS_SCALE, LOWEST_LOSS_SCALE, Norm, TABLE_CONTROL, control};
pub use divided::{DividedPlans, PendingGradient, divided_plans};
pub use rounding::round_parameters;
pub use whole::{training_plan, training_plan_in};
