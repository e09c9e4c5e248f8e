//! `sum = x + y`: the residual connection, forward. The gradient of either operand is the gradient of the sum:
//! the backward rule is [`super::copy`].

use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, Params as _, grid_over};
use crate::kernels::parallel;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Elements of each of the three.
        pub len: u32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "pointwise/add",
    wgsl: include_str!("../../../shaders/pointwise/add.wgsl"),
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("x").or_half(),
        Binding::read("y").or_half(),
        Binding::write("sum").or_half(),
    ],
    grid: |raw| grid_over(Params::of(raw).len as usize, 64),
    split: Some(|_, oversized| {
        let split = oversized.elements()?;
        split.each(0, |_, len| Params { len })
    }),
    twin: twin!(twin),
    cpu: Some(cpu),
    cases,
    ..Kernel::DEFAULT
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (x, y, sum) = (buffers.read("x"), buffers.read("y"), buffers.write("sum"));
    for i in 0..params.len as usize {
        sum[i] = x[i] + y[i];
    }
}

fn cpu(_raw: &[u32], buffers: &mut Buffers<'_, f32>) {
    let (x, y, sum) = (buffers.read("x"), buffers.read("y"), buffers.write("sum"));
    parallel::elements(
        sum,
        #[inline(always)]
        |first, sum| {
            for ((sum, x), y) in sum.iter_mut().zip(&x[first..]).zip(&y[first..]) {
                *sum = x + y;
            }
        },
    );
}

fn cases() -> Vec<Case> {
    let case = |label, len: usize| {
        let buffers = vec![Fill::signed(len), Fill::signed(len), Fill::Output(len)];
        Case::new(label, &Params { len: len as u32 }, 1, buffers)
    };
    vec![
        case("one element", 1),
        case("odd length", 1037),
        case("more than one task", 40_013),
        case("a million", 1 << 20).timed(),
    ]
}
