//! Updates of parameters: the optimizers and the moving average.
//!
//! One more optimizer costs two files, `shaders/optimizer/NAME.wgsl` and `src/kernels/optimizer/NAME.rs`, and one line in
//! [`OPTIMIZERS`]. The files hold the rule for one element. The loop over rows, dense or sparse, is in `row_update.rs` and
//! `shaders/shared/row_update.wgsl`, once for all. Everybody else asks the [`Optimizer`].
//!
//! # The input `control [7]`
//!
//! What may change from step to step: the learning rate; the largest joint norm that is not clipped (0: none); the decay of the
//! moving average; the two corrections of the optimizer ([`Optimizer::corrections`]); the factor of the clipped gradients
//! before they are clipped; the factor of the loss where that is constant, 1.

pub mod adagrad;
pub mod adam;
mod catalogue;
mod declaration;
pub mod momentum;
pub mod moving_average;
pub mod row_update;
pub mod sgd;

pub use catalogue::{KERNELS, OPTIMIZERS};
pub use declaration::{Optimizer, State};
