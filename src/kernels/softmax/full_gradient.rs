//! For the last tile of the vocabulary, [`super::log_sum_exp`], [`super::full_loss`] and [`super::full_backward`] in one pass over
//! the logits: a row is read for its loss, and replaced by its gradient while it is in the cache.

use super::{full_backward, full_loss, log_sum_exp};
use crate::kernel::{
    ACTIVATION, Binding, Buffers, Case, Fill, Kernel, LOGARITHM, Params as _, WORKGROUP, grid_over,
};
use crate::kernels::parallel;
use crate::kernels::softmax::cases;
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
        /// The divisor of the gradient.
        pub divisor: f32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "softmax/full_gradient",
    wgsl: include_str!("../../../shaders/softmax/full_gradient.wgsl"),
    snippets: &[&ACTIVATION, &LOGARITHM, &WORKGROUP, &TILE_STATE],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read_write("logits").or_half(),
        Binding::index("targets"),
        Binding::read("loss_scale"),
        Binding::read_write("running"),
        Binding::write("nll"),
    ],
    grid: |raw| grid_over(Params::of(raw).rows as usize, 1),
    split: Some(|raw, oversized| {
        let params: &Params = Params::of(raw);
        let widths = [params.width as usize, 1, 0, 3, 1];
        let split = oversized.rows(params.rows as usize, &widths, 1)?;
        split.each(0, |_, rows| Params { rows, ..*params })
    }),
    twin: twin!(twin),
    cpu: Some(cpu),
    cases,
    ..Kernel::DEFAULT
};

/// The slices of some rows.
struct Rows<'a, R> {
    logits: &'a mut [R],
    targets: &'a [u32],
    loss_scale: &'a [R],
    running: &'a mut [R],
}

impl<R: Real> Rows<'_, R> {
    /// Updates `running`, and replaces the logits by their gradients.
    #[inline(always)]
    fn compute(self, params: &Params) {
        let forward = log_sum_exp::Params {
            rows: params.rows,
            width: params.width,
            start: params.start,
            first: params.first,
        };
        let backward = full_backward::Params {
            rows: params.rows,
            width: params.width,
            start: params.start,
            divisor: params.divisor,
        };
        let (logits, targets) = (self.logits, self.targets);
        log_sum_exp::update_rows(&forward, logits, targets, 0, self.running);
        let (running, loss_scale) = (&*self.running, self.loss_scale);
        full_backward::differentiate(&backward, running, targets, loss_scale, 0, logits);
    }
}

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (targets, running) = (buffers.index("targets"), buffers.write("running"));
    let rows = Rows {
        logits: buffers.write("logits"),
        targets,
        loss_scale: buffers.read("loss_scale"),
        running,
    };
    rows.compute(params);
    full_loss::losses(params.rows as usize, running, targets, buffers.write("nll"));
}

fn cpu(raw: &[u32], buffers: &mut Buffers<'_, f32>) {
    let params: &Params = Params::of(raw);
    let (targets, running) = (buffers.index("targets"), buffers.write("running"));
    let loss_scale = buffers.read("loss_scale");
    let width = params.width as usize;
    parallel::row_pairs(
        buffers.write("logits"),
        running,
        [width, 3],
        width,
        #[inline(always)]
        |first, logits, running| {
            let rows = Rows {
                logits,
                targets: &targets[first..],
                loss_scale,
                running,
            };
            rows.compute(params);
        },
    );
    full_loss::losses(params.rows as usize, running, targets, buffers.write("nll"));
}

fn cases() -> Vec<Case> {
    cases::of_tiles(|tile| {
        let (rows, width) = (tile.targets.len(), tile.width);
        let params = Params {
            rows: rows as u32,
            width: width as u32,
            start: tile.start,
            first: (tile.start == 0).into(),
            divisor: tile.divisor,
        };
        let before = (0..rows).flat_map(|row| [row as f32 - 3.0, 1.0 + row as f32 / 2.0, -0.25]);
        let buffers = vec![
            Fill::Uniform {
                len: rows * width,
                low: -4.0,
                high: 4.0,
            },
            Fill::Indices(tile.targets.clone()),
            Fill::Values(vec![if tile.divisor == 2.0 { 8.0 } else { 1.0 }]),
            Fill::Values(before.collect()),
            Fill::Output(rows),
        ];
        Case::new(tile.label, &params, width, buffers)
    })
}
