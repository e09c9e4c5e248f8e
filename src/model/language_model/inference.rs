//! The graphs of evaluation and generation, for tables on the device.

use super::super::division::{Extent, Part};
use super::super::parameter_set::ParameterSet;
use super::body::{Body, SPAN_ROWS, TILE, TableAccess, Variant};
use crate::config::Config;
use crate::graph::Graph;
use crate::graph::memory::Limits;
use crate::graph::operations::full_softmax;
use crate::graph::plan::{Plan, Role, Slice, Storage};
use crate::kernels::matmul::product;
use crate::tensor::names;
use crate::tensor::names::StateOwner;

/// The losses of `targets [T*B]` after `inputs [T*B]` with the full softmax: the output `nll [T*B]`, 0 for padding.
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
    let targets = graph.builder.index_input("targets", [extent.rows()]);
    let (weight, bias) = (body.softmax_weight(), body.parameter(names::SOFTMAX_BIAS));
    let tile = TILE.min(limits.slice);
    full_softmax(&mut graph, h, weight, bias, targets, tile, None);
    graph.finish()
}

/// The logits after one step of `batch` streams: the output `logits [B, V]`.
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
