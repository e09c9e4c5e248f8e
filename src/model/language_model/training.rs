//! The graph of a training step.

use super::super::clusters::Clusters;
use super::super::division::{Extent, Part};
use super::super::parameter_set::ParameterSet;
use super::super::parameters::parameters;
use super::body::{Body, SPAN_ROWS, TableAccess, Variant};
use crate::config::{Config, Recipe, Softmax};
use crate::graph::operations::{CandidateSampling, mean, sampled_softmax};
use crate::graph::{Graph, Parameter};
use crate::kernels::pointwise::copy;
use crate::tensor::names;
use crate::tensor::names::StateOwner;

/// From this number of streams on, the products of cells can be faster as separate steps on a GPU, in pieces.
const SEPARATE: usize = 16;

/// Forward and backward pass of one training step; the output `loss` is the mean over tokens.
///
/// Inputs: `inputs [T*B]`, `targets [T*B]`, `rows.embedding`, `random [4]` with dropout, and for a sampled softmax what
/// [`sampled_softmax()`] names. An adaptive softmax has the inputs of
/// [`adaptive_softmax()`](crate::graph::operations::adaptive_softmax()) instead of `targets`. In a step of several parts row
/// indices are inputs of the update. Gradients are scaled by the
/// recipe. With `paper` they are those of `T * mean(l)`, times `B` for a separate embedding table; with `plain` those of
/// `mean(l)` (see [What is computed](crate::model#gradients-and-optimizers)).
pub fn training(graph: &mut Graph, config: &Config, vocabulary: usize, part: Part) {
    let limits = *graph.builder.limits();
    let variant = variant(config, part);
    let extent = variant.extent;
    let precision = config.train.precision;
    if precision.stores_halves() {
        graph.builder.mix_precision();
        if limits.updates_in_one_pass() {
            graph.keep_rounded();
        }
    }
    if precision.multiplies_halves() {
        graph.builder.scale_loss();
    }
    let on_units = limits.units && precision.multiplies_halves();
    if on_units || (limits.multiprocessors > 0 && extent.batch >= SEPARATE) {
        graph.builder.separate_products();
    }
    if config.train.recompute {
        graph.builder.recompute_gates(SPAN_ROWS);
    }
    graph.builder.use_states_of(StateOwner::Training {
        micro_batch: part.micro_batch,
    });
    let body = Body::new(graph, config, vocabulary, variant);
    let model = &config.model;
    // All micro-batches together are one batch.
    let batch = (extent.batch * part.division.micro_batches) as f32;
    let (divisor, embedding_scale) = match config.train.recipe {
        Recipe::Paper => (batch, if model.tied { 1.0 } else { batch }),
        Recipe::Plain => (batch * extent.unroll as f32, 1.0),
    };
    let (h, looked_up) = body.hidden(graph, model.dropout, embedding_scale);
    if graph.builder.publishes("output") {
        let output = graph.builder.output("output", [graph.data(h).len]);
        let params = copy::Params {
            len: output.len as u32,
        };
        graph
            .builder
            .step("output", &copy::KERNEL, &params, &[graph.data(h), output]);
    }
    let nll = match config.softmax {
        Softmax::Full | Softmax::Adaptive(_) => {
            let clusters = Clusters::of(config, vocabulary);
            body.exact_losses(graph, h, clusters.as_ref(), Some(divisor))
        }
        Softmax::Sampled { samples } => {
            let targets = graph.builder.index_input("targets", [extent.rows()]);
            let (weight, bias) = (body.softmax_weight(), body.parameter(names::SOFTMAX_BIAS));
            let sampling = CandidateSampling {
                samples,
                tied: model.tied.then_some(looked_up),
                divisor,
            };
            sampled_softmax(graph, h, weight, bias, targets, sampling)
        }
    };
    mean(graph, nll);
    graph.backward();
}

/// Declares the parameters of a training plan in another plan of the same executor. Returns their names, in the order of the
/// table.
pub fn declare(
    graph: &mut Graph,
    config: &Config,
    vocabulary: usize,
    part: Part,
) -> Vec<(String, Parameter)> {
    let body = Body::new(graph, config, vocabulary, variant(config, part));
    let table = parameters(config, vocabulary).into_iter();
    table
        .map(|line| (line.name.clone(), body.parameter(&line.name)))
        .collect()
}

fn variant(config: &Config, part: Part) -> Variant {
    Variant {
        extent: Extent {
            batch: config.train.batch,
            unroll: config.train.unroll,
        },
        set: ParameterSet::Last,
        tables: TableAccess::Slots,
        part,
    }
}
