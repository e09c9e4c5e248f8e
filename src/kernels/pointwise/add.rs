//! `sum = x + y`: the residual connection, forward. Its derivative by either operand is the gradient itself: the backward
//! rule is [`super::copy`].

use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, Params as _, grid_over, no_constants};
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
    snippets: &[],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("x").or_half(),
        Binding::read("y").or_half(),
        Binding::write("sum").or_half(),
    ],
    constants: no_constants,
    grid: |words| grid_over(Params::of(words).len as usize, 64),
    work: None,
    cut: Some(|_, excess| {
        let cut = excess.elements()?;
        cut.each(0, |_, len| Params { len })
    }),
    twin: twin!(twin),
    fast: Some(fast),
    cases,
    suits: None,
    others: &[],
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (x, y, sum) = (buffers.read(0), buffers.read(1), buffers.write(2));
    for i in 0..params.len as usize {
        sum[i] = x[i] + y[i];
    }
}

fn fast(_words: &[u32], buffers: &mut Buffers<'_, f32>) {
    let (x, y, sum) = (buffers.read(0), buffers.read(1), buffers.write(2));
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
