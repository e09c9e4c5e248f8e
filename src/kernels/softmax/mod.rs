//! Softmax with cross-entropy over a vocabulary: full, walked in tiles, and sampled.

use crate::kernel::Kernel;

/// The target of a row that is padding: its loss and its gradients are 0.
pub const IGNORE: u32 = u32::MAX;

/// The kernels of this folder.
pub static KERNELS: &[&Kernel] = &[];
