//! Kernels that compute each element independently.

use crate::kernel::Kernel;

pub mod add;
pub mod copy;
pub mod copy_vector;
pub mod dropout;
pub mod dropout_rows;
pub mod functions;
pub mod join;
pub mod multiply_add;
pub mod transpose;

/// The kernels of this folder.
pub static KERNELS: &[&Kernel] = &[
    &add::KERNEL,
    &copy::KERNEL,
    &copy_vector::KERNEL,
    &copy_vector::WIDE,
    &dropout::KERNEL,
    &dropout::VECTOR,
    &dropout_rows::KERNEL,
    &join::KERNEL,
    &transpose::KERNEL,
    &multiply_add::KERNEL,
    &functions::KERNEL,
];
