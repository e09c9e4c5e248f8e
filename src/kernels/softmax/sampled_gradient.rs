//! [`super::sampled_loss`] and then [`super::sampled_backward`] in one pass over the logits: a row is read for its loss, and
//! replaced by its gradient while it is in the cache.

use super::sampled_backward::{self, Params};
use super::sampled_loss;
use crate::kernel::{
    ACTIVATION, Binding, Buffers, Case, Fill, Kernel, LOGARITHM, Params as _, WORKGROUP, grid_over,
};
use crate::kernels::softmax::cases;
use crate::kernels::softmax::snippets::SAMPLED_SUM;
use crate::real::Real;
use crate::twin;

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "softmax/sampled_gradient",
    wgsl: include_str!("../../../shaders/softmax/sampled_gradient.wgsl"),
    snippets: &[&ACTIVATION, &LOGARITHM, &WORKGROUP, &SAMPLED_SUM],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read_write("logits").or_half(),
        Binding::read_write("target_logits"),
        Binding::read("log_q"),
        Binding::index("candidates"),
        Binding::index("targets"),
        Binding::read("loss_scale"),
        Binding::write("nll"),
        Binding::write("normaliser"),
    ],
    grid: |raw| grid_over(Params::of(raw).rows as usize, 1),
    split: Some(|raw, oversized| {
        let params: &Params = Params::of(raw);
        let samples = params.samples as usize;
        let widths = [samples, 1, 0, 0, 1, 0, 1, 1];
        let split = oversized.rows(params.rows as usize, &widths, 1)?;
        split.each(params.first, |first, rows| Params {
            first,
            rows,
            ..*params
        })
    }),
    twin: twin!(twin),
    cpu: Some(cpu),
    cases,
    ..Kernel::DEFAULT
};

/// The slices of a step.
struct Slices<'a, R> {
    logits: &'a mut [R],
    target_logits: &'a mut [R],
    log_q: &'a [R],
    candidates: &'a [u32],
    targets: &'a [u32],
    loss_scale: &'a [R],
    nll: &'a mut [R],
    normaliser: &'a mut [R],
}

impl<'a, R> Slices<'a, R> {
    fn take(buffers: &mut Buffers<'a, R>) -> Slices<'a, R> {
        Slices {
            logits: buffers.write("logits"),
            target_logits: buffers.write("target_logits"),
            log_q: buffers.read("log_q"),
            candidates: buffers.index("candidates"),
            targets: buffers.index("targets"),
            loss_scale: buffers.read("loss_scale"),
            nll: buffers.write("nll"),
            normaliser: buffers.write("normaliser"),
        }
    }

    /// As the loss sees them.
    fn of_loss(&self) -> sampled_loss::Inputs<'_, R> {
        sampled_loss::Inputs {
            logits: self.logits,
            target_logits: self.target_logits,
            log_q: self.log_q,
            candidates: self.candidates,
            targets: self.targets,
        }
    }
}

fn loss_params(params: &Params) -> sampled_loss::Params {
    sampled_loss::Params {
        rows: params.rows,
        samples: params.samples,
        first: params.first,
    }
}

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let mut s = Slices::take(buffers);
    let (nll, normaliser) = (
        std::mem::take(&mut s.nll),
        std::mem::take(&mut s.normaliser),
    );
    sampled_loss::normalise(&loss_params(params), s.of_loss(), 0, nll, normaliser);
    let inputs = sampled_backward::Inputs {
        log_q: s.log_q,
        candidates: s.candidates,
        targets: s.targets,
        normaliser,
        loss_scale: s.loss_scale,
    };
    sampled_backward::differentiate(params, inputs, 0, s.logits, s.target_logits);
}

fn cpu(raw: &[u32], buffers: &mut Buffers<'_, f32>) {
    let params: &Params = Params::of(raw);
    let mut s = Slices::take(buffers);
    let (nll, normaliser) = (
        std::mem::take(&mut s.nll),
        std::mem::take(&mut s.normaliser),
    );
    sampled_loss::normalise_in_parallel(&loss_params(params), s.of_loss(), nll, normaliser);
    let inputs = sampled_backward::Inputs {
        log_q: s.log_q,
        candidates: s.candidates,
        targets: s.targets,
        normaliser,
        loss_scale: s.loss_scale,
    };
    sampled_backward::differentiate_in_parallel(params, inputs, s.logits, s.target_logits);
}

fn cases() -> Vec<Case> {
    cases::of_candidates(|of| {
        let (rows, samples) = (of.targets.len(), of.candidates.len());
        let params = Params {
            rows: rows as u32,
            samples: samples as u32,
            first: 0,
            divisor: of.divisor,
        };
        let buffers = vec![
            Fill::Uniform {
                len: rows * samples,
                low: -4.0,
                high: 4.0,
            },
            Fill::signed(rows),
            Fill::Uniform {
                len: samples + rows,
                low: -4.0,
                high: 0.0,
            },
            Fill::Indices(of.candidates.clone()),
            Fill::Indices(of.targets.clone()),
            Fill::Values(vec![4.0]),
            Fill::Output(rows),
            Fill::Output(rows),
        ];
        Case::new(of.label, &params, samples + 1, buffers)
    })
}
