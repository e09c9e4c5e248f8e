//! The part that all graphs of a language model share: from words to the input of the softmax.

use std::collections::HashMap;

use super::super::clusters::{Clusters, Sections};
use super::super::division::{Extent, Part};
use super::super::parameter_set::ParameterSet;
use super::super::parameters::{self, parameters};
use super::super::tables::{cache_of, caches};
use crate::config::Config;
use crate::graph::operations::layer::Layer;
use crate::graph::operations::{
    AdaptiveOptions, AdaptiveParameters, Mask, Streams, Tail, adaptive_softmax, dropout, embedding,
    full_softmax, layer, residual,
};
use crate::graph::plan::Slice;
use crate::graph::{Graph, Parameter, Value};
use crate::tensor::names;

/// The maximum number of logits of a tile of the full softmax: 96 MiB in `f32`.
pub(super) const TILE: usize = 24 << 20;

/// The number of rows of a batch whose gates are in memory at once if they are recomputed. On every device, the products
/// for weight gradients sum over this many rows at a time, so that spans of this length are not slower.
pub(super) const SPAN_ROWS: usize = 512;

/// Where a graph finds the embedding and the softmax weights.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum TableAccess {
    /// On the device, every row.
    Whole,
    /// On the device: every row, or, for tables on the host, as many rows as there are slots.
    Slots,
    /// Not in this graph: the host looks up the embedding and writes it to this tensor, and another plan computes the softmax,
    /// unless that is adaptive.
    LookedUp(&'static str),
}

/// Which body a graph has.
#[derive(Clone, Copy)]
pub(super) struct Variant {
    pub extent: Extent,
    /// The parameters that the graph reads.
    pub set: ParameterSet,
    pub tables: TableAccess,
    pub part: Part,
}

/// The body of a language model inside one graph.
pub(super) struct Body<'a> {
    config: &'a Config,
    variant: Variant,
    parameters: HashMap<String, Parameter>,
}

impl<'a> Body<'a> {
    /// Declares the parameters.
    pub fn new(
        graph: &mut Graph,
        config: &'a Config,
        vocabulary: usize,
        variant: Variant,
    ) -> Body<'a> {
        let Variant {
            set, tables, part, ..
        } = variant;
        let caches = caches(config, vocabulary, part.division);
        let declare = |line: parameters::ParameterSpec| {
            let (mut rows, width) = match line.name.as_str() {
                names::SOFTMAX_BIAS | names::HEAD_BIAS => (line.shape.len(), 1),
                _ => line.matrix(),
            };
            if let (TableAccess::Slots, Some(cache)) = (tables, cache_of(config, &line)) {
                rows = caches[cache].slots;
            }
            let tensor = set.tensor(config, line.group, &line.name);
            let parameter = if tensor == line.name {
                graph.parameter(&tensor, rows, width)
            } else {
                graph.averaged_parameter(&tensor, rows, width)
            };
            (line.name, parameter)
        };
        let is_looked_up = matches!(tables, TableAccess::LookedUp(_));
        let parameters = parameters(config, vocabulary)
            .into_iter()
            .filter(|line| !is_looked_up || cache_of(config, line).is_none())
            .map(declare)
            .collect();
        Body {
            config,
            variant,
            parameters,
        }
    }

    /// A parameter of the graph.
    pub fn parameter(&self, name: &str) -> Parameter {
        *self
            .parameters
            .get(name)
            .unwrap_or_else(|| panic!("the table has no parameter `{name}`"))
    }

    /// The parameters of an adaptive softmax. The clusters have these sections.
    pub fn adaptive(&self, sections: Sections) -> AdaptiveParameters {
        let tail = |(k, sections)| Tail {
            projection: self.parameter(&names::tail_projection(k)),
            weight: self.parameter(&names::tail_weight(k)),
            sections,
        };
        AdaptiveParameters {
            head: self.parameter(names::HEAD_WEIGHT),
            bias: self.parameter(names::HEAD_BIAS),
            tails: sections.into_iter().enumerate().map(tail).collect(),
        }
    }

    /// The losses `[T*B]` of the targets, after `h [T*B, P]`, with a full or an adaptive softmax. Gradients are those of the sum of
    /// the losses divided by `divisor`; without it there is neither a backward pass nor dropout.
    pub fn exact_losses(
        &self,
        graph: &mut Graph,
        h: Value,
        clusters: Option<&Clusters>,
        divisor: Option<f32>,
    ) -> Slice {
        let (rows, _) = graph.shape(h);
        let tile = TILE.min(graph.builder.limits().slice);
        let Some(clusters) = clusters else {
            let targets = graph.builder.index_input("targets", [rows]);
            let (weight, bias) = (self.softmax_weight(), self.parameter(names::SOFTMAX_BIAS));
            return full_softmax(graph, h, weight, bias, targets, tile, divisor);
        };
        let options = AdaptiveOptions {
            tile,
            divisor,
            mask: divisor.and_then(|_| self.mask_of_clusters()),
            whole_products: false,
        };
        adaptive_softmax(graph, h, &self.adaptive(clusters.sections(rows)), options)
    }

    /// The weights of a full or sampled softmax, `[V, P]`.
    pub fn softmax_weight(&self) -> Parameter {
        self.parameter(names::softmax_weight(self.config.model.tied))
    }

    /// Appends embedding and layers, from the input `inputs [T*B]` to the input of the softmax, `[T*B, P]`. Returns that and the
    /// looked-up embedding, whose gradient is multiplied by `embedding_scale`.
    pub fn hidden(&self, graph: &mut Graph, rate: f64, embedding_scale: f32) -> (Value, Value) {
        let Variant { extent, tables, .. } = self.variant;
        let model = &self.config.model;
        let looked_up = if let TableAccess::LookedUp(name) = tables {
            graph.given(name, extent.rows(), model.embedding)
        } else {
            let ids = graph.builder.index_input("inputs", [extent.rows()]);
            let table = self.parameter(names::EMBEDDING);
            embedding(graph, table, ids, embedding_scale)
        };
        let mut x = dropout(graph, looked_up, self.mask(rate, 0));
        for k in 0..model.layers() {
            let h = layer(graph, self.layer(k), x);
            let same_size = model.input_size(k) == model.output_size();
            let y = if model.residual && same_size {
                residual(graph, x, h)
            } else {
                h
            };
            x = dropout(graph, y, self.mask(rate, k + 1));
        }
        (x, looked_up)
    }

    /// Mask number `number` of the streams of this part. Mask 0 is that of the embedding, and mask `k + 1` that of layer `k`. Those
    /// of clusters follow.
    fn mask(&self, rate: f64, number: usize) -> Mask {
        let Variant { extent, part, .. } = self.variant;
        Mask {
            rate,
            number: number as u32,
            streams: Streams {
                first: part.index() * extent.batch,
                count: extent.batch,
                all: part.division.parts() * extent.batch,
            },
        }
    }

    /// The mask of the first cluster of an adaptive softmax with dropout.
    fn mask_of_clusters(&self) -> Option<Mask> {
        let rate = self.config.softmax.adaptive()?.dropout;
        (rate > 0.0).then(|| self.mask(rate, self.config.model.layers() + 1))
    }

    fn layer(&self, k: usize) -> Layer {
        let model = &self.config.model;
        Layer {
            gates: model.cells[k].gates(&|part| self.parameter(&names::gate(k, part))),
            bias: self.parameter(&names::gate_bias(k)),
            projection: (model.projection != 0).then(|| self.parameter(&names::projection(k))),
            batch: self.variant.extent.batch,
            unroll: self.variant.extent.unroll,
            forget_bias: model.forget_bias as f32,
            name: names::layer(k),
        }
    }
}
