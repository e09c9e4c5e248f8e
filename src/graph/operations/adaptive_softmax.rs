//! Cross-entropy of an adaptive softmax (Grave et al. 2016): a head over the most frequent words and one entry for each cluster of
//! the others, and for each cluster a softmax over its words, computed only at the positions whose targets it contains.
//!
//! ```text
//! nll = nll_head(target)                                 for a target in the head
//! nll = nll_head(entry of cluster k) + nll_k(target)     for a target in cluster k
//! nll_head = cross-entropy of h H' + b
//! nll_k    = cross-entropy of dropout(h A_k) B_k'
//! ```
//!
//! Only training drops elements, by [`AdaptiveOptions::mask`]. Clusters overfit first: they have few targets for each of their words.
//!
//! The host lists the positions of each cluster, section by section; see [`Sections`](crate::model::clusters::Sections). The steps
//! of a section, except the first of each cluster, are skipped if it is empty. The losses and gradients of a section are complete
//! before the next one begins, so that all sections share the memory of logits. The forward pass also computes the gradients, so
//! the tape has no operation for the backward pass.

use super::super::plan::Slice;
use super::super::{Graph, Operation, Parameter, Value};
use super::dropout::{Mask, emit_dropout_of_rows};
use super::full_softmax::{Classes, FullSoftmax};
use super::products::emit_product;
use crate::kernels::embedding::{add_rows, gather};
use crate::kernels::matmul::product;
use crate::tensor::names;

/// The parameters of an adaptive softmax.
pub struct AdaptiveParameters {
    /// The weights of the head, `[words + clusters, P]`.
    pub head: Parameter,
    /// The bias of the head, `[words + clusters, 1]`.
    pub bias: Parameter,
    /// The clusters.
    pub tails: Vec<Tail>,
}

/// A cluster.
pub struct Tail {
    /// Its projection, `[P, width]`.
    pub projection: Parameter,
    /// The weights of its words, `[words, width]`.
    pub weight: Parameter,
    /// The capacity of each of its sections, in positions.
    pub sections: Vec<usize>,
}

/// How logits are divided, and how losses are scaled.
#[derive(Clone, Copy)]
pub struct AdaptiveOptions {
    /// The maximum number of logits in memory.
    pub tile: usize,
    /// Gradients are those of the sum of the losses divided by this. None: there is no backward pass.
    pub divisor: Option<f32>,
    /// The elements of the projections that are dropped. The mask of cluster `k` has this number plus `k`.
    pub mask: Option<Mask>,
    /// Whether products are never split, so that the result of a position does not depend on the others.
    pub whole_products: bool,
}

/// The inputs that list the positions of each cluster.
#[derive(Clone, Copy)]
struct Lists {
    sources: Slice,
    positions: Slice,
    targets: Slice,
}

/// The losses `[T*B]` after `h [T*B, P]`.
///
/// The host writes the inputs of [`ClusterTargets`](crate::model::clusters::ClusterTargets): `targets.head [T*B]`, and
/// `clusters.sources`, `clusters.positions` and `clusters.targets`, whose length is the total capacity of all sections.
pub fn adaptive_softmax(
    graph: &mut Graph,
    h: Value,
    parameters: &AdaptiveParameters,
    options: AdaptiveOptions,
) -> Slice {
    let (rows, _) = graph.shape(h);
    let targets = graph.builder.index_input(names::TARGETS_HEAD, [rows]);
    let nll = graph.builder.output_or_activation("nll", rows);
    let head = Classes {
        name: "softmax.head".to_owned(),
        weight: parameters.head,
        bias: Some(parameters.bias),
    };
    let head = FullSoftmax::forward(graph, h, head, targets, nll, options.tile, options.divisor);
    if options.divisor.is_some() {
        head.backward(graph);
    }
    add_tails(graph, h, &parameters.tails, nll, 1.0, options);
    nll
}

/// Adds the losses of the clusters, times `scale`, to `sums [T*B]`, and with a divisor their gradients to that of `h`.
pub fn add_tails(
    graph: &mut Graph,
    h: Value,
    tails: &[Tail],
    sums: Slice,
    scale: f32,
    options: AdaptiveOptions,
) {
    let sections = tails.iter().flat_map(|tail| &tail.sections);
    let places: usize = sections.sum();
    if places == 0 {
        return;
    }
    let mut input = |name| graph.builder.index_input(name, [places]);
    let lists = Lists {
        sources: input(names::CLUSTER_SOURCES),
        positions: input(names::CLUSTER_POSITIONS),
        targets: input(names::CLUSTER_TARGETS),
    };
    let mut start = 0;
    let (rows, _) = graph.shape(h);
    for (k, tail) in tails.iter().enumerate() {
        let (words, _) = graph.extents(tail.weight);
        for (number, &len) in tail.sections.iter().enumerate() {
            let tile = if options.whole_products {
                // As many words in every section, so that sums have the same order, if a tile may be so large.
                let tile = (options.tile / rows).max(1) * len;
                tile.min(graph.builder.limits().slice)
            } else {
                // Later sections are rare. Their logits take no more memory than those of the first.
                options.tile.min(tail.sections[0] * words)
            };
            let part = |list: Slice| list.part(start, len);
            let section = Section {
                h,
                tail,
                name: format!("softmax.tails.{k}.section{number}"),
                lists: Lists {
                    sources: part(lists.sources),
                    positions: part(lists.positions),
                    targets: part(lists.targets),
                },
                sums,
                scale,
                mask: options.mask.map(|mask| Mask {
                    number: mask.number + k as u32,
                    ..mask
                }),
                options: AdaptiveOptions { tile, ..options },
            };
            if number > 0 {
                graph.builder.set_condition(Some(part(lists.positions)));
            }
            section.emit(graph);
            graph.builder.set_condition(None);
            start += len;
        }
    }
}

/// Some positions of a cluster.
struct Section<'a> {
    h: Value,
    tail: &'a Tail,
    name: String,
    lists: Lists,
    sums: Slice,
    scale: f32,
    mask: Option<Mask>,
    options: AdaptiveOptions,
}

impl Section<'_> {
    fn emit(&self, graph: &mut Graph) {
        let label = "softmax forward";
        let (rows, depth) = graph.shape(self.h);
        let (_, width) = graph.extents(self.tail.projection);
        let len = self.lists.sources.len;
        let options = self.options;

        let gathered = self.stored(graph, "h", [len, depth]);
        let params = gather::Params {
            rows: len as u32,
            width: depth as u32,
            base: 0,
            window: rows as u32,
        };
        let slices = [graph.data(self.h), self.lists.sources, gathered];
        graph.builder.step(label, &gather::KERNEL, &params, &slices);
        let narrow = self.stored(graph, "x", [len, width]);
        let params = product::Params::dense(len, width, depth);
        let projection = graph.operand(self.tail.projection);
        if options.whole_products {
            let slices = [gathered, projection, gathered, narrow];
            graph
                .builder
                .step(label, &product::KERNEL, &params, &slices);
        } else {
            emit_product(graph, label, &params, gathered, projection, None, narrow);
        }
        let narrow = self.dropped(graph, label, "dropped", narrow);
        let x = graph.value(narrow, len, width);
        let losses = graph
            .builder
            .activation(&format!("{}.nll", self.name), [len]);
        let classes = Classes {
            name: self.name.clone(),
            weight: self.tail.weight,
            bias: None,
        };
        let (tile, divisor) = (options.tile, options.divisor);
        let softmax =
            FullSoftmax::forward(graph, x, classes, self.lists.targets, losses, tile, divisor);
        self.add(graph, "softmax loss", losses, self.sums, self.scale);
        if divisor.is_some() {
            softmax.backward(graph);
            self.emit_backward(graph, x, gathered);
        }
    }

    /// From the gradient of the narrow input to those of the projection and of `h`.
    fn emit_backward(&self, graph: &mut Graph, x: Value, gathered: Slice) {
        let label = "softmax backward";
        let (_, depth) = graph.shape(self.h);
        let (len, width) = graph.shape(x);
        let dx = graph.gradient(x);
        let dx = self.dropped(graph, label, "dx", dx);
        let (dprojection, more) = graph.dense_gradient(self.tail.projection);
        let params = product::Params::dense(depth, width, len)
            .transposed_left()
            .accumulating(more);
        emit_product(graph, label, &params, gathered, dx, None, dprojection);
        let dgathered = self.stored(graph, "dh", [len, depth]);
        let params = product::Params::dense(len, depth, width).transposed_right();
        let projection = graph.operand(self.tail.projection);
        emit_product(graph, label, &params, dx, projection, None, dgathered);
        let (dh, more) = graph.contribute(self.h);
        assert!(more, "the head contributes first");
        self.add(graph, label, dgathered, dh, 1.0);
    }

    /// Adds rows of the section to rows of a tensor `[T*B, width]`.
    fn add(&self, graph: &mut Graph, label: &str, from: Slice, to: Slice, scale: f32) {
        let (rows, _) = graph.shape(self.h);
        let len = self.lists.positions.len;
        let params = add_rows::Params {
            rows: len as u32,
            width: (to.len / rows) as u32,
            base: 0,
            window: rows as u32,
            scale,
        };
        let slices = [from, self.lists.positions, to];
        graph
            .builder
            .step(label, &add_rows::KERNEL, &params, &slices);
    }

    /// The projection or its gradient with elements dropped.
    fn dropped(&self, graph: &mut Graph, label: &str, name: &str, x: Slice) -> Slice {
        let Some(mask) = self.mask else {
            return x;
        };
        let len = self.lists.sources.len;
        let y = self.stored(graph, name, [len, x.len / len]);
        emit_dropout_of_rows(graph, label, x, self.lists.sources, y, mask);
        y
    }

    fn stored(&self, graph: &mut Graph, name: &str, shape: [usize; 2]) -> Slice {
        let name = format!("{}.{name}", self.name);
        graph.builder.stored(&name, shape)
    }
}
