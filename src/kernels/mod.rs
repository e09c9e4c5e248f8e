//! The catalogue of kernels; mirrors `shaders/` file for file.
//!
//! One more kernel costs two files, `shaders/FOLDER/NAME.wgsl` and `src/kernels/FOLDER/NAME.rs`, and its line in the
//! folder's `KERNELS`. A kernel file reads in this order: the formula, `Params`, the static `KERNEL`, the twin, the
//! cases. Forward and backward are neighbours.

use crate::kernel::Kernel;

pub mod embedding;
pub mod lstm;
pub mod matmul;
pub mod optimizer;
mod parallel;
pub mod pointwise;
pub mod reduce;
pub mod softmax;

/// Every kernel, folder by folder.
pub fn catalogue() -> impl Iterator<Item = &'static Kernel> {
    [
        matmul::KERNELS,
        lstm::KERNELS,
        embedding::KERNELS,
        softmax::KERNELS,
        reduce::KERNELS,
        pointwise::KERNELS,
        optimizer::KERNELS,
    ]
    .into_iter()
    .flatten()
    .copied()
}

#[cfg(test)]
mod tests {
    use super::catalogue;
    use crate::kernel::{Access, Buffer, Buffers, Case, Fill, Kernel, Run};
    use crate::random::{Purpose, Stream};
    use crate::real::Real;

    /// What the written bindings hold after the case.
    fn outputs<R: Real>(kernel: &Kernel, case: &Case, run: Run<R>) -> Vec<Vec<R>> {
        let mut stream = Stream::new(1, Purpose::Initialise, 0);
        let mut reals: Vec<Vec<R>> = Vec::new();
        for fill in &case.buffers {
            reals.push(match fill {
                Fill::Uniform { len, low, high } => {
                    let mut draw = || low + (high - low) * stream.uniform() as f32;
                    (0..*len).map(|_| R::from_f32(draw())).collect()
                }
                Fill::Values(values) => values.iter().copied().map(R::from_f32).collect(),
                Fill::Indices(_) => Vec::new(),
                Fill::Output(len) => vec![R::from_f32(f32::NAN); *len],
            });
        }
        let accesses = kernel.bindings.iter().map(|binding| binding.access);
        let buffers = reals.iter_mut().zip(&case.buffers).zip(accesses.clone());
        let buffers = buffers.map(|((reals, fill), access)| match (fill, access) {
            (Fill::Indices(indices), _) => Buffer::Index(indices),
            (_, Access::Read) => Buffer::Read(reals),
            _ => Buffer::Write(reals),
        });
        run(&case.params, &mut Buffers::new(buffers));
        let written = reals.into_iter().zip(accesses);
        let written = written.filter(|(_, access)| *access != Access::Read);
        written.map(|(reals, _)| reals).collect()
    }

    #[test]
    fn fast_versions_agree_with_their_twins_and_do_not_depend_on_threads() {
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let (one, three) = (pool(1).unwrap(), pool(3).unwrap());
        for kernel in catalogue() {
            let Some(fast) = kernel.fast else { continue };
            for case in (kernel.cases)() {
                let want = outputs(kernel, &case, kernel.twin.double);
                let got = one.install(|| outputs(kernel, &case, fast));
                let again = three.install(|| outputs(kernel, &case, fast));
                let bits = |outputs: &[Vec<f32>]| -> Vec<u32> {
                    outputs.iter().flatten().map(|x| x.to_bits()).collect()
                };
                let place = format!("{}, {}", kernel.name, case.label);
                assert_eq!(bits(&got), bits(&again), "{place}: depends on threads");
                for (got, want) in got.iter().flatten().zip(want.iter().flatten()) {
                    let error = (f64::from(*got) - want).abs() / (1.0 + want.abs());
                    let within = error <= case.tolerance();
                    assert!(within, "{place}: {got} instead of {want}");
                }
            }
        }
    }
}
