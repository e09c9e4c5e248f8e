//! The catalogue of kernels; mirrors `shaders/` file for file.
//!
//! One more kernel costs two files, `shaders/FOLDER/NAME.wgsl` and `src/kernels/FOLDER/NAME.rs`, and its line in the
//! folder's `KERNELS`. A kernel file reads in this order: the formula, `Params`, the static `KERNEL`, the twin, the
//! cases. Forward and backward are neighbours.

use crate::kernel::Kernel;

pub mod embedding;
pub mod lstm;
pub mod matmul;
pub mod optimizer;
mod parallel;

pub(crate) use parallel::dot;
pub mod pointwise;
pub mod reduce;
pub mod softmax;

/// Every kernel, folder by folder.
pub fn catalogue() -> impl Iterator<Item = &'static Kernel> {
    [
        matmul::KERNELS,
        lstm::KERNELS,
        embedding::KERNELS,
        softmax::KERNELS,
        reduce::KERNELS,
        pointwise::KERNELS,
        optimizer::KERNELS,
    ]
    .into_iter()
    .flatten()
    .copied()
}
