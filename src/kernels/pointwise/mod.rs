//! Kernels that treat every element alike.

use crate::kernel::Kernel;

pub mod add;

/// The kernels of this folder.
pub static KERNELS: &[&Kernel] = &[&add::KERNEL];
