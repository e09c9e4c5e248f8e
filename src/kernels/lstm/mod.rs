//! One time step of an LSTM layer, forward and backward, each fused with the matrix product before it.
//!
//! Gates are interleaved per unit: element `4*u + q` of a row of `z [B, 4H]` is gate `q` of unit `u`, in the order
//! i, j, f, o (`j` is the candidate). Whatever the cell, `z` has this layout: groups are contiguous ranges of units.

use crate::kernel::Kernel;

pub mod cell_backward;
pub mod cell_forward;
mod layout;
mod streams;

/// The kernels of this folder.
pub static KERNELS: &[&Kernel] = &[&cell_forward::KERNEL, &cell_backward::KERNEL];
