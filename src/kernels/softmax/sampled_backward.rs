//! With `scale = loss_scale[0] / divisor`: `logits <- scale * exp(l_k - normaliser)`, 0 where `candidates[k]` is the row's
//! target, and `target_logits <- scale * (exp(t - normaliser) - 1)`: the gradients of `scale * sum of nll` in the place of the
//! logits, with `l_k` and `t` as in [`super::sampled_loss`], whose backward this is. 0 where the target is [`IGNORE`].

use crate::kernel::{
    ACTIVATION, Binding, Buffers, Case, Fill, Kernel, Params as _, grid_over, no_constants,
};
use crate::kernels::parallel;
use crate::kernels::softmax::IGNORE;
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Rows of `logits`.
        pub rows: u32,
        /// Columns of `logits`: the candidates.
        pub samples: u32,
        /// The row of the first among the targets of `log_q`.
        pub first: u32,
        /// What the gradient is divided by.
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
    constants: no_constants,
    grid: |words| {
        let params = Params::of(words);
        grid_over(params.rows as usize * params.samples as usize, 256)
    },
    work: None,
    cut: Some(|words, excess| {
        let params: &Params = Params::of(words);
        let samples = params.samples as usize;
        let cut = excess.rows(params.rows as usize, &[samples, 1, 0, 0, 1, 1, 0], 1)?;
        cut.each(params.first, |first, rows| Params {
            first,
            rows,
            ..*params
        })
    }),
    twin: twin!(twin),
    fast: Some(fast),
    cases,
    suits: None,
    others: &[],
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (logits, target_logits, log_q) = (buffers.write(0), buffers.write(1), buffers.read(2));
    let inputs = (log_q, buffers.index(3), buffers.index(4), buffers.read(5));
    let loss_scale = buffers.read(6);
    differentiate(params, inputs, loss_scale[0], 0, logits, target_logits);
}

fn fast(words: &[u32], buffers: &mut Buffers<'_, f32>) {
    let params = Params::of(words);
    let samples = params.samples as usize;
    let (logits, target_logits, log_q) = (buffers.write(0), buffers.write(1), buffers.read(2));
    let inputs = (log_q, buffers.index(3), buffers.index(4), buffers.read(5));
    let loss_scale = buffers.read(6);
    parallel::row_pairs(
        (logits, samples),
        (target_logits, 1),
        samples,
        #[inline(always)]
        |first, logits, target_logits| {
            differentiate(params, inputs, loss_scale[0], first, logits, target_logits);
        },
    );
}

/// The rows of `logits` and `target_logits` from row `first` on.
#[inline(always)]
fn differentiate<R: Real>(
    params: &Params,
    (log_q, candidates, targets, normaliser): (&[R], &[u32], &[u32], &[R]),
    loss_scale: R,
    first: usize,
    logits: &mut [R],
    target_logits: &mut [R],
) {
    let samples = params.samples as usize;
    let scale = loss_scale / R::from_f32(params.divisor);
    let (sampled_q, target_q) = log_q.split_at(samples);
    let target_q = &target_q[params.first as usize..];
    let rows = logits.chunks_exact_mut(samples).zip(target_logits);
    for (k, (logits, target_logit)) in rows.enumerate() {
        let (target, normaliser) = (targets[first + k], normaliser[first + k]);
        if target == IGNORE {
            logits.fill(R::ZERO);
            *target_logit = R::ZERO;
            continue;
        }
        for ((logit, &log_q), &candidate) in logits.iter_mut().zip(sampled_q).zip(candidates) {
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
    let case = |label, divisor, candidates: Vec<u32>, targets: Vec<u32>| {
        let (rows, samples) = (targets.len(), candidates.len());
        let params = Params {
            rows: rows as u32,
            samples: samples as u32,
            first: 0,
            divisor,
        };
        let buffers = vec![
            Fill::signed(rows * samples),
            Fill::signed(rows),
            Fill::Uniform {
                len: samples + rows,
                low: -4.0,
                high: 0.0,
            },
            Fill::Indices(candidates),
            Fill::Indices(targets),
            Fill::Uniform {
                len: rows,
                low: 3.0,
                high: 6.0,
            },
            Fill::Values(vec![4.0]),
        ];
        Case::new(label, &params, 2, buffers)
    };
    vec![
        case("one candidate", 1.0, vec![4], vec![2]),
        case("the only candidate is the target", 1.0, vec![4], vec![4]),
        case(
            "hits and padding",
            0.25,
            (0..67).collect(),
            vec![3, 66, 67, IGNORE, 0],
        ),
        case(
            "more than a workgroup",
            20.0,
            (0..259).rev().collect(),
            vec![900, 258, 0],
        ),
        case(
            "more than one task",
            1.0,
            (0..1031).map(|k| k * 2).collect(),
            (0..37).collect(),
        ),
        case(
            "of the bench model",
            0.05,
            (0..2048).map(|k| k * 16).collect(),
            (0..320).collect(),
        )
        .timed(),
    ]
}
