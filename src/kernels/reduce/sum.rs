//! `y[0] = sum of x / divisor`, for a few thousand elements: the loss of a step.

use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, Params as _, WORKGROUP};
use crate::kernels::parallel;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Elements of `x`.
        pub len: u32,
        /// The divisor of the sum.
        pub divisor: f32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "reduce/sum",
    wgsl: include_str!("../../../shaders/reduce/sum.wgsl"),
    snippets: &[&WORKGROUP],
    fields: Params::FIELDS,
    bindings: &[Binding::read("x"), Binding::write("y")],
    grid: |_| [1, 1, 1],
    twin: twin!(twin),
    cases,
    ..Kernel::DEFAULT
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (x, y) = (buffers.read("x"), buffers.write("y"));
    let total = parallel::sum(&x[..params.len as usize], |x| x);
    y[0] = total / R::from_f32(params.divisor);
}

fn cases() -> Vec<Case> {
    let case = |label, len: usize, divisor| {
        let params = Params {
            len: len as u32,
            divisor,
        };
        Case::new(
            label,
            &params,
            len,
            vec![Fill::signed(len), Fill::Output(1)],
        )
    };
    vec![
        case("one element", 1, 1.0),
        case("fewer than a workgroup", 131, -0.5),
        case("more than a workgroup", 2563, 1.0 / 128.0),
    ]
}
