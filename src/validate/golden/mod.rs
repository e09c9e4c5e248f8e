//! Three training steps of twelve small models, compared with values from automatic differentiation in `f64`: losses, outputs,
//! states, gradients, norms, updated parameters and moving averages. The files are compiled into the program.
//!
//! | module | contents |
//! |---|---|
//! | `model` | a golden file, its configuration, the inputs of its steps: [`Golden`] |
//! | `check` | train the steps on a device and compare: [`Golden::check`] |
//! | `compare` | tolerances and differences: [`Tolerance`], [`Difference`] |
//!
//! A file stores the parameters after the third step under all three names `STEP.after`. The parameters after the first and
//! second step are therefore recomputed here, from the gradients and norms in the file and by Adagrad as [`crate::model`]
//! defines it. The recomputed parameters of the third step must equal those in the file.

mod check;
mod compare;
mod model;

pub use check::{PreciseExecutor, Single};
pub use compare::{Difference, Tolerance, judge, worst};
pub use model::Golden;
