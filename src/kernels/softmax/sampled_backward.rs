//! The backward of [`super::sampled_loss`], with its `l_k` and `t`: replaces the logits by the gradients of `scale * sum of nll`,
//! with `scale = loss_scale[0] / divisor`.
//!
//! ```text
//! logits        <- scale * exp(l_k - normaliser), 0 where candidates[k] is the row's target
//! target_logits <- scale * (exp(t - normaliser) - 1)
//! ```
//!
//! Both are 0 where the target is [`IGNORE`].

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
        /// Columns of `logits`: the candidates.
        pub samples: u32,
        /// The index of the first row among the targets in `log_q`.
        pub first: u32,
        /// The divisor of the gradient.
        pub divisor: f32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "softmax/sampled_backward",
    wgsl: include_str!("../../../shaders/softmax/sampled_backward.wgsl"),
    snippets: &[&ACTIVATION],
    fields: Params::FIELDS,
    bindings: &[
        Binding::read_write("logits").or_half(),
        Binding::read_write("target_logits"),
        Binding::read("log_q"),
        Binding::index("candidates"),
        Binding::index("targets"),
        Binding::read("normaliser"),
        Binding::read("loss_scale"),
    ],
    grid: |raw| {
        let params = Params::of(raw);
        grid_over(params.rows as usize * params.samples as usize, 256)
    },
    split: Some(|raw, oversized| {
        let params: &Params = Params::of(raw);
        let samples = params.samples as usize;
        let split = oversized.rows(params.rows as usize, &[samples, 1, 0, 0, 1, 1, 0], 1)?;
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
    pub(super) log_q: &'a [R],
    pub(super) candidates: &'a [u32],
    pub(super) targets: &'a [u32],
    pub(super) normaliser: &'a [R],
    pub(super) loss_scale: &'a [R],
}

impl<'a, R> Inputs<'a, R> {
    fn take(buffers: &mut Buffers<'a, R>) -> Inputs<'a, R> {
        Inputs {
            log_q: buffers.read("log_q"),
            candidates: buffers.index("candidates"),
            targets: buffers.index("targets"),
            normaliser: buffers.read("normaliser"),
            loss_scale: buffers.read("loss_scale"),
        }
    }
}

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let inputs = Inputs::take(buffers);
    let (logits, target_logits) = (buffers.write("logits"), buffers.write("target_logits"));
    differentiate(params, inputs, 0, logits, target_logits);
}

fn cpu(raw: &[u32], buffers: &mut Buffers<'_, f32>) {
    let params: &Params = Params::of(raw);
    let inputs = Inputs::take(buffers);
    let (logits, target_logits) = (buffers.write("logits"), buffers.write("target_logits"));
    differentiate_in_parallel(params, inputs, logits, target_logits);
}

/// Computes all rows on all threads.
pub(super) fn differentiate_in_parallel(
    params: &Params,
    inputs: Inputs<'_, f32>,
    logits: &mut [f32],
    target_logits: &mut [f32],
) {
    let samples = params.samples as usize;
    parallel::row_pairs(
        logits,
        target_logits,
        [samples, 1],
        samples,
        #[inline(always)]
        |first, logits, target_logits| {
            differentiate(params, inputs, first, logits, target_logits);
        },
    );
}

/// Computes rows of `logits` and `target_logits`, the first of which is row `first`.
#[inline(always)]
pub(super) fn differentiate<R: Real>(
    params: &Params,
    inputs: Inputs<'_, R>,
    first: usize,
    logits: &mut [R],
    target_logits: &mut [R],
) {
    let samples = params.samples as usize;
    let scale = inputs.loss_scale[0] / R::from_f32(params.divisor);
    let (sampled_q, target_q) = inputs.log_q.split_at(samples);
    let target_q = &target_q[params.first as usize..];
    let rows = logits.chunks_exact_mut(samples).zip(target_logits);
    for (k, (logits, target_logit)) in rows.enumerate() {
        let (target, normaliser) = (inputs.targets[first + k], inputs.normaliser[first + k]);
        if target == IGNORE {
            logits.fill(R::ZERO);
            *target_logit = R::ZERO;
            continue;
        }
        for ((logit, &log_q), &candidate) in logits.iter_mut().zip(sampled_q).zip(inputs.candidates)
        {
            let gradient = scale * (*logit - log_q - normaliser).exp();
            *logit = if candidate == target {
                R::ZERO
            } else {
                gradient
            };
        }
        let true_logit = *target_logit - target_q[first + k];
        *target_logit = scale * ((true_logit - normaliser).exp() - R::ONE);
    }
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
            Fill::signed(rows * samples),
            Fill::signed(rows),
            Fill::Uniform {
                len: samples + rows,
                low: -4.0,
                high: 0.0,
            },
            Fill::Indices(of.candidates.clone()),
            Fill::Indices(of.targets.clone()),
            Fill::Uniform {
                len: rows,
                low: 3.0,
                high: 6.0,
            },
            Fill::Values(vec![4.0]),
        ];
        Case::new(of.label, &params, 2, buffers)
    })
}
