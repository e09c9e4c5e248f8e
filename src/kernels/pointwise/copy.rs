//! `y = x`. Its backward rule is the same kernel, applied to the gradient.

use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, Params as _, grid_over};
use crate::kernels::parallel;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Elements of each.
        pub len: u32,
    }
}

/// The elements that a workgroup copies.
const ELEMENTS: usize = 1024;

/// See the module.
pub static KERNEL: Kernel = BASE;

/// The common parts of all forms.
pub(super) const BASE: Kernel = Kernel {
    name: "pointwise/copy",
    wgsl: include_str!("../../../shaders/pointwise/copy.wgsl"),
    fields: Params::FIELDS,
    bindings: &[Binding::read("x").or_half(), Binding::write("y").or_half()],
    grid: |raw| grid_over(Params::of(raw).len as usize, ELEMENTS),
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
    let (x, y) = (buffers.read("x"), buffers.write("y"));
    y.copy_from_slice(&x[..params.len as usize]);
}

fn cpu(_raw: &[u32], buffers: &mut Buffers<'_, f32>) {
    let (x, y) = (buffers.read("x"), buffers.write("y"));
    parallel::elements(
        y,
        #[inline(always)]
        |first, y| y.copy_from_slice(&x[first..first + y.len()]),
    );
}

fn cases() -> Vec<Case> {
    let case = |label, len: usize| {
        let params = Params { len: len as u32 };
        Case::new(
            label,
            &params,
            1,
            vec![Fill::signed(len), Fill::Output(len)],
        )
    };
    vec![
        case("one element", 1),
        case("odd length", 1037),
        case("one vector", 4),
        case("vectors that fill no workgroup", 5236),
        case("more than one task", 40_013),
        // The largest number of f16, one that rounds to it, one that overflows, and halves of its smallest number.
        Case::new(
            "at the ends of f16",
            &Params { len: 9 },
            1,
            vec![
                Fill::Values(vec![
                    65_504.0, 65_519.0, 65_521.0, -70_000.0, 1e30, -65_504.0, 6e-8, 2e-8, -6e-5,
                ]),
                Fill::Output(9),
            ],
        ),
        case("a million", 1 << 20).timed(),
    ]
}
