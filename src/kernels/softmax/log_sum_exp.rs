//! Updates `running [rows, 3]` = (maximum `m`, sum of `exp(l - m)`, the target's logit) by one tile of the vocabulary,
//! `logits [rows, width]` of the ids `start .. start + width`: a full softmax that never holds all its logits in memory.
//!
//! The target's logit of a row is 0 if its target is in no tile, or [`IGNORE`].

use crate::kernel::{
    ACTIVATION, Binding, Buffers, Case, Fill, Kernel, Params as _, WORKGROUP, grid_over,
};
use crate::kernels::parallel;
use crate::kernels::softmax::cases;
use crate::kernels::softmax::ignore::IGNORE;
use crate::kernels::softmax::snippets::TILE_STATE;
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
        /// Not 0 for the first tile: the previous content of `running` is ignored.
        pub first: u32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "softmax/log_sum_exp",
    wgsl: include_str!("../../../shaders/softmax/log_sum_exp.wgsl"),
    snippets: &[&ACTIVATION, &WORKGROUP, &TILE_STATE],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("logits").or_half(),
        Binding::index("targets"),
        Binding::read_write("running"),
    ],
    grid: |raw| grid_over(Params::of(raw).rows as usize, 1),
    split: Some(|raw, oversized| {
        let params: &Params = Params::of(raw);
        let split = oversized.rows(params.rows as usize, &[params.width as usize, 1, 3], 1)?;
        split.each(0, |_, rows| Params { rows, ..*params })
    }),
    twin: twin!(twin),
    cpu: Some(cpu),
    cases,
    ..Kernel::DEFAULT
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (logits, targets, running) = (
        buffers.read("logits"),
        buffers.index("targets"),
        buffers.write("running"),
    );
    update_rows(params, logits, targets, 0, running);
}

fn cpu(raw: &[u32], buffers: &mut Buffers<'_, f32>) {
    let params = Params::of(raw);
    let (logits, targets, running) = (
        buffers.read("logits"),
        buffers.index("targets"),
        buffers.write("running"),
    );
    parallel::rows(
        running,
        3,
        params.width as usize,
        #[inline(always)]
        |first, running| {
            update_rows(params, logits, targets, first, running);
        },
    );
}

/// Computes rows of `running`, the first of which is row `first_row`.
#[inline(always)]
pub(super) fn update_rows<R: Real>(
    params: &Params,
    logits: &[R],
    targets: &[u32],
    first_row: usize,
    running: &mut [R],
) {
    let (width, start) = (params.width as usize, params.start as usize);
    let logits = logits[first_row * width..].chunks_exact(width);
    let targets = &targets[first_row..];
    for ((state, logits), &target) in running.chunks_exact_mut(3).zip(logits).zip(targets) {
        // The row is read twice, as in the shader. The second time it is in the cache.
        let tile_maximum = parallel::largest(logits);
        let tile_sum = parallel::sum(
            logits,
            #[inline(always)]
            |logit| (logit - tile_maximum).exp(),
        );
        let (mut maximum, mut sum, mut target_logit) = (tile_maximum, tile_sum, R::ZERO);
        if params.first == 0 {
            maximum = state[0].larger(tile_maximum);
            sum = state[1] * (state[0] - maximum).exp() + tile_sum * (tile_maximum - maximum).exp();
            target_logit = state[2];
        }
        let column = (target as usize).wrapping_sub(start);
        if target != IGNORE && column < width {
            target_logit = logits[column];
        }
        state.copy_from_slice(&[maximum, sum, target_logit]);
    }
}

fn cases() -> Vec<Case> {
    cases::of_tiles(|tile| {
        let (rows, width) = (tile.targets.len(), tile.width);
        let params = Params {
            rows: rows as u32,
            width: width as u32,
            start: tile.start,
            first: (tile.start == 0).into(),
        };
        let before = (0..rows).flat_map(|row| [row as f32 - 3.0, 1.0 + row as f32 / 2.0, -0.25]);
        let buffers = vec![
            Fill::Uniform {
                len: rows * width,
                low: -8.0,
                high: 8.0,
            },
            Fill::Indices(tile.targets.clone()),
            Fill::Values(before.collect()),
        ];
        Case::new(tile.label, &params, width, buffers)
    })
}
