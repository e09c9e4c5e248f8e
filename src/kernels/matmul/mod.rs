//! Matrix products.

use crate::kernel::Kernel;

pub mod product;

/// The kernels of this folder.
pub static KERNELS: &[&Kernel] = &[&product::KERNEL];
