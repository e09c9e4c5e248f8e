//! [`super::norm`] for gradients of a loss that was multiplied by a dynamic scale `s = loss_scale[0]` (Micikevicius et al. 2018,
//! *Mixed precision training*), so that small gradients are not lost in `f16`; and the scale of the next step.
//!
//! `partials` are sums of squares, the first `clipped` of them of the gradients of the joint norm, the others of gradients that
//! are only checked for overflow. `r` is the element [`control::CLIPPED_SCALE`] of `control`, and the
//! limit [`control::CLIP_NORM`]:
//!
//! ```text
//! norm[0] = r / s * sqrt(sum of the first partials)
//! norm[1] = r / s, or the factor that scales norm[0] down to the limit
//! norm[2] = 1 / s             the factor of gradients that are not clipped
//! norm[3] = s                 norm[4] = 0
//! ```
//!
//! If a sum is not finite, some gradient overflowed `f16`: both factors are 0, `norm[4]` is 1, and `s` is halved, down to
//! `lowest` at least. After `patience` steps without an overflow `s` is doubled, up to `highest` at most. `loss_scale[1]` counts
//! these steps.

use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, Params as _, WORKGROUP};
use crate::kernels::optimizer::control;
use crate::kernels::parallel;
use crate::real::Real;
use crate::{params, twin};

use super::norm::clipping;

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Elements of `partials`.
        pub len: u32,
        /// The number of partials, from the first, that belong to clipped gradients.
        pub clipped: u32,
        /// Steps before the scale grows.
        pub patience: u32,
        /// The lowest scale.
        pub lowest: f32,
        /// The highest scale.
        pub highest: f32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "reduce/scaled_norm",
    wgsl: include_str!("../../../shaders/reduce/scaled_norm.wgsl"),
    snippets: &[&WORKGROUP],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("partials"),
        Binding::read("control"),
        Binding::read_write("loss_scale"),
        Binding::write("norm"),
    ],
    grid: |_| [1, 1, 1],
    twin: twin!(twin),
    cases,
    no_gradient: Some("measures a gradient, is in no loss"),
    ..Kernel::DEFAULT
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (partials, control) = (buffers.read("partials"), buffers.read("control"));
    let (loss_scale, norm) = (buffers.write("loss_scale"), buffers.write("norm"));
    let (clipped, watched) = partials[..params.len as usize].split_at(params.clipped as usize);
    let sum = |part: &[R]| match part {
        [] => R::ZERO,
        part => parallel::sum(part, |x| x),
    };
    let (clipped, watched) = (sum(clipped), sum(watched));
    let finite = clipped.to_f64().is_finite() && watched.to_f64().is_finite();
    let current = loss_scale[0];
    let scale = control[control::CLIPPED_SCALE] / current;
    let total = scale * clipped.sqrt();
    let factor = clipping(scale, total, control[control::CLIP_NORM]);
    norm[0] = total;
    norm[1] = if finite { factor } else { R::ZERO };
    norm[2] = if finite { R::ONE / current } else { R::ZERO };
    norm[3] = current;
    norm[4] = if finite { R::ZERO } else { R::ONE };
    let two = R::ONE + R::ONE;
    let (highest, lowest) = (R::from_f32(params.highest), R::from_f32(params.lowest));
    loss_scale[1] += R::ONE;
    if !finite {
        let half = current / two;
        loss_scale[0] = if half < lowest { lowest } else { half };
        loss_scale[1] = R::ZERO;
    } else if loss_scale[1] >= R::from_f32(params.patience as f32) {
        let double = two * current;
        loss_scale[0] = if double > highest { highest } else { double };
        loss_scale[1] = R::ZERO;
    }
}

fn cases() -> Vec<Case> {
    let case = |label, partials: Vec<f32>, clipped: usize, limit, state: [f32; 2]| {
        let params = Params {
            len: partials.len() as u32,
            clipped: clipped as u32,
            patience: 20,
            lowest: 1.0,
            highest: 4096.0,
        };
        let control = Fill::Values(vec![0.2, limit, 0.999, 0.1, 0.001, 1.375, 1.0]);
        let len = partials.len();
        let buffers = vec![
            Fill::Values(partials),
            control,
            Fill::Values(state.to_vec()),
            Fill::Output(5),
        ];
        Case::new(label, &params, len, buffers)
    };
    let some = |len: usize| (0..len).map(|k| (k * 37 % 101) as f32 / 50.0).collect();
    let with = |mut partials: Vec<f32>, at: usize, value| {
        partials[at] = value;
        partials
    };
    vec![
        case("one partial sum", some(1), 1, 10.0, [8.0, 0.0]),
        case("clipped", some(67), 67, 0.25, [16.0, 3.0]),
        case("clipped to a small limit", some(67), 67, 0.005, [16.0, 3.0]),
        case("some are not clipped", some(613), 301, 0.25, [2.0, 18.0]),
        case("many partial sums", some(5003), 2501, 0.25, [2.0, 18.0]),
        case("none is clipped", some(13), 0, 0.25, [2.0, 18.0]),
        case("the scale grows", some(259), 259, 0.0, [64.0, 19.0]),
        case("the scale is the highest", some(5), 3, 0.0, [4096.0, 19.0]),
        case(
            "a gradient that is looked at is infinite",
            with(some(300), 299, f32::INFINITY),
            200,
            1.0,
            [64.0, 7.0],
        ),
        case(
            "a clipped gradient is infinite",
            with(some(300), 7, f32::INFINITY),
            300,
            1.0,
            [64.0, 7.0],
        ),
        case(
            "the scale is the lowest",
            with(some(300), 299, f32::INFINITY),
            200,
            1.0,
            [1.0, 7.0],
        ),
    ]
}
