//! `nll[row] = maximum + ln(sum) - target's logit`: the negative log-likelihood of each row's target after
//! [`super::log_sum_exp`] has processed every tile. 0 where the target is [`IGNORE`].
//!
//! Backward is [`super::full_backward`], tile by tile.

use crate::kernel::{Binding, Buffers, Case, Fill, Kernel, LOGARITHM, Params as _, grid_over};
use crate::kernels::softmax::ignore::IGNORE;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Rows of `running`.
        pub rows: u32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "softmax/full_loss",
    wgsl: include_str!("../../../shaders/softmax/full_loss.wgsl"),
    snippets: &[&LOGARITHM],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("running"),
        Binding::index("targets"),
        Binding::write("nll"),
    ],
    grid: |raw| grid_over(Params::of(raw).rows as usize, 64),
    twin: twin!(twin),
    cases,
    ..Kernel::DEFAULT
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (running, targets, nll) = (
        buffers.read("running"),
        buffers.index("targets"),
        buffers.write("nll"),
    );
    losses(params.rows as usize, running, targets, nll);
}

/// Computes all rows.
pub(super) fn losses<R: Real>(rows: usize, running: &[R], targets: &[u32], nll: &mut [R]) {
    for row in 0..rows {
        let state = &running[3 * row..][..3];
        nll[row] = if targets[row] == IGNORE {
            R::ZERO
        } else {
            state[0] + state[1].ln() - state[2]
        };
    }
}

fn cases() -> Vec<Case> {
    let case = |label, targets: Vec<u32>| {
        let rows = targets.len();
        let params = Params { rows: rows as u32 };
        let running = (0..rows).flat_map(|k| {
            let sum = 1.0 + (k * k * k) as f32 / 100.0;
            [(k % 7) as f32 - 2.0, sum, (k % 5) as f32 - 4.0]
        });
        let buffers = vec![
            Fill::Values(running.collect()),
            Fill::Indices(targets),
            Fill::Output(rows),
        ];
        Case::new(label, &params, 3, buffers)
    };
    vec![
        case("one row", vec![3]),
        case("padding among rows", vec![3, IGNORE, 0, IGNORE, 5]),
        case("more than a workgroup", (0..133).collect()),
    ]
}
