//! The precisions of the CPU executor.

use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::kernel::{CpuFn, Kernel};
use crate::real::Real;
use crate::team;

/// A precision of the CPU executor.
pub trait CpuReal: Real {
    /// The implementation of a kernel in this precision.
    fn function(kernel: &Kernel) -> CpuFn<Self>;

    /// Rounds the elements of a [`Dtype::Half`](crate::tensor::Dtype::Half) tensor to `f16`.
    fn round_halves(values: &mut [Self]);
}

impl CpuReal for f32 {
    fn function(kernel: &Kernel) -> CpuFn<f32> {
        kernel.cpu_function()
    }

    fn round_halves(values: &mut [f32]) {
        const BLOCK: usize = 1 << 10;
        team::chunks(values, 16 * BLOCK, |_, values| {
            let mut halves = [f16::ZERO; BLOCK];
            for values in values.chunks_mut(BLOCK) {
                let halves = &mut halves[..values.len()];
                halves.convert_from_f32_slice(values);
                halves.convert_to_f32_slice(values);
            }
        });
    }
}

impl CpuReal for f64 {
    fn function(kernel: &Kernel) -> CpuFn<f64> {
        kernel.twin.double
    }

    /// The reference does not round.
    fn round_halves(_values: &mut [f64]) {}
}
