//! `y = value` in every element.

use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, Params as _, grid_over, no_constants};
use crate::kernels::parallel;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Elements of `y`.
        pub len: u32,
        /// What each becomes.
        pub value: f32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "pointwise/fill",
    wgsl: include_str!("../../../shaders/pointwise/fill.wgsl"),
    snippets: &[],
    fields: Params::FIELDS,
    bindings: &[Binding::write("y")],
    constants: no_constants,
    grid: |words| grid_over(Params::of(words).len as usize, 256),
    twin: twin!(twin),
    fast: Some(fast),
    cases,
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    buffers.write(0)[..params.len as usize].fill(R::from_f32(params.value));
}

fn fast(words: &[u32], buffers: &mut Buffers<'_, f32>) {
    let value = Params::of(words).value;
    parallel::elements(
        buffers.write(0),
        #[inline(always)]
        |_, y| y.fill(value),
    );
}

fn cases() -> Vec<Case> {
    let case = |label, len: usize, value| {
        let params = Params {
            len: len as u32,
            value,
        };
        Case::new(label, &params, 1, vec![Fill::Output(len)])
    };
    vec![
        case("one element", 1, 0.0),
        case("odd length", 1037, -1.5),
        case("more than one task", 40_013, 1.0),
    ]
}
