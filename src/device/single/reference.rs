//! The CPU implementations of a kernel, on the data of a case.

use super::contents::Contents;
use crate::kernel::{Access, Buffer, Buffers, Case, CpuFn, Kernel};
use crate::real::Real;

/// Runs a CPU implementation of a kernel: one of its twins, or its fast implementation. Returns the contents of each real binding
/// afterwards (empty for index bindings).
pub fn run_on_host<R: Real>(
    kernel: &Kernel,
    run: CpuFn<R>,
    params: &[u32],
    contents: &[Contents],
) -> Vec<Vec<R>> {
    let mut reals: Vec<Vec<R>> = contents
        .iter()
        .map(|contents| match contents {
            Contents::Real(values) => values.iter().map(|value| R::from_f32(*value)).collect(),
            Contents::Index(_) => Vec::new(),
        })
        .collect();
    let slots = reals.iter_mut().zip(contents).zip(kernel.bindings);
    let mut buffers = Buffers::new(
        kernel.bindings,
        slots.map(
            |((real, contents), binding)| match (contents, binding.access) {
                (Contents::Index(values), _) => Buffer::Index(values),
                (Contents::Real(_), Access::Read) => Buffer::Read(real),
                (Contents::Real(_), _) => Buffer::Write(real),
            },
        ),
    );
    run(params, &mut buffers);
    reals
}

/// The expected results of a case: those of the `f64` twin on the same data.
pub fn reference(kernel: &Kernel, case: &Case, contents: &[Contents]) -> Vec<Vec<f64>> {
    run_on_host(kernel, kernel.twin.double, &case.params, contents)
}
