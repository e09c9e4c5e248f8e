//! `logits <- scale * (exp(l - maximum) / sum - [id == target])` with `scale = loss_scale[0] / divisor`: replaces a tile of
//! logits `[rows, width]`, those of the ids `start .. start + width`, by the gradient of `scale * sum of nll`. `running` is what
//! [`super::log_sum_exp`] left after the last tile. The gradient is 0 where the target is [`IGNORE`].
//!
//! The backward of [`super::full_loss`] and [`super::log_sum_exp`].

use crate::kernel::{ACTIVATION, Binding, Buffers, Case, Fill, Kernel, Params as _, grid_over};
use crate::kernels::parallel;
use crate::kernels::softmax::cases;
use crate::kernels::softmax::ignore::IGNORE;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Rows of `logits`.
        pub rows: u32,
        /// Columns of `logits`: ids of the tile.
        pub width: u32,
        /// The first id of the tile.
        pub start: u32,
        /// The divisor of the gradient.
        pub divisor: f32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "softmax/full_backward",
    wgsl: include_str!("../../../shaders/softmax/full_backward.wgsl"),
    snippets: &[&ACTIVATION],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read_write("logits").or_half(),
        Binding::read("running"),
        Binding::index("targets"),
        Binding::read("loss_scale"),
    ],
    grid: |raw| {
        let params = Params::of(raw);
        grid_over(params.rows as usize * params.width as usize, 256)
    },
    split: Some(|raw, oversized| {
        let params: &Params = Params::of(raw);
        let split = oversized.rows(params.rows as usize, &[params.width as usize, 3, 1, 0], 1)?;
        split.each(0, |_, rows| Params { rows, ..*params })
    }),
    twin: twin!(twin),
    cpu: Some(cpu),
    cases,
    ..Kernel::DEFAULT
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (logits, running, targets) = (
        buffers.write("logits"),
        buffers.read("running"),
        buffers.index("targets"),
    );
    let loss_scale = buffers.read("loss_scale");
    differentiate(params, running, targets, loss_scale, 0, logits);
}

fn cpu(raw: &[u32], buffers: &mut Buffers<'_, f32>) {
    let params = Params::of(raw);
    let (logits, running, targets) = (
        buffers.write("logits"),
        buffers.read("running"),
        buffers.index("targets"),
    );
    let loss_scale = buffers.read("loss_scale");
    let width = params.width as usize;
    parallel::rows(
        logits,
        width,
        width,
        #[inline(always)]
        |first, logits| {
            differentiate(params, running, targets, loss_scale, first, logits);
        },
    );
}

/// Computes rows of `logits`, the first of which is row `first`.
#[inline(always)]
pub(super) fn differentiate<R: Real>(
    params: &Params,
    running: &[R],
    targets: &[u32],
    loss_scale: &[R],
    first: usize,
    logits: &mut [R],
) {
    let (width, start) = (params.width as usize, params.start as usize);
    let scale = loss_scale[0] / R::from_f32(params.divisor);
    for (k, logits) in logits.chunks_exact_mut(width).enumerate() {
        let (state, target) = (&running[3 * (first + k)..][..3], targets[first + k]);
        if target == IGNORE {
            logits.fill(R::ZERO);
            continue;
        }
        let (maximum, factor) = (state[0], scale / state[1]);
        for logit in logits.iter_mut() {
            *logit = factor * (*logit - maximum).exp();
        }
        if let Some(gradient) = logits.get_mut((target as usize).wrapping_sub(start)) {
            *gradient -= scale;
        }
    }
}

fn cases() -> Vec<Case> {
    cases::of_tiles(|tile| {
        let (rows, width) = (tile.targets.len(), tile.width);
        let params = Params {
            rows: rows as u32,
            width: width as u32,
            start: tile.start,
            divisor: tile.divisor,
        };
        let running =
            (0..rows).flat_map(|row| [4.0 + (row % 3) as f32 / 4.0, 1.5 + row as f32, 0.0]);
        let buffers = vec![
            Fill::Uniform {
                len: rows * width,
                low: -4.0,
                high: 4.0,
            },
            Fill::Values(running.collect()),
            Fill::Indices(tile.targets.clone()),
            Fill::Values(vec![if tile.divisor == 2.0 { 8.0 } else { 1.0 }]),
        ];
        Case::new(tile.label, &params, 2, buffers)
    })
}
