//! Matrix products.

use crate::kernel::Kernel;

pub mod product;
pub mod product_tiled;

/// The kernels of this folder.
pub static KERNELS: &[&Kernel] = &[&product::KERNEL, &product_tiled::KERNEL];
