//! Sampled softmax (Jean et al. 2015). With `t = target_logit - log_q[samples + row]` and `l_k = logits[row, k] - log_q[k]`,
//! left out where `candidates[k]` is the row's target (an accidental hit):
//!
//! ```text
//! normaliser = ln(exp(t) + sum over k of exp(l_k))        nll = normaliser - t
//! ```
//!
//! `logits [rows, samples]` and `target_logits [rows]` include the bias. `log_q [samples + rows]` holds the logarithms of the
//! expected counts of the candidates, then of the targets. Both outputs `[rows]` are 0 where the target is [`IGNORE`].
//!
//! Backward is [`super::sampled_backward`].

use crate::kernel::{
    ACTIVATION, Binding, Buffers, Case, Fill, Kernel, LOGARITHM, Params as _, WORKGROUP, grid_over,
};
use crate::kernels::parallel;
use crate::kernels::softmax::cases;
use crate::kernels::softmax::ignore::IGNORE;
use crate::kernels::softmax::running_sum::LogSumExp;
use crate::kernels::softmax::snippets::SAMPLED_SUM;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Rows of `logits`.
        pub rows: u32,
        /// Columns of `logits`: the candidates.
        pub samples: u32,
        /// The index of the first row among the targets in `log_q`.
        pub first: u32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "softmax/sampled_loss",
    wgsl: include_str!("../../../shaders/softmax/sampled_loss.wgsl"),
    snippets: &[&ACTIVATION, &LOGARITHM, &WORKGROUP, &SAMPLED_SUM],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("logits").or_half(),
        Binding::read("target_logits"),
        Binding::read("log_q"),
        Binding::index("candidates"),
        Binding::index("targets"),
        Binding::write("nll"),
        Binding::write("normaliser"),
    ],
    grid: |raw| grid_over(Params::of(raw).rows as usize, 1),
    split: Some(|raw, oversized| {
        let params: &Params = Params::of(raw);
        let samples = params.samples as usize;
        let split = oversized.rows(params.rows as usize, &[samples, 1, 0, 0, 1, 1, 1], 1)?;
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

/// The inputs of the kernel.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a, R> {
    pub(super) logits: &'a [R],
    pub(super) target_logits: &'a [R],
    pub(super) log_q: &'a [R],
    pub(super) candidates: &'a [u32],
    pub(super) targets: &'a [u32],
}

impl<'a, R> Inputs<'a, R> {
    fn take(buffers: &mut Buffers<'a, R>) -> Inputs<'a, R> {
        Inputs {
            logits: buffers.read("logits"),
            target_logits: buffers.read("target_logits"),
            log_q: buffers.read("log_q"),
            candidates: buffers.index("candidates"),
            targets: buffers.index("targets"),
        }
    }
}

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let inputs = Inputs::take(buffers);
    let (nll, normaliser) = (buffers.write("nll"), buffers.write("normaliser"));
    normalise(params, inputs, 0, nll, normaliser);
}

fn cpu(raw: &[u32], buffers: &mut Buffers<'_, f32>) {
    let params: &Params = Params::of(raw);
    let inputs = Inputs::take(buffers);
    let (nll, normaliser) = (buffers.write("nll"), buffers.write("normaliser"));
    normalise_in_parallel(params, inputs, nll, normaliser);
}

/// Computes all rows on all threads.
pub(super) fn normalise_in_parallel(
    params: &Params,
    inputs: Inputs<'_, f32>,
    nll: &mut [f32],
    normaliser: &mut [f32],
) {
    parallel::row_pairs(
        nll,
        normaliser,
        [1, 1],
        params.samples as usize,
        #[inline(always)]
        |first, nll, normaliser| normalise(params, inputs, first, nll, normaliser),
    );
}

/// Computes rows of `nll` and `normaliser`, the first of which is row `first`.
#[inline(always)]
pub(super) fn normalise<R: Real>(
    params: &Params,
    inputs: Inputs<'_, R>,
    first: usize,
    nll: &mut [R],
    normaliser: &mut [R],
) {
    let samples = params.samples as usize;
    let (sampled_q, target_q) = inputs.log_q.split_at(samples);
    let target_q = &target_q[params.first as usize..];
    for (k, (nll, normaliser)) in nll.iter_mut().zip(normaliser).enumerate() {
        let row = first + k;
        if inputs.targets[row] == IGNORE {
            (*nll, *normaliser) = (R::ZERO, R::ZERO);
            continue;
        }
        let true_logit = inputs.target_logits[row] - target_q[row];
        let mut total = LogSumExp {
            maximum: true_logit,
            sum: R::ONE,
        };
        let logits = inputs.logits[row * samples..][..samples].chunks(BLOCK);
        for ((logits, log_q), candidates) in logits
            .zip(sampled_q.chunks(BLOCK))
            .zip(inputs.candidates.chunks(BLOCK))
        {
            let mut corrected = [R::ZERO; BLOCK];
            let corrected = &mut corrected[..logits.len()];
            for (((corrected, &logit), &log_q), &candidate) in
                corrected.iter_mut().zip(logits).zip(log_q).zip(candidates)
            {
                let hit = candidate == inputs.targets[row];
                *corrected = if hit { R::NEG_INFINITY } else { logit - log_q };
            }
            total.add(corrected);
        }
        *normaliser = total.maximum + total.sum.ln();
        *nll = *normaliser - true_logit;
    }
}

/// The candidates that are processed at once.
const BLOCK: usize = 1024;

fn cases() -> Vec<Case> {
    cases::of_candidates(|of| {
        let (rows, samples) = (of.targets.len(), of.candidates.len());
        let params = Params {
            rows: rows as u32,
            samples: samples as u32,
            first: 0,
        };
        let buffers = vec![
            Fill::Uniform {
                len: rows * samples,
                low: -8.0,
                high: 8.0,
            },
            Fill::signed(rows),
            Fill::Uniform {
                len: samples + rows,
                low: -9.0,
                high: 0.0,
            },
            Fill::Indices(of.candidates.clone()),
            Fill::Indices(of.targets.clone()),
            Fill::Output(rows),
            Fill::Output(rows),
        ];
        Case::new(of.label, &params, samples + 1, buffers)
    })
}
