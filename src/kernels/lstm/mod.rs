//! One time step of an LSTM layer, forward and backward, each fused with the matrix product before it.
//!
//! Gates are interleaved per unit: element `4*u + q` of a row of `z [B, 4H]` is gate `q` of unit `u`, in the order
//! i, j, f, o (`j` is the candidate). Whatever the cell, `z` has this layout: groups are contiguous ranges of units.

use crate::kernel::Kernel;

pub mod cell_backward;
pub mod cell_forward;

/// The kernels of this folder.
pub static KERNELS: &[&Kernel] = &[&cell_forward::KERNEL, &cell_backward::KERNEL];

/// Units that the CPU treats at once: the width of the widest vector registers.
const LANES: usize = 16;

/// Splits `4 * LANES` interleaved gates into one array a gate.
#[inline(always)]
fn deinterleave(z: &[f32]) -> [[f32; LANES]; 4] {
    let mut gates = [[0.0; LANES]; 4];
    for (u, unit) in z.chunks_exact(4).take(LANES).enumerate() {
        for q in 0..4 {
            gates[q][u] = unit[q];
        }
    }
    gates
}

/// The reverse of [`deinterleave`].
#[inline(always)]
fn interleave(gates: &[[f32; LANES]; 4], z: &mut [f32]) {
    for (u, unit) in z.chunks_exact_mut(4).take(LANES).enumerate() {
        for q in 0..4 {
            unit[q] = gates[q][u];
        }
    }
}
