//! `norm[0] = scale * sqrt(sum of partials)`, and `norm[1]`, the factor that scales a gradient and clips it to `limit`:
//! `scale * limit / norm[0]` where that norm is above a limit above 0, else `scale`. Limit and scale are the elements
//! [`control::CLIP_NORM`] and [`control::CLIPPED_SCALE`] of `control`. `norm[2]`, the factor of gradients that are not clipped, is 1.
//!
//! The concatenated partial sums of [`super::sum_squares`] of several tensors give their joint norm.

use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, Params as _, WORKGROUP};
use crate::kernels::optimizer::control;
use crate::kernels::parallel;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Elements of `partials`.
        pub len: u32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "reduce/norm",
    wgsl: include_str!("../../../shaders/reduce/norm.wgsl"),
    snippets: &[&WORKGROUP],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("partials"),
        Binding::read("control"),
        Binding::write("norm"),
    ],
    grid: |_| [1, 1, 1],
    twin: twin!(twin),
    cases,
    no_gradient: Some("measures a gradient, is in no loss"),
    ..Kernel::DEFAULT
};

/// `scale`, or the factor that scales gradients of norm `total` down to a limit above 0.
pub(super) fn clipping<R: Real>(scale: R, total: R, limit: R) -> R {
    if limit > R::ZERO && total > limit {
        scale * (limit / total)
    } else {
        scale
    }
}

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (partials, control, norm) = (
        buffers.read("partials"),
        buffers.read("control"),
        buffers.write("norm"),
    );
    let (limit, scale) = (control[control::CLIP_NORM], control[control::CLIPPED_SCALE]);
    let sum = parallel::sum(&partials[..params.len as usize], |x| x);
    let total = scale * sum.sqrt();
    norm[0] = total;
    norm[1] = clipping(scale, total, limit);
    norm[2] = R::ONE;
}

fn cases() -> Vec<Case> {
    let case = |label, len: usize, limit, scale| {
        let params = Params { len: len as u32 };
        let control = Fill::Values(vec![0.2, limit, 0.999, 0.1, 0.001, scale]);
        let partials = Fill::Uniform {
            len,
            low: 0.0,
            high: 1.0,
        };
        Case::new(
            label,
            &params,
            len,
            vec![partials, control, Fill::Output(3)],
        )
    };
    vec![
        case("one partial sum", 1, 10.0, 1.0),
        case("clipped", 67, 0.25, 1.0),
        case("scaled, then clipped", 67, 0.25, 1.375),
        case("clipped to a small limit", 67, 0.005, 1.0),
        case("no limit", 259, 0.0, 1.75),
        case("many partial sums", 5003, 10.0, 1.0),
    ]
}
