//! `average = decay * average + (1 - decay) * weight`: the parameters that evaluation uses. No debiasing.

use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, Params as _, grid_over, no_constants};
use crate::kernels::parallel;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Elements of both.
        pub len: u32,
        /// How much of the average stays.
        pub decay: f32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "optimizer/moving_average",
    wgsl: include_str!("../../../shaders/optimizer/moving_average.wgsl"),
    snippets: &[],
    fields: Params::FIELDS,
    bindings: &[Binding::read("weight"), Binding::read_write("average")],
    constants: no_constants,
    grid: |words| grid_over(Params::of(words).len as usize, 256),
    twin: twin!(twin),
    fast: Some(fast),
    cases,
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (weight, average) = (buffers.read(0), buffers.write(1));
    average_in(params, weight, average);
}

fn fast(words: &[u32], buffers: &mut Buffers<'_, f32>) {
    let params = Params::of(words);
    let (weight, average) = (buffers.read(0), buffers.write(1));
    parallel::elements(
        average,
        #[inline(always)]
        |first, average| {
            average_in(params, &weight[first..], average);
        },
    );
}

#[inline(always)]
fn average_in<R: Real>(params: &Params, weight: &[R], average: &mut [R]) {
    let decay = R::from_f32(params.decay);
    let rest = R::ONE - decay;
    for (average, &weight) in average.iter_mut().zip(weight) {
        *average = decay * *average + rest * weight;
    }
}

fn cases() -> Vec<Case> {
    let case = |label, len: usize, decay| {
        let params = Params {
            len: len as u32,
            decay,
        };
        Case::new(
            label,
            &params,
            2,
            vec![Fill::signed(len), Fill::signed(len)],
        )
    };
    vec![
        case("one element", 1, 0.999),
        case("odd length", 1037, 0.5),
        case("more than one task", 40_013, 0.999),
    ]
}
