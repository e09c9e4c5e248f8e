//! The graphs of evaluation and generation, for tables on the device.

use super::super::clusters::Clusters;
use super::super::division::{Extent, Part};
use super::super::parameter_set::ParameterSet;
use super::body::{Body, SPAN_ROWS, TableAccess, Variant};
use crate::config::Config;
use crate::graph::memory::Limits;
use crate::graph::plan::{Plan, Role, Slice, Storage};
use crate::graph::{Graph, Value};
use crate::kernels::matmul::product;
use crate::tensor::names;
use crate::tensor::names::StateOwner;

/// The losses of `targets [T*B]` after `inputs [T*B]` with the full or adaptive softmax: the output `nll [T*B]`, 0 for padding. An
/// adaptive softmax has the inputs of [`adaptive_softmax()`](crate::graph::operations::adaptive_softmax()) instead of `targets`.
pub fn evaluation(
    config: &Config,
    vocabulary: usize,
    set: ParameterSet,
    extent: Extent,
    limits: &Limits,
) -> Plan {
    let mut graph = Graph::new("evaluate", limits);
    graph.builder.publish("nll");
    graph.builder.use_states_of(StateOwner::Evaluation);
    if config.train.recompute {
        // Without a backward pass nothing is recomputed, but the gates of one span exist at a time.
        graph.builder.recompute_gates(SPAN_ROWS);
    }
    let body = Body::new(&mut graph, config, vocabulary, variant(set, extent));
    let (h, _) = body.hidden(&mut graph, 0.0, 1.0);
    let clusters = Clusters::of(config, vocabulary);
    body.exact_losses(&mut graph, h, clusters.as_ref(), None);
    graph.finish()
}

/// The logits after one step of `batch` streams: the output `logits [B, V]`. With an adaptive softmax: the outputs of
/// `cluster_logits`: `logits.head [B, words + clusters]`, and `logits.K [B, words]` of each cluster.
pub fn logits(
    config: &Config,
    vocabulary: usize,
    set: ParameterSet,
    batch: usize,
    limits: &Limits,
) -> Plan {
    let mut graph = Graph::new("logits", limits);
    graph.builder.use_states_of(StateOwner::Generation);
    let variant = variant(set, Extent { batch, unroll: 1 });
    let body = Body::new(&mut graph, config, vocabulary, variant);
    let (h, _) = body.hidden(&mut graph, 0.0, 1.0);
    if let Some(clusters) = Clusters::of(config, vocabulary) {
        cluster_logits(&mut graph, &body, h, &clusters);
        return graph.finish();
    }
    let out: Slice = graph.builder.output("logits", [batch, vocabulary]);
    let params = product::Params::dense(batch, vocabulary, config.model.output_size());
    let (weight, bias) = (
        graph.weight(body.softmax_weight()),
        graph.weight(body.parameter(names::SOFTMAX_BIAS)),
    );
    let slices = [graph.data(h), weight, bias, out];
    graph.builder.step(
        "logits",
        &product::KERNEL,
        &params.transposed_right().biased(),
        &slices,
    );
    graph.finish()
}

/// The logits of an adaptive softmax after `h [B, P]`: the outputs `logits.head [B, words + clusters]`, and for each cluster
/// `logits.K [B, words]`. The host joins them: [`Clusters::join`].
pub(super) fn cluster_logits(graph: &mut Graph, body: &Body<'_>, h: Value, clusters: &Clusters) {
    let (batch, depth) = graph.shape(h);
    let h = graph.data(h);
    let parameters = body.adaptive(clusters.sections(batch));
    let (weight, bias) = (graph.weight(parameters.head), graph.weight(parameters.bias));
    let head = graph
        .builder
        .output(names::HEAD_LOGITS, [batch, clusters.entries()]);
    let params = product::Params::dense(batch, clusters.entries(), depth);
    let params = params.transposed_right().biased();
    let slices = [h, weight, bias, head];
    graph
        .builder
        .step("logits", &product::KERNEL, &params, &slices);
    for (k, (tail, cluster)) in parameters.tails.iter().zip(&clusters.tails).enumerate() {
        let (projection, weight) = (graph.weight(tail.projection), graph.weight(tail.weight));
        let (words, width) = (cluster.ids.len(), cluster.width);
        let builder = &mut graph.builder;
        let narrow = builder.activation(&format!("narrow.{k}"), [batch, width]);
        let params = product::Params::dense(batch, width, depth);
        let slices = [h, projection, h, narrow];
        builder.step("logits", &product::KERNEL, &params, &slices);
        let logits = builder.output(&names::cluster_logits(k), [batch, words]);
        let params = product::Params::dense(batch, words, width).transposed_right();
        let slices = [narrow, weight, narrow, logits];
        builder.step("logits", &product::KERNEL, &params, &slices);
    }
}

/// The names and lengths of the recurrent states of a plan.
pub fn states(plan: &Plan) -> Vec<(String, usize)> {
    plan.tensors()
        .filter(|(_, info)| info.storage == Storage::Persistent(Role::RecurrentState))
        .map(|(_, info)| (info.name.clone(), info.shape.len()))
        .collect()
}

fn variant(set: ParameterSet, extent: Extent) -> Variant {
    Variant {
        extent,
        set,
        tables: TableAccess::Whole,
        part: Part::WHOLE,
    }
}
