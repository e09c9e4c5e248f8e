//! The graphs of evaluation and generation for tables on the host: the host looks up the embedding and
//! copies the softmax weights to the device tile by tile.

use super::super::clusters::Clusters;
use super::super::division::{Extent, Part};
use super::super::parameter_set::ParameterSet;
use super::body::{Body, SPAN_ROWS, TILE, TableAccess, Variant};
use super::inference::cluster_logits;
use super::lines::streamed_line_layers;
use crate::config::Config;
use crate::graph::memory::Limits;
use crate::graph::plan::{Plan, Role};
use crate::graph::{Graph, Value};
use crate::kernels::matmul::product;
use crate::kernels::pointwise::copy;
use crate::kernels::softmax::{full_loss, log_sum_exp};
use crate::tensor::names::{self, StateOwner};

/// The plans of an evaluation with tables on the host. They exchange persistent tensors, see [`names::evaluation`].
pub struct Streamed {
    /// From `evaluation.embedded [T*B, E]`, which the host looks up, to `evaluation.h [T*B, P]`. With an adaptive softmax, which is
    /// on the device, to the losses of an evaluation: the output `nll [T*B]`.
    pub hidden: Plan,
    /// The softmax, if it is on the host.
    pub softmax: Option<StreamedSoftmax>,
}

/// The plans of a softmax whose weights are on the host.
pub struct StreamedSoftmax {
    /// Updates `evaluation.running [T*B, 3]` (see [`log_sum_exp`]) with the words of a tile: weights `evaluation.weight
    /// [tile, P]`, bias `evaluation.bias [tile]`, and the input `targets [T*B]`, counted from the first word of the tile.
    pub tile: Plan,
    /// From `evaluation.running` and the input `targets [T*B]` to the output `nll [T*B]`.
    pub loss: Plan,
    /// Words of a tile.
    pub width: usize,
}

/// The maximum number of softmax weights of a tile: 64 MiB.
const TILE_WEIGHTS: usize = 16 << 20;

/// The losses of `targets [T*B]` with the full or adaptive softmax, for tables on the host.
pub fn streamed_evaluation(
    config: &Config,
    vocabulary: usize,
    set: ParameterSet,
    extent: Extent,
    limits: &Limits,
) -> Streamed {
    let ends = Ends {
        set,
        owner: StateOwner::Evaluation,
        embedded: names::evaluation::EMBEDDED,
        h: names::evaluation::H,
    };
    if let Some(clusters) = Clusters::of(config, vocabulary) {
        let (mut graph, body, h) = layers(config, vocabulary, extent, ends, limits);
        graph.builder.publish("nll");
        body.exact_losses(&mut graph, h, Some(&clusters), None);
        return Streamed {
            hidden: graph.finish(),
            softmax: None,
        };
    }
    let hidden = hidden(config, vocabulary, extent, ends, limits);
    with_softmax(hidden, config, vocabulary, extent, limits)
}

/// The same for lines, with the inputs of [`line_layers`](super::line_layers).
pub fn streamed_lines(
    config: &Config,
    vocabulary: usize,
    set: ParameterSet,
    extent: Extent,
    limits: &Limits,
) -> Streamed {
    let hidden = streamed_line_layers(config, vocabulary, set, extent, limits);
    with_softmax(hidden, config, vocabulary, extent, limits)
}

/// Adds the plans of the softmax to that of the layers.
fn with_softmax(
    hidden: Plan,
    config: &Config,
    vocabulary: usize,
    extent: Extent,
    limits: &Limits,
) -> Streamed {
    if config.softmax.adaptive().is_some() {
        return Streamed {
            hidden,
            softmax: None,
        };
    }
    let (rows, depth) = (extent.rows(), config.model.output_size());
    let most = (TILE.min(limits.slice) / rows).min(TILE_WEIGHTS.min(limits.slice) / depth);
    let width = most.clamp(1, vocabulary);
    Streamed {
        hidden,
        softmax: Some(StreamedSoftmax {
            tile: tile(rows, depth, width, limits),
            loss: loss(rows, limits),
            width,
        }),
    }
}

/// One step of `batch` streams up to the input of the softmax, for tables on the host: from `generation.embedded [B, E]`, which
/// the host looks up, to `generation.h [B, P]`; with an adaptive softmax, to its logits: see [`logits`](super::logits).
pub fn streamed_generation(
    config: &Config,
    vocabulary: usize,
    set: ParameterSet,
    batch: usize,
    limits: &Limits,
) -> Plan {
    let ends = Ends {
        set,
        owner: StateOwner::Generation,
        embedded: names::generation::EMBEDDED,
        h: names::generation::H,
    };
    let extent = Extent { batch, unroll: 1 };
    if let Some(clusters) = Clusters::of(config, vocabulary) {
        let (mut graph, body, h) = layers(config, vocabulary, extent, ends, limits);
        cluster_logits(&mut graph, &body, h, &clusters);
        return graph.finish();
    }
    hidden(config, vocabulary, extent, ends, limits)
}

/// The parameters, inputs and outputs of a plan without tables.
#[derive(Clone, Copy)]
struct Ends {
    set: ParameterSet,
    owner: StateOwner,
    embedded: &'static str,
    h: &'static str,
}

/// A plan without tables.
fn hidden(config: &Config, vocabulary: usize, extent: Extent, ends: Ends, limits: &Limits) -> Plan {
    let (mut graph, _, h) = layers(config, vocabulary, extent, ends, limits);
    let (rows, width) = graph.shape(h);
    let out = graph
        .builder
        .persistent(Role::Transfer, ends.h, [rows, width]);
    let params = copy::Params {
        len: out.len as u32,
    };
    let slices = [graph.data(h), out];
    graph
        .builder
        .step("output", &copy::KERNEL, &params, &slices);
    graph.finish()
}

/// A graph without tables up to the input of the softmax, `[T*B, P]`.
fn layers<'a>(
    config: &'a Config,
    vocabulary: usize,
    extent: Extent,
    ends: Ends,
    limits: &Limits,
) -> (Graph, Body<'a>, Value) {
    let mut graph = Graph::new("layers", limits);
    if config.train.recompute {
        graph.builder.recompute_gates(SPAN_ROWS);
    }
    graph.builder.use_states_of(ends.owner);
    let variant = Variant {
        extent,
        set: ends.set,
        tables: TableAccess::LookedUp(ends.embedded),
        part: Part::WHOLE,
    };
    let body = Body::new(&mut graph, config, vocabulary, variant);
    let (h, _) = body.hidden(&mut graph, 0.0, 1.0);
    (graph, body, h)
}

/// One tile of the running log-sum-exp.
fn tile(rows: usize, depth: usize, width: usize, limits: &Limits) -> Plan {
    let mut graph = Graph::new("evaluate a tile", limits);
    let builder = &mut graph.builder;
    let mut transferred = |name, shape: &[usize]| {
        let shape = crate::tensor::Shape(shape.to_vec());
        builder.persistent(Role::Transfer, name, shape)
    };
    let h = transferred(names::evaluation::H, &[rows, depth]);
    let weight = transferred(names::evaluation::WEIGHT, &[width, depth]);
    let bias = transferred(names::evaluation::BIAS, &[width]);
    let running = transferred(names::evaluation::RUNNING, &[rows, 3]);
    let targets = builder.index_input("targets", [rows]);
    let logits = builder.activation("softmax.logits", [rows, width]);
    let params = product::Params::dense(rows, width, depth);
    let params = params.transposed_right().biased();
    let slices = [h, weight, bias, logits];
    builder.step("softmax logits", &product::KERNEL, &params, &slices);
    let params = log_sum_exp::Params {
        rows: rows as u32,
        width: width as u32,
        start: 0,
        first: 0,
    };
    let slices = [logits, targets, running];
    builder.step("softmax forward", &log_sum_exp::KERNEL, &params, &slices);
    graph.finish()
}

/// From the running log-sum-exp to the losses.
fn loss(rows: usize, limits: &Limits) -> Plan {
    let mut graph = Graph::new("evaluate the loss", limits);
    let builder = &mut graph.builder;
    let running = builder.persistent(Role::Transfer, names::evaluation::RUNNING, [rows, 3]);
    let targets = builder.index_input("targets", [rows]);
    let nll = builder.output("nll", [rows]);
    let params = full_loss::Params { rows: rows as u32 };
    let slices = [running, targets, nll];
    builder.step("softmax loss", &full_loss::KERNEL, &params, &slices);
    graph.finish()
}
