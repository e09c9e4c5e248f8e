//! Rows of a table: reading them by id, and adding up their gradients by id.

use crate::kernel::Kernel;

pub mod accumulate_rows;
pub mod add_rows;
pub mod gather;
pub mod rows;
pub mod scatter_add_rows;
pub mod scatter_rows;

/// The kernels of this folder.
pub static KERNELS: &[&Kernel] = &[
    &gather::KERNEL,
    &gather::VECTOR,
    &accumulate_rows::KERNEL,
    &accumulate_rows::VECTOR,
    &scatter_add_rows::KERNEL,
    &add_rows::KERNEL,
    &scatter_rows::KERNEL,
];
