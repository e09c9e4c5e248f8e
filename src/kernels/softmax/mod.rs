//! Softmax with cross-entropy over a vocabulary: full, in tiles of the vocabulary, and sampled.

use crate::kernel::Kernel;

mod cases;
pub mod full_backward;
pub mod full_gradient;
pub mod full_loss;
mod ignore;
pub mod log_sum_exp;
mod running_sum;
pub mod sampled_backward;
pub mod sampled_gradient;
pub mod sampled_loss;
mod snippets;
pub mod target_backward;
pub mod target_logits;

pub use ignore::IGNORE;

/// The kernels of this folder.
pub static KERNELS: &[&Kernel] = &[
    &log_sum_exp::KERNEL,
    &full_loss::KERNEL,
    &full_backward::KERNEL,
    &full_gradient::KERNEL,
    &target_logits::KERNEL,
    &target_backward::KERNEL,
    &sampled_loss::KERNEL,
    &sampled_backward::KERNEL,
    &sampled_gradient::KERNEL,
];
