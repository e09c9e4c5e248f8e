//! The graphs of a language model: embedding, dropout, layers, softmax.
//!
//! [`training`] is forward and backward; what is done with the gradients is appended by `train`. [`evaluation`] computes
//! losses with the full softmax, from the moving average of the recurrent parameters where there is one. [`logits`]
//! computes one step and gives the logits over the vocabulary. Mixed precision is for training: the other two are in `f32`.

use std::collections::HashMap;

use super::parameters::{Group, parameters};
use crate::config::{Cell, Config, Precision, Recipe, Softmax};
use crate::graph::memory::Limits;
use crate::graph::operations::layer::{Gates, Layer};
use crate::graph::operations::{
    dropout, embedding, full_softmax, layer, mean, residual, sampled_softmax,
};
use crate::graph::plan::{Plan, Slice};
use crate::graph::{Graph, Parameter, Value};
use crate::kernels::matmul::product;
use crate::kernels::pointwise::copy;

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

/// A model inside one graph.
struct Body<'a> {
    config: &'a Config,
    extent: Extent,
    parameters: HashMap<String, Parameter>,
}

impl<'a> Body<'a> {
    /// Declares the parameters; those of the recurrent group under `prefix` and their name.
    fn new(
        graph: &mut Graph,
        config: &'a Config,
        vocabulary: usize,
        extent: Extent,
        prefix: &str,
    ) -> Body<'a> {
        let declare = |line: super::parameters::Parameter| {
            let (rows, width) = match line.name.as_str() {
                "softmax.bias" => (vocabulary, 1),
                _ => line.matrix(),
            };
            let name = match line.group {
                Group::Recurrent => format!("{prefix}{}", line.name),
                _ => line.name.clone(),
            };
            (line.name, graph.parameter(&name, rows, width))
        };
        let parameters = parameters(config, vocabulary)
            .into_iter()
            .map(declare)
            .collect();
        Body {
            config,
            extent,
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
        let ids = graph.builder.index_input("inputs", [unroll * batch]);
        let looked_up = embedding(
            graph,
            self.parameter("embedding.weight"),
            ids,
            embedding_scale,
        );
        let mut x = dropout(graph, looked_up, rate, 0);
        for (k, cell) in model.cells.iter().enumerate() {
            let name = format!("layers.{k}");
            let gates = match *cell {
                Cell::Lstmp | Cell::Glstm { .. } => Gates::Grouped {
                    weight: self.parameter(&format!("{name}.gates.weight")),
                    groups: if let Cell::Glstm { groups } = *cell {
                        groups
                    } else {
                        1
                    },
                },
                Cell::Flstm { .. } => Gates::Factorized {
                    first: self.parameter(&format!("{name}.gates.factor_in")),
                    second: self.parameter(&format!("{name}.gates.factor_out")),
                },
            };
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
            x = dropout(graph, y, rate, k as u32 + 1);
        }
        (x, looked_up)
    }
}

/// Forward and backward of one training step; the output `loss` is the mean over tokens.
///
/// Inputs: `inputs [T*B]`, `targets [T*B]`, `rows.embedding`, `random [4]` with dropout, and for a sampled softmax what
/// [`sampled_softmax()`] names. Gradients are scaled as the recipe says: those of `T * mean(l)` for `paper`, times `B` for
/// an embedding table of its own; those of `mean(l)` for `plain` (the README, section *What is computed*).
pub fn training(graph: &mut Graph, config: &Config, vocabulary: usize) {
    let limits = *graph.builder.limits();
    let extent = Extent {
        batch: config.train.batch,
        unroll: config.train.unroll,
    };
    if config.train.precision == Precision::Mixed {
        graph.builder.mix_precision();
        if limits.units {
            graph.builder.separate_products();
        }
    }
    if config.train.recompute {
        graph.builder.recompute_gates(SPAN_ROWS);
    }
    let body = Body::new(graph, config, vocabulary, extent, "");
    let model = &config.model;
    let batch = extent.batch as f32;
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
    let body = Body::new(&mut graph, config, vocabulary, extent, prefix);
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

/// The names and lengths of the recurrent states of a plan, under the prefix that the plan gives them.
pub fn states(plan: &Plan) -> Vec<(String, usize)> {
    let is_state = |name: &str| name.contains("state.layers.");
    plan.tensors()
        .filter(|(_, info)| is_state(&info.name))
        .map(|(_, info)| (info.name.clone(), info.shape.len()))
        .collect()
}
