//! The graphs of a language model: embedding, dropout, layers, softmax.
//!
//! [`training`] is forward and backward; what is done with the gradients is appended by `train`. [`evaluation`] computes
//! losses with the full softmax, from the moving average of the recurrent parameters where there is one. [`logits`]
//! computes one step and gives the logits over the vocabulary. Mixed precision is for training: the other two are in `f32`.

use std::collections::HashMap;

use super::parameters::{Group, parameters};
use super::tables::{cache_of, caches};
use crate::config::{Config, Precision, Recipe, Softmax};
use crate::graph::memory::Limits;
use crate::graph::operations::layer::Layer;
use crate::graph::operations::{
    Streams, dropout, embedding, full_softmax, layer, mean, residual, sampled_softmax,
};
use crate::graph::plan::{Plan, Slice};
use crate::graph::{Graph, Parameter, Value};
use crate::kernels::matmul::product;
use crate::kernels::pointwise::copy;
use crate::kernels::softmax::{full_loss, log_sum_exp};

/// The most elements of the logits of a tile of the full softmax: 96 MiB in `f32`.
const TILE: usize = 24 << 20;

/// The rows of a batch whose gates exist at once where they are recomputed: products of weights' gradients add up so many
/// terms at a time on every device, so that they are no slower in parts of as many.
const SPAN_ROWS: usize = 512;

/// Streams and steps of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// `B`.
    pub batch: usize,
    /// `T`.
    pub unroll: usize,
}

/// How the batch of a step is divided: between devices, and on each into micro-batches (gradient accumulation).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Division {
    /// Devices, including those of other machines.
    pub devices: usize,
    /// Micro-batches of each device.
    pub micro_batches: usize,
}

impl Division {
    /// One device and one micro-batch.
    pub const WHOLE: Division = Division {
        devices: 1,
        micro_batches: 1,
    };

    /// The parts of a step, see [`Part`].
    pub fn parts(self) -> usize {
        self.devices * self.micro_batches
    }
}

/// Which part of the batch of a step a plan computes.
///
/// The streams of a step are split between devices, and on each device into micro-batches that run one after the other: so a device
/// with little memory trains with large batches. The gradients of a micro-batch are added to those of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The device, counted from 0.
    pub device: usize,
    /// The micro-batch of the device, counted from 0.
    pub micro_batch: usize,
    /// How the batch is divided.
    pub division: Division,
}

impl Part {
    /// The whole batch.
    pub const WHOLE: Part = Part {
        device: 0,
        micro_batch: 0,
        division: Division::WHOLE,
    };

    /// The number of this part, counted from 0.
    pub fn index(self) -> usize {
        self.device * self.division.micro_batches + self.micro_batch
    }
}

/// A model inside one graph.
struct Body<'a> {
    config: &'a Config,
    extent: Extent,
    tables: Place,
    part: Part,
    parameters: HashMap<String, Parameter>,
}

/// Where a plan has the tables.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// On the device.
    Whole,
    /// On the device, as much of them as it has slots for, if they are on the host.
    Slots,
    /// Nowhere: the host looks up the embedding, and another plan has the softmax.
    Elsewhere,
}

impl<'a> Body<'a> {
    /// Declares the parameters; those of the recurrent group under `prefix` and their name.
    fn new(
        graph: &mut Graph,
        config: &'a Config,
        vocabulary: usize,
        extent: Extent,
        prefix: &str,
        tables: Place,
        part: Part,
    ) -> Body<'a> {
        let caches = caches(config, vocabulary, part.division);
        let cache = |line: &super::parameters::Parameter| cache_of(config, line);
        let declare = |line: super::parameters::Parameter| {
            let (mut rows, width) = match line.name.as_str() {
                "softmax.bias" => (vocabulary, 1),
                _ => line.matrix(),
            };
            if let (Place::Slots, Some(cache)) = (tables, cache(&line)) {
                rows = caches[cache].slots;
            }
            let name = match line.group {
                Group::Recurrent => format!("{prefix}{}", line.name),
                _ => line.name.clone(),
            };
            (line.name, graph.parameter(&name, rows, width))
        };
        let parameters = parameters(config, vocabulary)
            .into_iter()
            .filter(|line| tables != Place::Elsewhere || line.group == Group::Recurrent)
            .map(declare)
            .collect();
        Body {
            config,
            extent,
            tables,
            part,
            parameters,
        }
    }

    fn parameter(&self, name: &str) -> Parameter {
        *self
            .parameters
            .get(name)
            .unwrap_or_else(|| panic!("the table has no parameter `{name}`"))
    }

    fn softmax_weight(&self) -> Parameter {
        self.parameter(if self.config.model.tied {
            "embedding.weight"
        } else {
            "softmax.weight"
        })
    }

    /// From ids `[T*B]` to what the softmax sees `[T*B, P]`, with the looked-up embedding.
    fn hidden(&self, graph: &mut Graph, rate: f64, embedding_scale: f32) -> (Value, Value) {
        let Extent { batch, unroll } = self.extent;
        let model = &self.config.model;
        let looked_up = if self.tables == Place::Elsewhere {
            graph.given("embedded", unroll * batch, model.embedding)
        } else {
            let ids = graph.builder.index_input("inputs", [unroll * batch]);
            let table = self.parameter("embedding.weight");
            embedding(graph, table, ids, embedding_scale)
        };
        let streams = Streams {
            first: self.part.index() * batch,
            count: batch,
            all: self.part.division.parts() * batch,
        };
        let mut x = dropout(graph, looked_up, rate, 0, streams);
        for (k, cell) in model.cells.iter().enumerate() {
            let name = format!("layers.{k}");
            let gates = cell.gates(&|part| self.parameter(&format!("{name}.gates.{part}")));
            let bias = self.parameter(&format!("{name}.gates.bias"));
            let projection = (model.projection != 0)
                .then(|| self.parameter(&format!("{name}.projection.weight")));
            let forget_bias = model.forget_bias as f32;
            let made = Layer {
                name,
                gates,
                bias,
                projection,
                batch,
                unroll,
                forget_bias,
            };
            let h = layer(graph, made, x);
            let same_size = model.input_size(k) == model.output_size();
            let y = if model.residual && same_size {
                residual(graph, x, h)
            } else {
                h
            };
            x = dropout(graph, y, rate, k as u32 + 1, streams);
        }
        (x, looked_up)
    }
}

/// The rows of a batch from which on products of cells are faster as steps of their own on a GPU: those read the weights once for
/// many rows, cells for eight.
const SEPARATE: usize = 16;

/// Forward and backward of one training step; the output `loss` is the mean over tokens.
///
/// Inputs: `inputs [T*B]`, `targets [T*B]`, `rows.embedding`, `random [4]` with dropout, and for a sampled softmax what
/// [`sampled_softmax()`] names; in a step of several parts row indices are inputs of the update. Gradients are scaled as the recipe says: those of `T * mean(l)` for `paper`, times `B` for
/// an embedding table of its own; those of `mean(l)` for `plain` (the README, section *What is computed*).
pub fn training(graph: &mut Graph, config: &Config, vocabulary: usize, part: Part) {
    let limits = *graph.builder.limits();
    let extent = Extent {
        batch: config.train.batch,
        unroll: config.train.unroll,
    };
    if config.train.precision == Precision::Mixed {
        graph.builder.mix_precision();
    }
    let on_units = limits.units && config.train.precision == Precision::Mixed;
    if on_units || (limits.workgroups > 0 && extent.batch >= SEPARATE) {
        graph.builder.separate_products();
    }
    if config.train.recompute {
        graph.builder.recompute_gates(SPAN_ROWS);
    }
    if part.micro_batch > 0 {
        graph
            .builder
            .state_prefix(&micro_batch_prefix(part.micro_batch));
    }
    let body = Body::new(graph, config, vocabulary, extent, "", Place::Slots, part);
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
    let targets = graph
        .builder
        .index_input("targets", [extent.unroll * extent.batch]);
    let (weight, bias) = (body.softmax_weight(), body.parameter("softmax.bias"));
    let nll = match config.softmax {
        Softmax::Full => full_softmax(
            graph,
            h,
            weight,
            bias,
            targets,
            TILE.min(limits.slice),
            divisor,
        ),
        Softmax::Sampled { samples } => {
            let tied = model.tied.then_some(looked_up);
            sampled_softmax(graph, h, weight, bias, targets, samples, tied, divisor)
        }
    };
    mean(graph, nll);
    graph.backward();
}

/// The prefix of the recurrent states of a micro-batch after the first.
pub fn micro_batch_prefix(micro_batch: usize) -> String {
    format!("micro_batch{micro_batch}.")
}

/// The parameters of a training plan, declared in another one of the same executor: their names, in the order of the table.
pub fn declare(
    graph: &mut Graph,
    config: &Config,
    vocabulary: usize,
    part: Part,
) -> Vec<(String, Parameter)> {
    let extent = Extent {
        batch: config.train.batch,
        unroll: config.train.unroll,
    };
    let body = Body::new(graph, config, vocabulary, extent, "", Place::Slots, part);
    let table = parameters(config, vocabulary).into_iter();
    table
        .map(|line| (line.name.clone(), body.parameter(&line.name)))
        .collect()
}

/// The prefix of the recurrent parameters that evaluation uses: their moving average where there is one.
pub fn evaluation_prefix(config: &Config) -> &'static str {
    if config.train.ema > 0.0 { "ema." } else { "" }
}

/// The losses of `targets [T*B]` after `inputs [T*B]` with the full softmax: the output `nll [T*B]`, 0 for padding.
///
/// States are under their own names in an executor of their own extent, `state.layers.K.h` and `.c`.
pub fn evaluation(
    config: &Config,
    vocabulary: usize,
    extent: Extent,
    prefix: &str,
    limits: &Limits,
) -> Plan {
    let mut graph = Graph::new("evaluate", limits);
    graph.builder.publish("nll");
    graph.builder.state_prefix("evaluation.");
    if config.train.recompute {
        // Nothing is recomputed without a backward pass, but neither is all kept until the end of a layer.
        graph.builder.recompute_gates(SPAN_ROWS);
    }
    let body = Body::new(
        &mut graph,
        config,
        vocabulary,
        extent,
        prefix,
        Place::Whole,
        Part::WHOLE,
    );
    let (h, _) = body.hidden(&mut graph, 0.0, 1.0);
    let targets = graph
        .builder
        .index_input("targets", [extent.unroll * extent.batch]);
    let (weight, bias) = (body.softmax_weight(), body.parameter("softmax.bias"));
    full_softmax(
        &mut graph,
        h,
        weight,
        bias,
        targets,
        TILE.min(limits.slice),
        1.0,
    );
    graph.finish()
}

/// The logits after one step of `batch` streams: the output `logits [B, V]`.
pub fn logits(
    config: &Config,
    vocabulary: usize,
    batch: usize,
    prefix: &str,
    limits: &Limits,
) -> Plan {
    let mut graph = Graph::new("logits", limits);
    graph.builder.state_prefix("generation.");
    let body = Body::new(
        &mut graph,
        config,
        vocabulary,
        Extent { batch, unroll: 1 },
        prefix,
        Place::Whole,
        Part::WHOLE,
    );
    let (h, _) = body.hidden(&mut graph, 0.0, 1.0);
    let out: Slice = graph.builder.output("logits", [batch, vocabulary]);
    let params = product::Params::dense(batch, vocabulary, config.model.output_size());
    let (weight, bias) = (
        graph.weight(body.softmax_weight()),
        graph.weight(body.parameter("softmax.bias")),
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

/// The plans of an evaluation with the tables on the host. They hand each other persistent tensors.
pub struct Streamed {
    /// From `evaluation.embedded [N, E]`, what the host looked up, to `evaluation.h [N, P]`.
    pub hidden: Plan,
    /// Carries `evaluation.running [N, 3]` (see [`log_sum_exp`]) through the words of a tile: weights `evaluation.weight
    /// [tile, P]`, bias `evaluation.bias [tile]`, and the input `targets [N]`, counted from the first word of the tile.
    pub tile: Plan,
    /// From `evaluation.running` and the input `targets [N]` to the output `nll [N]`.
    pub loss: Plan,
    /// Words of a tile.
    pub width: usize,
}

/// The most elements of the weights of a tile that travels: 64 MiB.
const TRAVELS: usize = 16 << 20;

/// The losses of `targets [T*B]` with the full softmax, for tables on the host.
pub fn streamed_evaluation(
    config: &Config,
    vocabulary: usize,
    extent: Extent,
    prefix: &str,
    limits: &Limits,
) -> Streamed {
    let rows = extent.batch * extent.unroll;
    let depth = config.model.output_size();
    let most = (TILE.min(limits.slice) / rows).min(TRAVELS.min(limits.slice) / depth);
    let width = most.clamp(1, vocabulary);
    let hidden = elsewhere(config, vocabulary, extent, prefix, "evaluation.", limits);

    let mut graph = Graph::new("evaluate a tile", limits);
    let builder = &mut graph.builder;
    let h = builder.persistent("evaluation.h", [rows, depth]);
    let weight = builder.persistent("evaluation.weight", [width, depth]);
    let bias = builder.persistent("evaluation.bias", [width]);
    let running = builder.persistent("evaluation.running", [rows, 3]);
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
    let tile = graph.finish();

    let mut graph = Graph::new("evaluate the loss", limits);
    let builder = &mut graph.builder;
    let running = builder.persistent("evaluation.running", [rows, 3]);
    let targets = builder.index_input("targets", [rows]);
    let nll = builder.output("nll", [rows]);
    let params = full_loss::Params { rows: rows as u32 };
    let slices = [running, targets, nll];
    builder.step("softmax loss", &full_loss::KERNEL, &params, &slices);
    let loss = graph.finish();
    Streamed {
        hidden,
        tile,
        loss,
        width,
    }
}

/// What the softmax sees after one step of `batch` streams, for tables on the host: from `generation.embedded [B, E]`, which the
/// host looked up, to `generation.h [B, P]`.
pub fn streamed_generation(
    config: &Config,
    vocabulary: usize,
    batch: usize,
    prefix: &str,
    limits: &Limits,
) -> Plan {
    let extent = Extent { batch, unroll: 1 };
    elsewhere(config, vocabulary, extent, prefix, "generation.", limits)
}

/// A plan without tables. Its states and what it is given and leaves have the prefix `of`.
fn elsewhere(
    config: &Config,
    vocabulary: usize,
    extent: Extent,
    prefix: &str,
    of: &'static str,
    limits: &Limits,
) -> Plan {
    let mut graph = Graph::new("layers", limits);
    if config.train.recompute {
        graph.builder.recompute_gates(SPAN_ROWS);
    }
    graph.builder.state_prefix(of);
    let body = Body::new(
        &mut graph,
        config,
        vocabulary,
        extent,
        prefix,
        Place::Elsewhere,
        Part::WHOLE,
    );
    let (h, _) = body.hidden(&mut graph, 0.0, 1.0);
    let (rows, width) = graph.shape(h);
    let out = graph.builder.prefixed("h", [rows, width]);
    let params = copy::Params {
        len: out.len as u32,
    };
    let slices = [graph.data(h), out];
    graph
        .builder
        .step("output", &copy::KERNEL, &params, &slices);
    graph.finish()
}

/// The names and lengths of the recurrent states of a plan, under the prefix that the plan gives them.
pub fn states(plan: &Plan) -> Vec<(String, usize)> {
    let is_state = |name: &str| name.contains("state.layers.");
    plan.tensors()
        .filter(|(_, info)| is_state(&info.name))
        .map(|(_, info)| (info.name.clone(), info.shape.len()))
        .collect()
}
