//! Kernels that treat every element alike.

use crate::kernel::Kernel;

pub mod add;
pub mod copy;
pub mod dropout;
pub mod fill;

/// The kernels of this folder.
pub static KERNELS: &[&Kernel] = &[&add::KERNEL, &copy::KERNEL, &fill::KERNEL, &dropout::KERNEL];
