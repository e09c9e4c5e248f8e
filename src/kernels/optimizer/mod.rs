//! PLACEHOLDER
use crate::kernel::Kernel;

/// The kernels of this folder.
pub static KERNELS: &[&Kernel] = &[];
