//! Cross-entropy over the target and `S` sampled candidates shared by all rows (Jean et al. 2015).
//!
//! ```text
//! l_k = h w_k + b_k - ln Q(k)        masked where candidate k is the row's target
//! l_t = h w_t + b_t - ln Q(t)
//! nll = log_sum_exp(l_t, l_1 .. l_S) - l_t
//! ```
//!
//! A product computes the logits of the candidates, and a dot product of each row that of its target. The
//! gradient of the tables is sparse: the rows of the candidates, then those of the targets (`S + T*B` rows),
//! are added by id, in the order of the row index `rows.softmax`. A tied table has the `T*B` rows of the
//! embedding after them, and the row index `rows.table`. A micro-batch leaves these rows to the update, which
//! adds them by id; those of the candidates are summed over the micro-batches.

use super::super::gradient::{SharedSources, Sources};
use super::super::plan::Slice;
use super::super::{Graph, Operation, Parameter, Value};
use super::embedding::emit_accumulate_rows;
use super::products::emit_product;
use crate::kernel::Change;
use crate::kernels::embedding::{gather, rows};
use crate::kernels::matmul::product;
use crate::kernels::reduce::sum_columns;
use crate::kernels::softmax::{
    sampled_backward, sampled_gradient, sampled_loss, target_backward, target_logits,
};
use crate::tensor::names::{ROWS_SOFTMAX, ROWS_TABLE};

struct SampledSoftmax {
    h: Value,
    weight: Parameter,
    bias: Parameter,
    targets: Slice,
    candidates: Slice,
    log_q: Slice,
    candidate_weight: Slice,
    logits: Slice,
    bias_sources: Sources,
    /// All of them, where this graph adds them up.
    bias_source: Option<Slice>,
    /// `Some` if the backward pass has to replace the logits by their gradients.
    normaliser: Option<Slice>,
    tied: Option<Value>,
    divisor: f32,
}

/// How candidates are sampled, and how the losses are scaled.
#[derive(Clone, Copy)]
pub struct CandidateSampling {
    /// `S`, the number of candidates.
    pub samples: usize,
    /// The looked-up embedding, where the softmax weights are its table.
    pub tied: Option<Value>,
    /// Gradients are those of the sum of the losses divided by this.
    pub divisor: f32,
}

/// The losses `[T*B]` of `targets [T*B]` after `h [T*B, P]` against sampled candidates, with weights `[V, P]` and bias `[V, 1]`.
///
/// The host writes the inputs `candidates [S]`, `log_q [S + T*B]` (logarithms of the expected counts of the candidates, then
/// of the targets) and the row index.
pub fn sampled_softmax(
    graph: &mut Graph,
    h: Value,
    weight: Parameter,
    bias: Parameter,
    targets: Slice,
    sampling: CandidateSampling,
) -> Slice {
    let CandidateSampling {
        samples,
        tied,
        divisor,
    } = sampling;
    let (count, depth) = graph.shape(h);
    let (vocabulary, _) = graph.extents(weight);
    let candidates = graph.builder.index_input("candidates", [samples]);
    let log_q = graph.builder.real_input("log_q", [samples + count]);
    let candidate_weight = graph.builder.stored("softmax.candidates", [samples, depth]);
    let candidate_bias = graph
        .builder
        .activation("softmax.candidate_bias", [samples]);
    let logits = graph.builder.stored("softmax.logits", [count, samples]);
    // First the logits of the targets, then the gradients of their biases.
    let (bias_sources, bias_source) = match graph.sources(bias, ROWS_SOFTMAX, samples, count, 1) {
        Some(sources) => (sources, None),
        None => {
            let shape = [samples + count];
            let all = graph.builder.activation("softmax.bias_source", shape);
            (side_by_side(all, samples, count, 1), Some(all))
        }
    };
    let normaliser = graph.builder.activation("softmax.normaliser", [count]);
    let nll = graph.builder.output_or_activation("nll", count);

    let label = "softmax forward";
    let data = graph.data(h);
    for (table, width, out) in [(weight, depth, candidate_weight), (bias, 1, candidate_bias)] {
        let params = gather::Params {
            rows: samples as u32,
            width: width as u32,
            base: 0,
            window: vocabulary as u32,
        };
        let slices = [graph.weight(table), candidates, out];
        graph.builder.step(label, &gather::KERNEL, &params, &slices);
    }
    let params = product::Params::dense(count, samples, depth)
        .transposed_right()
        .biased();
    emit_product(
        graph,
        label,
        &params,
        data,
        candidate_weight,
        Some(candidate_bias),
        logits,
    );
    let target = bias_sources.own[0];
    let params = target_logits::Params {
        rows: count as u32,
        width: depth as u32,
        base: 0,
        window: vocabulary as u32,
    };
    let slices = [
        data,
        graph.weight(weight),
        graph.weight(bias),
        targets,
        target,
    ];
    graph
        .builder
        .step(label, &target_logits::KERNEL, &params, &slices);
    let label = "softmax loss";
    let in_one_pass = !graph.builder.limits().without.has(Change::Loss);
    if in_one_pass {
        let params = backward_params(count, samples, divisor);
        let scale = graph.loss_scale();
        let slices = [
            logits, target, log_q, candidates, targets, scale, nll, normaliser,
        ];
        graph
            .builder
            .step(label, &sampled_gradient::KERNEL, &params, &slices);
    } else {
        let params = sampled_loss::Params {
            rows: count as u32,
            samples: samples as u32,
            first: 0,
        };
        let slices = [logits, target, log_q, candidates, targets, nll, normaliser];
        graph
            .builder
            .step(label, &sampled_loss::KERNEL, &params, &slices);
    }
    graph.record(SampledSoftmax {
        h,
        weight,
        bias,
        targets,
        candidates,
        log_q,
        candidate_weight,
        logits,
        bias_sources,
        bias_source,
        normaliser: (!in_one_pass).then_some(normaliser),
        tied,
        divisor,
    });
    nll
}

fn backward_params(count: usize, samples: usize, divisor: f32) -> sampled_backward::Params {
    sampled_backward::Params {
        rows: count as u32,
        samples: samples as u32,
        first: 0,
        divisor,
    }
}

/// The rows of a gradient that the same graph adds up.
fn side_by_side(all: Slice, samples: usize, count: usize, kinds: usize) -> Sources {
    let width = all.len / (samples + kinds * count);
    let own = |kind: usize| all.part((samples + kind * count) * width, count * width);
    Sources {
        common: all.part(0, samples * width),
        accumulate: false,
        own: (0..kinds).map(own).collect(),
    }
}

impl Operation for SampledSoftmax {
    fn backward(&self, graph: &mut Graph) {
        let label = "softmax backward";
        let (count, depth) = graph.shape(self.h);
        let samples = self.candidates.len;
        let h = graph.data(self.h);
        let dtarget = self.bias_sources.own[0];
        if let Some(normaliser) = self.normaliser {
            let params = backward_params(count, samples, self.divisor);
            let slices = [
                self.logits,
                dtarget,
                self.log_q,
                self.candidates,
                self.targets,
                normaliser,
                graph.loss_scale(),
            ];
            graph
                .builder
                .step(label, &sampled_backward::KERNEL, &params, &slices);
        }

        let kinds = 1 + usize::from(self.tied.is_some());
        let sources = samples + kinds * count;
        let index = if self.tied.is_some() {
            ROWS_TABLE
        } else {
            ROWS_SOFTMAX
        };
        let (rows_of, source) = match graph.sources(self.weight, index, samples, count, kinds) {
            Some(sources) => (sources, None),
            None => {
                let all = graph.builder.activation("softmax.source", [sources, depth]);
                (side_by_side(all, samples, count, kinds), Some(all))
            }
        };
        let params = product::Params::dense(samples, depth, count)
            .transposed_left()
            .accumulating(rows_of.accumulate);
        emit_product(graph, label, &params, self.logits, h, None, rows_of.common);
        let params = sum_columns::Params {
            rows: count as u32,
            width: samples as u32,
            accumulate: self.bias_sources.accumulate.into(),
            scale: 1.0,
        };
        let slices = [self.logits, self.bias_sources.common];
        graph
            .builder
            .step(label, &sum_columns::KERNEL, &params, &slices);
        let (dh, accumulate) = graph.contribute(self.h);
        let params = product::Params::dense(count, depth, samples).accumulating(accumulate);
        emit_product(
            graph,
            label,
            &params,
            self.logits,
            self.candidate_weight,
            None,
            dh,
        );
        let params = target_backward::Params {
            rows: count as u32,
            width: depth as u32,
            base: 0,
            window: graph.extents(self.weight).0 as u32,
        };
        let slices = [
            h,
            graph.weight(self.weight),
            self.targets,
            dtarget,
            dh,
            rows_of.own[0],
        ];
        graph
            .builder
            .step(label, &target_backward::KERNEL, &params, &slices);

        if let Some(embedding) = self.tied {
            graph.set_value_gradient(embedding, rows_of.own[1]);
        }
        let (Some(source), Some(bias_source)) = (source, self.bias_source) else {
            return;
        };
        let rows = graph
            .builder
            .index_input(ROWS_SOFTMAX, [rows::row_index_len(samples + count)]);
        let gradient = graph.sparse_gradient(self.bias, rows, samples + count);
        emit_accumulate_rows(
            graph,
            label,
            1.0,
            bias_source,
            rows,
            samples + count,
            gradient,
        );
        if self.tied.is_some() {
            let rows = graph
                .builder
                .index_input(ROWS_TABLE, [rows::row_index_len(sources)]);
            let shared = SharedSources {
                source,
                rows,
                capacity: sources,
            };
            graph.share_sources(self.weight, shared);
        } else {
            let gradient = graph.sparse_gradient(self.weight, rows, sources);
            emit_accumulate_rows(graph, label, 1.0, source, rows, sources, gradient);
        }
    }
}
