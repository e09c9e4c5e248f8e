//! The graphs that score lines. The layers and the softmax are separate plans, and the host moves the inputs of the softmax
//! between them. A softmax therefore has only the rows that are needed, however the lines are divided into batches.
//!
//! The recurrent states of all lines are in one tensor per state, the pool, `[SLOTS, width]`. A batch reads the states of its
//! streams from arbitrary slots and writes them to arbitrary slots. A line can therefore continue in another stream, in a batch
//! of another size, or more than once.

use super::super::clusters::Clusters;
use super::super::division::{Extent, Part};
use super::super::parameter_set::ParameterSet;
use super::body::{Body, SPAN_ROWS, TILE, TableAccess, Variant};
use crate::config::Config;
use crate::graph::memory::Limits;
use crate::graph::operations::{AdaptiveOptions, add_tails, full_softmax};
use crate::graph::plan::{Plan, Role, Slice};
use crate::graph::{Graph, Parameter};
use crate::kernels::embedding::{gather, scatter_rows};
use crate::kernels::pointwise::copy;
use crate::kernels::softmax::target_logits;
use crate::tensor::names::{self, StateOwner};

/// The number of slots for states. Slot 0 is never written. It has the zero state with which a line begins.
pub const SLOTS: usize = 1 + 1024;

/// The maximum number of words in a tile of the softmax on a CPU. The logits of a tile then fit into the processor cache.
const CPU_TILE: usize = 256;

/// The number of rows for which a tile of the softmax on a GPU has [`TILE`] logits.
const GPU_ROWS: usize = 512;

/// The layers: from the inputs `inputs [T*B]`, `parents [B]` and `slots [B]` to the output `h [T*B, P]`. Stream `b` starts from
/// the states in slot `parents[b]` and writes its final states to slot `slots[b]`, unless this is not a valid slot.
pub fn line_layers(
    config: &Config,
    vocabulary: usize,
    set: ParameterSet,
    extent: Extent,
    limits: &Limits,
) -> Plan {
    let mut graph = Graph::new("lines", limits);
    let tables = TableAccess::Whole;
    let h = pooled_layers(&mut graph, (config, vocabulary), set, extent, tables);
    let (rows, width) = (extent.rows(), config.model.output_size());
    let out = graph.builder.output("h", [rows, width]);
    emit_copy(&mut graph, h, out);
    graph.finish()
}

/// The same for tables on the host: from `evaluation.embedded [T*B, E]`, which the host looks up, to `evaluation.h [T*B, P]`.
pub(super) fn streamed_line_layers(
    config: &Config,
    vocabulary: usize,
    set: ParameterSet,
    extent: Extent,
    limits: &Limits,
) -> Plan {
    let mut graph = Graph::new("lines", limits);
    let tables = TableAccess::LookedUp(names::evaluation::EMBEDDED);
    let h = pooled_layers(&mut graph, (config, vocabulary), set, extent, tables);
    let shape = [extent.rows(), config.model.output_size()];
    let out = graph
        .builder
        .persistent(Role::Transfer, names::evaluation::H, shape);
    emit_copy(&mut graph, h, out);
    graph.finish()
}

/// Appends the layers, with states in the pool. Returns the input of the softmax.
fn pooled_layers(
    graph: &mut Graph,
    (config, vocabulary): (&Config, usize),
    set: ParameterSet,
    extent: Extent,
    tables: TableAccess,
) -> Slice {
    if config.train.recompute {
        graph.builder.recompute_gates(SPAN_ROWS);
    }
    let batch = extent.batch;
    graph
        .builder
        .use_states_of(StateOwner::Lines { streams: batch });
    let parents = graph.builder.index_input("parents", [batch]);
    let slots = graph.builder.index_input("slots", [batch]);
    let model = &config.model;
    let layers = 0..model.layers();
    let states: Vec<[Slice; 2]> = layers
        .flat_map(|k| {
            let layer = names::layer(k);
            [("h", model.output_size()), ("c", model.hidden)]
                .map(|(name, width)| (format!("{layer}.{name}"), width))
        })
        .map(|(name, width)| {
            let pool = StateOwner::Pool.state(&name);
            let builder = &mut graph.builder;
            let state = builder.state(&name, [batch, width]);
            let pool = builder.persistent(Role::Transfer, &pool, [SLOTS, width]);
            [pool, state]
        })
        .collect();
    for [pool, state] in &states {
        let params = gather::Params {
            rows: batch as u32,
            width: (state.len / batch) as u32,
            base: 0,
            window: SLOTS as u32,
        };
        let slices = [*pool, parents, *state];
        graph
            .builder
            .step("states", &gather::KERNEL, &params, &slices);
    }
    let variant = Variant {
        extent,
        set,
        tables,
        part: Part::WHOLE,
    };
    let body = Body::new(graph, config, vocabulary, variant);
    let (h, _) = body.hidden(graph, 0.0, 1.0);
    for [pool, state] in &states {
        let params = scatter_rows::Params {
            rows: batch as u32,
            width: (state.len / batch) as u32,
            base: 0,
            window: SLOTS as u32,
        };
        let slices = [*state, slots, *pool];
        graph
            .builder
            .step("states", &scatter_rows::KERNEL, &params, &slices);
    }
    graph.data(h)
}

fn emit_copy(graph: &mut Graph, from: Slice, to: Slice) {
    let params = copy::Params {
        len: from.len as u32,
    };
    graph
        .builder
        .step("output", &copy::KERNEL, &params, &[from, to]);
}

/// The losses of `targets [R]` for the input `h [R, P]`, with the full softmax or the head of an adaptive one: the output
/// `nll [R]`. For a target outside the vocabulary, the output is the log-sum-exp of all logits.
///
/// All plans divide the vocabulary into the same tiles, so that the result of a row is bitwise identical in each.
pub fn line_softmax(
    config: &Config,
    vocabulary: usize,
    set: ParameterSet,
    rows: usize,
    limits: &Limits,
) -> Plan {
    let mut graph = Graph::new("softmax of lines", limits);
    graph.builder.publish("nll");
    let body = softmax_body(&mut graph, (config, vocabulary), set, rows);
    let width = config.model.output_size();
    let h = graph.builder.real_input("h", [rows, width]);
    let h = graph.value(h, rows, width);
    let targets = graph.builder.index_input("targets", [rows]);
    let (weight, bias) = classes(config, vocabulary, &body);
    let tile = tile(rows, limits);
    full_softmax(&mut graph, h, weight, bias, targets, tile, None);
    graph.finish()
}

/// The maximum number of logits of a tile.
fn tile(rows: usize, limits: &Limits) -> usize {
    let words = match limits.multiprocessors {
        0 => CPU_TILE,
        _ => (TILE.min(limits.slice) / GPU_ROWS).max(1),
    };
    (words * rows).min(limits.slice)
}

/// The weights and the bias of a full softmax, or those of the head of an adaptive one.
fn classes(config: &Config, vocabulary: usize, body: &Body<'_>) -> (Parameter, Parameter) {
    if Clusters::of(config, vocabulary).is_some() {
        (
            body.parameter(names::HEAD_WEIGHT),
            body.parameter(names::HEAD_BIAS),
        )
    } else {
        (body.softmax_weight(), body.parameter(names::SOFTMAX_BIAS))
    }
}

/// The logits of `targets [R]` after the input `h [R, P]`: the output `logits [R]`.
///
/// With an adaptive softmax, the logit of a word in a cluster is the logit of the cluster plus the log-probability of the word in
/// the cluster. The inputs are then those of [`ClusterTargets`](super::super::clusters::ClusterTargets), with the sections of
/// [`Clusters::fixed_sections`].
pub fn line_targets(
    config: &Config,
    vocabulary: usize,
    set: ParameterSet,
    rows: usize,
    limits: &Limits,
) -> Plan {
    let mut graph = Graph::new("targets of lines", limits);
    let body = softmax_body(&mut graph, (config, vocabulary), set, rows);
    let width = config.model.output_size();
    let h = graph.builder.real_input("h", [rows, width]);
    let clusters = Clusters::of(config, vocabulary);
    let input = match clusters {
        Some(_) => names::TARGETS_HEAD,
        None => "targets",
    };
    let targets = graph.builder.index_input(input, [rows]);
    let logits = graph.builder.output("logits", [rows]);
    let (weight, bias) = classes(config, vocabulary, &body);
    let params = target_logits::Params {
        rows: rows as u32,
        width: width as u32,
        base: 0,
        window: graph.extents(weight).0 as u32,
    };
    let slices = [h, graph.weight(weight), graph.weight(bias), targets, logits];
    graph
        .builder
        .step("targets", &target_logits::KERNEL, &params, &slices);
    if let Some(clusters) = clusters {
        let parameters = body.adaptive(clusters.fixed_sections(rows));
        let h = graph.value(h, rows, width);
        let options = AdaptiveOptions {
            mask: None,
            tile: tile(rows, limits),
            divisor: None,
            whole_products: true,
        };
        add_tails(&mut graph, h, &parameters.tails, logits, -1.0, options);
    }
    graph.finish()
}

fn softmax_body<'a>(
    graph: &mut Graph,
    (config, vocabulary): (&'a Config, usize),
    set: ParameterSet,
    rows: usize,
) -> Body<'a> {
    let variant = Variant {
        extent: Extent {
            batch: rows,
            unroll: 1,
        },
        set,
        tables: TableAccess::Whole,
        part: Part::WHOLE,
    };
    Body::new(graph, config, vocabulary, variant)
}
