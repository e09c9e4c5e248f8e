//! Sums: of columns, of everything, of squares; and the norm that clips gradients.

use crate::kernel::Kernel;

pub mod norm;
pub mod scaled_norm;
pub mod sum;
pub mod sum_columns;
pub mod sum_squares;

/// The kernels of this folder.
pub static KERNELS: &[&Kernel] = &[
    &sum_columns::KERNEL,
    &sum_columns::EIGHT,
    &sum::KERNEL,
    &sum_squares::KERNEL,
    &sum_squares::SEVERAL,
    &norm::KERNEL,
    &scaled_norm::KERNEL,
];
