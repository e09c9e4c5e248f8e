//! `average = decay * average + (1 - decay) * weight`: the parameters that evaluation uses. There is no bias
//! correction. The decay is the element [`control::EMA_DECAY`] of `control`.

use super::control;
use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, Params as _, grid_over};
use crate::kernels::parallel;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Elements of both.
        pub len: u32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "optimizer/moving_average",
    wgsl: include_str!("../../../shaders/optimizer/moving_average.wgsl"),
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("weight"),
        Binding::read("control"),
        Binding::read_write("average"),
    ],
    grid: |raw| grid_over(Params::of(raw).len as usize, 256),
    split: Some(|_, oversized| {
        let split = oversized.rows(oversized.lens[0], &[1, 0, 1], 1)?;
        split.each(0, |_, len| Params { len })
    }),
    twin: twin!(twin),
    cpu: Some(cpu),
    cases,
    ..Kernel::DEFAULT
};

fn twin<R: Real>(_: &Params, buffers: &mut Buffers<'_, R>) {
    let (weight, control, average) = (
        buffers.read("weight"),
        buffers.read("control"),
        buffers.write("average"),
    );
    average_in(control[control::EMA_DECAY], weight, average);
}

fn cpu(_: &[u32], buffers: &mut Buffers<'_, f32>) {
    let (weight, control, average) = (
        buffers.read("weight"),
        buffers.read("control"),
        buffers.write("average"),
    );
    let decay = control[control::EMA_DECAY];
    parallel::elements(
        average,
        #[inline(always)]
        |first, average| average_in(decay, &weight[first..], average),
    );
}

/// Updates elements of an average, by as many elements of the weight.
#[inline(always)]
pub(super) fn average_in<R: Real>(decay: R, weight: &[R], average: &mut [R]) {
    let rest = R::ONE - decay;
    for (average, &weight) in average.iter_mut().zip(weight) {
        *average = decay * *average + rest * weight;
    }
}

fn cases() -> Vec<Case> {
    let case = |label, len: usize, decay| {
        let params = Params { len: len as u32 };
        let control = Fill::Values(vec![0.2, 10.0, decay]);
        Case::new(
            label,
            &params,
            2,
            vec![Fill::signed(len), control, Fill::signed(len)],
        )
    };
    vec![
        case("one element", 1, 0.999),
        case("odd length", 1037, 0.5),
        case("more than one task", 40_013, 0.999),
    ]
}
